# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of all records, in a few queries that use indexes."""

from datetime import datetime
from typing import Any

from django.db.models import Count
from django.utils import timezone

from swf_monitor.models import AgentStatus, Message, Run, StfFile, StfStatus, SystemAgent, TfFile

# An agent without a heartbeat for this long (s) counts as dead: three default intervals of 10 s.
AGENT_FRESH_SECONDS = 30.0


def fresh_seconds(heartbeat_interval: float) -> float:
    """The time (s) after which an agent with this interval counts as dead."""
    return max(AGENT_FRESH_SECONDS, 3 * heartbeat_interval)


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
    """The numbers of STF files: in total, per status, and sampled."""
    by_status = dict(StfFile.objects.order_by().values_list("status").annotate(Count("pk")))
    total = sum(by_status.values())
    return {
        "total": total,
        **{status: by_status.get(status, 0) for status in StfStatus.values},
        "sampled": total - StfFile.objects.filter(sampled_at__isnull=True).count(),
    }


def age(moment: datetime, now: datetime) -> float:
    """Seconds since `moment`.

    After the clock was set back, an earlier moment is in the future. Its distance counts as its
    age: otherwise a silent agent would seem alive until the clock catches up.
    """
    return abs((now - moment).total_seconds())


def agents(now: datetime, namespace: str = "") -> list[dict[str, Any]]:
    """Every agent that has not exited, with the seconds since its last heartbeat, and the process
    that sent it.

    Args:
        namespace: Only the agents of this namespace; "" for all.
    """
    listed_agents = SystemAgent.objects.exclude(status=AgentStatus.EXITED)
    if namespace:
        listed_agents = listed_agents.filter(namespace=namespace)
    rows = listed_agents.values(
        "instance_name",
        "agent_type",
        "namespace",
        "status",
        "pid",
        "last_heartbeat",
        "heartbeat_interval",
    )
    listed = []
    for row in rows:
        seconds = age(row["last_heartbeat"], now)
        listed.append(
            {
                **row,
                "seconds_since_heartbeat": round(seconds, 1),
                "alive": seconds < fresh_seconds(row["heartbeat_interval"]),
            }
        )
    return listed
