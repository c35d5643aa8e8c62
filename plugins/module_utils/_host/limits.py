# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the limits and the accounts of a host suit an instance."""

from __future__ import annotations

import os
import pwd
import resource

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import finding

# minfds in supervisord.conf: supervisord ends at once where it cannot have as many
OPEN_FILES = 1024
NO_LOGIN = ("nologin", "false")
NOBODY = 65534


def limit_problem(managed, hard=None):
    """Too few open files for supervisord, or None.

    :param managed: whether systemd starts it, with a limit of the unit's own.
    :param hard: the hard limit of this login; asked for if it is not given.
    """
    if hard is None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if managed or os.geteuid() == 0 or hard == resource.RLIM_INFINITY or hard >= OPEN_FILES:
        return None
    return finding(
        "limit",
        "this login may open too few files",
        "ulimit -Hn says %d, and supervisord needs %d" % (hard, OPEN_FILES),
        "Raise it (hard nofile in /etc/security/limits.d/), and log in again",
    )


def account_problem(scope, name):
    """An account that must not run the programs of an instance of the host, or None. One that does
    not exist yet is made."""
    try:
        account = pwd.getpwnam(name) if scope == "system" else None
    except KeyError:
        account = None
    if account is None:
        return None
    if account.pw_uid == 0:
        evidence = "%s has the uid 0" % name
    elif account.pw_uid == NOBODY:
        evidence = "%s is the account of whoever has none (uid %d)" % (name, NOBODY)
    elif os.path.basename(account.pw_shell) not in NO_LOGIN:
        evidence = "%s is an account that people log in to: its shell is %s" % (
            name,
            account.pw_shell,
        )
    else:
        return None
    return finding(
        "account",
        "the programs must not run as %s" % name,
        evidence,
        "Remove swf_testbed_user or swf_testbed_index_system_user, whichever names it, and an "
        "account is made; or name one without a login shell",
    )
