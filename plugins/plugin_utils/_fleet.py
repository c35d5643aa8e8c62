# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of the findings of all hosts, and its text."""

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
    """The report: {host: {address, reached, installed, findings}}, the findings numbered.

    Adjusts findings that depend on other hosts. A first installation begins without any part, but
    if other parts are installed already, a missing part is fatal. A service that does not listen
    is only a warning if it is not installed yet.

    :param answers: {host: the result of host_check}.
    :param addresses: {host: address}.
    """
    installed = {
        part
        for answer in answers.values()
        for part, there in answer.get("installed", {}).items()
        if there
    }
    missing = {part for answer in answers.values() for part in answer.get("installed", {})}
    missing -= installed
    report = {}
    for host, answer in answers.items():
        found = answer["findings"] if "findings" in answer else [unanswered(answer)]
        found = [adjusted(item, installed, missing) for item in found]
        found.sort(key=lambda item: item["severity"] != FATAL)
        report[host] = {
            "address": addresses.get(host, host),
            "reached": answer.get("reached", False),
            "installed": answer.get("installed", {}),
            "findings": [dict(number=number, **item) for number, item in enumerate(found, 1)],
        }
    return report


def adjusted(item: dict[str, Any], installed: set[str], missing: set[str]) -> dict[str, Any]:
    if item["check"] == "not_installed" and installed:
        return dict(
            item, severity=FATAL, cause=item["cause"] + ", and other parts of this testbed are"
        )
    if item["provider"] in missing:
        return dict(
            item,
            severity=WARNING,
            cause=item["cause"] + ", because it is not installed yet",
            fix="Run: " + SITE,
        )
    return item


def unanswered(answer: dict[str, Any]) -> dict[str, Any]:
    """The finding for a host without an answer: it hangs, or its variables cannot be evaluated."""
    if answer.get("timedout") or "time frame" in str(answer.get("msg")):
        return finding(
            "login",
            "this host does not respond, or is very slow",
            str(answer["msg"]),
            "Check its console, load and disks. For a slow host: -e "
            "swf_testbed_doctor_host_timeout=600",
        )
    return finding(
        "variables",
        "this host was not examined",
        str(answer.get("msg", "an earlier task failed on it, see above")),
        "Fix that, then run the report again",
    )


def counts(report: dict[str, dict[str, Any]]) -> tuple[int, int]:
    """(fatal, warnings) of a whole report."""
    severities = [item["severity"] for host in report.values() for item in host["findings"]]
    return severities.count(FATAL), severities.count(WARNING)


def plural(number: int, word: str) -> str:
    return "%d %s%s" % (number, word, "" if number == 1 else "s")


def lines(report: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The text of the report."""
    for host, entry in report.items():
        fatal, warnings = counts({host: entry})
        name = host if entry["address"] == host else "%s (%s)" % (host, entry["address"])
        parts = ((fatal, "%d fatal" % fatal), (warnings, plural(warnings, "warning")))
        yield "%s: %s" % (
            name,
            ", ".join(text for number, text in parts if number) or "no findings",
        )
        for item in entry["findings"]:
            yield "  %2d. %-7s %s" % (item["number"], item["severity"].upper(), item["cause"])
            if item["evidence"]:
                yield "      evidence  %s" % item["evidence"]
            if item["fix"]:
                yield "      fix       %s" % item["fix"]
        yield ""
