# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Goes back to a release step by step, each step a module of its own on the host, and tells what
became of it in one message."""

from __future__ import annotations

import re

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

MODULES = "bnlnpps.swf_testbed."
ARGUMENTS = {
    "root": {"type": "str", "required": True},
    "files": {"type": "list", "elements": "str", "required": True},
    "to": {"type": "str", "default": "active"},
    "failure": {"type": "raw"},
    "because": {"type": "str", "default": ""},
    "doing": {"type": "str", "default": ""},
    "release": {"type": "str", "default": ""},
    "later": {"type": "bool", "default": False},
    "snapshots": {"type": "list", "elements": "str", "default": []},
    "defer": {"type": "bool", "default": False},
    "keep": {"type": "int", "default": 3},
    "min_uptime": {"type": "float", "default": 3},
    "wait_timeout": {"type": "float", "default": 60},
    "log_tail": {"type": "int", "default": 2000},
    "health_url": {"type": "str", "default": ""},
    "health_timeout": {"type": "float", "default": 60},
    "ca_cert": {"type": "str"},
}
NEXT = "Mend the cause and run site.yml again"
LOG_LINES = 15


class StepFailed(Exception):
    """A step on the way back failed; the text is its message."""


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(argument_spec=ARGUMENTS)
        result = {"changed": False, "serves": False, "secrets": [], "deferred": options["defer"]}
        try:
            self._go_back(options, result, task_vars)
        except StepFailed as error:
            result["why"] = str(error)
        if options["failure"] is None:
            return self._told(options, result)
        text = story(options, result)
        if options["later"] or options["defer"]:
            # registered and not a fact: a cache would give that to the next run, too
            result.update(gate_failed=text)
        else:
            result.update(failed=True, msg=text)
        return result

    def _told(self, options, result):
        """The result of a way back that somebody asked for."""
        if "why" in result:
            state = (
                " Now the release %s is configured and does not serve; to go forward again: "
                "ansible-playbook site.yml." % (result["id"])
                if "id" in result
                else ""
            )
            result.update(
                failed=True, msg="could not go back: %s%s" % (result.pop("why").strip(), state)
            )
        elif result["id"] == result["before"]:
            secrets = (
                "; former secrets restored: " + names(result["secrets"])
                if result["secrets"]
                else ""
            )
            result["msg"] = "the release %s is the active one; its configuration is %s%s" % (
                result["id"],
                "put back" if result["changed"] else "in place",
                secrets,
            )
        else:
            result["msg"] = "%s from the release %s to %s" % (
                "would go back" if self._task.check_mode else "went back",
                result["before"],
                result["id"],
            )
        if options["because"] and not self._task.check_mode:
            result["msg"] = "%s %s" % (options["because"], result["msg"])
        if "failed" not in result:
            Display().display("    " + result["msg"])
        return result

    def _go_back(self, options, result, task_vars):
        check = self._task.check_mode
        if check and options["failure"] is not None:
            # what failed was a prediction; nothing was changed that could be put back
            return
        if options["failure"] is not None and not options["failure"].get("failures"):
            # the logs are those of the release that failed for only so long
            options["failure"] = dict(
                options["failure"], failures=self._suspects(options, task_vars)
            )
        if options["defer"]:
            return
        if options["snapshots"]:
            put_back = self._step(
                "known_good_files", task_vars, snapshots=options["snapshots"], state="restored"
            )
            result.update(secrets=put_back["paths"])
        release = {"root": options["root"], "files": options["files"]}
        restored = self._step("release", task_vars, state="restored", id=options["to"], **release)
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
        daemon = self._step("supervisor_daemon", task_vars, config=conf)
        applied = self._step(
            "supervisor_program",
            task_vars,
            config=conf,
            state="applied",
            **{name: options[name] for name in ("min_uptime", "wait_timeout", "log_tail")},
        )
        if options["health_url"]:
            self._step(
                "testbed_health",
                task_vars,
                url=options["health_url"],
                timeout=options["health_timeout"],
                ca_cert=options["ca_cert"],
            )
        result["serves"] = True
        result["changed"] = result["changed"] or daemon["changed"] or applied["changed"]
        if options["snapshots"]:
            self._step(
                "known_good_files", task_vars, snapshots=options["snapshots"], state="dropped"
            )
        if other:
            # where somebody chose to go back, going forward again is a choice, too; a release that
            # failed elsewhere is none
            bad = {"forget": restored["active"]} if options["because"] else {}
            self._step(
                "release",
                task_vars,
                state="active",
                id=restored["id"],
                keep=options["keep"],
                **bad,
                **release,
            )

    def _suspects(self, options, task_vars):
        """The programs that are not well, or that the failure names, with the ends of their
        logs."""
        try:
            answer = self._step(
                "supervisor_info",
                task_vars,
                config=options["files"][0],
                log_tail=options["log_tail"],
                log_tail_all=True,
            )
        except StepFailed:
            # the daemon itself may be what failed
            return []
        text = str(options["failure"].get("msg", ""))
        return [
            item
            for item in answer["processes"]
            if not item["healthy"] or is_named(item["full_name"], text)
        ]

    def _step(self, name, task_vars, **arguments):
        try:
            answer = self._execute_module(
                module_name=MODULES + name, module_args=arguments, task_vars=task_vars
            )
        except AnsibleError as error:
            raise StepFailed(str(error)) from error
        if answer.get("failed") or answer.get("unreachable"):
            raise StepFailed(answer.get("msg", "no answer"))
        return answer


def names(paths):
    return ", ".join(path.rpartition("/")[2] for path in paths)


def is_named(program, text):
    """Whether a message is about a program, as testbed_health has it: "logs NAME" or "NAME (its
    agent, pid 7)"."""
    return (
        re.search(
            r"\blogs %s\b(?!-)|(?<![\w-])%s \(" % (re.escape(program), re.escape(program)), text
        )
        is not None
    )


def story(options, result):
    """What failed, with the ends of the logs, and what became of it."""
    failure, release = options["failure"], options["release"]
    new = (
        "The new configuration" if release in ("", result.get("id")) else "The release %s" % release
    )
    if result.get("deferred"):
        new = "The release %s, with new secrets," % release
    lines = [
        "%s did not come up healthy. What failed: %s" % (new, options["doing"] or "see below"),
        str(failure.get("msg", "no message")).strip(),
        *log_ends(failure),
        "",
    ]
    secrets = names(result.get("secrets", []))
    if result.get("deferred"):
        # which comes when the services have their former secrets again
        return "\n".join(lines[:-1])
    if result["serves"]:
        lines.append(
            "The release %s serves again, with its configuration%s, and was proven healthy. What "
            "failed is still on the "
            "disk. %s."
            % (result["id"], " and its former secrets (%s)" % secrets if secrets else "", NEXT)
        )
    elif "id" in result:
        lines.append(
            "THE RELEASE %s, WHICH SERVED BEFORE, DOES NOT EITHER: %s\nSee what runs: "
            "ansible-playbook "
            "playbooks/status.yml. %s." % (result["id"], result["why"].strip(), NEXT)
        )
    elif "why" in result:
        lines.append(
            "Nothing was put back: %s Programs were left as they are, and their logs are in place. "
            "%s." % (result["why"].strip(), NEXT)
        )
    else:
        lines.append("This was a check run, nothing was changed.")
    return "\n".join(lines)


def log_ends(failure):
    """The last lines of the logs of what failed, as supervisor_program returns them."""
    for item in failure.get("failures") or []:
        tail = (
            (item.get("stderr_tail") or item.get("stdout_tail") or "")
            .strip()
            .splitlines()[-LOG_LINES:]
        )
        if tail:
            yield "The end of the log of %s:" % item["full_name"]
            yield from ("  " + line for line in tail)
