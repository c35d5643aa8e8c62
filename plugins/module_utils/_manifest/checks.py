# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of a manifest that an uninstall refuses to remove, all checked before the first
removal."""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import xdg

SYSTEM = (
    "/ /bin /boot /dev /etc /etc/systemd /etc/systemd/system /etc/systemd/user /home /lib /lib64 "
    "/media /mnt /opt /proc /root /run /sbin /srv /sys /tmp /usr /usr/bin /usr/lib /usr/local "
    "/usr/local/bin /usr/share /var /var/cache /var/lib /var/lib/private /var/log /var/run "
    "/var/spool /var/tmp"
).split()
XDG = (
    ("XDG_CONFIG_HOME", ".config"),
    ("XDG_DATA_HOME", ".local/share"),
    ("XDG_STATE_HOME", ".local/state"),
    ("XDG_CACHE_HOME", ".cache"),
)
# the directories that belong to a role alone, and that it may empty
OF_SERVICES = {
    "broker": (
        "/etc/swf-broker",
        "/opt/swf-broker",
        "/var/lib/swf-broker",
        "/var/lib/private/swf-broker",
    ),
    "redis": ("/etc/swf-redis",),
}
# other directories in which the roles of services place single files, and snapshots of the files that
# a change of secrets replaces
FILES_OF_SERVICES = ("/etc/",)
SNAPSHOT_OF_SERVICES = r"/etc/(?:[^/]+/)+swf-[a-z-]+\.known-good(?:\.new)?"
ACCOUNT = r"[a-z_][a-z0-9_-]{0,31}"
# smaller numbers are accounts of services
FIRST_PERSON = 1000


def mount_points() -> set[str]:
    """All mount points, including bind mounts of the same file system."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
            return {unescaped(line.split(" ")[4]) for line in stream}
    except OSError:
        return set()


def unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)


def protected(environment: dict[str, Any]) -> set[str]:
    """Directories that contain more than an instance."""
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


def contains(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def problem(
    item: dict[str, Any],
    subject: dict[str, Any],
    places: dict[str, Any] | None,
    environment: dict[str, Any],
    mounts: set[str],
) -> tuple[str, str] | None:
    """Why an entry is not removed, as (cause, evidence); None if it may be removed.

    :param places: the layout of the instance, None for a service.
    """
    if item["uninstall"] == "never":
        return None
    if item["kind"] in ("account", "group"):
        return account_problem(item, subject)
    if item["kind"] not in ("directory", "file", "link", "unit"):
        # lines are checked when they are removed; packages, ports and databases have their own
        # tools
        return None
    return path_problem(item, subject, places, environment) or state_problem(item, mounts)


def path_problem(
    item: dict[str, Any],
    subject: dict[str, Any],
    places: dict[str, Any] | None,
    environment: dict[str, Any],
) -> tuple[str, str] | None:
    path = item["path"]
    if any(contains(path, other) for other in protected(environment)):
        return "it is a directory of the system or of the login, or contains one", "it is %s" % path
    own, whole = own_places(places) if places else service_places(subject["service"])
    inside = any(contains(folder, path) and (path != folder or folder in whole) for folder in own)
    if item["kind"] == "directory":
        # nothing is lost with an empty directory
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
    """(directories of the instance, those that may be removed with their contents)"""
    whole = [places["log_dir"], places["run_dir"]]
    return [places[name] for name in ("config_dir", "root", "state_dir")] + whole, whole


def service_places(service: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    own = OF_SERVICES.get(service, ())
    return own, own


def state_problem(item: dict[str, Any], mounts: set[str]) -> tuple[str, str] | None:
    """Why the present state of the host prevents the removal."""
    path, parent = item["path"], os.path.dirname(item["path"])
    real = os.path.realpath(parent)
    if real != item.get("real", parent):
        return (
            "a parent directory has changed since the installation",
            "%s now leads to %s" % (parent, real),
        )
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        return "it cannot be examined", str(error.strerror)
    if item["kind"] == "directory":
        if stat.S_ISLNK(mode):
            return (
                "it is now a symbolic link, and links are not followed",
                "it leads to %s" % os.readlink(path),
            )
        if not stat.S_ISDIR(mode):
            return "it is no longer a directory", "its mode is %o" % mode
        itself = os.path.join(real, os.path.basename(path))
        below = sorted(place for place in mounts if contains(itself, place) and place != itself)
        if below and item["uninstall"] != "empty":
            return "another file system is mounted in it", "mounted: %s" % ", ".join(below)
    elif stat.S_ISDIR(mode):
        return "it was a %s and is now a directory" % item["kind"], "its mode is %o" % mode
    return None


def account_problem(item: dict[str, Any], subject: dict[str, Any]) -> tuple[str, str] | None:
    name = item["name"]
    if subject.get("scope") != "system":
        return "only the system scope has accounts", "the scope is %s" % subject.get("scope")
    if not re.fullmatch(ACCOUNT, name):
        return "it is not the name of an account", "it is %r" % name
    try:
        number = (
            pwd.getpwnam(name).pw_uid if item["kind"] == "account" else grp.getgrnam(name).gr_gid
        )
    except KeyError:
        return None
    if number == 0 or number >= FIRST_PERSON:
        return "it is not the account of a service", "%s has the number %d" % (name, number)
    return None
