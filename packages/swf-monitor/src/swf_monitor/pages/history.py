# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of the last hour and day, from the times of the STF files, and its charts."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from django.db.models import Avg, Count, FloatField, Func, IntegerField, Max, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone as clock

from swf_monitor import pipeline
from swf_monitor.models import StfFile, StfStatus
from swf_monitor.pages.answer import Page, page, refused
from swf_monitor.pages.chart import Chart, Line
from swf_monitor.pages.shared import Shared

# Length and step (s) of each span.
SPANS = {"hour": (3600, 60), "day": (86400, 900)}


class Bucket(Func):
    """The number of whole steps from 1970 to a time."""

    output_field = IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = "CAST((julianday(%(expressions)s) - 2440587.5) * 86400.0 / %(step)s AS INTEGER)"
        return self.as_sql(compiler, connection, template=template, **extra)

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = "FLOOR(EXTRACT(EPOCH FROM %(expressions)s) / %(step)s)::bigint"
        return self.as_sql(compiler, connection, template=template, **extra)


class SecondsBetween(Func):
    """The time (s) from the first to the second column."""

    output_field = FloatField()

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(
            compiler,
            connection,
            template="(%(expressions)s) * 86400.0",
            arg_joiner=" - ",
            **extra,
        )

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = "EXTRACT(EPOCH FROM (%(expressions)s))::double precision"
        return self.as_sql(compiler, connection, template=template, arg_joiner=" - ", **extra)


class JulianDay(Func):
    """A time as a number in SQLite; the time itself in PostgreSQL, which can subtract times."""

    output_field = FloatField()
    function = "julianday"

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="%(expressions)s", **extra)


@dataclass(frozen=True)
class Step:
    """The numbers of one step of time."""

    begin: datetime
    registered: int
    processed: int
    failed: int
    backlog: int
    # Seconds from the registration of a file to its last change, of the files that are finished.
    mean_seconds: float | None
    longest_seconds: float | None

    @property
    def busy(self) -> bool:
        """Whether anything happened, or waited."""
        return bool(self.registered or self.processed or self.failed or self.backlog)


def read(span: str, now: datetime) -> list[Step]:
    """The steps of a span, the oldest first. Two queries read the files that were registered in it,
    the newest first, and no older ones.

    Raises:
        django.db.DatabaseError: the database does not answer.
    """
    length, step = SPANS[span]
    # The present step is not complete: it would look like a drop.
    present = int(now.timestamp()) // step
    first = present - length // step
    begin = datetime.fromtimestamp(first * step, timezone.utc)
    files = _since(begin)
    done = Q(status=StfStatus.PROCESSED, sampled_at__isnull=False)
    seconds = SecondsBetween(JulianDay("updated_at"), JulianDay("registered_at"))
    registered = _by_step(
        files,
        "registered_at",
        step,
        n=Count("pk"),
        mean=Avg(seconds, filter=done),
        longest=Max(seconds, filter=done),
    )
    ended = _by_step(
        files.exclude(status__in=pipeline.WAITING),
        "updated_at",
        step,
        processed=Count("pk", filter=Q(status=StfStatus.PROCESSED)),
        failed=Count("pk", filter=Q(status=StfStatus.FAILED)),
    )
    backlog = StfFile.objects.filter(status__in=pipeline.WAITING).count()
    steps = []
    for number in range(present, first - 1, -1):
        new, old = registered[number], ended[number]
        n, processed, failed = new.get("n", 0), old.get("processed", 0), old.get("failed", 0)
        begin = datetime.fromtimestamp(number * step, timezone.utc)
        mean, longest = new.get("mean"), new.get("longest")
        steps.append(Step(begin, n, processed, failed, backlog, mean, longest))
        # At the end of the step before: without what came, and with what was finished, in this one.
        backlog = max(0, backlog - n + processed + failed)
    return steps[:0:-1]


def _since(begin: datetime) -> QuerySet[StfFile]:
    # By the key, which has an index, and whose order is that of the registrations.
    before = StfFile.objects.filter(registered_at__lt=begin).order_by("-id").values("id")[:1]
    newest_before = before.first()
    return StfFile.objects.order_by().filter(id__gt=newest_before["id"] if newest_before else 0)


def _by_step(
    files: QuerySet[StfFile], column: str, step: int, **numbers: Any
) -> dict[int, dict[str, Any]]:
    rows: Any = files.values(number=Bucket(column, step=step)).annotate(**numbers)
    return defaultdict(dict, {row["number"]: row for row in rows})


def _shared(span: str) -> Shared[list[Step]]:
    # It reads all files of the span, so not for every reader.
    seconds = SPANS[span][1] / 6
    return Shared(lambda: read(span, clock.now()), seconds, limit=seconds)


recent = {span: _shared(span) for span in SPANS}


def charts(span: str, steps: list[Step]) -> list[Chart]:
    """The charts of a span."""
    minutes = SPANS[span][1] / 60
    times = [step.begin for step in steps]

    def rate(name: str) -> list[float | None]:
        return [getattr(step, name) / minutes for step in steps]

    return [
        Chart(
            "Files per minute",
            times,
            [Line("registered", rate("registered")), Line("processed", rate("processed"))],
        ),
        Chart(
            "Seconds until a file is finished",
            times,
            [
                Line("mean", [step.mean_seconds for step in steps]),
                Line("longest", [step.longest_seconds for step in steps]),
            ],
        ),
        Chart("Files that wait", times, [Line("waiting", [step.backlog for step in steps])]),
        Chart("Failed files", times, [Line("failed", [step.failed for step in steps])]),
    ]


@page("history", "span")
def show_history(request: HttpRequest) -> Page:
    """The page at /history/."""
    span = request.GET.get("span", "hour")
    if span not in SPANS:
        return refused({"span": [f"Must be one of {', '.join(SPANS)}."]}, "history")
    steps = recent[span].get()
    context = {
        "span": span,
        "spans": list(SPANS),
        "charts": charts(span, steps),
        "steps": [step for step in steps[::-1] if step.busy],
    }
    return Page("swf_monitor/history.html", f"The last {span}", "history", context)
