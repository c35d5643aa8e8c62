# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes the items of a manifest. The manifest is removed last, so that an interrupted removal can
resume."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest import checks, listing

# units before their programs, files before directories, and accounts when none of their programs runs
ORDER = ("unit", "file", "link", "directory", "account", "group")
TOOLS = {"account": "userdel", "group": "groupdel"}


class Removal:
    """One removal: the entries in their order, and the entries that remain.

    :param manifest: from :func:`listing.read`.
    :param places: the layout of the instance, None for a service.
    :param others: {name: manifest} of the other instances on the host.
    """

    def __init__(
        self,
        manifest: dict[str, Any],
        subject: dict[str, Any],
        places: dict[str, Any] | None,
        environment: dict[str, Any],
        remove_data: bool,
        others: dict[str, dict[str, Any]] | None = None,
        mounts: set[str] | None = None,
    ) -> None:
        self.manifest, self.subject = manifest, subject
        self.places, self.environment = places, environment
        self.mounts = checks.mount_points() if mounts is None else mounts
        self.remove_data = remove_data
        self.used_by: dict[tuple[str, str], str] = {}
        for name, other in (others or {}).items():
            for item in other["entries"]:
                if not listing.shape_problem(item):
                    self.used_by.setdefault(listing.key(item), name)
        # entries that a tool refused to remove, and its output
        self.refusals: dict[tuple[str, str], str] = {}

    def problems(self) -> list[str]:
        """Why nothing is removed, one sentence for each entry."""
        found = (
            (item, checks.problem(item, self.subject, self.places, self.environment, self.mounts))
            for item in self.manifest["entries"]
        )
        return [
            "%s is listed and cannot be removed: %s. Evidence: %s" % (listing.label(item), *why)
            for item, why in found
            if why
        ]

    def is_due(self, item: dict[str, Any]) -> bool:
        return (
            item["uninstall"] in ("always", "data")[: 1 + self.remove_data]
            and self.why_left(item) is None
        )

    def why_left(self, item: dict[str, Any]) -> str | None:
        """Why an entry must stay; None if it may be removed."""
        if item["uninstall"] == "never":
            return item.get("reason", "it is not removed")
        other = self.used_by.get(listing.key(item))
        if other and item["kind"] in ("account", "group"):
            return "the instance %s uses it" % other
        return self.refusals.get(listing.key(item))

    def due(self) -> list[dict[str, Any]]:
        """The existing entries that this module removes, except directories that are removed if they
        are empty."""
        found = [
            item
            for item in self.manifest["entries"]
            if item["kind"] in ORDER and self.is_due(item) and self.is_present(item)
        ]
        # a group after the account whose primary group it is
        return sorted(found, key=lambda item: ORDER.index(item["kind"]))

    def due_elsewhere(self) -> list[dict[str, Any]]:
        """The entries that other tasks remove: lines in files, databases, open ports of a firewall."""
        return [
            item
            for item in self.manifest["entries"]
            if item["kind"] not in ORDER and self.is_due(item)
        ]

    def is_present(self, item: dict[str, Any]) -> bool:
        if item["kind"] == "account":
            return exists(pwd.getpwnam, item["name"])
        if item["kind"] == "group":
            return exists(grp.getgrnam, item["name"])
        if item["kind"] not in listing.PATHS:
            return True
        if item["kind"] == "directory" and self.is_mount(item["path"]):
            # it is emptied and stays
            return bool(os.listdir(item["path"]))
        return os.path.lexists(item["path"])

    def is_mount(self, path: str) -> bool:
        return os.path.realpath(path) in self.mounts or os.path.ismount(path)

    def remove(self, item: dict[str, Any]) -> None:
        """Remove the item of one entry.

        :raises OSError:
        """
        if item["kind"] in TOOLS:
            self.remove_account(item)
        elif item["kind"] != "directory":
            os.unlink(item["path"])
        elif self.is_mount(item["path"]):
            for child in os.scandir(item["path"]):
                remove_tree(child.path)
        else:
            remove_tree(item["path"])

    def remove_account(self, item: dict[str, Any]) -> None:
        if not self.is_present(item):
            # the group of the same name is removed with an account
            return
        done = subprocess.run(
            [TOOLS[item["kind"]], item["name"]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if self.is_present(item):
            self.refusals[listing.key(item)] = done.stdout.strip() or "%s exited %d" % (
                TOOLS[item["kind"]],
                done.returncode,
            )

    def remove_empty(self, check_mode: bool = False) -> list[str]:
        """Remove the listed directories that are empty, the inner ones first. Returns their paths."""
        gone = []
        folders = [
            item["path"] for item in self.manifest["entries"] if item["uninstall"] == "empty"
        ]
        for path in sorted(folders, key=len, reverse=True):
            if (
                os.path.isdir(path)
                and not os.path.islink(path)
                and not self.is_mount(path)
                and not os.listdir(path)
            ):
                gone.append(path)
                if not check_mode:
                    os.rmdir(path)
        return gone

    def left(self) -> dict[str, Any] | None:
        """The manifest of the remaining items, None if a later removal has nothing to do.

        To be called when the due entries are removed.
        """
        entries = self.manifest["entries"]
        later = [
            item
            for item in entries
            if item["uninstall"] in ("always", "data") and self.is_left(item)
        ]
        if not later:
            return None
        return dict(
            self.manifest,
            entries=[
                item for item in entries if item["uninstall"] in ("empty", "never") or item in later
            ],
        )

    def is_left(self, item: dict[str, Any]) -> bool:
        """Whether a later removal has to remove the entry."""
        if item["kind"] not in ORDER:
            # another task or the module has already removed it
            return item["uninstall"] == "data" and not self.remove_data
        if self.used_by.get(listing.key(item)) and item["kind"] in TOOLS:
            # the other instance lists it, too
            return False
        return self.is_present(item)

    def remaining(self) -> list[str]:
        """The listed entries that stay, each with the reason."""
        found = []
        for item in self.manifest["entries"]:
            why = self.why_left(item)
            if (
                why is None
                and item["uninstall"] == "data"
                and not self.remove_data
                and self.is_present(item)
            ):
                why = "it is data, or belongs to data; swf_testbed_uninstall_data=true removes it"
            if why and (item["kind"] in listing.NAMES or os.path.lexists(item["path"])):
                found.append("%s: %s" % (listing.label(item), why))
        return found


def exists(look_up: Callable[[str], Any], name: str) -> bool:
    try:
        return bool(look_up(name))
    except KeyError:
        return False


def remove_tree(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        # Python 3.12 renames the parameter; this name works until 3.14 at least
        shutil.rmtree(path, onerror=forgive)
    else:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass


def forgive(_function: object, _path: object, failure: Any) -> None:
    """Another host may remove the same on a shared file system."""
    if getattr(failure[1], "errno", None) != errno.ENOENT:
        raise failure[1]
