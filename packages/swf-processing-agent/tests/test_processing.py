# SPDX-License-Identifier: GPL-3.0-or-later
"""The processing agent with the real broker and the real monitor."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from swf_common_lib.messages import MONITOR_QUEUE, PROCESSING_QUEUE
from swf_common_lib.monitor import MonitorClient
from swf_common_lib.settings import MonitorSettings
from swf_common_lib.shutdown import Shutdown
from swf_common_lib.stf import StfName
from swf_common_lib.testing import BrokerProgram, Inbox, MonitorProgram, Program, wait_until


class Bench:
    """Writes files, announces them, and returns their records."""

    def __init__(self, data_dir: Path, client: MonitorClient, inbox: Inbox) -> None:
        self.data_dir = data_dir
        self.client = client
        self.inbox = inbox
        self.run_id = client.create_run(inbox.namespace.name)
        self._sequence = 0

    def file(
        self, content: bytes = b"content", checksum: str = "", size: int | None = None
    ) -> StfName:
        """A registered file."""
        self._sequence += 1
        name = StfName(self.run_id, self._sequence)
        name.path(self.data_dir).parent.mkdir(parents=True, exist_ok=True)
        name.path(self.data_dir).write_bytes(content)
        self.fields = {
            "filename": str(name),
            "path": "/elsewhere",
            "sequence": name.sequence,
            "size_bytes": len(content) if size is None else size,
            "checksum": checksum or f"sha256:{hashlib.sha256(content).hexdigest()}",
        }
        self.client.register_stf(run_id=self.run_id, **self.fields)
        return name

    def announce(self) -> None:
        """stf_ready for the last file, with a new message id each time."""
        fields = {**self.fields, "started_at": "", "ended_at": ""}
        self.inbox.publish(PROCESSING_QUEUE, "stf_ready", self.run_id, **fields)

    def row(self, name: StfName) -> dict[str, Any]:
        rows = self.client.stf_files(run_id=self.run_id)
        return next(row for row in rows if row["filename"] == str(name))

    def end(self, name: StfName) -> dict[str, Any]:
        """The record of a file after its processing."""
        wait_until(lambda: self.row(name)["status"] in ("processed", "failed"))
        return self.row(name)


@pytest.fixture
def bench(tmp_path: Path, broker: BrokerProgram, monitor: MonitorProgram) -> Iterator[Bench]:
    client = MonitorClient(MonitorSettings(monitor.url, monitor.token), Shutdown())
    monitor.mark_data(tmp_path / "data", broker.env)
    with Inbox(broker.env, MONITOR_QUEUE) as inbox:
        yield Bench(tmp_path / "data", client, inbox)


@pytest.fixture
def start(
    tmp_path: Path, broker: BrokerProgram, monitor: MonitorProgram
) -> Iterator[Callable[[], Program]]:
    env = {**broker.env, **monitor.env, "SWF_DATA_DIR": str(tmp_path / "data")}
    program = Program(tmp_path / "agent.log", "swf-processing-agent", env=env)
    yield program.start
    program.stop()


def test_a_good_file_is_processed(bench: Bench, start: Callable[[], Program]) -> None:
    start()
    name = bench.file(os.urandom(3_000_000))
    bench.announce()
    row = bench.end(name)
    assert (row["status"], row["reason"]) == ("processed", "")
    assert row["processing_seconds"] > 0
    wait_until(lambda: len(bench.inbox.bodies) == 1)
    (message,) = bench.inbox.of_type("processing_complete")
    assert (message["filename"], message["checksum_ok"]) == (str(name), True)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"checksum": "sha256:" + "0" * 64}, "checksum is sha256:"),
        ({"size": 3}, "size is 7 bytes, expected 3"),
    ],
)
def test_a_wrong_file_fails(
    bench: Bench, start: Callable[[], Program], change: Any, reason: str
) -> None:
    start()
    name = bench.file(**change)
    bench.announce()
    row = bench.end(name)
    assert row["status"] == "failed"
    assert row["reason"].startswith(reason)
    wait_until(lambda: len(bench.inbox.bodies) == 1)
    assert bench.inbox.messages[0]["checksum_ok"] is False


def test_a_file_that_is_gone_fails_and_the_next_is_processed(
    bench: Bench, start: Callable[[], Program]
) -> None:
    start()
    gone = bench.file()
    gone.path(bench.data_dir).unlink()
    bench.announce()
    good = bench.file()
    bench.announce()
    assert bench.end(gone)["reason"].startswith("cannot read the file: No such file or directory: ")
    assert bench.end(good)["status"] == "processed"


def test_a_file_that_another_agent_can_read_is_not_marked_as_failed(
    bench: Bench, start: Callable[[], Program]
) -> None:
    program = start()
    name = bench.file()
    bench.announce()
    bench.end(name)
    unmounted = bench.data_dir.with_name("unmounted")
    bench.data_dir.rename(unmounted)  # like a file system that is not mounted any more
    bench.data_dir.mkdir()
    name = StfName(bench.run_id, 2)
    bench.client.register_stf(
        run_id=bench.run_id, **{**bench.fields, "filename": str(name), "sequence": 2}
    )
    bench.fields = {**bench.fields, "filename": str(name), "sequence": 2}
    bench.announce()
    assert program.wait() == 2
    assert "The data directory is not the one of the namespace" in program.output
    assert bench.row(name)["status"] == "processing"
    # where the data is, it is processed
    bench.data_dir.rmdir()
    unmounted.rename(bench.data_dir)
    name.path(bench.data_dir).write_bytes(b"content")
    start()
    assert bench.end(name)["status"] == "processed"


def test_a_file_that_is_announced_twice_is_processed_once(
    bench: Bench, start: Callable[[], Program]
) -> None:
    program = start()
    name = bench.file()
    bench.announce()
    bench.end(name)
    name.path(bench.data_dir).unlink()  # by now it may have been cleared away
    bench.announce()
    wait_until(lambda: "finished already" in program.output)
    assert bench.row(name)["status"] == "processed"
    assert len(bench.inbox.of_type("processing_complete")) == 1


def test_a_stop_in_the_middle_of_a_file_leaves_it_for_the_next_start(
    bench: Bench, start: Callable[[], Program]
) -> None:
    name = bench.file()
    path = name.path(bench.data_dir)
    path.unlink()
    os.mkfifo(path)  # reading goes on until we close it
    program = start()
    bench.announce()
    wait_until(lambda: bench.row(name)["status"] == "processing")
    writer = os.open(path, os.O_WRONLY)
    began = time.monotonic()
    program.signal(signal.SIGTERM)
    assert program.wait() == 0
    assert time.monotonic() - began < 5
    os.close(writer)
    assert bench.inbox.bodies == []
    path.unlink()
    path.write_bytes(b"content")
    program.start()
    assert bench.end(name)["status"] == "processed"
