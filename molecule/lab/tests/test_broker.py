# SPDX-License-Identifier: GPL-3.0-or-later
"""Artemis itself: routing and limits of the declared addresses, changes of a routing type, what status
and doctor read of it, and an upgrade with waiting messages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

PLAY = str(Path(__file__).with_name("broker.yml"))
# the agents of this scenario do not use these
WAITING = "/queue/test.waiting"
FORMER = {
    "swf_testbed_broker_version": "2.40.0",
    "swf_testbed_broker_maven_group": "org.apache.activemq",
    "swf_testbed_broker_archive_checksum": "sha512:"
    "270a00dc3028fb3b93c6aa09aa3e40fbe76015029e5308e0aac241589299a72d"
    "ac9bb50a10e7e86ad66185e2d8bc7224626810df12f1ee05694322054ad32700",
}


def test_declared_addresses_have_their_routing_whatever_the_prefix(at_broker):
    """As group_vars/lab/this_checkout.yml declares them."""
    found = at_broker("""
results = {}
for name, destinations in {
    "queue": ["epicqueue", "/queue/epicqueue"],
    "topic": ["test.topic", "/topic/test.topic"],
    "divert": ["/queue/test.slices", "/topic/test.copies"],
}.items():
    readers = subscribed(*destinations)
    send(destinations[0], *map(str, range(10)))
    results[name] = [sorted(received(reader)) for reader in readers]
try:
    subscribed("/topic/epicqueue")
    results["refused"] = ""
except StompError as error:
    results["refused"] = str(error)
print(json.dumps(results))
""")
    everything = sorted(map(str, range(10)))
    assert sorted(found["queue"][0] + found["queue"][1]) == everything and all(found["queue"])
    assert found["topic"] == [everything, everything]
    assert found["divert"] == [everything, everything]
    assert found["refused"]


def test_a_wrong_password_and_the_management_address_are_refused(at_broker):
    found = at_broker("""
def refusal(action):
    try:
        action()
        return ""
    except StompError as error:
        return str(error)
def wrong():
    login("wrong")
def manage():
    login().confirmed("SEND", {"destination": "activemq.management",
                               "_AMQ_ResourceName": "broker", "_AMQ_OperationName": "getVersion"}, "[]")
print(json.dumps([refusal(wrong), refusal(manage)]))
""")
    assert all(found) and "password is invalid" in found[0]


def test_a_routing_type_does_not_change_while_messages_wait(lab, at_broker):
    at_broker('send("%s", "1", "2", "3"); print(1)' % WAITING)
    try:
        change = json.dumps(
            {"swf_testbed_broker_addresses": [{"name": "test.waiting", "routing": "multicast"}]}
        )
        refused = lab.play(PLAY, "-e", change)
        assert refused.returncode != 0, refused.stdout
        output = " ".join(refused.stdout.split())
        assert "the routing type of the address test.waiting cannot become multicast" in output
        assert "3 messages wait in it, and 0 readers" in output, output
        status = lab.play("playbooks/status.yml")
        assert re.search("test.waiting: 3 messages, 0 readers", status.stdout), status.stdout
        assert re.search(
            "^%s +swf-broker +broker +RUNNING" % lab.services, status.stdout, re.MULTILINE
        ), status.stdout
        # as a warning
        doctor = lab.play("playbooks/doctor.yml")
        assert "nobody reads the queue test.waiting" in doctor.stdout, doctor.stdout
    finally:
        assert at_broker('print(json.dumps(received(*subscribed("%s"))))' % WAITING) == [
            "1",
            "2",
            "3",
        ]


@pytest.mark.nightly
def test_a_full_address_does_what_its_policy_says(at_broker):
    """Each is limited to 1 MB, and gets 6 MB: a text has two bytes per character in the broker. Messages
    of more than 100 KiB would count for little, because their bodies are on disk."""
    found = at_broker("""
body, count, results = "x" * 20000, 150, {}
for policy in ("page", "drop", "fail"):
    destination = "/queue/test." + policy
    client = login()
    try:
        for number in range(count):
            client.confirmed("SEND", {"destination": destination, "persistent": "true"}, body)
        refused = ""
    except StompError as error:
        refused = str(error)
    results[policy] = [refused, len(received(*subscribed(destination), seconds=5))]
print(json.dumps(results))
""")
    assert found["page"] == ["", 150]
    refused, waiting = found["drop"]
    assert refused == "" and 10 <= waiting < 75, found
    refused, waiting = found["fail"]
    assert "Error sending message" in refused and 10 <= waiting < 75, found


@pytest.mark.nightly
def test_a_message_that_no_reader_confirms_becomes_a_dead_letter(at_broker, lab):
    """After the declared number of attempts; without a declaration, there is no limit."""
    found = at_broker("""
results = {}
for name in ("test.attempts", "test.retried"):
    destination = "/queue/" + name
    send(destination, name)
    seen = 0
    for attempt in range(5):
        client = login()
        client.confirmed("SUBSCRIBE", {"id": "1", "destination": destination, "ack": "client-individual"})
        seen += len(client.messages(2))
        client.stream.close()
    results[name] = seen
received(*subscribed("/queue/test.retried"))
print(json.dumps(results))
""")
    assert found == {"test.attempts": 3, "test.retried": 5}
    doctor = lab.play("playbooks/doctor.yml")
    assert "dead letter" in doctor.stdout, doctor.stdout
    assert at_broker('print(json.dumps(received(*subscribed("/queue/DLQ"))))') == ["test.attempts"]


@pytest.mark.nightly
def test_messages_that_wait_survive_an_upgrade_of_the_broker(lab, at_broker, goes_on):
    """From 2.40.0, in a state directory of its own: a newer journal is for newer versions alone."""
    host, state = lab.host(lab.services), "/var/lib/private/swf-broker"
    host.check_output("systemctl stop swf-broker.service; mv %s %s.test" % (state, state))
    try:
        former = lab.play(PLAY, "-e", json.dumps(FORMER))
        assert former.returncode == 0, former.stdout
        bodies = [str(number) for number in range(500)]
        at_broker('send("%s", *map(str, range(500))); print(1)' % WAITING)
        upgraded = lab.play(PLAY)
        assert upgraded.returncode == 0, upgraded.stdout
        versions = host.check_output("ls /opt/swf-broker").split()
        assert len(versions) == 2 and "artemis-2.40.0-270a00dc" in versions
        read = 'print(json.dumps(received(*subscribed("%s"), seconds=20)))' % WAITING
        assert at_broker(read) == bodies
    finally:
        host.check_output(
            "systemctl stop swf-broker.service; rm -rf %s; mv %s.test %s; systemctl start "
            "swf-broker.service" % (state, state, state)
        )
    goes_on()


@pytest.mark.nightly
def test_a_client_without_heart_beats_stays_connected(at_broker):
    """The default of Artemis ends such a connection after 60 s."""
    assert at_broker("""
import time
reader = subscribed("/queue/test.idle")[0]
time.sleep(80)
send("/queue/test.idle", "late")
print(json.dumps(received(reader)))
""") == ["late"]
