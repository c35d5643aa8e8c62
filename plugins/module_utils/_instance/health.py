# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health of the testbed, as its monitor reports it."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

REQUEST_SECONDS = 10
# a web server in front of the monitor had no answer from it
BEHIND = (502, 504)
# the role of the program whose log has the details of a part
ROLES = {"database": "monitor", "listener": "listener"}
# of an answer; a list of agents has no pages
MOST_BYTES = 1 << 25
FORGET = "docs/how-to/remove_agent.md"
TOKEN_FILE = os.path.join("secrets", "api_token")

Answer = dict[str, Any]
Found = tuple["Answer | None", "str | None"]
Components = Iterable[Mapping[str, Any]]


class Reply(NamedTuple):
    """The reply of a server.

    :ivar date: its header Date.
    """

    status: int
    body: bytes
    date: str | None


class RequestError(Exception):
    """A server gave no reply."""

    def __init__(self, cause: str, evidence: str) -> None:
        super().__init__("%s: %s" % (cause, evidence))
        self.cause, self.evidence = cause, evidence


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirection is the reply: a page for the login must not count as the answer."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


def token_of(config: str | None) -> str:
    """The API token of the programs of an instance, which a monitor that requires a login needs.

    :param config: its supervisord.conf, if there is one.
    :returns: "" if this login cannot read it.
    """
    try:
        with open(
            os.path.join(os.path.dirname(config or ""), TOKEN_FILE), encoding="ascii"
        ) as stream:
            return stream.read().strip() if config else ""
    except (OSError, ValueError):
        return ""


def request(url: str, ca_file: str | None, follow: bool = True, token: str = "") -> Reply:
    """The reply to GET.

    :param ca_file: the CA certificates to verify the server with; the host's if there is no such
        file.
    :param follow: whether to follow redirections.
    :param token: the API token, which no server gets to which this one redirects.
    :raises RequestError:
    """
    if not url.startswith(("http://", "https://")):
        raise RequestError("no usable address", repr(url))
    try:
        context = ssl.create_default_context(
            cafile=ca_file if ca_file and os.path.exists(ca_file) else None
        )
        # a monitor is on the local network, never behind the HTTP proxy of the site
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=context),
            *([] if follow else [NoRedirect()]),
        )
        asked = urllib.request.Request(url)
        if token:
            asked.add_unredirected_header("Authorization", "Token " + token)
        try:
            with opener.open(asked, timeout=REQUEST_SECONDS) as response:
                return Reply(response.status, response.read(MOST_BYTES), response.headers["Date"])
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, error.read(MOST_BYTES), error.headers["Date"])
    except urllib.error.URLError as error:
        raise RequestError("no connection", str(error.reason)) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise RequestError("no usable answer", str(error) or type(error).__name__) from None


def ask(url: str, ca_file: str | None, token: str = "") -> Found:
    """(answer, None) of a monitor's health page, or (None, the error)."""
    return answer_of(url, ca_file, token, lambda found: "status" in found)


def answer_of(
    url: str, ca_file: str | None, token: str, is_right: Callable[[Answer], bool]
) -> Found:
    """(answer, None) of a page of a monitor, or (None, the error).

    :param is_right: whether a dict is an answer of that page.
    """
    try:
        reply = request(url, ca_file, token=token)
    except RequestError as error:
        return None, str(error)
    if reply.status in BEHIND:
        return (
            None,
            "the web server returned HTTP %d: the monitor behind it does not answer" % reply.status,
        )
    if reply.status in (401, 403):
        why = "is refused" if token else "is missing on this host"
        return None, "it returned HTTP %d: the API token %s" % (reply.status, why)
    if reply.status not in (200, 503):
        return (
            None,
            "it returned HTTP %d: this is not a page of a monitor, or the monitor is broken"
            % reply.status,
        )
    try:
        answer = json.loads(reply.body)
    except ValueError as error:
        return None, "no usable answer: %s" % error
    if isinstance(answer, dict) and is_right(answer):
        return answer, None
    return None, "it is not a page of a monitor"


def ask_summary(url: str, ca_file: str | None, token: str = "") -> Found:
    """(summary, None) from a monitor, or (None, the error): its numbers of files, and the agents
    that sent heartbeats."""
    answer, wrong = answer_of(
        url, ca_file, token, lambda found: "stf" in found and "agents" in found
    )
    return answer, wrong and "the monitor's summary is unknown: " + wrong


def name_of(role: str, components: Components) -> str:
    """The name of the program with a role; the role without one."""
    return next((item["name"] for item in components if item["role"] == role), role)


def causes(answer: Answer, components: Components) -> list[str]:
    """One line for each unhealthy part of the monitor's answer, except the agents and messages.

    :param components: ``name`` and ``role`` of the programs of the stack.
    """
    lines = []
    if set(answer) == {"status"}:
        return ["the monitor reports a problem, and its cause only to clients with its API token"]
    for part, role in ROLES.items():
        state = answer.get(part) or {}
        if not state.get("ok"):
            why = state.get("error") or state.get("detail") or "no details"
            lines.append(
                "the %s is unhealthy: %s. Look at: swf-testbed logs %s"
                % (part, why, name_of(role, components))
            )
    if not lines and not silent_agents(answer, components) and not set_aside(answer):
        lines = ["the monitor reports the status %r" % answer.get("status")]
    return lines


def set_aside(answer: Answer) -> list[str]:
    """One line if messages were set aside, because they are of another namespace, malformed or
    refused; none for a monitor that does not report them."""
    messages = answer.get("messages") or {"ok": True}
    return (
        []
        if messages.get("ok")
        else ["messages that no agent can handle: %s" % messages.get("detail", "no details")]
    )


def silent_agents(answer: Answer, components: Components) -> dict[str, str]:
    """{name: line} of the agents without recent heartbeats; empty for a monitor that does not
    report them."""
    return {
        agent["instance_name"]: silent_agent(agent, components)
        for agent in (answer.get("agents") or {}).get("silent") or []
    }


def silent_agent(agent: Mapping[str, Any], components: Components) -> str:
    name = agent["instance_name"]
    # the reference packages name an agent after the type of its program
    type_ = name.partition("@")[0]
    programs = [item["name"] for item in components if item["name"] in (type_, type_ + "-agent")]
    look = (
        "Look at: swf-testbed logs %s, on its host" % programs[0]
        if programs
        else ("Look at its log, on its host")
    )
    return (
        "the agent %s is not alive: the monitor has not heard from it for %d s. %s. If it was "
        "removed permanently: %s"
    ) % (name, agent["seconds_since_heartbeat"], look, FORGET)


def problems(answer: Answer | None, wrong: str | None, components: Components) -> list[str]:
    """One line for each problem, from the two values of :func:`ask`."""
    if not answer:
        return [
            "the monitor's health is unknown: %s. Look at: swf-testbed logs %s"
            % (wrong, name_of("monitor", components))
        ]
    return (
        []
        if answer.get("status") == "ok"
        else causes(answer, components)
        + list(silent_agents(answer, components).values())
        + set_aside(answer)
    )
