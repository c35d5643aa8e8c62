# SPDX-License-Identifier: GPL-3.0-or-later
"""broker_info, with a server that answers as Artemis does. Scenario lab has Artemis itself."""

from __future__ import annotations

import pytest
import trustme

from helpers.management_broker import PASSWORD, management_broker
from helpers.run_module import run_module


@pytest.fixture(name="certificate")
def certificate_of_the_broker(tmp_path):
    issued = trustme.CA().issue_cert("127.0.0.1")
    paths = tmp_path / "tls.pem", tmp_path / "tls.key"
    issued.cert_chain_pems[0].write_to_path(paths[0])
    issued.private_key_pem.write_to_path(paths[1])
    return paths


def test_the_queues_of_all_pages(tmp_path):
    with management_broker(tmp_path) as (state, broker):
        for number in range(1500):
            state.queue("q%04d" % number, "q%04d" % number, messages=int(number == 7), readers=2)
        state.queue("DLQ", "DLQ", messages=3)
        state.queue("own", "activemq.notifications", messages=9)
        found = run_module("broker_info", {"broker": broker})
    assert (found["problem"], found["version"], found["dead_letters"]) == ("", "2.56.0", 3)
    assert len(found["queues"]) == 1501
    assert [item for item in found["queues"] if item["messages"]] == [
        {
            "name": "DLQ",
            "address": "DLQ",
            "routing": "anycast",
            "messages": 3,
            "delivering": 0,
            "readers": 0,
            "durable": True,
        },
        {
            "name": "q0007",
            "address": "q0007",
            "routing": "anycast",
            "messages": 1,
            "delivering": 0,
            "readers": 2,
            "durable": True,
        },
    ]
    assert not found["changed"] and PASSWORD not in str(found)


def test_over_tls_with_the_certificate_of_the_broker_alone(tmp_path, certificate):
    with management_broker(tmp_path, certificate) as (_state, broker):
        assert run_module("broker_info", {"broker": broker})["version"] == "2.56.0"
        other = tmp_path / "other.pem"
        trustme.CA().issue_cert("127.0.0.1").cert_chain_pems[0].write_to_path(other)
        refused = run_module("broker_info", {"broker": dict(broker, certificate=str(other))})
    assert "is not the one in" in refused["problem"] and refused["queues"] == []


def test_what_stands_in_the_way_is_a_result(tmp_path):
    with management_broker(tmp_path) as (state, broker):
        (tmp_path / "wrong").write_text("x")
        wrong = dict(broker, password_file=str(tmp_path / "wrong"))
        assert "Security Error" in run_module("broker_info", {"broker": wrong})["problem"]
        state.silent = True
        slow = run_module("broker_info", {"broker": dict(broker, timeout=1)})
        assert slow["problem"] == "no answer in 1 s"
    assert "Errno" in run_module("broker_info", {"broker": broker})["problem"]
    missing = dict(broker, password_file=str(tmp_path / "none"))
    assert "No such file" in run_module("broker_info", {"broker": missing})["problem"]
