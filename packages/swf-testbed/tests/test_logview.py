# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of logs for people."""

from __future__ import annotations

import pytest

from swf_testbed_cli.logview import MergedLog, readable


class Text:
    """A log that is in memory."""

    def __init__(self, *parts: str) -> None:
        self._parts = list(parts)

    def tail(self, lines: int) -> str:
        return self.more() if lines else ""

    def more(self) -> str:
        return self._parts.pop(0) if self._parts else ""


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (
            '{"time": "2026-11-30T22:42:49.371+00:00", "level": "INFO", "logger": "a", "message": "m",'
            ' "file": "a b", "seconds": 0.5, "names": ["x"]}',
            '22:42:49 INFO    m file=a b seconds=0.5 names=["x"]',
        ),
        ('{"message": "m"}', "m"),
        ('{"time": "noon", "message": "m"}', "noon m"),
        ('{"other": 1}', '{"other": 1}'),
        ("{no JSON", "{no JSON"),
        ("[1]", "[1]"),
        ("", ""),
        ("a\tb \u00e9 \x1b[2J", "a\tb \u00e9 \\x1b[2J"),
        ('{"message": "\\u001b[2J\\n"}', "\\x1b[2J\\n"),
    ],
)
def test_a_line(line: str, shown: str) -> None:
    assert readable(line).split() == shown.split()


def at(second: int, message: str) -> str:
    return f'{{"time": "2026-01-01T00:00:0{second}", "message": "{message}"}}\n'


def test_lines_are_in_the_order_of_their_times_and_a_traceback_stays_together() -> None:
    merged = MergedLog(
        {
            "one": Text(at(1, "a") + "Traceback\n  line 1\n" + at(4, "d")),
            "another": Text(at(2, "b") + at(3, "c")),
        }
    )
    assert [line.split() for line in merged.tail(10, follow=False)] == [
        ["one", "00:00:01", "a"],
        ["one", "Traceback"],
        ["one", "line", "1"],
        ["another", "00:00:02", "b"],
        ["another", "00:00:03", "c"],
        ["one", "00:00:04", "d"],
    ]


def test_a_line_is_shown_when_it_is_complete() -> None:
    merged = MergedLog({"one": Text("a\nb", "c", "d\n")})
    assert merged.tail(5, follow=True) == ["one  a"]
    assert merged.more() == []
    assert merged.more() == ["one  bcd"]


def test_the_last_lines_of_all() -> None:
    logs = {name: Text("".join(at(n, name) for n in range(5))) for name in ("a", "b")}
    assert [line.split()[0] for line in MergedLog(logs).tail(3, follow=False)] == ["b", "a", "b"]
    assert MergedLog({"a": Text("x\n")}).tail(0, follow=False) == []
    assert MergedLog({}).tail(3, follow=False) == []
