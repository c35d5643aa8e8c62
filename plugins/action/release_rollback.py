# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rolls back to a release step by step, each step a module of its own on the host, and reports the
outcome in one message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.bnlnpps.swf_testbed.plugins.modules.release_rollback import (
    ARGUMENTS as OF_THE_MODULE,
)

MODULES = "bnlnpps.swf_testbed."
# paths are of the host, and not expanded with a home of the controller
ARGUMENTS = {
    name: {key: "str" if value == "path" else value for key, value in option.items()}
    for name, option in OF_THE_MODULE.items()
}
NEXT = "Fix: remove the cause and run site.yml again"
LOG_LINES = 15


class StepError(Exception):
    """A step of the rollback failed; the text is its message."""


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(argument_spec=ARGUMENTS)
        result = {
            "changed": False,
            "serves": False,
            "health_checked": False,
            "secrets": [],
            "deferred": options["defer"],
        }
        try:
            self._roll_back(options, result, task_vars)
        except StepError as error:
            result["why"] = str(error)
        if options["failure"] is None:
            return self._reported(options, result)
        text = story(options, result)
        if options["later"] or options["defer"]:
            # registered and not a fact: a cache would give that to the next run, too
            result.update(gate_failed=text)
        else:
            result.update(failed=True, msg=text)
        return result

    def _reported(self, options: Mapping[str, Any], result: dict[str, Any]) -> dict[str, Any]:
        """The result of a rollback that was asked for."""
        if "why" in result:
            state = (
                " The release %s is configured and does not run. Fix: remove the cause and run "
                "the same command again, or run site.yml for the newer release." % result["id"]
                if "id" in result
                else ""
            )
            result.update(
                failed=True,
                msg="The rollback failed. Evidence: %s%s" % (result.pop("why").strip(), state),
            )
        elif result["id"] == result["before"]:
            secrets = (
                "; former secrets restored: " + names(result["secrets"])
                if result["secrets"]
                else ""
            )
            result["msg"] = "The release %s is active; its configuration is %s%s" % (
                result["id"],
                "restored" if result["changed"] else "in place",
                secrets,
            )
        else:
            result["msg"] = "%s from the release %s to %s" % (
                "Would roll back" if self._task.check_mode else "Rolled back",
                result["before"],
                result["id"],
            )
        if result["health_checked"]:
            result["msg"] = "%s. %s" % (result["msg"].rstrip("."), checked_with(result))
        if "failed_step" in result:
            result["msg"] = "%s %s" % (result["msg"], failed_step(result))
        if options["because"] and not self._task.check_mode:
            result["msg"] = "%s %s" % (options["because"], result["msg"])
        if "failed" not in result:
            Display().display("    " + result["msg"])
        return result

    def _roll_back(
        self, options: dict[str, Any], result: dict[str, Any], task_vars: dict[str, Any] | None
    ) -> None:
        check = self._task.check_mode
        if check and options["failure"] is not None:
            # a prediction failed; nothing was changed that could be restored
            return
        if options["failure"] is not None and not options["failure"].get("failures"):
            # the logs are soon those of another release
            options["failure"] = dict(
                options["failure"], failures=self._suspects(options, task_vars)
            )
        if options["defer"]:
            return
        if options["snapshots"]:
            answer = self._step(
                "known_good_files", task_vars, snapshots=options["snapshots"], state="restored"
            )
            result.update(secrets=answer["paths"])
        release = {"root": options["root"], "files": options["files"]}
        restored = self._step("release_rollback", task_vars, to=options["to"], **release)
        other = restored["active"] != restored["id"]
        result.update(
            id=restored["id"],
            before=restored["active"],
            changed=restored["changed"] or other or bool(result["secrets"]),
        )
        if "diff" in restored:
            result["diff"] = restored["diff"]
        if check:
            return
        conf = options["files"][0]
        saved = restored["health"]
        # of another stack, perhaps, whose programs and addresses are others
        health = saved or {
            "url": options["health_url"],
            "start_url": options["health_url"],
            "probes": options["probes"],
            "components": options["components"],
        }
        common = {
            "probes": health["probes"],
            "components": health["components"],
            "timeout": options["health_timeout"],
            "ca_cert": options["ca_cert"],
        }
        order = dict(common, url=health["start_url"])
        self._run_steps(options, health.get("stack_steps", {}), result, task_vars)
        daemon = self._step("supervisor_daemon", task_vars, config=conf, start_order=order)
        applied = self._step(
            "supervisor_program",
            task_vars,
            config=conf,
            state="applied",
            start_order=order,
            **{name: options[name] for name in ("min_uptime", "wait_timeout", "log_tail")},
        )
        if health["url"] or health["probes"]:
            answer = self._step(
                "testbed_health", task_vars, url=health["url"], config=conf, **common
            )
            result["health_checked"] = answer["checked"]
        if result["health_checked"]:
            result.update(probes=probe_names(health), probes_saved=saved is not None)
        result["serves"] = True
        result["changed"] = result["changed"] or daemon["changed"] or applied["changed"]
        if options["snapshots"]:
            self._step(
                "known_good_files", task_vars, snapshots=options["snapshots"], state="dropped"
            )
        if other:
            # a release that somebody rolled back from may be activated again; one that failed on
            # another host may not
            bad = {"forget": restored["active"]} if options["because"] else {}
            self._step(
                "release_activate",
                task_vars,
                id=restored["id"],
                keep=options["keep"],
                **bad,
                **release,
            )

    def _run_steps(
        self,
        options: Mapping[str, Any],
        stack_steps: Mapping[str, Any],
        result: dict[str, Any],
        task_vars: dict[str, Any] | None,
    ) -> None:
        """Run the steps that were saved with the release. A failure does not end the rollback: the
        programs may work without them."""
        if not stack_steps.get("steps"):
            return
        try:
            answer = self._step(
                "stack_steps",
                task_vars,
                config=options["files"][0],
                log_tail=options["log_tail"],
                **stack_steps,
            )
            result["changed"] = result["changed"] or answer["changed"]
        except StepError as error:
            result["failed_step"] = str(error)

    def _suspects(
        self, options: Mapping[str, Any], task_vars: dict[str, Any] | None
    ) -> list[dict[str, Any]]:
        """The programs that are unhealthy, or that the failure names, with the ends of their
        logs."""
        try:
            answer = self._step(
                "supervisor_info",
                task_vars,
                config=options["files"][0],
                log_tail=options["log_tail"],
                log_tail_all=True,
            )
        except StepError:
            # supervisord itself may have failed
            return []
        text = str(options["failure"].get("msg", ""))
        return [
            item
            for item in answer["processes"]
            if not item["healthy"] or is_named(item["full_name"], text)
        ]

    def _step(
        self, name: str, task_vars: dict[str, Any] | None, **arguments: Any
    ) -> dict[str, Any]:
        try:
            answer = self._execute_module(
                module_name=MODULES + name, module_args=arguments, task_vars=task_vars
            )
        except AnsibleError as error:
            raise StepError(str(error)) from error
        if answer.get("failed") or answer.get("unreachable"):
            raise StepError(answer.get("msg", "no answer"))
        return answer


def probe_names(health: Mapping[str, Any]) -> list[str]:
    """The probes of a health check, as a report names them."""
    return ["health page"] * bool(health["url"]) + [item["name"] for item in health["probes"]]


def checked_with(result: Mapping[str, Any]) -> str:
    """The sentence that names the probes of a health check."""
    return "Its health was checked with the probes %s: %s." % (
        "that were saved with it"
        if result["probes_saved"]
        else "of the inventory, because none were saved with it",
        ", ".join(result["probes"]),
    )


def failed_step(result: Mapping[str, Any]) -> str:
    return "A step of the stack failed in the rollback. Evidence: %s" % result["failed_step"]


def names(paths: Iterable[str]) -> str:
    return ", ".join(path.rpartition("/")[2] for path in paths)


def is_named(program: str, text: str) -> bool:
    """Whether a message is about a program, in the words of testbed_health: "logs NAME" or "NAME
    (its agent, pid 7)"."""
    pattern = r"\blogs %s\b(?!-)|(?<![\w-])%s \(" % (re.escape(program), re.escape(program))
    return re.search(pattern, text) is not None


def story(options: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """The failure, with the ends of the logs, and the result of the rollback."""
    failure, release = options["failure"], options["release"]
    new = (
        "The new configuration" if release in ("", result.get("id")) else "The release %s" % release
    )
    if result.get("deferred"):
        new = "The release %s, with new secrets," % release
    lines = [
        "%s did not become healthy. Failed task: %s" % (new, options["doing"] or "see below"),
        str(failure.get("msg", "no message")).strip(),
        *log_ends(failure),
        "",
    ]
    secrets = names(result.get("secrets", []))
    if result.get("deferred"):
        # the rollback follows once the services have their former secrets again
        return "\n".join(lines[:-1])
    if result["serves"]:
        lines.append(
            "The release %s is active again, with its configuration%s, and is %s. %sThe failed "
            "release is still on the disk. %s."
            % (
                result["id"],
                " and its former secrets (%s)" % secrets if secrets else "",
                "healthy" if result["health_checked"] else "running; health not checked",
                checked_with(result) + " " if result["health_checked"] else "",
                NEXT,
            )
        )
    elif "id" in result:
        lines.append(
            "THE PREVIOUS RELEASE %s FAILS, TOO. Evidence: %s\nStatus: "
            "ansible-playbook playbooks/status.yml. %s."
            % (result["id"], result["why"].strip(), NEXT)
        )
    elif "why" in result:
        lines.append(
            "Nothing was restored. Evidence: %s Programs were not changed, and their logs are in "
            "place. %s." % (result["why"].strip(), NEXT)
        )
    else:
        lines.append("This was a check run, nothing was changed.")
    if "failed_step" in result:
        lines.append(failed_step(result))
    return "\n".join(lines)


def log_ends(failure: Mapping[str, Any]) -> Iterator[str]:
    """The last lines of the logs of the failed programs, as supervisor_program returns them."""
    for item in failure.get("failures") or []:
        tail = (
            (item.get("stderr_tail") or item.get("stdout_tail") or "")
            .strip()
            .splitlines()[-LOG_LINES:]
        )
        if tail:
            yield "The end of the log of %s:" % item["full_name"]
            yield from ("  " + line for line in tail)
