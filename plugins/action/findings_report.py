# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints the findings of all hosts, optionally writes them as JSON, and fails if one is fatal."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._fleet import (
    counts,
    fleet,
    lines,
    plural,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._health import NOT_CHECKED


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        hostvars, arguments = (task_vars or {})["hostvars"], self._task.args
        answers = {
            host: dict(hostvars[host].get(arguments["variable"]) or {})
            for host in arguments["hosts"]
        }
        report = fleet(
            answers, {host: str(hostvars[host].get("ansible_host") or host) for host in answers}
        )
        fatal, warnings = counts(report)
        display = Display()
        display.display("")
        for line in lines(report):
            display.display(line)
        if arguments.get("dest"):
            write(
                arguments["dest"],
                {"made_at": now(), "fatal": fatal, "warnings": warnings, "hosts": report},
            )
            display.display("The report is in %s." % arguments["dest"])
        result.update(changed=False, fatal=fatal, warnings_found=warnings)
        if fatal:
            result.update(
                failed=True,
                msg="%s and %s. They are listed above, each with its fix."
                % (plural(fatal, "fatal finding"), plural(warnings, "warning")),
            )
        else:
            display.display(
                "Nothing fatal was found (%s).%s"
                % (plural(warnings, "warning"), not_checked(answers))
            )
        return result


def not_checked(answers: Mapping[str, Mapping[str, Any]]) -> str:
    """A sentence for a testbed without a health page and probes: programs that run may be idle."""
    runs = any(answer.get("installed", {}).get("testbed") for answer in answers.values())
    checked = any(answer.get("health_checked") for answer in answers.values())
    return " " + NOT_CHECKED if runs and not checked else ""


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def write(path: str, content: Mapping[str, Any]) -> None:
    """Only its owner can read it: it describes the configuration of the hosts."""
    try:
        handle = os.open(Path(path).expanduser(), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(content, stream, indent=1)
            stream.write("\n")
    except OSError as error:
        raise AnsibleActionFail(
            "cannot write the report to %s on the controller. Evidence: %s. Fix: create its "
            "directory, or choose another path" % (path, error.strerror)
        ) from None
