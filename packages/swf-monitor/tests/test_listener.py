# SPDX-License-Identifier: GPL-3.0-or-later
"""`swf-monitor listen` with the testbed's broker: every message once, despite outages."""

import json
import signal
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import pytest
from conftest import PostgreSQL, Site, Testbed, free_port, need, wait_until
from swf_common_lib.broker import Broker
from swf_common_lib.settings import BrokerSettings
from swf_common_lib.shutdown import Shutdown

need(find_spec("swf_broker"), "the broker is not installed: pip install swf-broker")

QUEUE = "/queue/swf.testbed.monitor"


def message(number: int, **other: Any) -> str:
    return json.dumps(
        {
            "msg_type": "stf_gen",
            "message_id": str(uuid.uuid4()),
            "namespace": "testbed",
            "sender": "daqsim@host",
            "sent_at": "2026-01-02T03:04:05.678Z",
            "run_id": 1,
            "filename": f"swf.000001.{number:06d}.stf",
            **other,
        }
    )


@contextmanager
def sender(port: int) -> Iterator[Broker]:
    shutdown = Shutdown()
    broker = Broker(BrokerSettings(port=port), shutdown)
    broker.start()
    yield broker
    shutdown.request()
    broker.stop()


def send(port: int, bodies: Sequence[str]) -> None:
    with sender(port) as broker:
        broker.send([(QUEUE, body) for body in bodies])


def test_each_message_is_recorded_once(testbed: Testbed) -> None:
    bodies = [message(number) for number in range(200)]
    send(testbed.port, bodies + bodies[:50])
    # the queue is ordered: when this message has arrived, all have
    last = message(0, msg_type="end_run")
    send(testbed.port, [last])
    wait_until(
        lambda: testbed.api.get("/api/messages/?msg_type=end_run").json["count"], "the last message"
    )
    assert testbed.count() == 201
    # a repeated message is no error
    assert "refused" not in testbed.listener.output
    newest = testbed.api.get("/api/messages/?limit=1").json["results"][0]
    assert newest["body"] == json.loads(last)
    assert newest["sent_at"] == "2026-01-02T03:04:05.678000Z"
    ids = {
        row["message_id"] for row in testbed.api.get("/api/messages/?limit=1000").json["results"]
    }
    assert ids == {json.loads(body)["message_id"] for body in [*bodies, last]}


def test_an_invalid_message_is_refused_and_not_delivered_again(testbed: Testbed) -> None:
    bad = [
        "no json",
        "[]",
        "{}",
        message(0, message_id="1"),
        message(0, msg_type=""),
        message(0, run_id=2**70),
        message(0, sender="a\x00b"),
        message(0, value=1).replace('"value": 1', '"value": NaN'),
        message(0, value=1).replace('"value": 1', '"value": 1e999'),
        "[" * 100_000,
        message(1, deep=json.loads("[" * 101 + "]" * 101)),
    ]
    send(testbed.port, [*bad, message(1, msg_type="of_a_later_version")])
    testbed.wait_for(1)
    assert testbed.count() == 1
    wait_until(
        lambda: "11 messages refused" in testbed.health()["listener"]["detail"], "word of them"
    )
    assert testbed.health()["status"] == "error"
    assert testbed.health()["messages"]["set_aside"] == 11
    assert testbed.listener.stop() == 0
    testbed.site.start("listen")
    wait_until(lambda: testbed.health()["listener"]["ok"], "subscription")
    assert "message refused" not in testbed.site.programs[-1].output


def test_messages_of_others_are_set_aside_and_a_new_namespace_is_followed(
    testbed: Testbed,
) -> None:
    send(testbed.port, [message(1), message(2, namespace="other", sender="data@elsewhere")])
    rows = wait_until(lambda: testbed.rows("set-aside-messages/"), "a message that was set aside")
    assert (rows[0]["namespace"], rows[0]["sender"], rows[0]["sender_namespace"]) == (
        "testbed",
        "data@elsewhere",
        "other",
    )
    assert testbed.count() == 1
    last = testbed.health()["messages"]
    assert "1 set aside in the last hour; the last one is from data@elsewhere" in last["detail"]
    assert testbed.health()["status"] == "error"
    assert "set aside" in testbed.api.get("/").text
    # another testbed at this monitor is not to blame
    assert testbed.api.get("/api/health/?namespace=other").status == 200

    claim = {"name": "other", "owner": "you", "agent": "data@elsewhere"}
    testbed.api.post("/api/namespaces/claim/", claim)
    with sender(testbed.port) as broker:
        broker.send([("/queue/swf.other.monitor", message(2, namespace="other"))])
    testbed.wait_for(2)
    assert testbed.api.request("DELETE", "/api/namespaces/other/?owner=you").status == 204
    wait_until(
        lambda: "subscribed to 1 namespace and" in testbed.health()["listener"]["detail"],
        "end of the subscription",
        timeout=15,
    )


def test_killed_listener_loses_and_doubles_nothing(testbed: Testbed) -> None:
    bodies = [message(number) for number in range(1500)]
    with sender(testbed.port) as broker:
        broker.send([(QUEUE, body) for body in bodies])
        wait_until(lambda: testbed.count() > 50, "first messages")
        testbed.listener.kill()
        assert testbed.count() < len(bodies), "it was too quick for this test: send more"
        testbed.listen()
        testbed.wait_for(len(bodies))
    time.sleep(0.5)
    assert testbed.count() == len(bodies)


def test_broker_that_goes_and_comes(testbed: Testbed) -> None:
    send(testbed.port, [message(1)])
    testbed.wait_for(1)
    testbed.broker.kill()
    health = wait_until(
        lambda: (state := testbed.health())["status"] == "error" and state,
        "word of the broker's end",
    )
    assert health["database"]["ok"] is True
    assert health["listener"]["subscribed"] is False
    assert f"broker 127.0.0.1:{testbed.port}: " in health["listener"]["detail"]
    assert testbed.api.get("/api/health/").status == 503
    assert "The message listener is not working" in testbed.api.get("/").text
    testbed.broker = testbed.site.start_broker(testbed.port)
    testbed.wait_until_healthy()
    send(testbed.port, [message(2)])
    testbed.wait_for(2)
    assert testbed.listener.stop() == 0
    assert testbed.health()["listener"]["detail"] == "the listener was stopped"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
def test_stop_signals(site: Site, number: signal.Signals) -> None:
    site.environment["ACTIVEMQ_PORT"] = str(free_port())
    site.set_up()
    listener = site.start("listen")
    wait_until(lambda: listener.has_output("Connection refused"), "word of the broker")
    began = time.monotonic()
    assert listener.stop(number) == 0
    assert time.monotonic() - began < 5


def test_it_waits_for_a_database_that_is_set_up_and_for_a_broker(site: Site) -> None:
    port = free_port()
    site.environment["ACTIVEMQ_PORT"] = str(port)
    listener = site.start("listen")
    wait_until(lambda: listener.has_output("the database is not set up"), "word of the database")
    assert not (site.folder / "monitor").exists()
    site.set_up()
    wait_until(lambda: listener.has_output("Connection refused"), "word of the broker")
    time.sleep(2)
    assert listener.output.count("the database is not set up") == 1
    assert listener.output.count("Connection refused") == 2, "of the queue and of the topic"
    site.start_broker(port)
    _, api = site.serve()
    wait_until(lambda: api.get("/api/health/").status == 200, "health")
    assert listener.stop() == 0


def test_it_ends_also_while_it_waits_for_the_database(site: Site) -> None:
    listener = site.start("listen")
    wait_until(lambda: listener.has_output("the database is not set up"), "word of the database")
    assert listener.stop() == 0


def test_message_stays_in_the_broker_while_postgresql_is_unavailable(
    postgresql: PostgreSQL, postgresql_site: Site
) -> None:
    testbed = Testbed(postgresql_site)
    before = testbed.count()
    send(testbed.port, [message(1)])
    testbed.wait_for(before + 1)
    postgresql.stop()
    try:
        send(testbed.port, [message(number) for number in range(2, 12)])
        wait_until(lambda: testbed.listener.has_output('"database: '), "word of the database")
        # Not even a graceful shutdown may lose messages that are not stored.
        assert testbed.listener.stop() == 0
    finally:
        postgresql.start()
    wait_until(lambda: testbed.api.get("/api/summary/").status == 200, "database")
    assert testbed.count() == before + 1
    testbed.listen()
    testbed.wait_for(before + 11)
    time.sleep(0.5)
    assert testbed.count() == before + 11


def test_postgresql_refuses_messages_that_sqlite_stores(postgresql_site: Site) -> None:
    testbed = Testbed(postgresql_site)
    before = testbed.count()
    send(testbed.port, [message(0, other="a\x00b"), message(0, other="\ud800"), message(1)])
    testbed.wait_for(before + 1)
    assert testbed.listener.output.count("message refused by the database") == 2
    wait_until(lambda: testbed.health()["listener"]["ok"], "subscription")
    assert testbed.health()["messages"]["set_aside"] == 2


def test_wrong_password_is_reported(site: Site) -> None:
    port = free_port()
    site.environment["ACTIVEMQ_PORT"] = str(port)
    site.environment |= {"SWF_BROKER_USER": "swf", "SWF_BROKER_PASSWORD": "right"}
    site.start_broker(port)
    _, api = site.serve("--setup")
    site.start("listen", ACTIVEMQ_USER="swf", ACTIVEMQ_PASSWORD="canary")
    detail = wait_until(
        lambda: (
            "refused: " in (text := api.get("/api/health/").json["listener"]["detail"]) and text
        ),
        "word of the refusal",
    )
    assert "canary" not in detail + site.programs[-1].output
