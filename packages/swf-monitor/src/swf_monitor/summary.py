# SPDX-License-Identifier: GPL-3.0-or-later
"""How much there is of everything, in a handful of queries that indexes answer."""

from datetime import datetime
from typing import Any

from django.db.models import Count
from django.utils import timezone

from swf_monitor.models import Message, Run, StfFile, StfStatus, SystemAgent, TfFile

# An agent that was not heard of for this long (s) is taken for dead: three heartbeats of the
# default 10 s.
AGENT_FRESH_SECONDS = 30.0


def collect() -> dict[str, Any]:
    """The body of GET /api/summary/.

    Raises:
        django.db.DatabaseError: the database does not answer.
    """
    return {
        "runs": Run.objects.count(),
        "stf": stf_counts(),
        "tf": TfFile.objects.count(),
        "messages": Message.objects.count(),
        "agents": agents(timezone.now()),
    }


def stf_counts() -> dict[str, int]:
    """How many STF files there are: in all, in each status, and sampled."""
    by_status = dict(StfFile.objects.order_by().values_list("status").annotate(Count("pk")))
    total = sum(by_status.values())
    return {
        "total": total,
        **{status: by_status.get(status, 0) for status in StfStatus.values},
        "sampled": total - StfFile.objects.filter(sampled_at__isnull=True).count(),
    }


def age(moment: datetime, now: datetime) -> float:
    """Seconds since something was noted.

    What was noted before the clock was set back has a time to come. It is taken for as old as it is
    far away: who has fallen silent must not seem to be heard of until the clock has caught up.
    """
    return abs((now - moment).total_seconds())


def agents(now: datetime) -> list[dict[str, Any]]:
    """Every agent, with the seconds since it was heard of, and the process that was heard of."""
    rows = SystemAgent.objects.values(
        "instance_name", "agent_type", "status", "pid", "last_heartbeat"
    )
    listed = []
    for row in rows:
        seconds = age(row["last_heartbeat"], now)
        listed.append(
            {
                **row,
                "seconds_since_heartbeat": round(seconds, 1),
                "alive": seconds < AGENT_FRESH_SECONDS,
            }
        )
    return listed
