# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks and tells systemd, the host's or that of the login."""

from __future__ import annotations

import os
import re
import subprocess

# the directory that systemd keeps credentials in has had this name since version 250
CREDENTIALS_SINCE = 250


class SystemdError(Exception):
    """systemctl failed; the text has what it printed."""


def environment():
    """For ``systemctl --user``: a login that came by su or sudo has no session, and the manager is
    there all the same."""
    found = dict(os.environ, LC_ALL="C", SYSTEMD_COLORS="0", SYSTEMD_PAGER="")
    found.setdefault("XDG_RUNTIME_DIR", "/run/user/%d" % os.getuid())
    return found


def systemctl(scope, *arguments):
    """Run systemctl; returns what it printed.

    :param scope: ``system`` or ``user``.
    :raises SystemdError:
    """
    command = ["systemctl", *(["--user"] if scope == "user" else []), "--no-pager", *arguments]
    try:
        done = subprocess.run(
            command,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise SystemdError("%s: %s" % (" ".join(command), error.strerror)) from error
    if done.returncode != 0:
        raise SystemdError("%s: %s" % (" ".join(command), done.stdout.strip()))
    return done.stdout


def version():
    """The version of the systemd that runs this host, as a number; None where another program
    does."""
    if not os.path.isdir("/run/systemd/system"):
        return None
    try:
        match = re.match(r"systemd (\d+)", systemctl("system", "--version"))
    except SystemdError:
        return None
    return int(match.group(1)) if match else None


def lingers():
    """Whether systemd runs units of this login also while nobody is logged in."""
    if version() is None:
        return False
    name = subprocess.run(
        ["id", "-un"], stdout=subprocess.PIPE, text=True, check=False
    ).stdout.strip()
    if not os.path.exists("/var/lib/systemd/linger/" + name):
        return False
    try:
        systemctl("user", "show-environment")
    except SystemdError:
        return False
    return True


def properties(unit, scope):
    """What matters of a unit here: {property: value}."""
    output = systemctl(
        scope,
        "show",
        unit,
        "--property=LoadState,ActiveState,UnitFileState,NeedDaemonReload,NRestarts,Result",
    )
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)


def journal(unit, scope, lines=20):
    """The end of what a unit wrote."""
    command = [
        "journalctl",
        "--no-pager",
        "--quiet",
        "--output=cat",
        "--lines=%d" % lines,
        "--user-unit=" + unit if scope == "user" else "--unit=" + unit,
    ]
    try:
        done = subprocess.run(
            command,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.strip()
