# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an uninstall refuses to remove, although a manifest lists it. All of it is known before the
first removal."""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import xdg

SYSTEM = (
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/etc/systemd",
    "/etc/systemd/system",
    "/etc/systemd/user",
    "/home",
    "/lib",
    "/lib64",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/local/bin",
    "/usr/share",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/lib/private",
    "/var/log",
    "/var/run",
    "/var/spool",
    "/var/tmp",
)
XDG = (
    ("XDG_CONFIG_HOME", ".config"),
    ("XDG_DATA_HOME", ".local/share"),
    ("XDG_STATE_HOME", ".local/state"),
    ("XDG_CACHE_HOME", ".cache"),
)
# the directories that a role has to itself, and may empty
OF_SERVICES = {
    "broker": (
        "/etc/swf-broker",
        "/opt/swf-broker",
        "/var/lib/swf-broker",
        "/var/lib/private/swf-broker",
    )
}
# where else the roles of services place single files, and keep those that a change of secrets
# replaced until it is proven
FILES_OF_SERVICES = ("/etc/",)
SNAPSHOT_OF_SERVICES = r"/etc/(?:[^/]+/)+swf-[a-z-]+\.known-good(?:\.new)?"
ACCOUNT = r"[a-z_][a-z0-9_-]{0,31}"
# accounts below are those of services; root is no account that a role made
FIRST_PERSON = 1000


def mount_points() -> set[str]:
    """All mount points, those that show another directory of the same file system too."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
            return {unescaped(line.split(" ")[4]) for line in stream}
    except OSError:
        return set()


def unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)


def protected(environment: dict[str, Any]) -> set[str]:
    """Directories that hold more than an instance."""
    home = environment["HOME"]
    bases = {xdg(environment, name, fallback) for name, fallback in XDG}
    bases |= {
        os.path.join(home, name)
        for name in (".local", ".config/systemd", ".config/systemd/user", ".ssh")
    }
    bases |= {
        os.path.join(xdg(environment, *XDG[0]), name)
        for name in ("systemd", "systemd/user", "pip", "uv")
    }
    return {os.path.normpath(path) for path in {home, *bases, *SYSTEM}}


def holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def problem(
    item: dict[str, Any],
    subject: dict[str, Any],
    places: dict[str, Any] | None,
    environment: dict[str, Any],
    mounts: set[str],
) -> tuple[str, str] | None:
    """Why an entry is not removed; None where nothing is against it. (cause, evidence)

    :param places: the layout of the instance, None for a service.
    """
    if item["uninstall"] == "never":
        return None
    if item["kind"] in ("account", "group"):
        return account_problem(item, subject)
    if item["kind"] not in ("directory", "file", "link", "unit"):
        # lines are looked at when they are taken out; packages, ports and databases are those of
        # their tools
        return None
    return path_problem(item, subject, places, environment) or state_problem(item, mounts)


def path_problem(
    item: dict[str, Any],
    subject: dict[str, Any],
    places: dict[str, Any] | None,
    environment: dict[str, Any],
) -> tuple[str, str] | None:
    path = item["path"]
    if any(holds(path, other) for other in protected(environment)):
        return "it is a directory of the system or of the login, or holds one", "it is %s" % path
    own, whole = own_places(places) if places else service_places(subject["service"])
    inside = any(holds(folder, path) and (path != folder or folder in whole) for folder in own)
    if item["kind"] == "directory":
        # to remove one that is empty takes nothing away
        snapshot = places is None and re.fullmatch(SNAPSHOT_OF_SERVICES, path)
        if item["uninstall"] != "empty" and not inside and not snapshot:
            return "it does not belong to this installation alone", "it is not in %s" % (
                ", ".join(own) or "one of its own"
            )
    elif item["kind"] == "unit" and places:
        if path not in (places["unit_file"], places["boot_unit_file"]):
            return (
                "it is not a unit of this instance",
                "its units are %(unit)s and %(boot_unit)s" % places,
            )
    elif not inside and not (places is None and path.startswith(FILES_OF_SERVICES)):
        return "it does not belong to this installation", "it is not in %s" % ", ".join(own)
    return None


def own_places(places: dict[str, Any]) -> tuple[list[str], list[str]]:
    """(directories of the instance, those of them that may be removed with all that is in them)"""
    whole = [places["log_dir"], places["run_dir"]]
    return [places[name] for name in ("config_dir", "root", "state_dir")] + whole, whole


def service_places(service: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    own = OF_SERVICES.get(service, ())
    return own, own


def state_problem(item: dict[str, Any], mounts: set[str]) -> tuple[str, str] | None:
    """What is in the way on the host now."""
    path, parent = item["path"], os.path.dirname(item["path"])
    real = os.path.realpath(parent)
    if real != item.get("real", parent):
        return (
            "a directory above it is another one than at the installation",
            "%s leads to %s now" % (parent, real),
        )
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        return "it cannot be looked at", error.strerror
    if item["kind"] == "directory":
        if stat.S_ISLNK(mode):
            return (
                "it is a symbolic link now, and links are not followed",
                "it leads to %s" % os.readlink(path),
            )
        if not stat.S_ISDIR(mode):
            return "it was a directory and is none now", "its mode is %o" % mode
        below = sorted(
            place
            for place in mounts
            if holds(os.path.join(real, os.path.basename(path)), place)
            and place != os.path.join(real, os.path.basename(path))
        )
        if below and item["uninstall"] != "empty":
            return "another file system is mounted in it", "mounted: %s" % ", ".join(below)
    elif stat.S_ISDIR(mode):
        return "it was a %s and is a directory now" % item["kind"], "its mode is %o" % mode
    return None


def account_problem(item: dict[str, Any], subject: dict[str, Any]) -> tuple[str, str] | None:
    name = item["name"]
    if subject.get("scope") != "system":
        return "accounts are of the system scope alone", "the scope is %s" % subject.get("scope")
    if not re.fullmatch(ACCOUNT, name):
        return "it is not the name of an account", "it is %r" % name
    try:
        number = (
            pwd.getpwnam(name).pw_uid if item["kind"] == "account" else grp.getgrnam(name).gr_gid
        )
    except KeyError:
        return None
    if number == 0 or number >= FIRST_PERSON:
        return "it is no account of a service", "%s has the number %d" % (name, number)
    return None
