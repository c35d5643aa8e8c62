# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call of the module supervisor_program: its options, the state of supervisord before it, and
the result."""

from __future__ import annotations

import typing as t
from functools import cached_property

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import actions, status
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import (
    arguments as args,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.client import (
    Client,
    Snapshot,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_programs import (
    UNREPORTED,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    SupervisorError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.logs import report
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.plan import Plan
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.start_order import (
    StartOrder,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.wait import (
    Outcome,
    explain,
)

Result = dict[str, t.Any]
DOES_RUN = "RUNNING"
DOES_NOT_RUN = "STOPPED"


class Task:
    """One call of the module: its options, supervisord, and its first report."""

    def __init__(
        self,
        module: AnsibleModule,
        client: Client,
        snapshot: Snapshot,
        start_order: StartOrder | None = None,
    ) -> None:
        self.module = module
        self.client = client
        self.start_order = start_order or StartOrder()
        self.snapshot = snapshot
        self.names: list[str] = module.params["names"]
        self.groups: list[str] = module.params["groups"]
        self.min_uptime: float = module.params["min_uptime"]
        self.deadline = actions.Deadline(module.params["wait_timeout"])
        self.touched = False  # whether anything was changed before a failure
        self.before = _states(snapshot.processes)

    @cached_property
    def order(self) -> actions.Order:
        return actions.Order(self.snapshot.config)

    def in_order(self, names: t.Iterable[str]) -> list[str]:
        """The programs in supervisord's order, which is fetched only for more than one."""
        found = list(names)
        return self.order.sorted(found) if len(found) > 1 else found

    def selected(self) -> list[dict[str, t.Any]]:
        """The programs that the options select.

        :raises SupervisorError: a pattern matches none.
        """
        infos = self.snapshot.processes
        self.require(
            status.unmatched(infos, self.names, self.groups),
            [status.display_name(i) for i in infos],
        )
        return status.select(infos, self.names, self.groups)

    @staticmethod
    def require(missing: list[str], configured: list[str]) -> None:
        if missing and missing != ["all"]:
            raise SupervisorError(
                "no_such_program",
                "%s Fix: correct the names (all programs of a group are 'group:*'), or add newly "
                "configured programs with state=applied."
                % args.no_such_program(missing, configured),
            )

    def group_selected(self, group: str, members: t.Iterable[str]) -> bool:
        if not self.names and not self.groups:
            return True
        infos = [{"group": group, "name": member} for member in members] or [
            {"group": group, "name": group}
        ]
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

        :param did: per program (group:name) the action, or in check mode the predicted one.
        :param predicted: per program its predicted final state; for check mode.
        :param outcome: of the wait; None in check mode.
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

    def unanswered(
        self,
        did: dict[str, str],
        predicted: dict[str, str],
        error: SupervisorError,
        plan: Plan | None = None,
    ) -> Result:
        """The module's result if a server did not answer, with the end of its log if it runs here.
        Programs that start last are as they were before."""
        first, _last = self.start_order.split(did)
        infos = self.client.processes()
        result = self.finish(
            {name: did[name] for name in first}, predicted, Outcome(infos, {}, False), plan=plan
        )
        items = report(self.client, self.snapshot, infos, self.min_uptime)
        here = [item for item in items if item["name"] in self.start_order.servers]
        result.update(
            failed=True,
            cause=error.cause,
            msg=error.message,
            failures=args.with_tails(self.client, here, self.module.params["log_tail"]),
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
            "changed_keys": {
                shown.get(name, name): keys for name, keys in sorted(plan.changed_keys.items())
            },
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
        # If keys have changed, this was fetched before supervisord read the new ones.
        old_config = (
            {status.namespec(item): item for item in self.snapshot.config or ()}
            if changed_keys
            else {}
        )
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
                    configured = key not in UNREPORTED
                    left[label][key] = old_config[name][key] if configured else "(not shown)"
                    right[label][key] = wanted[name][key] if configured else "(changed, not shown)"
            if action == "added" and label in right:
                right[label]["command"] = wanted[name]["command"]
        return {"before": left, "after": right}


def _states(infos: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, Result]:
    """Per program (group:name) its state and PID."""
    return {
        status.namespec(info): {"state": info["statename"], "pid": info["pid"] or None}
        for info in infos
    }


def _display(name: str) -> str:
    group, member = name.split(":", 1)
    return member if group == member else name
