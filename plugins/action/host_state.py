# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a host with one call whether a run would change or report anything, and records the state of
a host after a run.

The program of the question goes to the Python of the host on standard input: no file is written
there, and nothing of Ansible's modules is sent.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible import constants as C
from ansible import context
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._state.bootstrap import MARK
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._state.model import InstanceState
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _variables
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._run import claimed_by, stamped
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._state import (
    _bundle,
    _inputs,
    _record,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._used_services import of_preflight

#: the groups of the hosts, for the plays that follow
CURRENT, DIFFERS, ALL = "swf_testbed_current", "swf_testbed_differs", "swf_testbed_all_differ"
#: groups of hosts with services that the question does not cover
SERVICES = ("database", "broker", "redis", "monitor")
#: the roles run whatever is wrong with the answer, or with a file of the controller
UNUSABLE = (AnsibleError, ArithmeticError, LookupError, OSError, TypeError, ValueError)
#: reasons that are shown of one host
MOST = 8
#: the callback that prints them itself, without -v
PROGRESS = "bnlnpps.swf_testbed.progress"


class Unanswered(Exception):
    """The host did not answer; the text says why.

    :ivar for_all: whether the roles run on all hosts then.
    """

    def __init__(self, why: str, for_all: bool = False) -> None:
        super().__init__(why)
        self.for_all = for_all


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset(("state", "full_run", "info"))

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(
            argument_spec={
                "state": {"type": "str", "choices": ["asked", "recorded"], "default": "asked"},
                "full_run": {"type": "bool", "default": False},
                "info": {"type": "dict", "default": {}},
            },
            required_if=[("state", "recorded", ["info"])],
        )
        self._vars = task_vars or {}
        self._host = self._vars["inventory_hostname"]
        self._values = Values(self._vars, self._templar)
        folder = os.path.expanduser(self._values.text("swf_testbed_controller_dir"))
        self._folder = os.path.join(folder, _inputs.STATES)
        self._path = _record.path_of(
            self._folder, self._values.text("swf_testbed_instance"), self._host
        )
        key = self._values.text("swf_testbed_digest_key")
        self._key = "" if key == _variables.GENERATED_LATER else key
        if arguments["state"] == "recorded":
            return self._recorded()
        return self._asked(arguments["full_run"])

    def _asked(self, full_run: bool) -> dict[str, Any]:
        try:
            if self._task.check_mode or full_run:
                raise Unanswered("", for_all=True)
            desired = self._comparable()
            answer = self._ask(desired.python, self._request(desired), desired.stored)
            _record.note(self._host, states=answer["states"])
            if answer["stored"] != desired.stored:
                _record.write(self._path, replace(desired, stored=answer["stored"]))
            reasons = desired.reasons(answer) + list(self._doubled(answer))
        except Unanswered as error:
            return self._differs([str(error)] if str(error) else [], error.for_all)
        except UNUSABLE as error:
            return self._differs(["the question for its state failed: %s" % error])
        if reasons:
            return self._differs(reasons)
        Display().vvv("\n".join(desired.lines()), host=self._host)
        facts = {
            "swf_testbed_layout_" + name.replace("-", "_"): stamped(state.facts["layout"])
            for name, state in desired.instances.items()
        }
        result = {"changed": False, "current": True, "reasons": [], "add_group": CURRENT}
        if answer["warnings"]:
            result["warnings"] = answer["warnings"]
        return dict(result, **answer["info"], ansible_facts=facts, parent_groups=[])

    def _differs(self, reasons: list[str], for_all: bool = False) -> dict[str, Any]:
        """The result for a host on which the roles run.

        :param for_all: whether they run on all hosts.
        """
        if self._values.text("swf_testbed_release_mode") == "push":
            # the hosts of one platform share a build
            for_all = True
        self._show(reasons)
        return {
            "changed": False,
            "current": False,
            "reasons": reasons,
            "add_group": DIFFERS,
            "parent_groups": [ALL] if for_all else [],
        }

    def _show(self, reasons: list[str]) -> None:
        """Print the reasons, unless the callback does. It prints each of them once for all hosts."""
        callback = C.config.get_config_value("DEFAULT_STDOUT_CALLBACK")
        if callback == PROGRESS and not Display().verbosity:
            return
        shown = reasons[:MOST]
        if len(reasons) > MOST:
            shown.append("and %d more" % (len(reasons) - MOST))
        for reason in shown:
            Display().display("    %s: %s" % (self._host, reason))

    def _comparable(self) -> _record.Desired:
        """The desired state, if it is known and the inputs of the run are those of its record.

        :raises Unanswered:
        """
        services = [name for name in SERVICES if name in self._vars["group_names"]]
        if (
            services
            or "testbed" not in self._vars["group_names"]
            and "index" not in self._vars["group_names"]
        ):
            raise Unanswered("the roles run, because it has the service %s" % ", ".join(services))
        for name, what in (
            ("swf_testbed_package_index_mirror", "mirrors another index"),
            ("swf_testbed_firewall_manager", "has a firewall"),
        ):
            if "index" in self._vars["group_names"] and self._values.get(name) not in (
                *(None, False, "", "none"),
            ):
                raise Unanswered("the roles run, because its index %s" % what)
        inputs = _inputs.RunInputs.read()
        desired = _record.read(self._path)
        if inputs is None or not self._key or desired is None:
            raise Unanswered("the roles run, because no successful run of it is recorded here")
        if inputs.unknown:
            raise Unanswered(
                "the roles run, because the value of %s can be different in each run"
                % ", ".join(inputs.unknown)
            )
        found = list(_inputs.different(desired.inputs, inputs.recorded(self._key)))
        if found:
            raise Unanswered("%s" % "; ".join(found[:MOST]))
        return desired

    def _request(self, desired: _record.Desired) -> dict[str, Any]:
        """The question, with the passwords of external services."""
        request = desired.request(self._key)
        for instance in request["instances"]:
            arguments = instance["preflight"]
            instance["preflight"] = dict(
                arguments, reach=of_preflight(arguments, False, self._vars, self._templar)
            )
        return request

    def _ask(
        self, python: str, request: Mapping[str, Any], stored: Mapping[str, str] | None
    ) -> dict[str, Any]:
        """The answer of the host.

        :param stored: the program that the host has from the last question.
        :raises Unanswered:
        """
        connection = self._connection
        become = connection.become.name if connection.become else ""
        if not connection.has_pipelining or become == "su":
            raise Unanswered("the roles run, because its connection takes no standard input")
        command = "%s %s -I -S -X utf8 -c %s" % (
            self._compute_environment_string(),
            shlex.quote(python),
            shlex.quote(_bundle.START),
        )
        answer = {}
        if stored:
            answer = self._execute(command.strip(), _bundle.payload(request, stored, b""))
        if not answer:
            inputs = _inputs.RunInputs.read()
            sources = _bundle.compressed(
                self._folder, inputs.fixed["the collection"] if inputs else ""
            )
            answer = self._execute(command.strip(), _bundle.payload(request, None, sources))
        return answer

    def _execute(self, command: str, text: bytes) -> dict[str, Any]:
        try:
            done = self._low_level_execute_command(command, in_data=text)
        except AnsibleConnectionFailure as error:
            # the roles end the run as without the question
            raise Unanswered("it did not answer: %s" % error, for_all=True) from None
        _before, mark, found = done["stdout"].rpartition(MARK)
        if done["rc"] != 0 or not mark:
            last = (done["stderr"].strip() or done["stdout"].strip()).splitlines()[-1:]
            raise Unanswered(
                "the question for its state failed: exit status %d, %s"
                % (done["rc"], "".join(last) or "no output"),
                for_all=done["rc"] == 255,
            )
        return json.loads(found)

    def _doubled(self, answer: Mapping[str, Any]) -> list[str]:
        """Reasons, if the machine is in the inventory under two names."""
        others = {claimed_by(place, self._host) for place in answer["places"] if place}
        return ["it is the same machine as " + name for name in sorted(others - {self._host})]

    def _recorded(self) -> dict[str, Any]:
        """Record the state of the host after a run of all roles."""
        try:
            desired = self._observed()
        except (Unanswered, *UNUSABLE) as error:
            Display().v("%s: its state was not recorded: %s" % (self._host, error))
            return {"changed": False, "recorded": False}
        _record.write(self._path, desired)
        inputs = _inputs.RunInputs.read()
        if inputs:
            _bundle.old_programs(self._folder, inputs.fixed["the collection"])
        return {"changed": False, "recorded": True}

    def _observed(self) -> _record.Desired:
        """The state of the host and the inputs of this run.

        :raises Unanswered: something is missing, changed during the run, or is not as it should be.
        """
        if self._task.check_mode or not whole_run(self._vars):
            raise Unanswered("it was not a whole run")
        if [name for name in SERVICES if name in self._vars["group_names"]]:
            raise Unanswered("it has services that the question does not cover")
        noted = _record.noted(self._host)
        inputs, preflight = _inputs.RunInputs.read(), noted.get("preflight")
        if inputs is None or not preflight or not self._key:
            raise Unanswered("this run did not check its inventory or its hosts")
        info = self._task.args["info"]
        asked = [{"preflight": arguments, "desired": None} for arguments in preflight.values()]
        desired = _record.Desired({}, self._python(), preflight, dict(info), {})
        request = dict(desired.request(self._key), instances=asked)
        for instance in asked:
            instance["preflight"] = dict(
                instance["preflight"],
                reach=of_preflight(instance["preflight"], True, self._vars, self._templar),
            )
        answer = self._ask(desired.python, request, None)
        digests, changed = inputs.at_end(self._key)
        problems = answer["problems"] + [path + " changed during the run" for path in changed]
        if problems:
            raise Unanswered("; ".join(problems))
        states = {name: InstanceState.from_dict(state) for name, state in answer["states"].items()}
        former = _record.read(self._path)
        left = _record.not_repaired(former, noted.get("states") or {}, states) if former else []
        if left:
            Display().warning(
                "%s: changes by hand that the run does not repair: %s. Fix: undo them, or accept "
                "them with -e swf_testbed_full_run=true" % (self._host, "; ".join(left[:MOST]))
            )
            raise Unanswered("changes by hand are left")
        return replace(desired, inputs=digests, instances=states, stored=answer["stored"])

    def _python(self) -> str:
        """The interpreter that Ansible uses on the host."""
        given = self._vars.get("ansible_python_interpreter") or "auto"
        given = str(self._templar.template(given))
        if "/" in given:
            return given
        facts = self._vars.get("ansible_facts") or {}
        return str(facts.get("discovered_interpreter_python") or "python3")


def whole_run(task_vars: Mapping[str, Any]) -> bool:
    """Whether all tasks run."""
    options = context.CLIARGS
    return (
        list(task_vars.get("ansible_run_tags") or ["all"]) == ["all"]
        and not task_vars.get("ansible_skip_tags")
        and not boolean(options.get("step") or False)
        and not options.get("start_at_task")
    )
