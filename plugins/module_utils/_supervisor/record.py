# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stores a record of the applied configuration in a file next to supervisord's socket.

supervisord reports most keys of a program but not all (see UNREPORTED), and after a reread it
reports the configuration on disk instead of the active one. For a full comparison in check mode,
state=applied writes hashes to a small file <socket>.applied. It is valid for one process of
supervisord, and no change ever depends on it.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
import typing as t

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import replacing
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_programs import (
    UNREPORTED,
    Config,
    Group,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.daemon import Daemon
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.rpc import Endpoint

_FORMAT = 3


class Record:
    """The active configuration at the time when the file was written."""

    def __init__(self, data: dict[str, t.Any]) -> None:
        self._salt: str = data["salt"]
        self._written: float = data["written_at"]
        self._groups: dict[str, t.Any] = data["groups"]
        self._pending: dict[str, t.Any] = data["pending"]

    def has(self, group: str, infos: t.Iterable[t.Mapping[str, t.Any]]) -> bool:
        """Whether the group is still the recorded one.

        A group that was removed and added again has programs that were started later and never
        stopped.

        :param infos: supervisord's reports of the programs of the group.
        """
        recorded = self._groups.get(group)
        return (
            recorded is not None
            and not self._replaced_since(infos)
            and all(info["name"] in recorded["processes"] for info in infos)
        )

    def _replaced_since(self, infos: t.Iterable[t.Mapping[str, t.Any]]) -> bool:
        return any(info["start"] > self._written and info["stop"] == 0 for info in infos)

    def covers(self, infos: t.Iterable[t.Mapping[str, t.Any]]) -> bool:
        """Whether the groups of all these reports are the recorded ones, and none is pending."""
        return not self._pending and all(self.has(info["group"], [info]) for info in infos)

    def is_pending(self, group: Group, infos: t.Iterable[t.Mapping[str, t.Any]]) -> bool:
        """Whether supervisord read this very configuration of the group, and does not use it
        yet."""
        recorded = self._pending.get(group.name)
        return recorded == _hash_group(group, self._salt) and not self._replaced_since(infos)

    def same(self, group: Group) -> bool:
        return self._groups[group.name] == _hash_group(group, self._salt)

    def changed_keys(self, group: str, process: Config) -> list[str]:
        """The unreported keys that differ from the record."""
        recorded = self._groups[group]["processes"].get(process["name"], {})
        new = _hash_process(process, self._salt)
        return [key for key in UNREPORTED if key in recorded and recorded[key] != new[key]]


def load(endpoint: Endpoint, daemon: Daemon) -> Record | None:
    """The record of this process of supervisord, or None."""
    data = _read(endpoint)
    if data is None or daemon.ticks is None or data["daemon"] != [daemon.pid, daemon.ticks]:
        return None
    return Record(data)


def is_missing(
    endpoint: Endpoint, daemon: Daemon, infos: t.Iterable[t.Mapping[str, t.Any]]
) -> bool:
    """Whether a record is possible, and there is none for the groups of all these reports."""
    if endpoint.scheme != "unix" or daemon.ticks is None:
        return False
    record = load(endpoint, daemon)
    return record is None or not record.covers(infos)


def new_record(
    endpoint: Endpoint,
    daemon: Daemon,
    groups: t.Mapping[str, Group],
    pending: t.Collection[str],
    infos: t.Sequence[t.Mapping[str, t.Any]],
) -> dict[str, t.Any] | None:
    """The data of a new record, None if there is nothing new or no place for it.

    :param groups: all groups as supervisord has just read them.
    :param pending: the names of those that are not active, because the options select only others.
    :param infos: supervisord's reports of all programs.
    """
    if endpoint.scheme != "unix" or daemon.ticks is None:
        return None
    former = _read(endpoint) or {}
    old = Record(former) if former.get("daemon") == [daemon.pid, daemon.ticks] else None
    salt = former.get("salt") or os.urandom(16).hex()
    members: dict[str, list[t.Mapping[str, t.Any]]] = {name: [] for name in groups}
    for info in infos:
        members.setdefault(info["group"], []).append(info)
    still_valid = [name for name in pending if old is not None and old.has(name, members[name])]
    in_force = {
        name: _hash_group(group, salt) for name, group in groups.items() if name not in pending
    }
    in_force.update((name, former["groups"][name]) for name in still_valid)
    data: dict[str, t.Any] = {
        "format": _FORMAT,
        "daemon": [daemon.pid, daemon.ticks],
        "salt": salt,
        "groups": in_force,
        "pending": {
            name: _hash_group(groups[name], salt) for name in pending if name not in still_valid
        },
    }
    same = (
        old is not None
        and {key: value for key, value in former.items() if key != "written_at"} == data
    )
    if same and all(t.cast(Record, old).has(name, members[name]) for name in in_force):
        return None
    data["written_at"] = time.time()
    return data


def save(endpoint: Endpoint, data: dict[str, t.Any]) -> None:
    """Write a new record. Without it, check mode can verify less, and all else works."""
    path = _path(endpoint)
    try:
        with replacing(path) as stream:
            json.dump(data, stream)
    except OSError:
        pass


def _path(endpoint: Endpoint) -> str:
    return endpoint.path + ".applied"


def _read(endpoint: Endpoint) -> dict[str, t.Any] | None:
    if endpoint.scheme != "unix":
        return None
    try:
        handle = os.open(_path(endpoint), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(handle, encoding="utf-8") as file:
            info = os.fstat(handle)
            if (
                not stat.S_ISREG(info.st_mode)
                or info.st_mode & 0o022
                or info.st_uid not in (0, os.geteuid())
            ):
                return None
            data = json.load(file)
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) and data.get("format") == _FORMAT else None


def _hash_group(group: Group, salt: str) -> dict[str, t.Any]:
    return {
        "frame": _hash(
            [
                group.section_type,
                group.priority,
                group.extras,
                [item["name"] for item in group.processes],
            ],
            salt,
        ),
        "processes": {item["name"]: _hash_process(item, salt) for item in group.processes},
    }


def _hash_process(process: Config, salt: str) -> dict[str, str]:
    # supervisord does not compare the names of log files that it generates.
    rest = {
        key: value for key, value in process.items() if key not in UNREPORTED and value != "auto"
    }
    hashes = {key: _hash(process[key], salt) for key in UNREPORTED}
    hashes["rest"] = _hash(rest, salt)
    return hashes


def _hash(value: t.Any, salt: str) -> str:
    text = salt + json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
