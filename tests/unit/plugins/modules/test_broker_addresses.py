# SPDX-License-Identifier: GPL-3.0-or-later
"""broker_addresses, with a server that answers as Artemis does. Scenario lab has Artemis itself."""

from __future__ import annotations

import pytest

from helpers.management_broker import management_broker
from helpers.run_module import run_module

SLICES, TOPIC = (
    {"name": "slices", "routing": "anycast"},
    {"name": "epictopic", "routing": "multicast"},
)


@pytest.fixture(name="made")
def running_broker(tmp_path):
    with management_broker(tmp_path) as found:
        yield found


def declare(broker, *addresses, check=False):
    return run_module(
        "broker_addresses", {"broker": broker, "addresses": list(addresses)}, check=check
    )


def test_missing_addresses_are_created_once(made):
    state, broker = made
    before = dict(state.addresses)
    predicted = declare(broker, SLICES, TOPIC, check=True)
    assert predicted["missing"] == ["slices", "epictopic"] and state.addresses == before
    done = declare(broker, SLICES, TOPIC)
    assert done["changed"] and done["missing"] == predicted["missing"]
    assert (state.addresses["slices"], state.addresses["epictopic"]) == ({"ANYCAST"}, {"MULTICAST"})
    assert state.queues["slices"]["routingType"] == "ANYCAST" and "epictopic" not in state.queues
    again = declare(broker, SLICES, TOPIC)
    assert not again["changed"] and again["missing"] == []


@pytest.mark.parametrize("waiting, readers", [(3, 0), (0, 2)])
def test_a_routing_type_in_use_does_not_change_and_nothing_else_does(made, waiting, readers):
    state, broker = made
    state.queue("slices", "slices", messages=waiting, readers=readers)
    state.queue("other", "other", messages=5)
    for check in (True, False):
        answer = declare(broker, TOPIC, dict(SLICES, routing="multicast"), check=check)
        assert answer["failed"]
        assert (
            "%d messages wait in it, and %d readers are connected" % (waiting, readers)
            in (answer["msg"])
        )
        assert "Fix: stop the senders" in answer["msg"]
    assert "epictopic" not in state.addresses
    assert {call[0] for call in state.calls} == {"listAddresses", "listQueues"}


def test_an_empty_address_changes_and_others_keep_their_messages(made):
    state, broker = made
    state.queue("slices", "slices")
    state.queue("other", "other", messages=5)
    assert declare(broker, dict(SLICES, routing="multicast"))["changed"]
    assert state.addresses["slices"] == {"MULTICAST"} and "slices" not in state.queues
    assert declare(broker, SLICES)["changed"]
    assert state.addresses["slices"] == {"ANYCAST"} and "slices" in state.queues
    assert state.queues["other"]["messageCount"] == "5"


def test_both_types_of_which_one_is_not_used(made):
    """A sender without a prefix has added the other type."""
    state, broker = made
    state.queue("slices", "slices", messages=2)
    state.addresses["slices"].add("MULTICAST")
    assert declare(broker, SLICES)["changed"]
    assert state.addresses["slices"] == {"ANYCAST"}
    assert state.queues["slices"]["messageCount"] == "2"


def test_without_a_broker(tmp_path):
    with management_broker(tmp_path) as (_state, broker):
        pass
    predicted = declare(broker, SLICES, check=True)
    assert predicted["changed"] and predicted["missing"] == ["slices"]
    assert "did not declare the addresses" in declare(broker, SLICES)["msg"]


def test_a_broker_that_refuses_the_login_does_not_stop_a_run_that_restarts_it(made, tmp_path):
    (tmp_path / "management").write_text("former")
    assert declare(made[1], SLICES, check=True)["missing"] == ["slices"]
    assert "Security Error" in declare(made[1], SLICES)["msg"]
