# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages: encoding and parsing, and the refusal of malformed ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from swf_common_lib.messages import ROUTES, MalformedMessage, Message, parse

BODY: dict[str, Any] = {
    "msg_type": "end_run",
    "message_id": "b1",
    "namespace": "testbed",
    "sender": "daqsim@here",
    "sent_at": "2025-01-01T00:00:00+00:00",
    "run_id": 7,
    "total_files": 3,
}


def test_a_message_comes_back_as_it_was_sent() -> None:
    message = Message(
        "end_run", run_id=7, sender="daqsim@here", namespace="testbed", fields={"total_files": 3}
    )
    assert parse(message.to_json()) == message
    assert message["total_files"] == 3


def test_every_message_goes_to_the_monitor_and_no_queue_is_misspelt() -> None:
    for queues in ROUTES.values():
        assert "monitor" in queues
        assert set(queues) <= {"data", "processing", "fastmon", "monitor"}


def test_unknown_fields_are_retained() -> None:
    assert parse(json.dumps({**BODY, "new": 1}))["new"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        b"\xff",
        "[]",
        "null",
        "3",
        *(
            json.dumps({**BODY, **change})
            for change in (
                {"run_id": "7"},
                {"run_id": True},
                {"run_id": None},
                {"msg_type": "other"},
                {"msg_type": ["end_run"]},
                {"total_files": 1.5},
                {"sender": None},
            )
        ),
        json.dumps({k: v for k, v in BODY.items() if k != "total_files"}),
    ],
)
def test_a_malformed_body_is_refused(text: str | bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse(text)


def test_a_message_with_wrong_fields_is_not_sent() -> None:
    with pytest.raises(MalformedMessage, match="total_files"):
        Message("end_run", run_id=7, sender="x", namespace="testbed").to_json()
