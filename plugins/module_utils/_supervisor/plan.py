# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The changes that apply the configuration on disk, computed without a call that changes
supervisord."""

from __future__ import annotations

import glob
import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import (
    environ_of,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import status
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.client import Snapshot
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_file import (
    ConfigError,
    ConfigFile,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_programs import (
    AUTO,
    Config,
    Group,
    read_groups,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.daemon import Daemon
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    SupervisorError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.record import Record

_IDENTITY = ("name", "group")


@dataclass
class Plan:
    """The difference between the active configuration and the one on disk.

    :ivar changed_keys: per program (group:name) of a changed group the keys that differ; only for
        programs that both sides have.
    :ivar unverified: groups that seem unchanged, with unreported keys that nothing could verify.
    :ivar wanted: per program (group:name) its new configuration.
    :ivar left_out: further groups that differ, which the options do not select.
    :ivar groups: all groups on disk, None if they were not read.
    """

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    changed_keys: dict[str, list[str]] = field(default_factory=dict)
    unverified: list[str] = field(default_factory=list)
    wanted: dict[str, Config] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    groups: dict[str, Group] | None = None

    def only(self, selected: t.Callable[[str], bool]) -> Plan:
        """The part of the plan for the selected groups."""

        def pick(names: list[str]) -> list[str]:
            return [name for name in names if selected(name)]

        return Plan(
            pick(self.added),
            pick(self.changed),
            pick(self.removed),
            {
                name: keys
                for name, keys in self.changed_keys.items()
                if selected(name.split(":", 1)[0])
            },
            pick(self.unverified),
            {name: config for name, config in self.wanted.items() if selected(config["group"])},
            [name for name in self.added + self.changed if not selected(name)],
            self.groups,
        )


def refused(text: str) -> SupervisorError:
    return SupervisorError(
        "config_invalid",
        "supervisord refuses the configuration. Evidence: %s. Nothing was changed: the programs "
        "still run with the former one." % text,
    )


def predict(path: str, snapshot: Snapshot, daemon: Daemon, record: Record | None) -> Plan:
    """The changes that reread would report, with the keys that differ.

    :param record: of the configuration that was applied; without it, groups whose file is newer
        than supervisord are compared as far as supervisord reports them.
    """
    try:
        conf = ConfigFile(path, os.environ if daemon.environ is None else daemon.environ)
        groups = read_groups(path, daemon)
    except ConfigError as error:
        raise refused(str(error)) from None
    active = {info["group"] for info in snapshot.processes}
    plan = Plan(
        added=[name for name in groups if name not in active],
        removed=sorted(active - set(groups)),
        wanted={
            status.namespec(process): process
            for group in groups.values()
            for process in group.processes
        },
        groups=groups,
    )
    if daemon.started is not None and untouched_since(daemon.started, conf.files, conf.patterns):
        return plan
    members: dict[str, list[dict[str, t.Any]]] = {}
    for info in snapshot.processes:
        members.setdefault(info["group"], []).append(info)
    for name, group in groups.items():
        if name not in active:
            continue
        if record is not None and record.is_pending(group, members[name]):
            plan.changed.append(name)
            continue
        usable = record if record is not None and record.has(name, members[name]) else None
        if usable is None or not usable.same(group):
            reported = {
                item["name"]: item for item in snapshot.config or () if item["group"] == name
            }
            _compare(plan, group, reported, members[name], usable)
    return plan


def _compare(
    plan: Plan,
    group: Group,
    reported: dict[str, Config],
    members: list[dict[str, t.Any]],
    record: Record | None,
) -> None:
    pids = {info["name"]: info["pid"] for info in members}
    changed = {process["name"] for process in group.processes} != set(pids)
    for process in group.processes:
        old = reported.get(process["name"])
        if old is None or process["name"] not in pids:
            continue
        keys = changed_keys(old, process)
        if record is not None:
            keys += record.changed_keys(group.name, process)
        elif pids[process["name"]] and _lacks(pids[process["name"]], process["environment"]):
            keys.append("environment")
        if keys:
            changed = True
            plan.changed_keys[status.namespec(process)] = keys
    if record is not None:
        # The record is of the active configuration; supervisord's report may be newer, from a
        # reread without update.
        changed = not record.same(group)
    if changed:
        plan.changed.append(group.name)
    else:
        plan.changed_keys = {
            name: keys
            for name, keys in plan.changed_keys.items()
            if name.split(":", 1)[0] != group.name
        }
        if record is None:
            plan.unverified.append(group.name)


def untouched_since(moment: float, files: t.Iterable[str], patterns: t.Iterable[str]) -> bool:
    """Whether no file was written, added or removed since a moment.

    The change time of the inode decides; no tool can set it back.

    :param patterns: of included files: their folders must not have changed either.
    """
    paths = set(files)
    for pattern in patterns:
        folder = os.path.dirname(pattern)
        if glob.has_magic(folder):
            return False
        paths.add(folder)
    try:
        return all(os.stat(path).st_ctime < moment - 0.1 for path in paths)
    except OSError:
        return False


def _lacks(pid: int, environment: dict[str, str]) -> bool:
    """Whether a process started without variables of its configuration, or with other values."""
    actual = environ_of(pid)
    # A program can overwrite its environment in /proc: it counts only with supervisord's own
    # variables in it.
    if actual is None or "SUPERVISOR_PROCESS_NAME" not in actual:
        return False
    return any(actual.get(name) != value for name, value in environment.items())


def changed_keys(old: Config, new: Config) -> list[str]:
    """The keys of two configurations of one program that differ in supervisord's eyes."""
    keys = []
    for key in sorted(set(old) & set(new)):
        automatic = key.endswith("_logfile") and AUTO in (
            old[key],
            new[key],
        )  # supervisord leaves these out
        if key not in _IDENTITY and not automatic and old[key] != new[key]:
            keys.append(key)
    return keys


def from_reread(answer: t.Sequence[list[str]], predicted: Plan | None) -> Plan:
    """The plan as supervisord itself reports it, completed from the predicted one.

    :param answer: the names of the groups that are added, changed and removed.
    :param predicted: the plan that was computed here.
    :returns: a plan without C(wanted) if the predicted one does not fit.
    """
    added, changed, removed = answer
    plan = Plan(added, changed, removed)
    if predicted is None:
        return plan
    plan.changed_keys = {
        name: keys
        for name, keys in predicted.changed_keys.items()
        if name.split(":", 1)[0] in plan.changed
    }
    if set(plan.added) == set(predicted.added) and set(plan.removed) == set(predicted.removed):
        plan.wanted, plan.groups = predicted.wanted, predicted.groups
    return plan
