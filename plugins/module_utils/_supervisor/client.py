# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls of the modules, in as few round trips as possible."""

from __future__ import annotations

import re
import time
import typing as t
from functools import cached_property

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import errors
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    RpcFault,
    SupervisorError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.rpc import (
    Endpoint,
    call,
)

OLDEST = (4, 0)  # the first with a complete getAllConfigInfo
MAIN_LOG_BYTES = 32768  # of the end of the main log

Call = tuple[t.Any, ...]  # ("supervisor.method", parameter, ...)


class Snapshot:
    """The answers of one round trip, in supervisord's own terms; further ones are fetched on use.

    supervisord sends its answers in pieces of 4 KB and visits every program in between, so with
    many programs each further call takes as long again.
    """

    def __init__(self, client: Client, answers: list[t.Any]) -> None:
        self._client = client
        self.version: str = answers[0]
        self.api_version: str = answers[1]
        self.identification: str = answers[2]
        self.state: dict[str, t.Any] = answers[3]
        self.pid: int = answers[4]
        self.processes: list[dict[str, t.Any]] = answers[5]

    @cached_property
    def config(self) -> list[dict[str, t.Any]] | None:
        """The configuration of all programs as supervisord last read it, None if it cannot report it."""
        return self._client.config()

    @cached_property
    def main_log(self) -> str:
        """The end of the main log, "" if it cannot be read."""
        answer = self._client.multicall([("supervisor.readLog", -MAIN_LOG_BYTES, 0)])[0]
        return "" if isinstance(answer, RpcFault) else answer


class Client:
    """supervisord at one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def call(self, method: str, *params: t.Any) -> t.Any:
        """:raises RpcFault: supervisord refused. :raises SupervisorError: no usable answer."""
        try:
            return call(self.endpoint, method, *params)
        except RpcFault as fault:
            raise self._translate(fault) from None

    def multicall(self, calls: t.Sequence[Call]) -> list[t.Any]:
        """Carry out all calls in one round trip; each answer is a value, or an RpcFault in its
        place."""
        if not calls:
            return []
        structs = [{"methodName": name, "params": list(params)} for name, *params in calls]
        # supervisord's multicall gives bare values, not one-element lists as the convention has it.
        try:
            answers = self.call("system.multicall", structs)
        except RpcFault as fault:
            raise SupervisorError(
                "not_supervisor",
                "The server at %s is not supervisord. Evidence: it refuses system.multicall (%s)."
                % (self.endpoint, fault.text),
            ) from None
        if not isinstance(answers, list) or len(answers) != len(calls):
            raise SupervisorError(
                "not_supervisor",
                "The server at %s is not supervisord. Evidence: its answer to system.multicall."
                % self.endpoint,
            )
        results: list[t.Any] = []
        for answer in answers:
            if isinstance(answer, dict) and set(answer) == {"faultCode", "faultString"}:
                failure = RpcFault(answer["faultCode"], answer["faultString"])
                if failure.code == errors.SHUTDOWN_STATE:
                    raise self._translate(failure)
                results.append(failure)
            else:
                results.append(answer)
        return results

    def snapshot(self, connect_wait: float = 0) -> Snapshot:
        """supervisord and its programs.

        :param connect_wait: seconds to retry while nobody listens yet.
        """
        until = time.monotonic() + connect_wait
        while True:
            try:
                return self._snapshot()
            except SupervisorError as error:
                if not error.means_not_running or time.monotonic() >= until:
                    raise
            time.sleep(0.1)

    def _snapshot(self) -> Snapshot:
        names = (
            "SupervisorVersion",
            "APIVersion",
            "Identification",
            "State",
            "PID",
            "AllProcessInfo",
        )
        answers = self.multicall([("supervisor.get" + name,) for name in names])
        if isinstance(answers[0], RpcFault):
            raise self._without_supervisor_namespace(answers[0])
        self._check_version(answers[0])
        for answer in answers:
            if isinstance(answer, RpcFault):
                raise self._translate(answer)
        return Snapshot(self, answers)

    def processes(self, names: t.Sequence[str] | None = None) -> list[dict[str, t.Any]]:
        """The state of all programs, or of those that are named group:name and known."""
        if names is not None:
            answers = self.multicall([("supervisor.getProcessInfo", name) for name in names])
            return [answer for answer in answers if not isinstance(answer, RpcFault)]
        answer = self.multicall([("supervisor.getAllProcessInfo",)])[0]
        if isinstance(answer, RpcFault):
            raise self._translate(answer)
        return answer

    def config(self) -> list[dict[str, t.Any]] | None:
        """The configuration of all programs as supervisord last read it, None if it cannot report it."""
        try:
            answer = self.multicall([("supervisor.getAllConfigInfo",)])[0]
        except SupervisorError as error:
            if error.cause == "internal":
                return None  # a number above 2**31 (such as a log of 4 GB) does not fit in XML-RPC
            raise
        return None if isinstance(answer, RpcFault) else answer

    def _check_version(self, version: t.Any) -> None:
        match = re.match(r"(\d+)\.(\d+)", str(version))
        if not match:
            raise SupervisorError(
                "not_supervisor",
                "The server at %s is not supervisord. Evidence: it reports the version %r."
                % (self.endpoint, version),
            )
        if tuple(map(int, match.groups())) < OLDEST:
            raise SupervisorError(
                "too_old",
                "supervisord at %s is version %s; at least %d.%d is required. Fix: install "
                "supervisor 4.3 or later and restart supervisord."
                % (self.endpoint, version, *OLDEST),
            )

    def _without_supervisor_namespace(self, fault: RpcFault) -> Exception:
        if fault.code != errors.UNKNOWN_METHOD:
            return self._translate(fault)
        try:
            methods = self.call("system.listMethods")
        except (RpcFault, SupervisorError):
            methods = []
        if any(str(method).startswith("supervisor.") for method in methods):
            return SupervisorError(
                "too_old",
                "supervisord at %s is too old. Evidence: it lacks supervisor.getSupervisorVersion. "
                "Fix: install supervisor 4.3 or later." % self.endpoint,
            )
        return SupervisorError(
            "no_rpc_interface",
            "supervisord at %s has no [rpcinterface:supervisor] section, so it accepts no calls. "
            "Fix: add the section with supervisor.rpcinterface_factory = "
            "supervisor.rpcinterface:make_main_rpcinterface, and restart supervisord."
            % self.endpoint,
        )

    def _translate(self, fault: RpcFault) -> Exception:
        if fault.code == errors.SHUTDOWN_STATE:
            return SupervisorError(
                "shutting_down",
                "supervisord at %s is shutting down or restarting and accepts no calls. Fix: wait "
                "for its end; if it must run, start it." % self.endpoint,
            )
        return fault
