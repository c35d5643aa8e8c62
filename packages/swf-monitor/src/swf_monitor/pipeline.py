# SPDX-License-Identifier: GPL-3.0-or-later
"""The way of a file through the pipeline, and the files that still have a step to go."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from swf_monitor import summary
from swf_monitor.models import Message, StfFile, StfStatus, TfFile

# A message of a file is stored within this time of a change of the file. Messages have no index of
# their files, so only those of these times are read.
NEAR = timedelta(hours=1)
MESSAGES_SHOWN = 200
FRAMES_SHOWN = 100
# A file without a change for this long (s) is a warning; the data agent has sent it again twice by
# then.
STUCK_SECONDS = 180
WAITING = (StfStatus.REGISTERED, StfStatus.PROCESSING)


@dataclass(frozen=True)
class Step:
    """One step of a file: its name, its time (None: it has not come yet), its program, its message."""

    name: str
    at: datetime | None
    by: str = ""
    message: Message | None = None
    note: str = ""


def frames_of(file: StfFile) -> list[TfFile]:
    """The first time frames that were sampled out of a file, in the order of their arrival."""
    return list(file.tf_files.order_by("id")[:FRAMES_SHOWN])


def messages_of(file: StfFile, frames: list[TfFile]) -> list[Message]:
    """The messages about a file and its time frames, the oldest first."""
    near = Q()
    for moment in (file.registered_at, file.updated_at, file.sampled_at):
        if moment:
            near |= Q(received_at__range=(moment - NEAR, moment + NEAR))
    names = [file.filename, *(frame.filename for frame in frames)]
    messages = Message.objects.filter(near, filename__in=names)
    if file.run.namespace:
        messages = messages.filter(namespace=file.run.namespace)
    return list(messages.order_by("received_at", "id")[:MESSAGES_SHOWN])


def steps_of(file: StfFile, messages: list[Message]) -> list[Step]:
    """The way of a file, from its announcement to its end."""

    def first(*types: str) -> Message | None:
        return next((message for message in messages if message.msg_type in types), None)

    def step(name: str, at: datetime | None, message: Message | None, note: str = "") -> Step:
        return Step(name, at, message.sender if message else "", message, note)

    announced, offered = first("stf_gen"), first("stf_ready")
    finished, sampled = first("processing_complete"), first("tf_file_registered")
    ended = file.status in (StfStatus.PROCESSED, StfStatus.FAILED)
    end = finished.received_at if finished else file.updated_at
    return [
        step("announced", announced.received_at if announced else None, announced),
        Step("registered", file.registered_at, offered.sender if offered else ""),
        step("offered", offered.received_at if offered else None, offered),
        step(
            file.status if ended else "processed",
            end if ended else None,
            finished,
            file.reason if ended else "being processed" if file.status == "processing" else "",
        ),
        step("sampled", file.sampled_at, sampled),
    ]


def stuck(now: datetime) -> QuerySet[StfFile]:
    """Files that wait for longer than they should, the oldest first."""
    return StfFile.objects.filter(
        status__in=WAITING, updated_at__lt=now - timedelta(seconds=STUCK_SECONDS)
    ).order_by("id")


def backlog() -> dict[str, Any]:
    """The body of GET /api/backlog/: the numbers of files that wait for each step, and the oldest one
    of them.

    Raises:
        django.db.DatabaseError: the database does not answer.
    """
    now = timezone.now()
    steps = {
        "to_be_processed": StfFile.objects.filter(status=StfStatus.REGISTERED),
        "being_processed": StfFile.objects.filter(status=StfStatus.PROCESSING),
        "to_be_sampled": StfFile.objects.filter(sampled_at__isnull=True),
    }
    return {
        "stuck": stuck(now).count(),
        "stuck_seconds": STUCK_SECONDS,
        **{name: _waiting(files, now) for name, files in steps.items()},
    }


def _waiting(files: QuerySet[StfFile], now: datetime) -> dict[str, Any]:
    oldest = files.order_by("id").first()
    return {
        "files": files.count(),
        "oldest": oldest.filename if oldest else None,
        "oldest_seconds": round(summary.age(oldest.registered_at, now), 1) if oldest else None,
    }
