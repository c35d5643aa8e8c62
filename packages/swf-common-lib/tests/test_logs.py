# SPDX-License-Identifier: GPL-3.0-or-later
"""Log lines are JSON and show no secret."""

from __future__ import annotations

import json
import logging

from swf_common_lib.logs import JsonFormatter

SECRET = 'top"secret\\word'


def format_record(message: str, *args: object, **more: object) -> str:
    record = logging.makeLogRecord(
        {"name": "swf", "msg": message, "args": args, "levelname": "INFO", **more}
    )
    return JsonFormatter((SECRET, "", "top")).format(record)


def test_a_record_is_one_json_object() -> None:
    line = format_record("file %s\nmade", "é", file="a.stf", size=3)
    assert "\n" not in line
    entry = json.loads(line)
    assert entry.pop("time").endswith("+00:00")
    assert entry == {
        "level": "INFO",
        "logger": "swf",
        "message": "file é\nmade",
        "file": "a.stf",
        "size": 3,
    }


def test_an_exception_comes_with_its_traceback() -> None:
    try:
        raise RuntimeError("bad")
    except RuntimeError as error:
        entry = json.loads(
            format_record("failed", exc_info=(RuntimeError, error, error.__traceback__))
        )
    assert "RuntimeError: bad" in entry["traceback"]


def test_a_secret_is_hidden_wherever_it_is() -> None:
    try:
        raise RuntimeError(SECRET)
    except RuntimeError as error:
        line = format_record(
            f"a {SECRET}", where=[SECRET], exc_info=(RuntimeError, error, error.__traceback__)
        )
    assert json.loads(line)["message"] == "a ********"
    assert "\\word" not in line
