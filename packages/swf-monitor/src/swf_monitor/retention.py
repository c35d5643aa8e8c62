# SPDX-License-Identifier: GPL-3.0-or-later
"""What is forgotten when it is old or too much, so that the database stays of one size."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from swf_common_lib.settings import Environment

from swf_monitor.models import Message, Run, StfFile, StfStatus, SystemAgent

# Rows that are deleted in one transaction: few enough that other writers do not have to wait.
BATCH = 500
# Between two transactions (s): SQLite's lock has no queue, and others would rarely get it
# otherwise.
PAUSE_SECONDS = 0.05
# The newest finished STF files are kept however old they are: their files may still be on the disk,
# and a simulator that finds a file there which the monitor does not know would announce it as a new
# one.
STF_FILES_KEPT = 1000


@dataclass(frozen=True)
class Limits:
    """What may stay: by age in days, and by number of rows."""

    days: float
    messages: int
    stf_files: int

    @classmethod
    def from_environment(cls, env: Environment) -> "Limits":
        """The limits that are set.

        Raises:
            ConfigurationError: one is not a number, or too small.
        """
        return cls(
            days=env.seconds("SWF_MONITOR_KEEP_DAYS", 7.0),
            messages=env.integer("SWF_MONITOR_MAX_MESSAGES", 2_000_000, minimum=1000),
            stf_files=env.integer("SWF_MONITOR_MAX_STF_FILES", 400_000, minimum=STF_FILES_KEPT),
        )

    @property
    def before(self) -> datetime:
        """What is older goes."""
        return timezone.now() - timedelta(days=self.days)


def prune(
    before: datetime,
    max_messages: int | None = None,
    max_stf_files: int | None = None,
    pause: Callable[[], bool] = lambda: False,
) -> dict[str, int]:
    """Delete what was finished before `before`, and the oldest of what is too much; tell how much
    of each.

    Never deleted: STF files that wait to be processed or sampled. Those that failed are what a
    person has to look at, and go only when there are more than `max_stf_files` of them.

    Args:
        pause: Called between two transactions, so that others can write; ends it by returning true.

    Raises:
        django.db.DatabaseError: the database does not answer. What was deleted until then stays
        deleted.
    """
    finished = StfFile.objects.filter(status=StfStatus.PROCESSED, sampled_at__isnull=False)
    failed = StfFile.objects.filter(status=StfStatus.FAILED)
    oldest_kept = _nth_newest(finished, STF_FILES_KEPT)
    deleted = {"messages": 0, "stf_files": 0}
    if max_messages is not None:
        # By the key: its order is that of arrival, also where the clock was set.
        deleted["messages"] += _delete_beyond(Message.objects.all(), max_messages, pause)
    deleted["messages"] += _delete(
        Message.objects.filter(received_at__lt=before), pause, "received_at"
    )
    if max_stf_files is not None:
        for files in (finished, failed):
            deleted["stf_files"] += _delete_beyond(files, max(max_stf_files, STF_FILES_KEPT), pause)
    if oldest_kept:
        old = finished.filter(updated_at__lt=before, id__lt=oldest_kept)
        deleted["stf_files"] += _delete(old, pause)
    deleted["runs"] = _delete(
        Run.objects.filter(created_at__lt=before, stf_files__isnull=True), pause
    )
    deleted["agents"] = _delete(SystemAgent.objects.filter(last_heartbeat__lt=before), pause)
    return {name: count for name, count in deleted.items() if count}


def _nth_newest(rows: QuerySet[Any], number: int) -> int | None:
    """The key of the last of the newest `number` rows; None if there are fewer."""
    key: int | None = rows.order_by("-pk").values_list("pk", flat=True)[number - 1 : number].first()
    return key


def _delete_beyond(rows: QuerySet[Any], number: int, pause: Callable[[], bool]) -> int:
    """Delete all but the newest `number` rows."""
    oldest_kept = _nth_newest(rows, number)
    return _delete(rows.filter(pk__lt=oldest_kept), pause) if oldest_kept else 0


def _delete(rows: QuerySet[Any], pause: Callable[[], bool], oldest_first: str = "pk") -> int:
    """Delete `rows` in batches; tells how many there were (not counting what hangs on them)."""
    total = 0
    while True:
        keys = list(rows.order_by(oldest_first).values_list("pk", flat=True)[:BATCH])
        if not keys:
            return total
        # Filtered again: a row that was touched since it was looked up is not old any more.
        rows.filter(pk__in=keys).delete()
        total += len(keys)
        if pause():
            return total
