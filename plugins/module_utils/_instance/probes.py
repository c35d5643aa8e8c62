# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probes of a stack: whether its programs do their work. The health gate, ``status``, ``doctor``
and the check after a rollback use them. The stack file has the probes (``stacks/schema.yml``)."""

from __future__ import annotations

import datetime
import email.utils
import json
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    Finding,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import (
    age,
    belongs,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.health import (
    Reply,
    RequestError,
    request,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import status
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.client import Client
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.logs import (
    add_tails,
    last_lines,
)

AGENT = "agent"
MAX_AGE = 180
# the header Date and the ages of processes are not more exact
SLACK = 2
MOST_OF_A_VALUE, MOST_OF_AN_ANSWER = 60, 200
LOG_BYTES = 2000

Probe = Mapping[str, Any]


class Failure(NamedTuple):
    """A probe that does not pass.

    :ivar process: the program at fault, as the module supervisor_info returns it.
    """

    process: status.Process
    cause: str
    evidence: str

    @property
    def program(self) -> str:
        name: str = self.process["name"]
        return name


class Probes:
    """The probes of a host, and the values of the first look, for conditions with ``grows``.

    :param probes: as in a stack file, with their templates replaced.
    :param components: ``name`` and ``role`` of the programs of the stack, on any host.
    :param ca_file: the CA certificates to verify servers with; the host's if there is no such file.
    :ivar asked: whether the last look had a probe of a running program.
    """

    def __init__(
        self, probes: Sequence[Probe], components: Iterable[Mapping[str, Any]], ca_file: str | None
    ) -> None:
        self.probes = probes
        self.roles = {item["name"]: item["role"] for item in components}
        self.ca_file = ca_file
        self.first: dict[str, float] = {}
        self.asked = False

    def failures(
        self, processes: Sequence[status.Process], grows: bool = False
    ) -> Iterator[Failure]:
        """The probes that do not pass.

        :param processes: all programs of the instance. Those that do not run have no probe: their
            state is a problem of its own.
        :param grows: whether to check the conditions that need a second look.
        """
        running = {item["name"]: item for item in processes if item["state_code"] == status.RUNNING}
        replies: dict[str, Reply | RequestError] = {}
        self.asked = False
        for probe in self.probes:
            # the monitor of an agent may be on another host
            agents = [
                item
                for name, item in running.items()
                if self.roles.get(name) in listed_roles(probe)
            ]
            of_agents = bool(agents)
            at_fault = running.get(probe["component"]) or (agents[0] if of_agents else None)
            if at_fault is None:
                continue
            self.asked = True
            url = probe["url"]
            if url not in replies:
                replies[url] = self._asked(url)
            look = Look(probe, replies[url], self.first, grows)
            wrong = look.wrong()
            if wrong:
                text = 'the probe "%s" of %s failed: %s'
                cause = text % (probe["name"], named(at_fault), wrong)
                yield Failure(at_fault, cause, look.evidence())
            elif of_agents:
                yield from look.agents(agents)

    def _asked(self, url: str) -> Reply | RequestError:
        try:
            return request(url, self.ca_file, follow=False)
        except RequestError as error:
            return error

    def findings(
        self, client: Client | None, processes: Sequence[status.Process], grows: bool = False
    ) -> list[tuple[str, Finding]]:
        """(program, finding) of each probe that does not pass, with the end of the log of the
        program at fault."""
        failures = list(self.failures(processes, grows))
        logs = {item.program: dict(item.process) for item in failures}
        if client and logs:
            add_tails(client, list(logs.values()), LOG_BYTES)
        return [(item.program, found(item, logs[item.program])) for item in failures]


def listed_roles(probe: Probe) -> Sequence[str]:
    """The roles of the programs that the answer to a probe must list; none for other probes."""
    return (probe["agents"].get("roles") or (AGENT,)) if "agents" in probe else ()


class Look:
    """A probe and the reply to it."""

    def __init__(
        self,
        probe: Probe,
        reply: Reply | RequestError,
        first: dict[str, float],
        grows: bool,
    ) -> None:
        self.probe, self.reply, self.first, self.grows = probe, reply, first, grows
        self.answer: Any = None

    def wrong(self) -> str:
        """The reason why the probe does not pass, except for the agents; "" if it does."""
        probe, reply = self.probe, self.reply
        if isinstance(reply, RequestError):
            return reply.cause
        expected = probe.get("status") or 200
        if reply.status != expected:
            return "HTTP %d instead of %d" % (reply.status, expected)
        if not probe.get("conditions") and "agents" not in probe:
            return ""
        try:
            self.answer = json.loads(reply.body)
        except ValueError:
            return "the answer is not JSON"
        unmet = [self._unmet(condition) for condition in probe.get("conditions") or []]
        if "agents" in probe and not isinstance(at(probe["agents"]["path"], self.answer), list):
            unmet.append("%s is not a list of agents" % label(probe["agents"]["path"]))
        return "; ".join(text for text in unmet if text)

    def _unmet(self, condition: Mapping[str, Any]) -> str:
        return unmet(condition, self.answer) or (
            self._stands_still(condition) if condition.get("grows") and self.grows else ""
        )

    def _stands_still(self, condition: Mapping[str, Any]) -> str:
        path = condition["path"]
        now = quantity(at(path, self.answer))
        if now is None:
            return "%s is neither a number nor a list" % label(path)
        first = self.first.setdefault("%s %s" % (self.probe["name"], path), now)
        return (
            ""
            if now > first
            else "%s did not grow: it was %g at the first look, and is %g"
            % (label(path), first, now)
        )

    def evidence(self) -> str:
        reply = self.reply
        if isinstance(reply, RequestError):
            answered = reply.evidence
        else:
            text = " ".join(reply.body.decode("utf-8", "replace").split())
            answered = "HTTP %d: %s" % (reply.status, cut(text, MOST_OF_AN_ANSWER) or "empty")
        return "GET %s: %s" % (self.probe["url"], answered)

    def agents(self, processes: Iterable[status.Process]) -> Iterator[Failure]:
        """The agents of this host without a recent heartbeat of their process, or with another
        problem."""
        keys = dict(
            {"pid": "pid", "hostname": "hostname", "max_age": MAX_AGE}, **self.probe["agents"]
        )
        listed = [item for item in at(keys["path"], self.answer) if isinstance(item, dict)]
        here = [item for item in listed if same_name(item.get(keys["hostname"]))]
        for process in processes:
            entries = [item for item in here if belongs(item.get(keys["pid"]), process["pid"])]
            wrong = self._agent(keys, process, entries)
            if wrong:
                answered = " ".join(json.dumps(entry) for entry in entries) or (
                    "%d agents, %d of them of the host %s, and none with the process %d"
                    % (len(listed), len(here), socket.gethostname(), process["pid"])
                )
                yield Failure(
                    process,
                    wrong,
                    "GET %s: %s" % (self.probe["url"], cut(answered, MOST_OF_AN_ANSWER)),
                )

    def _agent(
        self, keys: Mapping[str, Any], process: status.Process, entries: Sequence[Mapping[str, Any]]
    ) -> str:
        """The problem of a program, whose agents these are; "" without one."""
        ages = [self._age(entry.get(keys["heartbeat"])) for entry in entries]
        # an entry of a former process may have the same number
        if not ages or min(ages) > age(process["pid"]) + SLACK:
            return "%s has sent no heartbeat since its start" % named(process)
        entry = entries[ages.index(min(ages))]
        name = named(process, str(entry.get(keys["name"])))
        if min(ages) > keys["max_age"] + SLACK:
            text = "%s has sent no heartbeat for %d s; the limit is %d s"
            return text % (name, min(ages), keys["max_age"])
        wrong = [unmet(condition, entry) for condition in keys.get("conditions") or []]
        problems = "; ".join(text for text in wrong if text)
        return "%s has a problem: %s" % (name, problems) if problems else ""

    def _age(self, heartbeat: Any) -> float:
        """Seconds since a heartbeat; infinite if its time is none."""
        try:
            return self._now() - moment(heartbeat)
        except (ValueError, OverflowError):
            return float("inf")

    def _now(self) -> float:
        """The time of the server, in seconds since 1970: its clock may differ from that of this
        host."""
        date = None if isinstance(self.reply, RequestError) else self.reply.date
        try:
            return email.utils.parsedate_to_datetime(date or "").timestamp()
        except (TypeError, ValueError, IndexError):
            return time.time()


def found(failure: Failure, process: Mapping[str, Any]) -> Finding:
    """The finding for a failure.

    :param process: the program at fault, with the end of its log.
    """
    log = process["stderr_logfile"] or process["stdout_logfile"]
    return finding(
        "health",
        failure.cause,
        "; ".join(filter(None, (failure.evidence, last_lines(process)))),
        "Look at: tail %s, and fix the cause" % log if log else "",
    )


def named(process: status.Process, agent: str = "") -> str:
    """A program with its process, as messages name it."""
    name: str = process["full_name"]
    return "%s (%spid %s)" % (name, agent + ", " if agent else "", process["pid"])


def unmet(condition: Mapping[str, Any], answer: Any) -> str:
    """The reason why a condition is not met, or ""; without ``grows``."""
    path = condition["path"]
    value = at(path, answer)
    if value is MISSING:
        return "there is no %s" % label(path)
    if condition.get("equals") is not None and not equal(value, condition["equals"]):
        text = "%s is %s, and must be %s"
        return text % (label(path), shown(value), shown(condition["equals"]))
    least = condition.get("at_least")
    if least is not None:
        number = quantity(value)
        if number is None:
            return "%s is neither a number nor a list" % label(path)
        if number < float(least):
            return "%s is %g, and must be at least %g" % (label(path), number, float(least))
    return ""


class Missing:
    """Stands for a value that an answer does not have."""


MISSING = Missing()


def at(path: str, answer: Any) -> Any:
    """The value at a path such as ``listener.subscribed`` or ``runs.0.state``, or MISSING."""
    for key in path.split(".") if path else ():
        if isinstance(answer, Mapping) and key in answer:
            answer = answer[key]
        elif isinstance(answer, list) and key.isdigit() and int(key) < len(answer):
            answer = answer[int(key)]
        else:
            return MISSING
    return answer


def equal(value: Any, wanted: Any) -> bool:
    """Whether two values of JSON are equal; Python's True is 1, too."""
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def quantity(value: Any) -> float | None:
    """A number, or the length of a list."""
    if isinstance(value, list):
        return len(value)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def label(path: str) -> str:
    return path or "the answer"


def shown(value: Any) -> str:
    return cut(json.dumps(value), MOST_OF_A_VALUE)


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + "..."


def moment(value: Any) -> float:
    """A time in an answer, in seconds since 1970.

    :raises ValueError: it is none.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    text = str(value)
    # Python before 3.11 does not read the Z
    read = datetime.datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
    return (read if read.tzinfo else read.replace(tzinfo=datetime.timezone.utc)).timestamp()


def same_name(hostname: Any) -> bool:
    """Whether a name is that of this host; one of them may be without its domain."""
    return str(hostname).partition(".")[0].lower() == socket.gethostname().partition(".")[0].lower()
