# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health of the testbed, as its monitor reports it."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

REQUEST_SECONDS = 10
# a web server in front of the monitor had no answer from it
BEHIND = (502, 504)
# the program whose log has the details of a part
PROGRAMS = {"database": "monitor", "listener": "monitor-listener"}
FORGET = "docs/how-to/remove_agent.md"

Answer = dict[str, Any]
Reply = tuple["Answer | None", "str | None"]


def ask(url: str, ca_file: str | None) -> Reply:
    """(answer, None) of a monitor's health page, or (None, the error).

    :param ca_file: the CA certificates to verify the monitor with; the host's if there is no such
        file.
    """
    return answer_of(url, ca_file, lambda found: "status" in found)


def answer_of(url: str, ca_file: str | None, is_right: Callable[[Answer], bool]) -> Reply:
    """(answer, None) of a page of a monitor, or (None, the error).

    :param is_right: whether a dict is an answer of that page.
    """
    try:
        context = ssl.create_default_context(
            cafile=ca_file if ca_file and os.path.exists(ca_file) else None
        )
        # a monitor is on the local network, never behind the HTTP proxy of the site
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with opener.open(url, timeout=REQUEST_SECONDS) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            if error.code in BEHIND:
                return (
                    None,
                    "the web server returned HTTP %d: the monitor behind it does not answer"
                    % error.code,
                )
            if error.code != 503:
                return (
                    None,
                    "it returned HTTP %d: this is not a page of a monitor, or the monitor is "
                    "broken" % error.code,
                )
            text = error.read()
        answer = json.loads(text)
        return (
            (answer, None)
            if isinstance(answer, dict) and is_right(answer)
            else (None, "it is not a page of a monitor")
        )
    except urllib.error.URLError as error:
        return None, "no connection: %s" % error.reason
    except (OSError, ValueError) as error:
        return None, "no usable answer: %s" % error


def ask_summary(url: str, ca_file: str | None) -> Reply:
    """(summary, None) from a monitor, or (None, the error): its numbers of files, and the agents
    that sent heartbeats."""
    answer, wrong = answer_of(url, ca_file, lambda found: "stf" in found and "agents" in found)
    return answer, wrong and "the monitor's summary is unknown: " + wrong


def causes(answer: Answer) -> list[str]:
    """One line for each unhealthy part of the monitor's answer, except the agents."""
    lines = []
    for part, program in PROGRAMS.items():
        state = answer.get(part) or {}
        if not state.get("ok"):
            why = state.get("error") or state.get("detail") or "no details"
            lines.append(
                "the %s is unhealthy: %s. Look at: swf-testbed logs %s" % (part, why, program)
            )
    if not lines and not silent_agents(answer):
        lines = ["the monitor reports the status %r" % answer.get("status")]
    return lines


def silent_agents(answer: Answer) -> dict[str, str]:
    """{name: line} of the agents without recent heartbeats; empty for a monitor that does not
    report them."""
    return {
        agent["instance_name"]: silent_agent(agent)
        for agent in (answer.get("agents") or {}).get("silent") or []
    }


def silent_agent(agent: Mapping[str, Any]) -> str:
    name = agent["instance_name"]
    return (
        "the agent %s is not alive: the monitor has not heard from it for %d s. Look at: "
        "swf-testbed logs %s-agent, on its host. If it was removed for good: %s"
    ) % (name, agent["seconds_since_heartbeat"], name.partition("@")[0], FORGET)


def problems(answer: Answer | None, wrong: str | None) -> list[str]:
    """One line for each problem, from the two values of :func:`ask`."""
    if not answer:
        return ["the monitor's health is unknown: %s. Look at: swf-testbed logs monitor" % wrong]
    return (
        []
        if answer.get("status") == "ok"
        else causes(answer) + list(silent_agents(answer).values())
    )
