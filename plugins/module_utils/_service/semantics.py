# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a broker does with the messages of an address, found out with two readers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service.stomp import (
    Connection,
    Frame,
)

EARLY, LATE = 2, 6
#: seconds without a message, after which no more are expected
QUIET = 0.7
#: seconds after which a broker that keeps a message removes it
EXPIRY = 60
#: header of the messages of one trial
MARK = "swf_probe"
MARKED = "swf_selected"
Login = Callable[[], Connection]


@dataclass(frozen=True)
class Trial:
    """What two readers got: messages that were sent before they subscribed, and afterwards."""

    sent_early: int
    early: int
    late: tuple[int, int]
    #: clock of the broker when it took the first message, None if it does not say
    clock: float | None = None

    @property
    def one_reader(self) -> bool:
        return sum(self.late) == LATE

    @property
    def all_readers(self) -> bool:
        return self.late == (LATE, LATE)

    @property
    def stored(self) -> bool:
        return self.early >= self.sent_early

    def __str__(self) -> str:
        before = "%d of %d messages without a reader, and " % (self.early, self.sent_early)
        return "two readers got %s%d and %d of %d messages" % (
            before * bool(self.sent_early),
            *self.late,
            LATE,
        )


@dataclass(frozen=True)
class Address:
    """A scratch address.

    :param routing: ``anycast`` if one reader is expected to get each message, or ``multicast``.
    :param declared: whether the frames say so, as those of the programs do.
    """

    name: str
    routing: str
    declared: bool

    def send(self, session: Connection, mark: str, body: str, **more: str) -> None:
        headers = {"destination": self.name, "expires": str(int((time.time() + EXPIRY) * 1000))}
        headers.update({MARK: mark, **more})
        if self.declared:
            headers["destination-type"] = self.routing.upper()
        session.confirmed("SEND", headers, body)

    def subscribe(self, session: Connection, selector: str = "") -> None:
        headers = {"destination": self.name, "id": "1", "ack": "auto"}
        if self.declared:
            headers["subscription-type"] = self.routing.upper()
        if selector:
            headers["selector"] = selector
        session.confirmed("SUBSCRIBE", headers)


def try_address(login: Login, address: Address, mark: str) -> Trial:
    """Send messages without and with readers, and count what arrives.

    :raises StompError: the broker refuses a frame.
    """
    sender, readers = login(), []
    try:
        early = EARLY if address.routing == "anycast" else 0
        for _number in range(early):
            address.send(sender, mark, "early")
        for _number in range(2):
            readers.append(login())
            address.subscribe(readers[-1])
        for _number in range(LATE):
            address.send(sender, mark, "late")
        found = received(readers, mark)
    finally:
        for session in [*readers, sender]:
            session.close()
    bodies = [[frame.body for frame in frames] for frames in found]
    clocks = [frame.headers.get("timestamp", "") for frames in found for frame in frames]
    return Trial(
        early,
        sum(part.count("early") for part in bodies),
        (bodies[0].count("late"), bodies[1].count("late")),
        int(clocks[0]) / 1000 if clocks and clocks[0].isdigit() else None,
    )


def try_selector(login: Login, address: Address, mark: str) -> bool:
    """Whether a reader gets those messages alone that it selects.

    :raises StompError: the broker refuses a frame.
    """
    sender, reader, rest = login(), login(), login()
    try:
        address.subscribe(reader, "%s = 'yes'" % MARKED)
        for answer in ("no", "yes"):
            address.send(sender, mark, answer, **{MARKED: answer})
        ((*found,),) = received([reader], mark)
        reader.close()
        # nothing is left
        address.subscribe(rest)
        received([rest], mark)
    finally:
        for session in (sender, reader, rest):
            session.close()
    return [frame.body for frame in found] == ["yes"]


def received(readers: Sequence[Connection], mark: str) -> list[list[Frame]]:
    """The messages of this trial that each reader gets, until none arrives for a while."""
    found: list[list[Frame]] = [[] for _reader in readers]
    deadline = time.monotonic() + QUIET
    while time.monotonic() < deadline:
        for reader, frames in zip(readers, found):
            new = reader.messages(0.1)
            frames += [frame for frame in new if frame.headers.get(MARK) == mark]
            if new:
                deadline = time.monotonic() + QUIET
    return found
