# SPDX-License-Identifier: GPL-3.0-or-later
"""What is forgotten when it is old, so that the database stays of one size."""

from datetime import datetime

from django.db.models import QuerySet

from swf_monitor.models import Message, Run, StfFile, StfStatus, SystemAgent

# Rows that are deleted in one transaction: few enough that other writers do not have to wait.
BATCH = 500
# The newest finished STF files are kept however old they are: their files may still be on the disk, and a
# simulator that finds a file there which the monitor does not know would announce it as a new one.
STF_FILES_KEPT = 1000


def prune(before: datetime) -> dict[str, int]:
    """Delete what was finished before `before`, and tell how much of each.

    Never deleted: STF files that wait to be processed or sampled, and those that failed. They are what a
    person has to look at.

    Raises:
        django.db.DatabaseError: the database does not answer. What was deleted until then stays deleted.
    """
    finished = StfFile.objects.filter(status=StfStatus.PROCESSED, sampled_at__isnull=False)
    oldest_kept = (
        finished.order_by("-id").values_list("id", flat=True)[STF_FILES_KEPT - 1 : STF_FILES_KEPT].first()
    )
    deleted = {
        "messages": _delete(Message.objects.filter(received_at__lt=before), "received_at"),
        "stf_files": (
            _delete(finished.filter(updated_at__lt=before, id__lt=oldest_kept)) if oldest_kept else 0
        ),
        "runs": _delete(Run.objects.filter(created_at__lt=before, stf_files__isnull=True)),
        "agents": _delete(SystemAgent.objects.filter(last_heartbeat__lt=before)),
    }
    return {name: count for name, count in deleted.items() if count}


def _delete(rows: QuerySet, oldest_first: str = "pk") -> int:
    """Delete `rows` in batches; tells how many there were (not counting what hangs on them)."""
    total = 0
    while True:
        keys = list(rows.order_by(oldest_first).values_list("pk", flat=True)[:BATCH])
        if not keys:
            return total
        # Filtered again: a row that was touched since it was looked up is not old any more.
        rows.filter(pk__in=keys).delete()
        total += len(keys)
