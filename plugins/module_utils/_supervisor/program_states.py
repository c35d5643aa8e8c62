# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each state of the module supervisor_program does, for real and in check mode."""

from __future__ import annotations

import os
import typing as t
from functools import cached_property

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.detached import detached
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import actions, apply, status
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import arguments as args
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import plan as plans
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import record as records
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.client import Client, Snapshot
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_programs import UNREPORTED, signal_number
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.daemon import Daemon
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import SupervisorError
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.logs import report
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.plan import Plan
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.wait import Outcome, explain

Result = dict[str, t.Any]
_DOES_RUN = "RUNNING"
_DOES_NOT_RUN = "STOPPED"


class Task:
    """One call of the module: its options, supervisord, and the first look at it."""

    def __init__(self, module: AnsibleModule, client: Client, snapshot: Snapshot) -> None:
        self.module = module
        self.client = client
        self.snapshot = snapshot
        self.names: list[str] = module.params["names"]
        self.groups: list[str] = module.params["groups"]
        self.min_uptime: float = module.params["min_uptime"]
        self.deadline = actions.Deadline(module.params["wait_timeout"])
        self.touched = False  # whether something was changed, should the rest fail
        self.before = _states(snapshot.processes)

    @cached_property
    def order(self) -> actions.Order:
        return actions.Order(self.snapshot.config)

    def in_order(self, names: t.Iterable[str]) -> list[str]:
        """The programs in supervisord's order. It is asked for that only if there is something to order."""
        found = list(names)
        return self.order.sorted(found) if len(found) > 1 else found

    def selected(self) -> list[dict[str, t.Any]]:
        """The programs that the options name.

        :raises SupervisorError: supervisord does not know one of them.
        """
        infos = self.snapshot.processes
        self.all_known(
            status.unmatched(infos, self.names, self.groups), [status.display_name(i) for i in infos]
        )
        return status.select(infos, self.names, self.groups)

    @staticmethod
    def all_known(missing: list[str], known: list[str]) -> None:
        if missing and missing != ["all"]:
            raise SupervisorError(
                "no_such_program",
                "supervisord knows no program %s. It knows: %s. All programs of a group are 'group:*'; programs "
                "that were only just configured come in with state=applied."
                % (", ".join(missing), ", ".join(known) or "none"),
            )

    def group_selected(self, group: str, members: t.Iterable[str]) -> bool:
        if not self.names and not self.groups:
            return True
        infos = [{"group": group, "name": member} for member in members] or [{"group": group, "name": group}]
        return any(status.matches(info, self.names, self.groups) for info in infos)

    def finish(
        self,
        did: dict[str, str],
        predicted: dict[str, str],
        outcome: Outcome | None = None,
        goal: str = "",
        waited_for: int = 0,
        plan: Plan | None = None,
    ) -> Result:
        """The module's result.

        :param did: per program (group:name) what was, or would be, done with it.
        :param predicted: per program the state it ends in; for check mode.
        :param outcome: how the wait ended; None in check mode.
        """
        before, after = self.before, dict(self.before)
        if outcome is not None:
            after = _states(outcome.infos)
        else:
            for name, state in predicted.items():
                after[name] = {"state": state, "pid": None}
                if not state:
                    del after[name]
                elif did.get(name) == "signalled":
                    after[name] = before[name]
        shown = {name: _display(name) for name in {*before, *after, *did}}
        changed = bool(did) or bool(plan and (plan.added or plan.changed or plan.removed))
        result: Result = {
            "changed": changed,
            "changed_programs": sorted(shown[name] for name in did),
            "actions": {shown[name]: action for name, action in sorted(did.items())},
            "before": {shown[name]: value for name, value in before.items()},
            "after": {shown[name]: value for name, value in after.items()},
        }
        if plan is not None:
            result["config_changes"] = self._config_changes(plan, did, shown)
        if self.module._diff:
            result["diff"] = self._diff(did, before, after, predicted, plan, shown)
        if outcome is not None and outcome.reasons:
            items = report(self.client, self.snapshot, outcome.infos, self.min_uptime)
            failed = [item for item in items if status.namespec(item) in outcome.reasons]
            result.update(
                failed=True,
                cause="wait_timeout" if outcome.timed_out else "wait_failed",
                msg=explain(outcome, items, waited_for, goal, self.module.params["wait_timeout"]),
                failures=args.with_tails(self.client, failed, self.module.params["log_tail"]),
                processes=items,
            )
        return result

    def _config_changes(self, plan: Plan, did: dict[str, str], shown: dict[str, str]) -> Result:
        same = [
            name
            for name, action in did.items()
            if action == "restarted"
            and name not in plan.changed_keys
            and name.split(":", 1)[0] in plan.changed
        ]
        explained = {name.split(":", 1)[0] for name in plan.changed_keys}
        structural = {
            name.split(":", 1)[0] for name, action in did.items() if action in ("added", "removed")
        } & set(plan.changed)
        return {
            "added": sorted(plan.added),
            "changed": sorted(plan.changed),
            "removed": sorted(plan.removed),
            "changed_keys": {shown.get(name, name): keys for name, keys in sorted(plan.changed_keys.items())},
            "restarted_unchanged": sorted(
                shown[name] for name in same if name.split(":", 1)[0] in explained | structural
            ),
            "unverified": sorted(plan.unverified),
        }

    def _diff(
        self,
        did: dict[str, str],
        before: dict[str, Result],
        after: dict[str, Result],
        predicted: dict[str, str],
        plan: Plan | None,
        shown: dict[str, str],
    ) -> dict[str, Result]:
        changed_keys, wanted = (plan.changed_keys, plan.wanted) if plan else ({}, {})
        # Where keys are known to have changed, this was fetched before supervisord read the new ones.
        old_config = {status.namespec(item): item for item in self.snapshot.config or ()} if changed_keys else {}
        left: Result = {}
        right: Result = {}
        for name, action in did.items():
            label = shown[name]
            if name in before:
                left[label] = {"state": before[name]["state"]}
            state = predicted.get(name, "")
            if state:
                right[label] = {"state": "%s (%s)" % (state, action)}
            for key in changed_keys.get(name, []):
                if label in left and label in right:
                    known = key not in UNREPORTED
                    left[label][key] = old_config[name][key] if known else "(not shown)"
                    right[label][key] = wanted[name][key] if known else "(changed, not shown)"
            if action == "added" and label in right:
                right[label]["command"] = wanted[name]["command"]
        return {"before": left, "after": right}


def _states(infos: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, Result]:
    """Per program (group:name) its state and PID."""
    return {
        status.namespec(info): {"state": info["statename"], "pid": info["pid"] or None} for info in infos
    }


def _display(name: str) -> str:
    group, member = name.split(":", 1)
    return member if group == member else name


def started(task: Task) -> Result:
    infos = task.selected()
    names = task.in_order(status.namespec(info) for info in infos if actions.needs_start(info))
    did = dict.fromkeys(names, "started")
    predicted = dict.fromkeys(names, _DOES_RUN)
    if task.module.check_mode:
        return task.finish(did, predicted)
    watch = [status.namespec(info) for info in infos]
    task.touched = bool(did)
    outcome = actions.start(
        task.client, names, watch, task.deadline, task.min_uptime, first=list(task.snapshot.processes)
    )
    return task.finish(did, predicted, outcome, "RUNNING", len(watch))


def stopped(task: Task) -> Result:
    infos = task.selected()
    names = [status.namespec(info) for info in infos if info["state"] in status.ACTIVE]
    did = dict.fromkeys(names, "stopped")
    predicted = dict.fromkeys(names, _DOES_NOT_RUN)
    if task.module.check_mode:
        return task.finish(did, predicted)
    task.touched = bool(did)
    every = task.in_order(status.namespec(info) for info in infos)[::-1]
    outcome = actions.stop(task.client, every, task.deadline, first=list(task.snapshot.processes))
    return task.finish(did, predicted, outcome, "stopped", len(every))


def restarted(task: Task) -> Result:
    infos = task.selected()
    running = {status.namespec(info) for info in infos if actions.needs_stop(info)}
    names = task.in_order(status.namespec(info) for info in infos)
    did = {name: "restarted" if name in running else "started" for name in names}
    predicted = dict.fromkeys(names, _DOES_RUN)
    if task.module.check_mode:
        return task.finish(did, predicted)
    task.touched = bool(did)
    stopping = [name for name in names[::-1] if name in running]
    blocked, outcome = detached(lambda: _restart(task, stopping, names))
    if blocked:
        return task.finish(did, predicted, outcome, "stopped", len(running))
    return task.finish(did, predicted, outcome, "RUNNING", len(names))


def _restart(task: Task, stopping: list[str], names: list[str]) -> tuple[bool, Outcome]:
    """(whether a program does not stop, how it ended)."""
    outcome = actions.stop(task.client, stopping, task.deadline, first=task.snapshot.processes)
    if outcome.reasons:
        return True, outcome
    return False, actions.start(task.client, names, (), task.deadline, task.min_uptime)


def signalled(task: Task) -> Result:
    signallable = (status.RUNNING, status.STARTING, status.STOPPING)
    infos = task.selected()
    names = [status.namespec(info) for info in infos if info["state"] in signallable]
    explicit = [
        status.display_name(info)
        for info in infos
        if info["state"] not in signallable
        and {status.display_name(info), status.namespec(info)} & set(task.names)
    ]
    if explicit:
        raise SupervisorError("not_running", "Cannot signal %s: not running." % ", ".join(explicit))
    did = dict.fromkeys(names, "signalled")
    if task.module.check_mode:
        return task.finish(did, {name: _state(task, name) for name in names})
    number = signal_number(task.module.params["signal"])
    task.touched = bool(did)
    reasons = actions.signal(task.client, names, number)
    outcome = Outcome(task.client.processes(), reasons, False)
    return task.finish(did, {name: _state(task, name) for name in names}, outcome, "signalled", len(names))


def _state(task: Task, name: str) -> str:
    return task.before[name]["state"]


def applied(task: Task) -> Result:
    full = _make_plan(task)
    plan = _restrict(task, full)
    if task.module.check_mode:
        return task.finish(*_effects(task, plan), plan=plan)
    return _carry_out(task, plan, full)


def present(task: Task) -> Result:
    full = _make_plan(task)
    plan = _restrict(task, full)
    plan = Plan(
        added=plan.added,
        wanted={name: config for name, config in plan.wanted.items() if config["group"] in plan.added},
        left_out=plan.left_out + plan.changed,
    )
    if task.module.check_mode:
        return task.finish(*_effects(task, plan), plan=plan)
    return _carry_out(task, plan, full)


def absent(task: Task) -> Result:
    infos = status.select(task.snapshot.processes, task.names, task.groups)
    chosen = {status.namespec(info) for info in infos}
    groups = {info["group"] for info in infos}
    partly = [
        info["group"]
        for info in task.snapshot.processes
        if info["group"] in groups and status.namespec(info) not in chosen
    ]
    if partly:
        raise SupervisorError(
            "part_of_group",
            "supervisord takes out whole groups only, and the group %s has more programs than those that are "
            "named. "
            "Give '%s:*' to take it out." % (partly[0], partly[0]),
        )
    plan = Plan(removed=sorted(groups))
    if task.module.check_mode:
        return task.finish(*_effects(task, plan), plan=plan)
    return _carry_out(task, plan)


def _make_plan(task: Task) -> Plan:
    if task.module.check_mode:
        plan = _predict(task)
    else:
        try:
            # supervisord says which groups differ, but not in what: that is worked out before it reads the file.
            predicted: Plan | None = _predict(task)
        except SupervisorError:
            predicted = None
        plan = apply.reread(task.client, predicted)
        if not plan.wanted and predicted is not None:
            plan.wanted = predicted.wanted  # supervisord could not tell
    task.order = actions.Order(list(plan.wanted.values()))
    return plan


def _predict(task: Task) -> Plan:
    daemon = Daemon(task.snapshot.pid)
    given = task.module.params["config"]
    path = daemon.config or given
    if path is None:
        raise SupervisorError(
            "config_unknown",
            "Check mode cannot tell which configuration supervisord reads: its process is not visible here. "
            "Give 'config', the path of its configuration file.",
        )
    if given and os.path.realpath(given) != os.path.realpath(path):
        task.module.warn("supervisord was started with %s; %s only says where it listens." % (path, given))
    return plans.predict(path, task.snapshot, daemon, records.load(task.client.endpoint, daemon))


def _restrict(task: Task, plan: Plan) -> Plan:
    """Only what the options names and groups select. They may name what is only on disk, or only in force."""
    infos = list(plan.wanted.values()) + list(task.snapshot.processes)
    if not task.names and not task.groups:
        return plan
    task.all_known(
        status.unmatched(infos, task.names, task.groups),
        sorted({status.display_name(info) for info in infos}),
    )
    members: dict[str, set[str]] = {}
    for info in infos:
        members.setdefault(info["group"], set()).add(info["name"])
    return plan.only(lambda group: task.group_selected(group, members.get(group, ())))


def _effects(task: Task, plan: Plan) -> tuple[dict[str, str], dict[str, str]]:
    """What the plan does with each program, and the state that each ends in ("" if it is gone)."""
    infos = {status.namespec(info): info for info in task.snapshot.processes}
    starting = set(apply.to_start(plan, task.snapshot.processes))
    fresh = set(plan.added) | set(plan.changed)
    did: dict[str, str] = {}
    predicted: dict[str, str] = {}
    for name, config in plan.wanted.items():
        state = _DOES_RUN if name in starting else _DOES_NOT_RUN
        if config["group"] in fresh:
            info = infos.get(name)
            if info is None:
                did[name] = "added"
            elif actions.needs_stop(info):
                did[name] = "restarted"
            else:
                did[name] = "started" if name in starting else "replaced"
            predicted[name] = state
        elif name in starting:
            did[name], predicted[name] = "started", state
    for name, info in infos.items():
        if info["group"] in plan.removed or (info["group"] in plan.changed and name not in plan.wanted):
            did[name], predicted[name] = "removed", ""
    return did, predicted


def _carry_out(task: Task, plan: Plan, full: Plan | None = None) -> Result:
    """Bring the plan into force.

    :param full: the plan for all groups, if supervisord has just read its configuration.
    """
    infos = task.snapshot.processes
    did, predicted = _effects(task, plan)
    starting = task.in_order(apply.to_start(plan, infos))
    watch = apply.to_watch(plan, infos)
    task.touched = bool(did)
    refused: dict[str, str] = {}
    if plan.added or plan.changed or plan.removed:
        blocked, refused = detached(
            lambda: apply.change_over(task.client, plan, starting, infos, task.order, task.deadline)
        )
        if blocked is not None:
            return task.finish(did, predicted, blocked, "stopped", len(did), plan)
    fresh = {*plan.added, *plan.changed}
    rest = [name for name in starting if name.split(":", 1)[0] not in fresh]
    outcome = actions.start(task.client, rest, watch, task.deadline, task.min_uptime, refused=refused)
    if full is not None:
        _remember(task, full, plan, outcome.infos)
    return task.finish(did, predicted, outcome, "RUNNING", len(watch), plan)


def _remember(task: Task, full: Plan, plan: Plan, infos: list[dict[str, t.Any]]) -> None:
    """Put on record what is in force now, if it was read here just as supervisord read it."""
    if full.groups is None:
        return
    endpoint = task.client.endpoint
    data = records.new_record(endpoint, Daemon(task.snapshot.pid), full.groups, plan.left_out, infos)
    if data is None:
        return
    in_force = {info["group"] for info in infos if info["group"] not in plan.left_out}
    read = {name for name, config in full.wanted.items() if config["group"] in in_force}
    if read == {status.namespec(info) for info in infos if info["group"] in in_force}:
        records.save(endpoint, data)


STATES: dict[str, t.Callable[[Task], Result]] = {
    "started": started,
    "stopped": stopped,
    "restarted": restarted,
    "signalled": signalled,
    "applied": applied,
    "present": present,
    "absent": absent,
}
