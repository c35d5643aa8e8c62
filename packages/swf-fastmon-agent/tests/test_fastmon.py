# SPDX-License-Identifier: GPL-3.0-or-later
"""Sampling, and the agent with the real broker and the real monitor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from swf_common_lib.messages import FASTMON_QUEUE, MONITOR_QUEUE
from swf_common_lib.monitor import MonitorClient
from swf_common_lib.settings import MonitorSettings
from swf_common_lib.shutdown import Shutdown
from swf_common_lib.stf import StfName
from swf_common_lib.testing import BrokerProgram, Inbox, MonitorProgram, Program, wait_until

from swf_fastmon_agent.sampling import SampleError, TimeFrame, sample


@pytest.mark.parametrize(
    ("size", "count", "expected"),
    [
        (65536, 2, [TimeFrame(0, 0, 4096), TimeFrame(8, 32768, 4096)]),
        (10000, 5, [TimeFrame(0, 0, 4096), TimeFrame(1, 4096, 4096), TimeFrame(2, 8192, 1808)]),
        (1, 2, [TimeFrame(0, 0, 1)]),
        (0, 2, []),
    ],
)
def test_frames_are_spread_over_the_file(
    size: int, count: int, expected: list[TimeFrame], tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(size))
    assert sample(path, size, count) == expected


def test_a_file_that_is_too_short_or_gone_cannot_be_sampled(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(5000))
    with pytest.raises(SampleError, match="time frame 1 has 904 bytes, expected 4096"):
        sample(path, 8192, 2)
    with pytest.raises(SampleError, match="No such file"):
        sample(tmp_path / "gone", 8192, 2)


@pytest.fixture
def client(monitor: MonitorProgram) -> MonitorClient:
    return MonitorClient(MonitorSettings(monitor.url, monitor.token), Shutdown())


@pytest.fixture
def agent(tmp_path: Path, broker: BrokerProgram, monitor: MonitorProgram) -> Iterator[Program]:
    env = {**broker.env, **monitor.env, "SWF_DATA_DIR": str(tmp_path / "data")}
    monitor.mark_data(tmp_path / "data", env)
    program = Program(tmp_path / "agent.log", "swf-fastmon-agent", "--tf-per-stf", "3", env=env)
    yield program.start()
    assert program.stop() == 0


def announce(inbox: Inbox, client: MonitorClient, name: StfName, size: int) -> None:
    file = {
        "filename": str(name),
        "path": "/elsewhere",
        "size_bytes": size,
        "checksum": "sha256:" + "0" * 64,
        "sequence": name.sequence,
    }
    client.register_stf(run_id=name.run_id, **file)
    fields = {**file, "started_at": "", "ended_at": ""}
    inbox.publish(FASTMON_QUEUE, "stf_ready", name.run_id, **fields)


def test_files_are_sampled_or_failed(
    agent: Program,
    broker: BrokerProgram,
    client: MonitorClient,
    monitor: MonitorProgram,
    tmp_path: Path,
) -> None:
    run_id = client.create_run(broker.namespace)
    gone, good = StfName(run_id, 1), StfName(run_id, 2)
    good.path(tmp_path / "data").parent.mkdir(parents=True)
    good.path(tmp_path / "data").write_bytes(bytes(30000))
    with Inbox(broker.env, MONITOR_QUEUE) as inbox:
        announce(inbox, client, gone, 10)
        announce(inbox, client, good, 30000)
        announce(inbox, client, good, 30000)  # twice: the same frames
        wait_until(lambda: len(inbox.bodies) == 6)
        messages = inbox.of_type("tf_file_registered")
    assert {m["stf_filename"] for m in messages} == {str(good)}
    assert [(m["tf_filename"], m["offset"], m["size_bytes"]) for m in messages[:3]] == [
        (good.time_frame(index), index * 4096, 4096) for index in (0, 2, 5)
    ]
    (sampled,) = wait_until(lambda: client.stf_files(run_id=run_id, sampled="true"))
    assert sampled["filename"] == str(good)
    (failed,) = client.stf_files(run_id=run_id, status="failed")
    assert failed["filename"] == str(gone)
    assert "No such file" in failed["reason"]
    assert wait_until(lambda: monitor.get("/api/summary/")["tf"]) == 3
