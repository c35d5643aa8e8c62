# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints one table for the fleet, and fails if a host or a program is not healthy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._health import (
    HEALTHY,
    NOT_CHECKED,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._missing import lost_by

HEADINGS = ("HOST", "INSTANCE", "PROGRAM", "STATE", "PID", "UPTIME")


def duration(seconds: float | None) -> str:
    """Seconds in the form 1d 02:03:04."""
    if seconds is None:
        return "-"
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return ("%dd " % days if days else "") + "%02d:%02d:%02d" % (hours, minutes, seconds)


def rows_of(host: str, instance: dict[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        (
            host,
            instance["name"],
            item["full_name"],
            item["state"],
            str(item["pid"] or "-"),
            duration(item["uptime_seconds"]),
        )
        for item in instance["processes"]
    ]
    rows += [
        (host, instance["name"], "supervisord", "UNREACHABLE", str(pid), "-")
        for pid in instance.get("unreachable") or []
    ]
    return rows or [(host, instance["name"], "-", "DOWN", "-", "-")]


def unreachable_reason(host: str, answer: dict[str, Any]) -> str:
    # without the prefix of Ansible
    why = (
        str(answer.get("msg", "no answer"))
        .strip()
        .replace("\n", " ")
        .replace("Task failed: ", "", 1)
    )
    fix = (
        ". Check that it is up and accepts the login: ansible %s -m ping" % host
        if answer.get("unreachable")
        else ""
    )
    return "cannot be reported: %s%s" % (why, fix)


def compose(answers: dict[str, dict[str, Any]]) -> tuple[list[tuple[str, ...]], list[str]]:
    """Table rows and problem lines.

    :param answers: {host: result of testbed_info}.
    :returns: (rows, problems)
    """
    rows: list[tuple[str, ...]] = []
    problems = []
    for host, answer in answers.items():
        if "instances" not in answer:
            state = "UNREACHABLE" if answer.get("unreachable") else "UNKNOWN"
            rows.append((host, "-", "-", state, "-", "-"))
            problems.append("%s: %s" % (host, unreachable_reason(host, answer)))
            continue
        for instance in answer["instances"]:
            rows += rows_of(host, instance)
            problems += [
                "%s, %s: %s" % (host, instance["name"], line) for line in instance["problems"]
            ]
    return rows, problems


def notes_of(answers: dict[str, dict[str, Any]]) -> Iterator[str]:
    """What the hosts could not verify, which is not a problem."""
    for host, answer in answers.items():
        for instance in answer.get("instances") or []:
            for line in instance.get("notes") or []:
                yield "%s, %s: %s" % (host, instance["name"], line)


def ends_of_logs(host: str, answer: dict[str, Any]) -> Iterator[str]:
    """The last lines of the logs of unhealthy programs.

    :param answer: results of supervisor_info for the instances of the host with such programs.
    """
    for result in answer.get("results") or []:
        for item in result.get("processes") or []:
            for channel in ("stdout", "stderr"):
                if not item["healthy"] and item.get(channel + "_tail"):
                    yield "%s, %s, the end of %s:" % (
                        host,
                        item["full_name"],
                        item[channel + "_logfile"],
                    )
                    yield from ("    " + line for line in item[channel + "_tail"].splitlines())


def notes(answers: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Lines on the monitor that judged the agents, and on logins without lingering.

    :param answers: {host: result of testbed_info}.
    """
    for host, answer in answers.items():
        central = answer.get("central")
        if central:
            yield (
                "%s: the central monitor judges its agents: it has heard from %d of %d since their "
                "start%s. Evidence: %s."
                % (
                    host,
                    central["heard"],
                    central["agents"],
                    ", in the namespace " + ", ".join(central["namespaces"])
                    if central["namespaces"]
                    else "",
                    central["url"],
                )
            )
    for host, answer in answers.items():
        if answer.get("lingering") and answer.get("instances"):
            yield (
                "%s: the programs may end with the last session of %s, and do not start after a "
                "reboot. To change that, ask an administrator to run: loginctl enable-linger %s; "
                "then run site.yml again. docs/how-to/lingering.md describes it."
                % (host, answer["lingering"], answer["lingering"])
            )


def of_broker(
    host: str, answer: dict[str, Any]
) -> tuple[list[tuple[str, ...]], list[str], list[str]]:
    """Table rows, problem lines, and lines on the queues, of the broker on a host.

    :param answer: result of broker_info; without one, the host has no broker.
    """
    if "problem" not in answer:
        return [], [], []
    if answer["problem"]:
        problem = "%s, swf-broker: does not answer: %s" % (host, answer["problem"])
        return [(host, "swf-broker", "broker", "DOWN", "-", "-")], [problem], []
    queues = [item for item in answer["queues"] if item["messages"]]
    lines = [
        "Broker on %s: %d messages in its queues, and %d of them are dead letters."
        % (host, sum(item["messages"] for item in queues), answer["dead_letters"])
    ]
    lines += [
        "    %s: %d messages, %d readers" % (item["address"], item["messages"], item["readers"])
        for item in queues
    ]
    return [(host, "swf-broker", "broker", "RUNNING", "-", "-")], [], lines


def table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in [HEADINGS, *rows]) for column in range(len(HEADINGS))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        for row in [HEADINGS, *rows]
    ]


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        hostvars, variable = (task_vars or {})["hostvars"], self._task.args["variable"]
        hosts = self._task.args["hosts"]
        nothing = {"msg": "an earlier task failed on it, see above"}
        # a host that was missing from the start has no result
        answers = {
            host: dict(hostvars[host].get(variable) or lost_by(hostvars[host]) or nothing)
            for host in hosts
        }
        rows, problems = compose(answers)
        queues: list[str] = []
        for host in hosts:
            more = of_broker(host, hostvars[host].get(self._task.args.get("broker")) or {})
            rows += more[0]
            problems += more[1]
            queues += more[2]
        logs = [
            line
            for host in hosts
            for line in ends_of_logs(host, hostvars[host].get(self._task.args.get("logs")) or {})
        ]
        display = Display()
        display.display("")
        for line in table(rows) + queues:
            display.display(line)
        display.display("")
        for line in notes_of(answers):
            display.display(line)
        monitor = self._task.args.get("monitor_url")
        checked = any(answer.get("health_checked") for answer in answers.values())
        if problems and self._task.check_mode:
            # check mode before the first installation is not an error
            display.display("This is the present status; check mode changes nothing.")
        elif problems:
            result.update(
                failed=True,
                msg="The testbed is not healthy:\n"
                + "\n".join(["- " + line for line in problems] + logs),
            )
        else:
            display.display(
                (HEALTHY if checked else NOT_CHECKED)
                + (" Monitor: %s/" % monitor.rstrip("/") if monitor else "")
            )
        for line in notes(answers):
            display.display(line)
        result.update(changed=False, healthy=checked and not problems, health_checked=checked)
        return result
