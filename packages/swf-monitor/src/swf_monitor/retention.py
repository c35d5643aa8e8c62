# SPDX-License-Identifier: GPL-3.0-or-later
"""Deletion of old and surplus rows, so that the size of the database is bounded."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from swf_common_lib.settings import Environment

from swf_monitor.models import Message, Run, SetAsideMessage, StfFile, StfStatus, SystemAgent

# Rows to delete in one transaction: few enough that other writers do not have to wait.
BATCH = 500
# Pause between two transactions (s): SQLite's lock has no queue, so others would rarely get it.
PAUSE_SECONDS = 0.05
# The newest finished STF files stay at any age: their files may still be on the disk, and a
# simulator announces a file that the monitor does not have as a new one.
STF_FILES_RETAINED = 1000


@dataclass(frozen=True)
class Limits:
    """The retention limits: age in days, and numbers of rows."""

    days: float
    messages: int
    stf_files: int

    @classmethod
    def from_environment(cls, env: Environment) -> "Limits":
        """Read the limits.

        Raises:
            ConfigurationError: one is not a number, or too small.
        """
        return cls(
            days=env.seconds("SWF_MONITOR_KEEP_DAYS", 7.0),
            messages=env.integer("SWF_MONITOR_MAX_MESSAGES", 2_000_000, minimum=1000),
            stf_files=env.integer("SWF_MONITOR_MAX_STF_FILES", 400_000, minimum=STF_FILES_RETAINED),
        )

    @property
    def before(self) -> datetime:
        """Older rows are deleted."""
        return timezone.now() - timedelta(days=self.days)


def prune(
    before: datetime,
    max_messages: int | None = None,
    max_stf_files: int | None = None,
    pause: Callable[[], bool] = lambda: False,
) -> dict[str, int]:
    """Delete the rows that were finished before `before`, and the oldest surplus rows; return the
    numbers of deleted rows.

    STF files that wait to be processed or sampled are never deleted. Failed ones need a person's
    attention, so they are deleted only beyond `max_stf_files` of them.

    Args:
        pause: Called between two transactions, so that others can write; true ends the work.

    Raises:
        django.db.DatabaseError: the database does not answer. The rows deleted until then stay
        deleted.
    """
    finished = StfFile.objects.filter(status=StfStatus.PROCESSED, sampled_at__isnull=False)
    failed = StfFile.objects.filter(status=StfStatus.FAILED)
    oldest_retained = _nth_newest(finished, STF_FILES_RETAINED)
    deleted = {"messages": 0, "stf_files": 0}
    if max_messages is not None:
        # By the key: its order is that of arrival, even if the clock was changed.
        deleted["messages"] += _delete_beyond(Message.objects.all(), max_messages, pause)
    deleted["messages"] += _delete(
        Message.objects.filter(received_at__lt=before), pause, "received_at"
    )
    if max_stf_files is not None:
        for files in (finished, failed):
            deleted["stf_files"] += _delete_beyond(
                files, max(max_stf_files, STF_FILES_RETAINED), pause
            )
    if oldest_retained:
        old = finished.filter(updated_at__lt=before, id__lt=oldest_retained)
        deleted["stf_files"] += _delete(old, pause)
    deleted["runs"] = _delete(
        Run.objects.filter(created_at__lt=before, stf_files__isnull=True), pause
    )
    deleted["set_aside"] = _delete(SetAsideMessage.objects.filter(received_at__lt=before), pause)
    deleted["agents"] = _delete(SystemAgent.objects.filter(last_heartbeat__lt=before), pause)
    return {name: count for name, count in deleted.items() if count}


def _nth_newest(rows: QuerySet[Any], number: int) -> int | None:
    """The key of the last of the newest `number` rows; None if there are fewer."""
    key: int | None = rows.order_by("-pk").values_list("pk", flat=True)[number - 1 : number].first()
    return key


def _delete_beyond(rows: QuerySet[Any], number: int, pause: Callable[[], bool]) -> int:
    """Delete all but the newest `number` rows."""
    oldest_retained = _nth_newest(rows, number)
    return _delete(rows.filter(pk__lt=oldest_retained), pause) if oldest_retained else 0


def _delete(rows: QuerySet[Any], pause: Callable[[], bool], oldest_first: str = "pk") -> int:
    """Delete `rows` in batches; return their number, without that of dependent rows."""
    total = 0
    while True:
        keys = list(rows.order_by(oldest_first).values_list("pk", flat=True)[:BATCH])
        if not keys:
            return total
        # Filtered again: a row that was changed since the query is not old any more.
        rows.filter(pk__in=keys).delete()
        total += len(keys)
        if pause():
            return total
