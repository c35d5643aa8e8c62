# SPDX-License-Identifier: GPL-3.0-or-later
"""The base agent as a process, with the real broker and the real monitor."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swf_common_lib.messages import MONITOR_QUEUE, PROCESSING_QUEUE, Message
from swf_common_lib.testing import (
    BrokerProgram,
    Inbox,
    MonitorProgram,
    Program,
    free_port,
    programs,
    wait_until,
)

CANARY = "c0ffee" * 6 + "abcd"
PASSWORD = "canary-password 31415926"

StartAgent = Callable[..., Program]


@pytest.fixture
def agent(tmp_path: Path, broker: BrokerProgram, monitor: MonitorProgram) -> Iterator[StartAgent]:
    """Starts the probe agent."""
    own = {"SWF_AGENT_NAME": "probe", "SWF_HEARTBEAT_INTERVAL": "0.3"}
    script = str(Path(__file__).with_name("probe_agent.py"))
    with programs(tmp_path, "python", script, env={**broker.env, **monitor.env, **own}) as start:
        yield start


@pytest.fixture
def inbox(broker: BrokerProgram) -> Iterator[Inbox]:
    with Inbox(broker.env, MONITOR_QUEUE) as inbox:
        yield inbox


def ready(inbox: Inbox, filename: str, **other: Any) -> str:
    fields = {
        "filename": filename,
        "path": "/x",
        "size_bytes": 1,
        "checksum": "sha256:",
        "sequence": 1,
        "started_at": "",
        "ended_at": "",
    }
    envelope = {"sender": "test", "namespace": inbox.namespace.name, **other}
    return Message("stf_ready", run_id=1, fields=fields, **envelope).to_json()


def completed(inbox: Inbox) -> list[str]:
    return [message["filename"] for message in inbox.of_type("processing_complete")]


def me(monitor: MonitorProgram, name: str = "probe") -> dict[str, Any]:
    rows = monitor.get("/api/systemagents/")["results"]
    return next((row for row in rows if row["instance_name"] == name), {})


def test_bad_messages_are_logged_and_the_next_one_is_handled(
    agent: StartAgent, inbox: Inbox
) -> None:
    program = agent()
    for body in (
        "not json",
        "{}",
        ready(inbox, "fault"),
        ready(inbox, "unknown"),
        ready(inbox, "good"),
    ):
        inbox.send(PROCESSING_QUEUE, body)
    wait_until(lambda: completed(inbox) == ["good"])
    messages = [entry["message"] for entry in program.logs]
    assert sum("malformed message" in message for message in messages) == 2
    assert any("cannot handle a message" in message for message in messages)
    assert any("refused: the monitor returned 404" in message for message in messages)
    assert program.stop() == 0


def test_the_same_message_has_one_effect(agent: StartAgent, inbox: Inbox) -> None:
    agent()
    twice = ready(inbox, "twice")
    for body in (twice, twice, ready(inbox, "last")):
        inbox.send(PROCESSING_QUEUE, body)
    wait_until(lambda: "last" in completed(inbox))
    assert completed(inbox) == ["twice", "last"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
def test_a_signal_lets_the_item_be_finished(
    number: signal.Signals, agent: StartAgent, inbox: Inbox
) -> None:
    program = agent()
    inbox.send(PROCESSING_QUEUE, ready(inbox, "sleep1"))
    inbox.send(PROCESSING_QUEUE, ready(inbox, "next"))
    wait_until(lambda: "begin sleep1" in program.output)
    program.signal(number)
    began = time.monotonic()
    assert program.wait() == 0
    assert time.monotonic() - began < 5
    wait_until(lambda: completed(inbox) == ["sleep1"])
    agent()
    wait_until(lambda: len(completed(inbox)) > 1)
    assert completed(inbox) == ["sleep1", "next"], (
        "the finished item must not come again, the next one must"
    )


def test_an_item_that_takes_too_long_is_delivered_again(agent: StartAgent, inbox: Inbox) -> None:
    program = agent()
    inbox.send(PROCESSING_QUEUE, ready(inbox, "sleep20"))
    wait_until(lambda: "begin sleep20" in program.output)
    began = time.monotonic()
    program.signal(signal.SIGTERM)
    assert program.wait() == 0
    assert time.monotonic() - began < 5
    assert program.logs[-1] == {
        **program.logs[-1],
        "message": "stopped",
        "finished_current_item": False,
    }
    again = agent()
    wait_until(lambda: "begin sleep20" in again.output)
    again.kill()


def test_the_heartbeat_warns_while_the_broker_is_unavailable(
    agent: StartAgent, monitor: MonitorProgram, broker: BrokerProgram
) -> None:
    agent()
    wait_until(lambda: me(monitor).get("status") == "OK")
    broker.stop()
    wait_until(lambda: me(monitor)["status"] == "WARNING")
    assert me(monitor)["description"].startswith("broker: ")
    broker.start()
    wait_until(lambda: me(monitor)["status"] == "OK")
    assert me(monitor)["description"] == "Probes."


def test_an_agent_that_ends_in_good_order_is_not_missed(
    agent: StartAgent, monitor: MonitorProgram
) -> None:
    program = agent("--name", "polite")
    wait_until(lambda: me(monitor, "polite").get("status") == "OK")
    assert program.stop() == 0
    assert me(monitor, "polite") == {}
    agents = monitor.get("/api/summary/")["agents"]
    assert "polite" not in {agent["instance_name"] for agent in agents}


def test_an_agent_that_was_killed_or_failed_is_missed(
    agent: StartAgent, monitor: MonitorProgram
) -> None:
    program = agent("--name", "killed")
    wait_until(lambda: me(monitor, "killed").get("status") == "OK")
    program.kill()
    assert me(monitor, "killed")["status"] == "OK"
    failed = agent("--data-dir", "fatal", "--name", "fatal")
    assert failed.wait() == 2
    assert me(monitor, "fatal") != {}


def test_an_agent_ends_in_time_also_where_the_monitor_hangs(
    agent: StartAgent, monitor: MonitorProgram
) -> None:
    program = agent("--name", "hasty")
    wait_until(lambda: me(monitor, "hasty").get("status") == "OK")
    monitor.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert program.stop() == 0
        assert time.monotonic() - began < 5
    finally:
        monitor.signal(signal.SIGCONT)


def test_an_unavailable_monitor_stops_nothing(
    agent: StartAgent, monitor: MonitorProgram, inbox: Inbox
) -> None:
    program = agent()
    wait_until(lambda: me(monitor).get("status") == "OK")
    monitor.stop()
    inbox.send(PROCESSING_QUEUE, ready(inbox, "unknown"))
    inbox.send(PROCESSING_QUEUE, ready(inbox, "good"))
    wait_until(lambda: "trying again" in program.output)
    assert completed(inbox) == []
    monitor.start()
    wait_until(lambda: completed(inbox) == ["good"])
    assert program.running


def test_a_fault_in_the_work_does_not_end_the_agent(agent: StartAgent, inbox: Inbox) -> None:
    program = agent("--data-dir", "fault")
    wait_until(lambda: "unexpected error" in program.output)
    inbox.send(PROCESSING_QUEUE, ready(inbox, "good"))
    wait_until(lambda: completed(inbox) == ["good"])


def test_a_token_that_the_monitor_refuses_ends_the_agent_and_no_message_is_lost(
    agent: StartAgent, inbox: Inbox
) -> None:
    inbox.send(PROCESSING_QUEUE, ready(inbox, "good"))
    program = agent(SWF_API_TOKEN=CANARY)
    assert program.wait() == 2
    lines = [line for line in program.output.splitlines() if not line.startswith("{")]
    assert [line for line in lines if line.split()[0] not in ("begin", "end")] == [
        "probe: the monitor refused the token (401): check SWF_API_TOKEN"
    ]
    assert CANARY not in program.output


def test_work_that_cannot_be_done_ends_the_agent(agent: StartAgent) -> None:
    program = agent("--data-dir", "fatal")
    assert program.wait() == 2
    assert "probe: the port is taken" in program.output.splitlines()


def test_a_wrong_setting_is_one_line(agent: StartAgent) -> None:
    program = agent("--broker-port", "x")
    assert program.wait() == 2
    assert program.output == "swf-probe-agent: ACTIVEMQ_PORT must be a whole number, not 'x'\n"


def test_secrets_from_files_work_and_are_in_no_log(
    agent: StartAgent, tmp_path: Path, monitor: MonitorProgram
) -> None:
    """With a login at the broker, at DEBUG, and with all failures at first."""
    (tmp_path / "token").write_text(monitor.token + "\n")
    (tmp_path / "password").write_text(PASSWORD + "\n")
    port = free_port()
    program = agent(
        "--log-level",
        "DEBUG",
        "--broker-port",
        str(port),
        "--name",
        "secretive",
        ACTIVEMQ_USER="swf",
        ACTIVEMQ_PASSWORD_FILE=str(tmp_path / "password"),
        SWF_API_TOKEN="",
        SWF_API_TOKEN_FILE=str(tmp_path / "token"),
    )
    wait_until(lambda: me(monitor, "secretive").get("status") == "WARNING")
    server = Program(
        tmp_path / "login.log",
        "swf-broker",
        env={
            "SWF_BROKER_PORT": str(port),
            "SWF_BROKER_USER": "swf",
            "SWF_BROKER_PASSWORD": PASSWORD,
        },
    )
    server.start()
    try:
        wait_until(lambda: me(monitor, "secretive")["status"] == "OK")
    finally:
        program.stop()
        server.stop()
    assert program.logs
    assert monitor.token not in program.output
    assert PASSWORD not in program.output
    assert PASSWORD.split()[0] not in program.output


def test_a_message_of_another_namespace_is_no_work_and_is_counted(
    agent: StartAgent, inbox: Inbox, monitor: MonitorProgram
) -> None:
    agent()
    inbox.send(PROCESSING_QUEUE, ready(inbox, "good"))
    wait_until(lambda: completed(inbox) == ["good"])
    claimed = monitor.get("/api/namespaces/")["results"]
    (own_id,) = [row["namespace_id"] for row in claimed if row["name"] == inbox.namespace.name]
    for body in (
        ready(inbox, "foreign", namespace="other", sender="data@elsewhere"),
        # of a testbed with the same name of its namespace, at another monitor
        ready(inbox, "twin", namespace_id="0" * 32),
        ready(inbox, "own", namespace_id=own_id),
    ):
        inbox.send(PROCESSING_QUEUE, body)
    wait_until(lambda: completed(inbox) == ["good", "own"])
    health = monitor.get(f"/api/set-aside-messages/?namespace={inbox.namespace.name}")
    assert [
        (row["sender"], row["sender_namespace"], row["reason"]) for row in health["results"]
    ] == [
        ("test", inbox.namespace.name, "of another namespace"),
        ("data@elsewhere", "other", "of another namespace"),
    ]
    assert health["results"][0]["destination"].endswith(f"swf.{inbox.namespace.name}.processing")


def test_the_second_claimant_of_a_namespace_does_no_work(
    agent: StartAgent, inbox: Inbox, monitor: MonitorProgram
) -> None:
    first = agent(SWF_NAMESPACE_OWNER="swf-testbed@here:alice")
    wait_until(lambda: me(monitor).get("status") == "OK")
    second = agent("--name", "second", SWF_NAMESPACE_OWNER="swf-testbed@there:bob")
    assert second.wait() == 2
    (error,) = [line for line in second.output.splitlines() if line.startswith("second: ")]
    assert error.startswith(
        f"second: The namespace {inbox.namespace.name} belongs to another testbed. Evidence: its "
        "owner is swf-testbed@here:alice since "
    )
    assert " s ago by probe; this testbed is swf-testbed@there:bob. Fix: " in error
    assert me(monitor, "second") == {}
    inbox.send(PROCESSING_QUEUE, ready(inbox, "good"))
    wait_until(lambda: completed(inbox) == ["good"])

    # by name, and then the first one ends
    agent(
        "--name",
        "third",
        SWF_NAMESPACE_OWNER="swf-testbed@there:bob",
        SWF_NAMESPACE_TAKE_OVER="swf-testbed@here:alice",
    )
    wait_until(lambda: me(monitor, "third").get("status") == "OK")
    assert first.wait() == 2
    assert "owner is swf-testbed@there:bob" in first.output


def test_agents_of_two_instances_of_a_login_are_distinct(
    agent: StartAgent, monitor: MonitorProgram
) -> None:
    for instance in ("one", "two"):
        agent(SWF_AGENT_NAME="", SWF_INSTANCE=instance, SWF_NAMESPACE=f"distinct-{instance}")
    wait_until(
        lambda: (
            {
                name.partition("@")[2].partition(".")[0]
                for row in monitor.get("/api/summary/")["agents"]
                if (name := row["instance_name"]).startswith("probe@") and row["alive"]
            }
            == {"one", "two"}
        )
    )


def test_an_agent_without_the_data_of_the_others_refuses_to_work(
    agent: StartAgent, inbox: Inbox, monitor: MonitorProgram, tmp_path: Path
) -> None:
    waiting = agent("--data-dir", str(tmp_path / "data"), PROBE_USES_DATA="true")
    wait_until(lambda: me(monitor).get("status") == "WARNING")
    assert me(monitor)["description"].startswith("data directory: ")
    monitor.mark_data(tmp_path / "data", {"SWF_NAMESPACE": inbox.namespace.name})
    wait_until(lambda: me(monitor)["status"] == "OK")
    inbox.send(PROCESSING_QUEUE, ready(inbox, "good"))
    wait_until(lambda: completed(inbox) == ["good"])

    other = agent("--name", "other", "--data-dir", str(tmp_path / "mine"), PROBE_USES_DATA="true")
    assert other.wait() == 2
    assert (
        f"other: The data directory is not the one of the namespace {inbox.namespace.name}. "
        f"Evidence: {tmp_path}/mine/.swf-namespace: No such file or directory; the directory of "
        "the namespace is "
    ) in other.output

    # a file that it cannot read, because the directory is gone: another agent gets it
    (tmp_path / "data").rename(tmp_path / "gone")
    inbox.send(PROCESSING_QUEUE, ready(inbox, "read"))
    assert waiting.wait() == 2
    (tmp_path / "gone").rename(tmp_path / "data")
    (tmp_path / "data" / "read").touch()
    agent("--data-dir", str(tmp_path / "data"), PROBE_USES_DATA="true")
    wait_until(lambda: completed(inbox) == ["good", "read"])
