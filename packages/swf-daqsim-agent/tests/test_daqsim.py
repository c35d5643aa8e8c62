# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulator as a process, with the real broker and the real monitor."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from swf_common_lib.messages import DATA_QUEUE
from swf_common_lib.monitor import MonitorClient
from swf_common_lib.settings import MonitorSettings
from swf_common_lib.shutdown import Shutdown
from swf_common_lib.stf import StfName
from swf_common_lib.testing import (
    BrokerProgram,
    Inbox,
    MonitorProgram,
    Program,
    programs,
    wait_until,
)

from swf_daqsim_agent import files

Start = Callable[..., Program]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def daqsim(
    tmp_path: Path, data_dir: Path, broker: BrokerProgram, monitor: MonitorProgram
) -> Iterator[Start]:
    """Starts the simulator, fast and with small files by default."""
    small = {"SWF_STF_INTERVAL": "0.05", "SWF_STF_SIZE": "5000", "SWF_RUN_PAUSE": "0.1"}
    env = {**broker.env, **monitor.env, "SWF_DATA_DIR": str(data_dir), **small}
    with programs(tmp_path, "swf-daqsim-agent", env=env) as start:
        yield start


@pytest.fixture
def inbox(broker: BrokerProgram) -> Iterator[Inbox]:
    with Inbox(broker.env, DATA_QUEUE) as inbox:
        yield inbox


def test_runs_with_their_files_and_messages(daqsim: Start, inbox: Inbox, data_dir: Path) -> None:
    program = daqsim("--run-count", "2", "--stf-per-run", "3")
    assert program.wait(30) == 0
    wait_until(lambda: len(inbox.bodies) == 12)
    one_run = ["run_imminent", "start_run", "stf_gen", "stf_gen", "stf_gen", "end_run"]
    assert [m.msg_type for m in inbox.messages] == one_run * 2
    first, last = inbox.messages[0].run_id, inbox.messages[-1].run_id
    assert {m.run_id for m in inbox.messages} == {first, last}
    assert last > first
    assert [m["total_files"] for m in inbox.of_type("end_run")] == [3, 3]
    for message in inbox.of_type("stf_gen"):
        content = StfName.parse(message["filename"]).path(data_dir).read_bytes()
        assert len(content) == message["size_bytes"] == 5000
        assert message["checksum"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
        assert str(data_dir) in message["path"]
    assert sorted(p.name for p in data_dir.glob("*/*")) == sorted(
        m["filename"] for m in inbox.of_type("stf_gen")
    ), "nothing else is left behind"


def test_it_waits_while_the_directory_is_full_and_drops_nothing(
    daqsim: Start, inbox: Inbox, data_dir: Path
) -> None:
    program = daqsim("--run-count", "1", "--stf-per-run", "4", "--max-files", "2")
    wait_until(lambda: "waiting: 2 STF files" in program.output)
    time.sleep(1.5)
    assert [m["sequence"] for m in inbox.of_type("stf_gen")] == [1, 2]
    for path in data_dir.glob("*/*.stf"):
        path.unlink()
    assert program.wait(20) == 0
    wait_until(lambda: len(inbox.of_type("end_run")) == 1)
    assert [m["sequence"] for m in inbox.of_type("stf_gen")] == [1, 2, 3, 4]


def test_a_run_that_is_stopped_has_an_end(daqsim: Start, inbox: Inbox, data_dir: Path) -> None:
    program = daqsim("--stf-per-run", "1000")
    wait_until(lambda: len(inbox.of_type("stf_gen")) >= 2)
    assert program.stop() == 0
    wait_until(lambda: len(inbox.of_type("end_run")) == 1)
    made = len(inbox.of_type("stf_gen"))
    assert inbox.messages[-1]["total_files"] == made == len(list(data_dir.glob("*/*.stf")))


def test_a_run_that_was_killed_gets_its_end_later(
    daqsim: Start, inbox: Inbox, data_dir: Path
) -> None:
    program = daqsim("--stf-per-run", "1000")
    wait_until(lambda: len(inbox.of_type("stf_gen")) >= 2)
    program.kill()
    run_id = inbox.messages[0].run_id
    (data_dir / f"run-{run_id:06d}" / f".{StfName(run_id, 500)}.tmp").touch()
    daqsim("--run-count", "1", "--stf-per-run", "1").wait(20)
    wait_until(lambda: len(inbox.of_type("end_run")) == 2)
    ended = inbox.of_type("end_run")[0]
    assert ended.run_id == run_id
    assert ended["total_files"] == len(list(data_dir.glob(f"run-{run_id:06d}/*.stf")))
    assert list(data_dir.glob("*/.*")) == []


def test_a_run_whose_end_got_lost_has_an_end(
    daqsim: Start, inbox: Inbox, monitor: MonitorProgram
) -> None:
    """For example, in a queue of an earlier version."""
    client = MonitorClient(MonitorSettings(monitor.url, monitor.token), Shutdown())
    lost, other = client.create_run(inbox.namespace.name), client.create_run("other")
    daqsim("--run-count", "1", "--stf-per-run", "1").wait(20)
    wait_until(lambda: len(inbox.of_type("end_run")) == 2)
    first = inbox.messages[0]
    assert (first.msg_type, first.run_id, first["total_files"]) == ("end_run", lost, 0)
    assert other not in {message.run_id for message in inbox.messages}


def test_a_directory_of_another_namespace_is_not_used(
    daqsim: Start, data_dir: Path, monitor: MonitorProgram
) -> None:
    monitor.mark_data(data_dir, {"SWF_NAMESPACE": "other"})
    program = daqsim()
    assert program.wait() == 2
    assert "The data directory belongs to another namespace. Evidence: " in program.output
    assert list(data_dir.glob("run-*")) == []


# A negative age: it was written before the clock was set back.
@pytest.mark.parametrize("age", [3600, -3600])
def test_an_unregistered_file_is_announced_again(
    daqsim: Start, inbox: Inbox, data_dir: Path, age: int
) -> None:
    old, young = StfName(900001, 1), StfName(900001, 2)
    digest = files.write_stf(data_dir, old, 5000)
    files.write_stf(data_dir, young, 5000)
    written = time.time() - age
    os.utime(old.path(data_dir), (written, written))
    daqsim("--stf-per-run", "1000", "--stf-interval", "60")
    (message,) = wait_until(lambda: [m for m in inbox.of_type("stf_gen") if m.run_id == 900001])
    assert (message["filename"], message["checksum"]) == (str(old), digest)
    assert (message["size_bytes"], message["sequence"]) == (5000, 1)
    time.sleep(1)
    assert sum(m.run_id == 900001 for m in inbox.of_type("stf_gen")) == 1


def test_files_of_a_former_database_are_not_overwritten(
    daqsim: Start, inbox: Inbox, data_dir: Path, monitor: MonitorProgram
) -> None:
    newest = monitor.get("/api/runs/?limit=1")["results"]
    run_id = newest[0]["run_id"] + 1 if newest else 1
    digest = files.write_stf(data_dir, StfName(run_id, 1), 100)
    assert daqsim("--run-count", "1", "--stf-per-run", "1").wait(20) == 0
    wait_until(lambda: len(inbox.of_type("end_run")) == 1)
    assert inbox.messages[0].run_id == run_id + 1
    content = StfName(run_id, 1).path(data_dir).read_bytes()
    assert digest == f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_a_disk_that_cannot_be_written_is_waited_for(
    daqsim: Start, inbox: Inbox, data_dir: Path
) -> None:
    program = daqsim("--stf-per-run", "1000", "--stf-interval", "0.5")
    message = wait_until(lambda: inbox.of_type("stf_gen"))[0]
    directory = data_dir / f"run-{message.run_id:06d}"
    directory.rename(data_dir / "away")
    directory.touch()  # a file where the directory should be
    wait_until(lambda: "trying again until it answers" in program.output)
    directory.unlink()
    (data_dir / "away").rename(directory)
    before = len(inbox.of_type("stf_gen"))
    wait_until(lambda: len(inbox.of_type("stf_gen")) > before + 1)
    numbers = [m["sequence"] for m in inbox.of_type("stf_gen")]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize(
    ("variable", "value"),
    [("SWF_STF_SIZE", "0"), ("SWF_STF_INTERVAL", "-1"), ("SWF_MAX_FILES", "x")],
)
def test_a_wrong_setting_is_one_line(daqsim: Start, variable: str, value: str) -> None:
    program = daqsim(**{variable: value})
    assert program.wait() == 2
    assert program.output.startswith(f"swf-daqsim-agent: {variable} must be ")
    assert program.output.count("\n") == 1
