# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the testbed's monitor says of its health."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request

REQUEST_SECONDS = 10
# a web server before the monitor says that it had no answer from it
BEHIND = (502, 504)
# which program's log tells more about which part
PROGRAMS = {"database": "monitor", "listener": "monitor-listener"}
FORGET = "docs/how-to/remove_agent.md"


def ask(url, ca_file):
    """(answer, None) of a monitor's health page, or (None, what went wrong).

    :param ca_file: the CA certificates that the monitor is believed by; where there is no such
        file, the host's.
    """
    return answer_of(url, ca_file, lambda found: "status" in found)


def answer_of(url, ca_file, is_right):
    """(answer, None) of a page of a monitor, or (None, what went wrong).

    :param is_right: tells whether a dict is an answer of that page.
    """
    try:
        context = ssl.create_default_context(
            cafile=ca_file if ca_file and os.path.exists(ca_file) else None
        )
        # a monitor is never behind the proxy that leads to the outside
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
                    "the web server answers HTTP %d, so the monitor behind it does not"
                    % error.code,
                )
            if error.code != 503:
                return (
                    None,
                    "it answers HTTP %d, so this is not a monitor's health page or the monitor is "
                    "broken" % error.code,
                )
            text = error.read()
        answer = json.loads(text)
        return (
            (answer, None)
            if isinstance(answer, dict) and is_right(answer)
            else (None, "it answers something else")
        )
    except urllib.error.URLError as error:
        return None, "nothing usable answers: %s" % error.reason
    except (OSError, ValueError) as error:
        return None, "no usable answer: %s" % error


def ask_summary(url, ca_file):
    """(summary, None) from a monitor, or (None, what went wrong): its numbers of files, and the
    agents that it heard of."""
    answer, wrong = answer_of(url, ca_file, lambda found: "stf" in found and "agents" in found)
    return answer, wrong and "the monitor's summary is not known: " + wrong


def causes(answer):
    """One line for each part of the monitor's answer that is not well, but for the agents."""
    lines = []
    for part, program in PROGRAMS.items():
        state = answer.get(part) or {}
        if not state.get("ok"):
            why = state.get("error") or state.get("detail") or "no details"
            lines.append(
                "the %s is not well: %s. Look at: swf-testbed logs %s" % (part, why, program)
            )
    if not lines and not silent_agents(answer):
        lines = ["it says %r" % answer.get("status")]
    return lines


def silent_agents(answer):
    """{name: line} of the agents that the monitor does not hear of; empty for a monitor that does
    not tell."""
    return {
        agent["instance_name"]: silent_agent(agent)
        for agent in (answer.get("agents") or {}).get("silent") or []
    }


def silent_agent(agent):
    name = agent["instance_name"]
    return (
        "the agent %s is not alive: the monitor has not heard of it for %d s. Look at: swf-testbed "
        "logs %s-agent, on its "
        "host. One that was removed for good: %s"
    ) % (name, agent["seconds_since_heartbeat"], name.partition("@")[0], FORGET)


def problems(answer, wrong):
    """What is not well, as lines, from the two values of :func:`ask`; an empty list if all is."""
    if not answer:
        return ["the monitor's health is not known: %s. Look at: swf-testbed logs monitor" % wrong]
    return (
        []
        if answer.get("status") == "ok"
        else causes(answer) + list(silent_agents(answer).values())
    )
