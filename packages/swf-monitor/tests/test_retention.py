# SPDX-License-Identifier: GPL-3.0-or-later
"""What is forgotten, and above all what is not."""

import uuid
from datetime import datetime, timedelta, timezone

import pytest

pytestmark = pytest.mark.usefixtures("database")

NOW = datetime(2026, 1, 20, tzinfo=timezone.utc)
OLD = NOW - timedelta(days=8)
LIMIT = NOW - timedelta(days=7)


def test_old_messages_are_forgotten() -> None:
    from swf_monitor.models import Message
    from swf_monitor.retention import prune

    Message.objects.bulk_create(
        Message(message_id=uuid.uuid4(), msg_type="stf_gen", received_at=when, body={})
        for when in [OLD] * 1200 + [NOW] * 3
    )
    assert prune(LIMIT) == {"messages": 1200}
    assert Message.objects.count() == 3
    assert prune(LIMIT) == {}


def test_finished_files_are_forgotten_and_others_never(monkeypatch: pytest.MonkeyPatch) -> None:
    from swf_monitor import retention
    from swf_monitor.models import Run, StfFile, TfFile

    monkeypatch.setattr(retention, "STF_FILES_KEPT", 2)
    run = Run.objects.create(created_at=OLD)
    empty_run = Run.objects.create(created_at=OLD)
    new_run = Run.objects.create(created_at=NOW)

    def file(name: str, status: str, sampled: bool, when: datetime) -> None:
        StfFile.objects.create(
            filename=name, run=run, path="/x", size_bytes=1, checksum="sha256:0", sequence=1, status=status,
            sampled_at=when if sampled else None, updated_at=when,
        )  # fmt: skip

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
        "old-unsampled", "old-failed", "old-waiting", "new-finished", "old-finished-of-the-newest",
    }  # fmt: skip
    assert TfFile.objects.count() == 0
    assert set(Run.objects.values_list("pk", flat=True)) == {run.pk, new_run.pk}
    assert Run.objects.create().pk > new_run.pk > empty_run.pk


def test_run_numbers_are_not_given_again() -> None:
    from swf_monitor.models import Run

    last = Run.objects.create()
    number = last.pk
    last.delete()
    assert Run.objects.create().pk > number


def test_agents_that_are_gone_are_forgotten() -> None:
    from swf_monitor.models import SystemAgent
    from swf_monitor.retention import prune

    for name, when in (("gone", OLD), ("here", NOW)):
        SystemAgent.objects.create(instance_name=name, agent_type="data", status="OK", last_heartbeat=when)
    assert prune(LIMIT) == {"agents": 1}
    assert SystemAgent.objects.get().instance_name == "here"
