# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls systemctl and journalctl, for the system or for the login."""

from __future__ import annotations

import os
import re
import subprocess

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import (
    captured,
    user_name,
)

# the directory of systemd's credentials has had this name since version 250
CREDENTIALS_SINCE = 250
LINGER = "/var/lib/systemd/linger/"


class SystemdError(Exception):
    """systemctl failed; the text has what it printed."""


def environment() -> dict[str, str]:
    """The environment for ``systemctl --user``: after su or sudo there is no session, but the
    manager runs."""
    found = dict(os.environ, LC_ALL="C", SYSTEMD_COLORS="0", SYSTEMD_PAGER="")
    found.setdefault("XDG_RUNTIME_DIR", "/run/user/%d" % os.getuid())
    return found


def systemctl(scope: str, *arguments: str) -> str:
    """Run systemctl; return its output.

    :param scope: ``system`` or ``user``.
    :raises SystemdError:
    """
    command = ["systemctl", *(["--user"] if scope == "user" else []), "--no-pager", *arguments]
    try:
        done = captured(command, env=environment(), stderr=subprocess.STDOUT)
    except OSError as error:
        raise SystemdError("%s: %s" % (" ".join(command), error.strerror)) from error
    if done.returncode != 0:
        raise SystemdError("%s: %s" % (" ".join(command), done.stdout.strip()))
    return done.stdout


def version() -> int | None:
    """The version of the systemd that runs this host, as a number; None if systemd is not the init
    system."""
    if not os.path.isdir("/run/systemd/system"):
        return None
    try:
        match = re.match(r"systemd (\d+)", systemctl("system", "--version"))
    except SystemdError:
        return None
    return int(match.group(1)) if match else None


def lingers() -> bool:
    """Whether systemd runs units of this login while nobody is logged in."""
    if version() is None:
        return False
    if not os.path.exists(LINGER + user_name(os.geteuid())):
        return False
    try:
        systemctl("user", "show-environment")
    except SystemdError:
        return False
    return True


def properties(unit: str, scope: str) -> dict[str, str]:
    """The state of a unit: {property: value}."""
    output = systemctl(
        scope,
        "show",
        unit,
        "--property=LoadState,ActiveState,UnitFileState,NeedDaemonReload,NRestarts,Result",
    )
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)


def journal(unit: str, scope: str, lines: int = 20) -> str:
    """The last lines of a unit's journal."""
    option = "--user-unit=" if scope == "user" else "--unit="
    command = ["journalctl", "--no-pager", "--quiet", "--output=cat", "--lines=%d" % lines]
    try:
        return captured([*command, option + unit], env=environment()).stdout.strip()
    except OSError:
        return ""
