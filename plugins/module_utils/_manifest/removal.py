# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes what a manifest lists, and nothing else. The manifest goes last, so that an interrupted
removal resumes."""

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

# units before what they run, files before directories, and accounts when nothing of theirs runs any
# more
ORDER = ("unit", "file", "link", "directory", "account", "group")
TOOLS = {"account": "userdel", "group": "groupdel"}


class Removal:
    """One removal: the entries in their order, and what is left of them.

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
        self.manifest, self.subject, self.places, self.environment = (
            manifest,
            subject,
            places,
            environment,
        )
        self.mounts = checks.mount_points() if mounts is None else mounts
        self.remove_data = remove_data
        self.used_by = {}
        for name, other in (others or {}).items():
            for item in other["entries"]:
                if not listing.shape_problem(item):
                    self.used_by.setdefault(listing.key(item), name)
        # what a tool refused to remove, and what it said
        self.refusals = {}

    def problems(self) -> list[str]:
        """Why nothing is removed, one sentence for each entry."""
        found = (
            (item, checks.problem(item, self.subject, self.places, self.environment, self.mounts))
            for item in self.manifest["entries"]
        )
        return [
            "%s is listed and is not removed: %s. Evidence: %s" % (listing.told(item), *why)
            for item, why in found
            if why
        ]

    def is_due(self, item: dict[str, Any]) -> bool:
        return (
            item["uninstall"] in ("always", "data")[: 1 + self.remove_data]
            and self.why_kept(item) is None
        )

    def why_kept(self, item: dict[str, Any]) -> str | None:
        """Why an entry stays that could go; None where it may go."""
        if item["uninstall"] == "never":
            return item.get("reason", "it is not removed")
        other = self.used_by.get(listing.key(item))
        if other and item["kind"] in ("account", "group"):
            return "the instance %s uses it" % other
        return self.refusals.get(listing.key(item))

    def due(self) -> list[dict[str, Any]]:
        """The entries that are there and that this module removes, but for directories that go when
        they are empty."""
        found = [
            item
            for item in self.manifest["entries"]
            if item["kind"] in ORDER and self.is_due(item) and self.is_there(item)
        ]
        # a group after the account that it is the first group of
        return sorted(found, key=lambda item: ORDER.index(item["kind"]))

    def due_elsewhere(self) -> list[dict[str, Any]]:
        """The entries that others remove: lines in files, databases, what a firewall has open."""
        return [
            item
            for item in self.manifest["entries"]
            if item["kind"] not in ORDER and self.is_due(item)
        ]

    def is_there(self, item: dict[str, Any]) -> bool:
        if item["kind"] == "account":
            return exists(pwd.getpwnam, item["name"])
        if item["kind"] == "group":
            return exists(grp.getgrnam, item["name"])
        if item["kind"] not in listing.PATHS:
            return True
        if item["kind"] == "directory" and self.is_mount(item["path"]):
            # it is emptied and stays; to empty it again is no change
            return bool(os.listdir(item["path"]))
        return os.path.lexists(item["path"])

    def is_mount(self, path: str) -> bool:
        return os.path.realpath(path) in self.mounts or os.path.ismount(path)

    def remove(self, item: dict[str, Any]) -> None:
        """Remove what one entry is about.

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
        if not self.is_there(item):
            # a group goes with the account of its name
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
        if self.is_there(item):
            self.refusals[listing.key(item)] = done.stdout.strip() or "%s exited %d" % (
                TOOLS[item["kind"]],
                done.returncode,
            )

    def remove_empty(self, check_mode: bool = False) -> list[str]:
        """Remove the listed directories that hold nothing any more, the inner ones first. Returns
        their paths."""
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
        """The manifest of what is left, None where a later removal has nothing more to do.

        To be asked when the due entries are gone.
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
        """Whether an entry has something to remove after this removal."""
        if item["kind"] not in ORDER:
            # whoever asked for the removal has taken it out before, or the module has
            return item["uninstall"] == "data" and not self.remove_data
        if self.used_by.get(listing.key(item)) and item["kind"] in TOOLS:
            # it is listed there, too
            return False
        return self.is_there(item)

    def stays(self) -> list[str]:
        """[what, why] of the listed entries that stay."""
        found = []
        for item in self.manifest["entries"]:
            why = self.why_kept(item)
            if (
                why is None
                and item["uninstall"] == "data"
                and not self.remove_data
                and self.is_there(item)
            ):
                why = (
                    "it is data, or belongs to data, and goes with swf_testbed_uninstall_data=true"
                )
            if why and (item["kind"] in listing.NAMES or os.path.lexists(item["path"])):
                found.append("%s: %s" % (listing.told(item), why))
        return found


def exists(look_up: Callable[[str], Any], name: str) -> bool:
    try:
        return bool(look_up(name))
    except KeyError:
        return False


def remove_tree(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        # the parameter has another name from Python 3.12 on, and this one until 3.14 at least
        shutil.rmtree(path, onerror=forgive)
    else:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass


def forgive(_function: object, _path: object, failure: Any) -> None:
    """On a file system that hosts share, another one may be removing the same."""
    if getattr(failure[1], "errno", None) != errno.ENOENT:
        raise failure[1]
