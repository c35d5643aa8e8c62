# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows that are deleted, and above all those that are not."""

import sqlite3
import subprocess
import sys
import time
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("database")

NOW = datetime(2026, 1, 20, tzinfo=timezone.utc)
OLD = NOW - timedelta(days=8)
LIMIT = NOW - timedelta(days=7)


def test_old_messages_are_deleted() -> None:
    from swf_monitor.models import Message
    from swf_monitor.retention import prune

    Message.objects.bulk_create(
        Message(message_id=uuid.uuid4(), msg_type="stf_gen", received_at=when, body={})
        for when in [OLD] * 1200 + [NOW] * 3
    )
    assert prune(LIMIT) == {"messages": 1200}
    assert Message.objects.count() == 3
    assert prune(LIMIT) == {}


def add_file(
    run: Any, name: str, status: str, sampled_at: datetime | None, updated_at: datetime
) -> None:
    from swf_monitor.models import StfFile

    StfFile.objects.create(
        filename=name,
        run=run,
        path="/x",
        size_bytes=1,
        checksum="sha256:0",
        sequence=1,
        status=status,
        sampled_at=sampled_at,
        updated_at=updated_at,
    )


def test_finished_files_are_deleted_and_others_never(monkeypatch: pytest.MonkeyPatch) -> None:
    from swf_monitor import retention
    from swf_monitor.models import Run, StfFile, TfFile

    monkeypatch.setattr(retention, "STF_FILES_RETAINED", 2)
    run = Run.objects.create(created_at=OLD)
    empty_run = Run.objects.create(created_at=OLD)
    new_run = Run.objects.create(created_at=NOW)

    def file(name: str, status: str, sampled: bool, when: datetime) -> None:
        add_file(run, name, status, when if sampled else None, when)

    file("old-finished", "processed", True, OLD)
    file("old-finished-2", "processed", True, OLD)
    file("old-unsampled", "processed", False, OLD)
    file("old-failed", "failed", True, OLD)
    file("old-waiting", "registered", True, OLD)
    file("new-finished", "processed", True, NOW)
    file("old-finished-of-the-newest", "processed", True, OLD)
    TfFile.objects.create(
        filename="tf", stf_file=StfFile.objects.get(filename="old-finished"), size_bytes=1, offset=0
    )
    assert retention.prune(LIMIT) == {"stf_files": 2, "runs": 1}
    left = set(StfFile.objects.values_list("filename", flat=True))
    assert left == {
        "old-unsampled",
        "old-failed",
        "old-waiting",
        "new-finished",
        "old-finished-of-the-newest",
    }
    assert TfFile.objects.count() == 0
    assert set(Run.objects.values_list("pk", flat=True)) == {run.pk, new_run.pk}
    assert Run.objects.create().pk > new_run.pk > empty_run.pk


def fill_messages(count: int, body: object = None) -> None:
    from swf_monitor.models import Message

    Message.objects.bulk_create(
        [
            Message(message_id=uuid.uuid4(), msg_type="stf_gen", body=body or {})
            for _ in range(count)
        ],
        batch_size=1000,
    )


def test_no_more_messages_than_the_limit_are_retained() -> None:
    from django.utils import timezone

    from swf_monitor.models import Message
    from swf_monitor.retention import prune

    fill_messages(1300)
    retained = list(Message.objects.order_by("-pk").values_list("pk", flat=True)[:100])
    # the clock was set back in between: the last messages have the earliest time
    Message.objects.filter(pk__in=retained).update(received_at=timezone.now() - timedelta(days=1))
    assert prune(LIMIT, max_messages=100) == {"messages": 1200}
    assert list(Message.objects.order_by("-pk").values_list("pk", flat=True)) == retained
    assert prune(LIMIT, max_messages=100) == {}


def test_no_more_files_than_the_limit_are_retained(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit applies to failed files, too, but never to pending ones, which would not be
    processed any more."""
    from swf_monitor import retention
    from swf_monitor.models import Run, StfFile, TfFile

    monkeypatch.setattr(retention, "STF_FILES_RETAINED", 2)
    run = Run.objects.create(created_at=NOW)
    for number in range(5):
        for status in ("processed", "failed", "registered", "processing"):
            sampled_at = NOW if status == "processed" else None
            add_file(run, f"{status}-{number}", status, sampled_at, NOW)
    for stf in StfFile.objects.filter(status="processed"):
        TfFile.objects.create(filename=stf.filename, stf_file=stf, size_bytes=1, offset=0)
    assert retention.prune(LIMIT, max_stf_files=3) == {"stf_files": 4}
    left = sorted(StfFile.objects.values_list("filename", flat=True))
    assert [name for name in left if name.startswith("proces")] == [
        "processed-2",
        "processed-3",
        "processed-4",
        *(f"processing-{number}" for number in range(5)),
    ]
    assert [name for name in left if name[0] in "fr"] == [
        "failed-2",
        "failed-3",
        "failed-4",
        *(f"registered-{number}" for number in range(5)),
    ]
    assert TfFile.objects.count() == 3
    # a limit below what may still be on the disk does not count
    assert retention.prune(LIMIT, max_stf_files=1) == {"stf_files": 2}


WRITER = """
import sqlite3, sys, time, uuid
database = sqlite3.connect(sys.argv[1], timeout=20)
longest = count = 0
end = time.monotonic() + 4
while time.monotonic() < end:
    began = time.monotonic()
    with database:
        database.execute("BEGIN IMMEDIATE")
        database.execute(
            "INSERT INTO swf_monitor_message"
            " (message_id, msg_type, namespace, sender, filename, received_at, body)"
            " VALUES (?, 'x', '', '', '', '2999-01-01', '{}')", [uuid.uuid4().hex])
    longest, count = max(longest, time.monotonic() - began), count + 1
    time.sleep(0.01)
print(longest, count)
"""


def test_others_write_while_much_is_deleted(tmp_path: Path) -> None:
    """A real second process that stores rows the whole time; it never waits for long."""
    from django.db import connection

    from swf_monitor.models import Message
    from swf_monitor.retention import PAUSE_SECONDS, prune

    fill_messages(20_000)
    database = str(connection.settings_dict["NAME"])
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, database], stdout=subprocess.PIPE, text=True
    )
    time.sleep(0.5)
    pauses: list[float] = []

    def pause() -> bool:
        pauses.append(PAUSE_SECONDS)
        time.sleep(PAUSE_SECONDS)
        return False

    assert prune(LIMIT, max_messages=1000, pause=pause)["messages"] >= 19_000
    assert len(pauses) >= 38
    longest, count = writer.communicate(timeout=60)[0].split()
    assert float(longest) < 1.5, longest
    assert int(count) > 20
    assert Message.objects.filter(msg_type="x").count() <= int(count)


def test_the_file_gets_smaller_and_is_used_again() -> None:
    from django.conf import settings
    from django.db import connection

    from swf_monitor.database import release_space
    from swf_monitor.retention import prune

    def megabytes() -> float:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return settings.SQLITE_FILE.stat().st_size / 1e6

    def fill_and_prune() -> float:
        fill_messages(10_000, {"text": "x" * 2000})
        largest = megabytes()
        prune(LIMIT, max_messages=1000)
        return largest

    before = megabytes()
    largest = fill_and_prune()
    assert largest > 20
    assert megabytes() > 20, "to delete alone gives nothing back"
    steps: list[int] = []
    assert release_space(lambda: bool(steps.append(1))) > 4000
    assert len(steps) > 4, "one long step would block the others"
    assert megabytes() < before + 8
    assert release_space(lambda: False) == 0
    # without it, the space is used again
    assert fill_and_prune() < largest + 5
    assert fill_and_prune() < largest + 5


def test_a_file_that_was_made_without_it_is_left_as_it_is(tmp_path: Path) -> None:
    from django.db import connection

    from swf_monitor.database import release_space

    with connection.cursor() as cursor:
        assert cursor.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        assert cursor.execute("PRAGMA journal_size_limit").fetchone() == (64 * 1024 * 1024,)
    other = tmp_path / "old.sqlite3"
    sqlite3.connect(other).execute("CREATE TABLE old (x)")
    connection.close()
    name, connection.settings_dict["NAME"] = connection.settings_dict["NAME"], other
    try:
        assert release_space(lambda: False) == 0
    finally:
        connection.close()
        connection.settings_dict["NAME"] = name


def test_limits_of_the_environment() -> None:
    from swf_common_lib.settings import ConfigurationError, Environment

    from swf_monitor.retention import Limits

    assert Limits.from_environment(Environment({})) == Limits(7.0, 2_000_000, 400_000)
    given = {
        "SWF_MONITOR_KEEP_DAYS": "0.5",
        "SWF_MONITOR_MAX_MESSAGES": "5000",
        "SWF_MONITOR_MAX_STF_FILES": "1000",
    }
    assert Limits.from_environment(Environment(given)) == Limits(0.5, 5000, 1000)
    with pytest.raises(ConfigurationError, match="SWF_MONITOR_MAX_STF_FILES must be at least 1000"):
        Limits.from_environment(Environment({"SWF_MONITOR_MAX_STF_FILES": "10"}))


def test_run_numbers_are_not_reused() -> None:
    from swf_monitor.models import Run

    last = Run.objects.create()
    number = last.pk
    last.delete()
    assert Run.objects.create().pk > number


def test_agents_without_a_heartbeat_are_deleted() -> None:
    from swf_monitor.models import SystemAgent
    from swf_monitor.retention import prune

    for name, when in (("gone", OLD), ("here", NOW)):
        SystemAgent.objects.create(
            instance_name=name, agent_type="data", status="OK", last_heartbeat=when
        )
    assert prune(LIMIT) == {"agents": 1}
    assert SystemAgent.objects.get().instance_name == "here"
