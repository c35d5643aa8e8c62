# SPDX-License-Identifier: GPL-3.0-or-later
"""Backoff, outages, repetitions, recent keys, names of STF files."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pytest

from swf_common_lib.recent import RecentKeys
from swf_common_lib.repeats import Repeats
from swf_common_lib.retry import Backoff, Outage
from swf_common_lib.shutdown import Shutdown, Stopping
from swf_common_lib.stf import StfName, checksum, stf_files


def test_delays_grow_to_the_longest_and_differ() -> None:
    backoffs = [Backoff(0.2, 10.0) for _ in range(50)]
    first = [b.delay() for b in backoffs]
    for _ in range(8):
        last = [b.delay() for b in backoffs]
    assert all(0.1 <= d <= 0.2 for d in first)
    assert all(5.0 <= d <= 10.0 for d in last)
    assert len(set(last)) > 1
    backoffs[0].reset()
    assert backoffs[0].delay() <= 0.2


def test_an_outage_is_logged_once_per_cause(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    outage = Outage(logging.getLogger("test"), "broker b")
    outage.over()
    for cause in ("refused", "refused", "refused", "timed out", "timed out"):
        outage.failed(cause)
    outage.over()
    outage.over()
    assert [r.levelname for r in caplog.records] == ["WARNING", "WARNING", "INFO"]
    assert "broker b: refused" in caplog.messages[0]


def test_repeats_come_after_doubling_pauses_and_end() -> None:
    now = [0.0]
    repeats = Repeats[str](pause=10, times=3, clock=lambda: now[0])
    given = []
    for now[0] in range(200):
        given += [now[0] for _ in repeats.due(["a"])]
    assert given == [0, 10, 30]
    assert repeats.due([]) == []
    assert repeats.due(["a"]) == ["a"], "a key that was unavailable counts as new"


def test_recent_keys_forget_the_oldest() -> None:
    keys = RecentKeys(size=2)
    for key in ("a", "b", "a", "c"):
        keys.add(key)
    assert [k in keys for k in "abc"] == [True, False, True]


def test_pause_ends_with_the_request_to_stop() -> None:
    shutdown = Shutdown(grace=60)
    shutdown.pause(0.01)
    assert shutdown.grace_left() == float("inf")
    shutdown.request()
    assert 50 < shutdown.grace_left() <= 60
    with pytest.raises(Stopping):
        shutdown.pause(60)


def test_stf_names(tmp_path: Path) -> None:
    name = StfName(12, 3)
    assert str(name) == "swf.000012.000003.stf"
    assert StfName.parse(str(name)) == name
    assert name.path(tmp_path) == tmp_path / "run-000012" / "swf.000012.000003.stf"
    assert StfName.parse("swf.1000000.000001.stf").run_id == 1000000
    for bad in (
        "../swf.000012.000003.stf",
        "swf.12.3.stf",
        ".swf.000012.000003.stf.tmp",
        "swf.000012.000003.stf\n",
    ):
        with pytest.raises(ValueError, match="not the name"):
            StfName.parse(bad)


def test_files_and_checksum(tmp_path: Path) -> None:
    path = StfName(1, 2).path(tmp_path)
    path.parent.mkdir()
    path.write_bytes(b"x" * 3_000_000)
    path.with_name(".swf.000001.000003.stf.tmp").touch()
    path.with_name("swf.1.stf").touch()
    assert list(stf_files(tmp_path)) == [StfName(1, 2)]
    expected = hashlib.sha256(b"x" * 3_000_000).hexdigest()
    assert checksum(path) == (f"sha256:{expected}", 3_000_000)
