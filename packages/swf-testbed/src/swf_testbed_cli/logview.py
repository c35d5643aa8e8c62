# SPDX-License-Identifier: GPL-3.0-or-later
"""The logs of several programs as one, in the order of their times, for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from swf_testbed_cli.logtail import Log

_SHOWN_FIRST = ("time", "level", "message")
_HIDDEN = ("logger",)


class MergedLog:
    """The lines of several logs."""

    def __init__(self, logs: Mapping[str, Log]) -> None:
        self._logs = logs
        self._width = max(map(len, logs), default=0)
        # per program: the begin of a line that is not complete, and the time of its last line
        self._begun = dict.fromkeys(logs, "")
        self._times = dict.fromkeys(logs, "")

    def tail(self, lines: int, *, follow: bool) -> list[str]:
        """The last `lines` lines of all logs together.

        `follow`: the rest of a line that is not complete comes with `more`.
        """
        texts = {name: log.tail(lines) for name, log in self._logs.items()}
        if not follow:
            texts = {name: text and text.removesuffix("\n") + "\n" for name, text in texts.items()}
        found = self._merged(texts)
        return found[-lines:] if lines else []

    def more(self) -> list[str]:
        """The lines since the last call."""
        return self._merged({name: log.more() for name, log in self._logs.items()})

    def _merged(self, texts: Mapping[str, str]) -> list[str]:
        found = [
            (self._time(name, line), f"{name:{self._width}}  {readable(line)}")
            for name, text in texts.items()
            for line in self._complete(name, text)
        ]
        # stable: lines of the same program stay in their order
        return [line for _time, line in sorted(found, key=lambda pair: pair[0])]

    def _complete(self, name: str, text: str) -> Iterator[str]:
        *lines, self._begun[name] = (self._begun[name] + text).split("\n")
        yield from lines

    def _time(self, name: str, line: str) -> str:
        """The time of a line. One without a time, as of a traceback, belongs to the line before."""
        time = str((_fields(line) or {}).get("time", ""))
        self._times[name] = max(time, self._times[name])
        return self._times[name]


def readable(line: str) -> str:
    """A JSON line as time, level, message and the other fields; other lines as they are. No line can
    control the terminal."""
    fields = _fields(line)
    if fields is None:
        return _printable(line)
    time, level, message = (str(fields.get(name, "")) for name in _SHOWN_FIRST)
    others = [
        f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in fields.items()
        if name not in (*_SHOWN_FIRST, *_HIDDEN)
    ]
    parts = [time.partition("T")[2][:8] or time, f"{level:7}", message, *others]
    return _printable(" ".join(part for part in parts if part))


def _fields(line: str) -> dict[str, Any] | None:
    """The fields of a JSON line with a message."""
    if not line.startswith("{"):
        return None
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) and "message" in fields else None


def _printable(text: str) -> str:
    return "".join(
        character if character.isprintable() or character == "\t" else repr(character)[1:-1]
        for character in text
    )
