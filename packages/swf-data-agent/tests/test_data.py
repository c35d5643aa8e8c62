# SPDX-License-Identifier: GPL-3.0-or-later
"""The data agent with the real broker and the real monitor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from swf_common_lib.messages import DATA_QUEUE, FASTMON_QUEUE, PROCESSING_QUEUE
from swf_common_lib.monitor import MonitorClient
from swf_common_lib.settings import Environment, MonitorSettings
from swf_common_lib.shutdown import Shutdown
from swf_common_lib.stf import StfName, stf_files
from swf_common_lib.testing import BrokerProgram, Inbox, MonitorProgram, Program, wait_until

from swf_data_agent import agent as agent_module
from swf_data_agent.agent import DataAgent
from swf_data_agent.retention import Retention

CHECKSUM = "sha256:" + "0" * 64


@pytest.fixture
def client(monitor: MonitorProgram) -> MonitorClient:
    return MonitorClient(MonitorSettings(monitor.url, monitor.token), Shutdown())


@pytest.fixture
def run_id(client: MonitorClient, broker: BrokerProgram) -> int:
    return client.create_run(broker.namespace)


@pytest.fixture
def agent(tmp_path: Path, broker: BrokerProgram, monitor: MonitorProgram) -> Iterator[Program]:
    env = {**broker.env, **monitor.env, "SWF_DATA_DIR": str(tmp_path / "data")}
    program = Program(tmp_path / "agent.log", "swf-data-agent", env=env)
    yield program.start()
    assert program.stop() == 0


def announce(inbox: Inbox, name: StfName) -> None:
    inbox.publish(
        DATA_QUEUE,
        "stf_gen",
        name.run_id,
        filename=str(name),
        path=f"/data/{name}",
        size_bytes=10,
        checksum=CHECKSUM,
        sequence=name.sequence,
        started_at="2025-01-01T00:00:00+00:00",
        ended_at="2025-01-01T00:00:01+00:00",
    )


def register(client: MonitorClient, name: StfName, status: str = "", sampled: bool = False) -> None:
    client.register_stf(
        filename=str(name),
        run_id=name.run_id,
        path=f"/data/{name}",
        size_bytes=10,
        checksum=CHECKSUM,
        sequence=name.sequence,
    )
    if sampled:
        client.register_tf(
            filename=name.time_frame(0), stf_filename=str(name), size_bytes=1, offset=0
        )
    if status:
        client.update_stf(str(name), status=status, reason="because")


def test_a_file_is_registered_and_handed_on(
    agent: Program, broker: BrokerProgram, client: MonitorClient, run_id: int
) -> None:
    name = StfName(run_id, 1)
    with Inbox(broker.env, PROCESSING_QUEUE, FASTMON_QUEUE) as inbox:
        announce(inbox, name)
        wait_until(lambda: len(inbox.bodies) == 2)
        assert {m.message_id for m in inbox.messages} == {inbox.messages[0].message_id}
        ready = inbox.messages[0]
        assert ready.msg_type == "stf_ready"
        assert (ready["filename"], ready["checksum"], ready["ended_at"][:4]) == (
            str(name),
            CHECKSUM,
            "2025",
        )
        (row,) = client.stf_files(run_id=run_id)
        assert (row["status"], row["size_bytes"]) == ("registered", 10)

        announce(inbox, name)  # announced again
        wait_until(lambda: len(inbox.bodies) == 4)
        assert len(client.stf_files(run_id=run_id)) == 1

        client.update_stf(str(name), status="processed")
        announce(inbox, name)  # and again, when all is done
        announce(inbox, StfName(run_id, 2))
        wait_until(lambda: len(inbox.bodies) == 6)
        assert inbox.messages[-1]["sequence"] == inbox.messages[-2]["sequence"] == 2


def test_a_file_of_an_unknown_run_does_not_block_the_next(
    agent: Program,
    broker: BrokerProgram,
    monitor: MonitorProgram,
    client: MonitorClient,
    run_id: int,
) -> None:
    with Inbox(broker.env, PROCESSING_QUEUE) as inbox:
        announce(inbox, StfName(999999, 1))
        announce(inbox, StfName(run_id, 1))
        wait_until(lambda: [m.run_id for m in inbox.messages] == [run_id])
    assert "refused: the monitor returned" in agent.output
    row = monitor.get("/api/set-aside-messages/?limit=1")["results"][0]
    assert (row["namespace"], row["msg_type"]) == (broker.namespace, "stf_gen")
    assert "There is no run 999999." in row["reason"]
    health = client.health()["messages"]
    assert (health["ok"], health["last"]["sender"]) == (False, "test")


def test_the_course_of_a_run_is_recorded(
    agent: Program, broker: BrokerProgram, monitor: MonitorProgram, run_id: int
) -> None:
    with Inbox(broker.env) as outbox:
        for number, msg_type in enumerate(("run_imminent", "start_run", "end_run")):
            fields = {"total_files": 4} if number == 2 else {}
            outbox.publish(DATA_QUEUE, msg_type, run_id, **fields)
    run = wait_until(lambda: (r := monitor.get(f"/api/runs/{run_id}/"))["status"] == "ended" and r)
    assert run["total_files"] == 4
    assert run["started_at"] <= run["ended_at"]


def test_unfinished_files_are_handed_on_again_to_the_agent_that_lacks_them(
    broker: BrokerProgram,
    monitor: MonitorProgram,
    client: MonitorClient,
    run_id: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agent_module, "_RECONCILE_AGE", 0)
    names = [StfName(run_id, n) for n in range(1, 6)]
    # of another namespace at this monitor
    register(client, StfName(client.create_run("other"), 1))
    register(client, names[0])
    register(client, names[1], "processing", sampled=True)
    register(client, names[2], "processed")
    register(client, names[3], "processed", sampled=True)
    register(client, names[4], "failed")
    data_agent = DataAgent.from_environment(Environment({**broker.env, **monitor.env}))
    data_agent._broker.start()
    with (
        Inbox(broker.env, PROCESSING_QUEUE) as processing,
        Inbox(broker.env, FASTMON_QUEUE) as fastmon,
    ):

        def handed_on() -> list[list[str]]:
            return [
                sorted(m["filename"] for m in box.of_type("stf_ready"))
                for box in (processing, fastmon)
            ]

        data_agent._reconcile()
        wait_until(lambda: all(len(files) >= 2 for files in handed_on()))
        mine = handed_on()
    data_agent.shutdown.request()
    data_agent._broker.stop()
    assert mine == [[str(names[0]), str(names[1])], [str(names[0]), str(names[2])]]


def test_the_files_of_an_earlier_version_are_sent_to_the_queues_of_the_namespace(
    broker: BrokerProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That version had no namespaces at the monitor. Its messages stay in its queues."""
    monkeypatch.setattr(agent_module, "_RECONCILE_AGE", 0)
    monitor = MonitorProgram(tmp_path / "own")
    monitor.start()
    client = MonitorClient(MonitorSettings(monitor.url, monitor.token), Shutdown())
    name = StfName(client.create_run(), 1)
    register(client, name, "processing")
    env = {**broker.env, **monitor.env, "SWF_DATA_DIR": str(tmp_path / "data")}
    data_agent = DataAgent.from_environment(Environment(env))
    try:
        data_agent._claim_namespace()
        data_agent._find_data()
        data_agent._broker.start()
        with Inbox(env, PROCESSING_QUEUE) as inbox:
            data_agent._reconcile()
            wait_until(lambda: [m["filename"] for m in inbox.messages] == [str(name)])
    finally:
        data_agent.shutdown.request()
        data_agent._broker.stop()
        monitor.stop()


def test_only_finished_files_beyond_the_newest_are_removed(
    client: MonitorClient, run_id: int, tmp_path: Path
) -> None:
    later = client.create_run()
    finished = [StfName(run_id, 1), StfName(run_id, 2), StfName(run_id, 3), StfName(later, 1)]
    others = {
        StfName(run_id, 4): "failed",
        StfName(run_id, 5): "processed",
        StfName(run_id, 6): "processing",
    }
    unknown = StfName(run_id, 7)
    for name in (*finished, *others, unknown):
        name.path(tmp_path).parent.mkdir(exist_ok=True)
        name.path(tmp_path).touch()
    for name in finished:
        register(client, name, "processed", sampled=True)
    for name, status in others.items():
        register(client, name, status, sampled=status != "processed")
    assert Retention(client, tmp_path, retained=8).apply() == 0
    assert Retention(client, tmp_path, retained=2).apply() == 2
    assert set(stf_files(tmp_path)) == {*finished[2:], *others, unknown}


def test_the_directory_of_an_old_run_goes_with_its_last_file(
    client: MonitorClient, run_id: int, tmp_path: Path
) -> None:
    later = client.create_run()
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    for name in (StfName(run_id, 1), StfName(later, 1)):
        name.path(data_dir).parent.mkdir()
        name.path(data_dir).touch()
        register(client, name, "processed", sampled=True)
    retention = Retention(client, data_dir, retained=1)
    assert retention.apply() == 1
    assert [p.name for p in data_dir.iterdir()] == [f"run-{later:06d}"]
    assert Retention(client, data_dir, retained=0).apply() == 1
    assert [p.name for p in data_dir.iterdir()] == [f"run-{later:06d}"], "the newest run may go on"
