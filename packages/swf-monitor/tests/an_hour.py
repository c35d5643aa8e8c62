# SPDX-License-Identifier: GPL-3.0-or-later
"""An hour of a testbed for the browser tests: a run that has ended and one that is running."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from swf_monitor.models import (
    ListenerState,
    Message,
    Run,
    SetAsideMessage,
    StfFile,
    SystemAgent,
    TfFile,
)

NOW = timezone.now()
# Nothing may become too old while the tests run.
LATER = NOW + timedelta(seconds=15)


def host(name: str) -> str:
    return f"farm{len(name) % 2}.example.org"


def agent(name: str) -> str:
    return f"{name}-agent@testbed.operator.{host(name)}"


def message(msg_type: str, at: datetime, sender: str, **fields: Any) -> Message:
    return Message(
        message_id=uuid.uuid4(),
        msg_type=msg_type,
        namespace="testbed",
        sent_at=at,
        received_at=at,
        sender=agent(sender),
        run_id=fields["run_id"],
        filename=fields.get("tf_filename", fields.get("filename", "")),
        body={"msg_type": msg_type, "namespace": "testbed", "sender": agent(sender), **fields},
    )


def file(run: Run, number: int, status: str) -> list[Message]:
    """One file, with its messages."""
    assert run.started_at
    at = run.started_at + timedelta(seconds=30 * number)
    done = at + timedelta(seconds=2.5 + number % 7)
    name = f"swf.{run.pk:06d}.{number:06d}.stf"
    ended = status != "registered"
    stf = StfFile.objects.create(
        filename=name,
        run=run,
        path=f"/data/testbed/{name}",
        size_bytes=65536 + number,
        checksum="sha256:" + "5" * 64,
        sequence=number,
        status=status,
        registered_at=at,
        updated_at=done if ended else LATER,
        reason="the checksum does not match" if status == "failed" else "",
        processing_seconds=0.75 if status == "processed" else None,
        sampled_at=done if ended else None,
    )
    of_file = {"run_id": run.pk, "filename": name}
    messages = [
        message("stf_gen", at - timedelta(seconds=0.4), "daqsim", **of_file),
        message("stf_ready", at + timedelta(seconds=0.2), "data", **of_file),
    ]
    if status == "processed":
        frame = {"run_id": run.pk, "stf_filename": name, "tf_filename": f"{name}.000.tf"}
        TfFile.objects.create(
            filename=frame["tf_filename"],
            stf_file=stf,
            size_bytes=4096,
            offset=0,
            registered_at=done,
        )
        messages += [
            message("processing_complete", done, "processing", **of_file, checksum_ok=True),
            message("tf_file_registered", done, "fastmon", **frame),
        ]
    return messages


def fill(silent: float) -> None:
    """Make the records, and print the ID of a message.

    Args:
        silent: Minutes since the last heartbeat of one of the agents; 0 for a testbed without a
            silent agent and without a failed file.
    """
    ListenerState.objects.create(
        pk=1, subscribed=True, detail="subscribed to 1 namespace", updated_at=LATER
    )
    for name in ("daqsim", "data", "processing", "fastmon"):
        heard = NOW - timedelta(minutes=silent) if name == "fastmon" and silent else LATER
        SystemAgent.objects.create(
            instance_name=agent(name),
            agent_type=name,
            status="OK",
            namespace="testbed",
            hostname=host(name),
            pid=4711,
            version="0.1.0",
            description=f"The {name} agent.",
            started_at=NOW - timedelta(hours=5),
            heartbeat_interval=120,
            last_heartbeat=heard,
        )
    messages = []
    for minutes, status, total in ((60, "ended", 60), (20, "running", None)):
        began = NOW - timedelta(minutes=minutes)
        run = Run.objects.create(
            namespace="testbed",
            status=status,
            created_at=began,
            started_at=began,
            ended_at=began + timedelta(minutes=30) if total else None,
            total_files=total,
        )
        for number in range(total or 40):
            bad, new = (silent and number == 37 and total), (number > 37 and not total)
            messages += file(run, number, "failed" if bad else "registered" if new else "processed")
    Message.objects.bulk_create(messages)
    SetAsideMessage.objects.create(
        namespace="testbed",
        receiver="data-agent@testbed",
        destination="/queue/swf.testbed.data",
        reason="of another namespace: other",
        msg_type="stf_gen",
        sender="daqsim-agent@other",
        sender_namespace="other",
        body="{}",
        received_at=NOW - timedelta(hours=2),
    )
    print(Message.objects.filter(msg_type="processing_complete")[0].message_id)
