# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that start only after servers have answered."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import status
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.actions import (
    Deadline,
    needs_stop,
    start,
    stop,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.client import Client
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    SupervisorError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.wait import (
    Outcome,
    Waiter,
)

CAUSE = "not_answered"
PAUSE = 0.2
# supervisord starts programs by itself in its first cycle, which may follow its first answer
FIRST_CYCLE = 3


class StartOrder:
    """Which programs start last, and the servers that must have answered before.

    :ivar last: names of the programs that start last; empty if they wait for nothing.
    :param unanswered: returns a line of evidence for each server that does not answer.
    :param servers: names of the programs that must answer, for messages.
    :param timeout: seconds to wait for the answers.
    """

    def __init__(
        self,
        last: t.Collection[str] = (),
        unanswered: t.Callable[[], list[str]] = list,
        servers: t.Sequence[str] = (),
        timeout: float = 0,
    ) -> None:
        self.last = frozenset(last)
        self._unanswered = unanswered
        self.servers = servers
        self._timeout = timeout

    def is_last(self, name: str) -> bool:
        """Whether a program (group:name) or a group starts last."""
        return name.rpartition(":")[2] in self.last

    def split(self, names: t.Iterable[str]) -> tuple[list[str], list[str]]:
        """The programs that start first, and those that start last."""
        parts: tuple[list[str], list[str]] = ([], [])
        for name in names:
            parts[self.is_last(name)].append(name)
        return parts

    def wait(self, client: Client, first: t.Sequence[str], last: t.Sequence[str]) -> Outcome | None:
        """Wait until all servers answer.

        :param first: the programs that were started before, group:name.
        :param last: the programs that wait, group:name, for messages.
        :returns: None, or an outcome if one of the first cannot start.
        :raises SupervisorError: a server does not answer in time.
        """
        waiter = Waiter(dict.fromkeys(first, "running"), 0)
        deadline = Deadline(self._timeout)
        while True:
            # in this order: the last attempt is after the end of the time
            over = not deadline.left
            evidence = self._unanswered()
            if not evidence:
                return None
            infos = client.processes()
            failed, _pending = waiter.judge(infos, None)
            if failed:
                return Outcome(infos, failed, False)
            if over:
                raise SupervisorError(CAUSE, self._message(evidence, last))
            time.sleep(PAUSE)

    def _message(self, evidence: t.Sequence[str], last: t.Sequence[str]) -> str:
        names = ", ".join(sorted(name.rpartition(":")[2] for name in last))
        return (
            "%s did not answer within %g s, so that these programs were not started or replaced: "
            "%s. Evidence: %s. Fix: start %s on its host, or correct its address, then run the "
            "same again."
            % (
                " and ".join(self.servers),
                self._timeout,
                names,
                "; ".join(evidence),
                " and ".join(self.servers),
            )
        )


def start_now(client: Client, names: t.Sequence[str]) -> None:
    """Start programs without waiting for them."""
    start(client, names, (), Deadline(0), 0)


def stop_started(client: Client, order: StartOrder, timeout: float) -> list[str]:
    """Stop the programs that start last, which a new supervisord starts at once with the others.

    :returns: their names, group:name.
    """
    first_cycle = Deadline(FIRST_CYCLE)
    while True:
        infos = [info for info in client.processes() if order.is_last(status.namespec(info))]
        if all(info["start"] for info in infos) or not first_cycle.left:
            break
        time.sleep(0.02)
    names = [status.namespec(info) for info in infos if needs_stop(info)]
    stop(client, names, Deadline(timeout))
    return names
