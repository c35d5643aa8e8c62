# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The present state of an instance on this host. Nothing is changed.

Observed are the paths that the manifest of the instance lists, the directories of configuration and
secrets with all of their files, the unit files, the active release and its tools.
"""

from __future__ import annotations

import functools
import grp
import hashlib
import hmac
import json
import os
import pwd
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest import listing
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.build_cache import (
    NAME as CACHE,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.environments import (
    active,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.store import named_by
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._state.model import (
    ABSENT,
    DIRECTORY,
    FILE,
    LINK,
    OTHER,
    InstanceState,
    Node,
)

PACKAGES = "site-packages"
# files of a private PostgreSQL that decide how it runs; the others are its data
CLUSTER = ("PG_VERSION", "postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf")


class Observer:
    """:param places: the layout of the instance.
    :param key: of the digests.
    """

    def __init__(self, places: Mapping[str, Any], key: str) -> None:
        self.places, self._key = places, key.encode()
        self.nodes: dict[str, Node] = {}

    def state(self, facts: Mapping[str, Any]) -> InstanceState:
        for path in self._listed():
            self._add(path)
        self._walk(self.places["config_dir"])
        for path in self._files_of_login():
            self._add(path)
        units = os.path.dirname(self.places["unit_file"])
        for name in (self.places["unit"], self.places["boot_unit"]):
            self._add(os.path.join(units, name))
            self._walk(os.path.join(units, name + ".d"))
            for target in ("default", "multi-user"):
                self._add(os.path.join(units, target + ".target.wants", name))
        for part in ("releases", "tools"):
            self._children(os.path.join(self.places["root"], part))
        if self.places.get("postgresql"):
            for name in CLUSTER:
                self._add(os.path.join(self.places["state_dir"], "postgresql", name))
        return InstanceState(self.nodes, self._trees(), dict(facts))

    def _listed(self) -> Iterator[str]:
        """The paths of the manifest, and all files of its directories that only the collection
        writes."""
        subject = {"instance": self.places["instance"], "scope": self.places["scope"]}
        found = listing.read(listing.path_of(subject), subject) or {"entries": []}
        root = self.places["root"]
        # what runs writes there, or the release has digests of its own
        shallow = {self.places["log_dir"], self.places["run_dir"]} | {
            os.path.join(root, name) for name in ("releases", "tools", CACHE)
        }
        yield from (root, self.places["state_dir"], *shallow - {os.path.join(root, CACHE)})
        for item in found["entries"]:
            path = item.get("path")
            if path and path != os.path.join(root, CACHE):
                yield path
                if (
                    item["kind"] == "directory"
                    and item["uninstall"] == "always"
                    and path not in shallow
                    and not path.startswith(self.places["state_dir"] + "/")
                ):
                    self._walk(path)
                if os.path.basename(path) == "packages":
                    # of an index: the controller publishes what is missing
                    self._children(path, sizes=True)

    def _files_of_login(self) -> Iterator[str]:
        """The files of pip and uv that the instance has changed."""
        try:
            with open(self.places["pip_config"], encoding="utf-8") as stream:
                found = json.load(stream)
        except (OSError, ValueError):
            return
        yield from paths_in(found)

    def _add(self, path: str) -> None:
        if path not in self.nodes:
            self.nodes[path] = self._node(path)

    def _node(self, path: str) -> Node:
        try:
            status = os.lstat(path)
        except OSError:
            return Node(ABSENT)
        about = (
            "%04o" % stat.S_IMODE(status.st_mode),
            user_name(status.st_uid),
            group_name(status.st_gid),
        )
        if stat.S_ISLNK(status.st_mode):
            return Node(LINK, *about, os.readlink(path))
        if stat.S_ISDIR(status.st_mode):
            return Node(DIRECTORY, *about)
        if not stat.S_ISREG(status.st_mode):
            return Node(OTHER, *about)
        try:
            with open(path, "rb") as stream:
                return Node(FILE, *about, self._digest(stream.read()))
        except OSError:
            return Node(FILE, *about, "unreadable")

    def _digest(self, content: bytes) -> str:
        return hmac.new(self._key, content, hashlib.sha256).hexdigest()[:32]

    def _walk(self, top: str) -> None:
        """A directory with all of its files."""
        self._add(top)
        for folder, folders, names in os.walk(top):
            for name in (*folders, *names):
                self._add(os.path.join(folder, name))

    def _children(self, folder: str, sizes: bool = False) -> None:
        """The entries of a directory, without what is in them.

        :param sizes: instead of their content.
        """
        for name in listed(folder):
            path = os.path.join(folder, name)
            if not sizes:
                self._add(path)
                continue
            status = os.lstat(path)
            self.nodes[path] = Node(
                FILE if stat.S_ISREG(status.st_mode) else OTHER,
                "%04o" % stat.S_IMODE(status.st_mode),
                user_name(status.st_uid),
                group_name(status.st_gid),
                "%d bytes of %d" % (status.st_size, status.st_mtime_ns),
            )

    def _trees(self) -> dict[str, str]:
        root, conf = self.places["root"], self.places["supervisord_conf"]
        release, tools = named_by(conf)
        wanted = {("releases", release), ("releases", active(root)), ("tools", tools)}
        found: dict[str, str] = {}
        for part, name in wanted:
            path = os.path.join(root, part, name or "")
            if name and os.path.isdir(path):
                for key, digest in tree(path, self._key).items():
                    found[os.path.join(part, name, key)] = digest
        return found


def tree(top: str, key: bytes) -> dict[str, str]:
    """{part: keyed digest} of a directory. A part is a package, or else of at most two names.

    The change time of an inode cannot be set back. Bytecode, which Python writes itself, does not
    count.
    """
    parts: dict[str, list[str]] = {}
    for name, status, target in entries(top, ""):
        # the times of a directory change with its bytecode
        times = (
            ""
            if stat.S_ISDIR(status.st_mode)
            else "%d %d %d" % (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        )
        parts.setdefault(part_of(name), []).append(
            "%s %o %d %d %s %s"
            % (name, status.st_mode, status.st_uid, status.st_gid, times, target)
        )
    return {
        name: hmac.new(
            key, "\n".join(sorted(lines)).encode("utf-8", "surrogateescape"), hashlib.sha256
        ).hexdigest()[:16]
        for name, lines in parts.items()
    }


def part_of(name: str) -> str:
    before, middle, after = name.partition("/%s/" % PACKAGES)
    if middle:
        return before + middle + after.split("/", 1)[0]
    return "/".join(name.split("/")[:2])


def entries(top: str, prefix: str) -> Iterator[tuple[str, os.stat_result, str]]:
    """(relative name, status, target of a link) of all that is below a directory."""
    with os.scandir(top) as found:
        for item in found:
            if item.name == "__pycache__" or item.name.endswith(".pyc"):
                continue
            name, status = prefix + item.name, item.stat(follow_symlinks=False)
            yield name, status, os.readlink(item.path) if item.is_symlink() else ""
            if item.is_dir(follow_symlinks=False):
                yield from entries(item.path, name + "/")


def paths_in(value: Any) -> Iterator[str]:
    """All texts in a value that are absolute paths."""
    if isinstance(value, str):
        if value.startswith("/"):
            yield value
    elif isinstance(value, (dict, list)):
        parts: Iterable[Any] = [*value, *value.values()] if isinstance(value, dict) else value
        for part in parts:
            yield from paths_in(part)


def listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


@functools.lru_cache(None)
def user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


@functools.lru_cache(None)
def group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
