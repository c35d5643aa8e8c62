# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings for the queues of the broker."""

from __future__ import annotations

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.queues import of_queues
from helpers.management_broker import management_broker


def test_dead_letters_and_queues_without_a_reader(tmp_path):
    with management_broker(tmp_path) as (state, broker):
        state.queue("read", "read", messages=5, readers=1)
        assert of_queues(broker) == []
        state.queue("DLQ", "DLQ", messages=2)
        state.queue("unread", "unread", messages=4)
        found = of_queues(broker)
    assert [(item["severity"], item["cause"]) for item in found] == [
        ("warning", "the broker has dead letters"),
        ("warning", "nobody reads the queue unread"),
    ]
    assert "2 messages expired" in found[0]["evidence"]
    assert "4 messages wait in it" in found[1]["evidence"]


def test_a_broker_that_does_not_answer_is_fatal(tmp_path):
    with management_broker(tmp_path) as (_state, broker):
        pass
    (problem,) = of_queues(broker)
    assert problem["severity"] == "fatal" and "Errno" in problem["evidence"]
