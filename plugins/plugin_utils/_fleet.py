# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The findings of all hosts together, and as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    FATAL,
    WARNING,
    finding,
)

SITE = "ansible-playbook site.yml"


def fleet(
    answers: dict[str, dict[str, Any]], addresses: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """What is reported: {host: {address, reached, installed, findings}}, the findings numbered.

    What one host alone cannot know is put right here. A part that is not installed is what a first
    installation begins with; where other parts are installed already, it is missing. And that
    nobody listens is no surprise where it was not installed yet.

    :param answers: {host: what host_check returned for it}.
    :param addresses: {host: address}.
    """
    installed = {
        part
        for answer in answers.values()
        for part, there in answer.get("installed", {}).items()
        if there
    }
    known = {part for answer in answers.values() for part in answer.get("installed", {})}
    missing = known - installed
    report = {}
    for host, answer in answers.items():
        found = answer["findings"] if "findings" in answer else [unanswered(answer)]
        found = [settled(item, installed, missing) for item in found]
        found.sort(key=lambda item: item["severity"] != FATAL)
        report[host] = {
            "address": addresses.get(host, host),
            "reached": answer.get("reached", False),
            "installed": answer.get("installed", {}),
            "findings": [dict(number=number, **item) for number, item in enumerate(found, 1)],
        }
    return report


def settled(item: dict[str, Any], installed: set[str], missing: set[str]) -> dict[str, Any]:
    if item["check"] == "not_installed" and installed:
        return dict(
            item, severity=FATAL, cause=item["cause"] + ", and other parts of this testbed are"
        )
    if item["provider"] in missing:
        return dict(
            item,
            severity=WARNING,
            cause=item["cause"] + ", for it is not installed yet",
            fix="Run: " + SITE,
        )
    return item


def unanswered(answer: dict[str, Any]) -> dict[str, Any]:
    """A host of which nothing is known: it hangs, or its variables could not even be worked out."""
    if answer.get("timedout") or "time frame" in str(answer.get("msg")):
        return finding(
            "login",
            "this host hangs, or is very slow",
            str(answer["msg"]),
            "Look at its console, load and disks. For a slow host: -e "
            "swf_testbed_doctor_host_timeout=600",
        )
    return finding(
        "variables",
        "this host was not examined",
        str(answer.get("msg", "an earlier task failed on it, see above")),
        "Mend that, and ask again",
    )


def counts(report: dict[str, dict[str, Any]]) -> tuple[int, int]:
    """(fatal, warnings) of a whole report."""
    severities = [item["severity"] for host in report.values() for item in host["findings"]]
    return severities.count(FATAL), severities.count(WARNING)


def plural(number: int, word: str) -> str:
    return "%d %s%s" % (number, word, "" if number == 1 else "s")


def lines(report: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The report as a person reads it."""
    for host, entry in report.items():
        fatal, warnings = counts({host: entry})
        name = host if entry["address"] == host else "%s (%s)" % (host, entry["address"])
        parts = ((fatal, "%d fatal" % fatal), (warnings, plural(warnings, "warning")))
        yield "%s: %s" % (
            name,
            ", ".join(text for number, text in parts if number) or "nothing found",
        )
        for item in entry["findings"]:
            yield "  %2d. %-7s %s" % (item["number"], item["severity"].upper(), item["cause"])
            if item["evidence"]:
                yield "      known by  %s" % item["evidence"]
            if item["fix"]:
                yield "      next      %s" % item["fix"]
        yield ""
