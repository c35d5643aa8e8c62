# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ends of log files through supervisord, with any bytes in them."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import status
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.client import (
    Client,
    Snapshot,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import RpcFault

_COLOUR = re.compile("\u241b\\[[0-9;?]*[A-Za-z]")  # as the transport shows ESC [ ... m
_PIECE = 32  # bytes that are read at a time around bytes that are not UTF-8
_SEARCHES = (
    1 << 14,
    1 << 20,
)  # bytes of the main log that are searched for exits, one after the other
_CHANNELS = ("stdout", "stderr")
_LAST_LINES, _MOST_OF_A_LINE = 3, 300


def add_tails(client: Client, items: t.Sequence[status.Process], size: int) -> None:
    """Add C(stdout_tail) and C(stderr_tail) to each item: the last size bytes, None without a
    log."""
    wanted = [
        (item, channel)
        for item in items
        for channel in _CHANNELS
        if item[channel + "_logfile"] and not item[channel + "_logfile"].startswith("/dev/")
    ]
    for item in items:
        for channel in _CHANNELS:
            item[channel + "_tail"] = None
    answers = client.multicall(
        [(_method(channel), status.namespec(item), -size, 0) for item, channel in wanted]
    )
    for (item, channel), answer in zip(wanted, answers):
        if isinstance(answer, RpcFault):
            # Either there is no log, or supervisord's own code fails on bytes that are not UTF-8.
            undecodable = "<class" in answer.text
            answer = (
                _undecodable(client, status.namespec(item), channel, size) if undecodable else None
            )
        item[channel + "_tail"] = _COLOUR.sub("", answer) if answer is not None else None


def last_lines(item: t.Mapping[str, t.Any]) -> str:
    """The end of the log of a program as evidence of a message; "" without one.

    :param item: with C(stdout_tail) and C(stderr_tail), if they were read.
    """
    text = (item.get("stderr_tail") or item.get("stdout_tail") or "").strip()
    lines = [line[:_MOST_OF_A_LINE] for line in text.splitlines()[-_LAST_LINES:]]
    return "the end of its log: " + " | ".join(lines) if lines else ""


def _method(channel: str) -> str:
    return "supervisor.readProcess%sLog" % channel.capitalize()


def _undecodable(client: Client, name: str, channel: str, size: int) -> str | None:
    # Most often the first byte is inside a character: begin a little earlier.
    for answer in client.multicall(
        [(_method(channel), name, -size - more, 0) for more in (1, 2, 3)]
    ):
        if not isinstance(answer, RpcFault):
            return answer
    return _piecewise(client, name, channel, size)


def _piecewise(client: Client, name: str, channel: str, size: int) -> str | None:
    """Read in small pieces, so that only the bytes that are not UTF-8 are lost; U+FFFD stands for
    each."""
    tail = client.multicall([("supervisor.tailProcess%sLog" % channel.capitalize(), name, 0, 0)])[0]
    if isinstance(tail, RpcFault):
        return None
    end = tail[1]
    return "".join(_read(client, name, channel, _pieces(max(0, end - size), end, _PIECE)))


def _read(client: Client, name: str, channel: str, pieces: list[tuple[int, int]]) -> list[str]:
    answers = client.multicall(
        [(_method(channel), name, offset, length) for offset, length in pieces]
    )
    bad = [
        piece
        for piece, answer in zip(pieces, answers)
        if isinstance(answer, RpcFault) and piece[1] > 1
    ]
    smaller = [byte for offset, length in bad for byte in _pieces(offset, offset + length, 1)]
    bytes_read = iter(_read(client, name, channel, smaller)) if smaller else iter(())
    texts = []
    for (_offset, length), answer in zip(pieces, answers):
        if not isinstance(answer, RpcFault):
            texts.append(answer)
        elif length == 1:
            texts.append("\ufffd")
        else:
            texts.append("".join(next(bytes_read) for _byte in range(length)))
    return texts


def _pieces(start: int, end: int, size: int) -> list[tuple[int, int]]:
    return [(offset, min(size, end - offset)) for offset in range(start, end, size)]


def report(
    client: Client,
    snapshot: Snapshot,
    infos: t.Sequence[t.Mapping[str, t.Any]],
    min_uptime: float = 0,
) -> list[status.Process]:
    """The modules' results for each program, with more calls of supervisord only if a program needs
    them."""
    config = snapshot.config if any(info["state"] == status.STOPPED for info in infos) else None
    return status.processes(infos, config, _main_log_for(client, infos), min_uptime)


def _main_log_for(client: Client, infos: t.Iterable[t.Mapping[str, t.Any]]) -> str:
    """The end of the main log, as much as contains the exits of these programs."""
    needed = {info["name"] for info in infos if status.exit_needs_log(info)}
    log = ""
    for size in _SEARCHES if needed else ():
        for more in range(4):  # the first byte may be inside a character
            answer = client.multicall([("supervisor.readLog", -size - more, 0)])[0]
            if not isinstance(answer, RpcFault):
                log = answer
                break
        if needed <= set(status.exits_in_log(log)):
            break
    return log
