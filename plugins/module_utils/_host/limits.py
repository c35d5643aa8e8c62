# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the resource limits and the accounts of a host suit an instance."""

from __future__ import annotations

import os
import pwd
import resource

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    Finding,
    finding,
)

# minfds in supervisord.conf: supervisord exits at once if the limit is lower
OPEN_FILES = 1024
NO_LOGIN = ("nologin", "false")
NOBODY = 65534


def limit_problem(managed: bool, hard: int | None = None) -> Finding | None:
    """A finding if the limit of open files is too low for supervisord, or None.

    :param managed: whether systemd starts it, with the unit's limit.
    :param hard: the hard limit of this login; read from the system by default.
    """
    if hard is None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if managed or os.geteuid() == 0 or hard == resource.RLIM_INFINITY or hard >= OPEN_FILES:
        return None
    return finding(
        "limit",
        "the limit of open files of this login is too low",
        "ulimit -Hn is %d, and supervisord needs %d" % (hard, OPEN_FILES),
        "Raise it (hard nofile in /etc/security/limits.d/), and log in again",
    )


def account_problem(scope: str, name: str) -> Finding | None:
    """A finding if an account must not run the programs of a system-scope instance, or None. A
    missing account is created later."""
    try:
        account = pwd.getpwnam(name) if scope == "system" else None
    except KeyError:
        account = None
    if account is None:
        return None
    if account.pw_uid == 0:
        evidence = "%s has the uid 0" % name
    elif account.pw_uid == NOBODY:
        evidence = "%s is the account of unknown users (uid %d)" % (name, NOBODY)
    elif os.path.basename(account.pw_shell) not in NO_LOGIN:
        evidence = "%s is a login account: its shell is %s" % (name, account.pw_shell)
    else:
        return None
    return finding(
        "account",
        "the programs must not run as %s" % name,
        evidence,
        "Remove swf_testbed_user or swf_testbed_index_system_user, whichever names it, so that an "
        "account is created; or name one without a login shell",
    )
