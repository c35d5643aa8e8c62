# SPDX-License-Identifier: GPL-3.0-or-later
"""What an external broker does with messages: against the broker of the testbed, and against servers
that a script plays. test_doctor_artemis.py has real ones of others."""

from __future__ import annotations

import re
import time

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor import broker
from helpers.brokers import PASSWORD, USER, embedded, scripted
from helpers.used_services import findings, texts

NEEDS = {"anycast": ["/queue/x.work", "/queue/x.more"], "multicast": ["/topic/x"]}
ALL = {**NEEDS, "bare_names": True, "selectors": True}
CONNECTED = "CONNECTED\nversion:1.2\nserver:stand-in\nheart-beat:%s\n\n"


def item(needs=None, **more):
    given = {"protocol": "stomp", "user": USER, "password": PASSWORD, "needs": needs or {}}
    return {**given, "probe": "swf.probe.", "instance": "swf-testbed", **more}


@pytest.fixture(name="port", scope="module")
def a_broker():
    with embedded() as port:
        yield port


@pytest.mark.parametrize("needs", [{}, NEEDS, ALL, {**ALL, "routing_headers": True}])
def test_the_broker_of_the_testbed_does_all(port, needs):
    assert texts(port, **item(needs)) == []


def test_a_refused_login(port):
    (text,) = texts(port, **item(NEEDS, password="canary"))
    assert text.startswith("the broker refuses the login of the programs. Evidence: 127.0.0.1:")
    assert "login refused: wrong user or password" in text and "canary" not in text
    assert text.endswith("Fix: Correct swf_testbed_broker_user and swf_testbed_broker_password")


def test_other_hosts_check_the_login_alone(port):
    before = time.monotonic()
    assert texts(port, **item(NEEDS, probe="")) == []
    assert time.monotonic() - before < 0.5
    assert "refuses the login" in texts(port, **item(NEEDS, probe="", password="canary"))[0]


def scratch(part):
    ((address, _names),) = [
        pair for pair in broker.scratch_addresses(item(ALL)) if ".%s." % part in pair[0].name
    ]
    return address.name


def test_scratch_addresses_are_no_addresses_of_the_stack_and_always_the_same():
    found = [address.name for address, _names in broker.scratch_addresses(item(ALL))]
    assert all(
        re.match(r"(/queue/|/topic/|)swf\.probe\.\w+\.[\w-]+\.[\w-]+\.swf-testbed$", name)
        for name in found
    )
    assert [name.partition("probe.")[2].partition(".")[0] for name in found] == ["aq", "mt", "m"]
    assert found == [address.name for address, _names in broker.scratch_addresses(item(ALL))]
    # with prefixes, all of these are addresses of one space of names
    assert len({name.replace("/queue/", "").replace("/topic/", "") for name in found}) == 3


def test_names_that_no_program_uses_are_not_probed():
    needs = {"multicast": ["epictopic", "/topic/x"], "bare_names": False}
    found = list(broker.scratch_addresses(item(needs)))
    assert [names for _address, names in found] == [["/topic/x"]]


def test_a_queue_whose_messages_go_to_all_readers():
    with embedded(SWF_BROKER_MULTICAST=scratch("aq")) as port:
        (text,) = texts(port, **item(ALL))
    assert text.startswith("the broker does not handle messages as the stack requires. Evidence: ")
    assert "got 0 of 2 messages without a reader, and 6 and 6 of 6 messages" in text
    assert "each must have one reader (/queue/x.work, /queue/x.more)" in text
    # it is not Artemis
    assert text.endswith("Fix: Use another broker, for example that of the group broker")


def test_a_topic_whose_messages_go_to_one_reader():
    with embedded(SWF_BROKER_ANYCAST=scratch("mt")) as port:
        (text,) = texts(port, **item(ALL))
    assert "each must reach all readers (/topic/x)" in text


def test_nothing_of_a_check_stays_in_a_queue(port):
    # the next one would count it
    for _number in range(2):
        assert texts(port, **item(ALL)) == []


def test_a_broker_without_heart_beats():
    with scripted([CONNECTED % "0,0", "RECEIPT\nreceipt-id:r1\n\n"]) as port:
        found = texts(port, 1, **item(NEEDS))
    assert "it sends no heart-beats" in found[0]


def test_a_broker_that_only_promises_heart_beats():
    with scripted([CONNECTED % "1000,1000"]) as port:
        found = texts(port, 1, **item(NEEDS))
    assert "it sends no heart-beats" in found[0]


FORBIDDEN = [
    CONNECTED % "30000,30000",
    "ERROR\nmessage:User guest is not authorized to write to the queue\n\n",
]


def test_a_broker_that_forbids_the_check_is_not_verified():
    with scripted(FORBIDDEN) as port:
        (found,) = findings(port, **item(NEEDS))
        (accepted,) = findings(port, **item(NEEDS, accept_unverified=True))
    assert found["cause"].startswith("the broker is not verified")
    assert "not authorized to write to the queue" in found["evidence"]
    assert "swf_testbed_broker_probe_prefix" in found["fix"]
    assert "swf_testbed_accept_unverified_broker=true" in found["fix"]
    assert '<security-setting match="/queue/swf.probe.#">' in found["fix"]
    assert (found["severity"], accepted["severity"]) == ("fatal", "warning")


def test_a_broker_that_refuses_a_name_does_not_do_what_is_needed():
    error = "ERROR\nmessage:destination must begin with /queue/ or /topic/\n\n"
    with scripted([CONNECTED % "30000,30000", error]) as port:
        (text,) = texts(port, **item(NEEDS))
    assert text.startswith("the broker does not handle") and "must begin with /queue/" in text


def test_a_server_of_another_kind():
    with scripted(["HTTP/1.1 400 Bad Request\n\n"]) as port:
        (text,) = texts(port, **item(NEEDS))
    assert "the broker does not answer in STOMP" in text and "swf_testbed_broker_tls" in text


def test_a_server_that_does_not_answer_does_not_hang_the_check():
    began = time.monotonic()
    with scripted([]) as port:
        (text,) = texts(port, 1, **item(NEEDS))
    assert "no answer in 1 s" in text and time.monotonic() - began < 4
