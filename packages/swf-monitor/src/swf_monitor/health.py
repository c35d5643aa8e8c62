# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the testbed is healthy: the only definition, used by everything else.

The database answers, the listener is subscribed and up to date, every registered agent is alive,
and no message was set aside in the last hour.
"""

import time
from typing import Any

from django.db import connection
from django.utils import timezone

from swf_monitor import __version__, namespaces, summary
from swf_monitor.database import UNAVAILABLE, explain, write_problem
from swf_monitor.models import ListenerState

# The listener writes its row every 5 s. If the row is older than this (s), the listener counts as
# dead.
LISTENER_FRESH_SECONDS = 20.0
# The text names this many of the agents that are not alive; the list has all of them.
NAMED = 5


def check(namespace: str = "") -> dict[str, Any]:
    """The body of GET /api/health/; `status` is "ok" or "error". It never raises, not even if the
    database is unavailable.

    Args:
        namespace: Only the agents and messages of this namespace; "" for those of all.
    """
    began = time.perf_counter()
    try:
        state = ListenerState.objects.filter(pk=1).first()
    except UNAVAILABLE as error:
        # SQLite reports "disk I/O error" for a full disk and for a read-only one.
        because = f"{explain(error)}; {problem}" if (problem := write_problem()) else explain(error)
        database = {"ok": False, "engine": connection.vendor, "error": because}
        listener = _listener_unknown("unknown, because the database does not answer")
        agents = _agents_unknown("unknown, because the database does not answer")
        messages = _messages_unknown("unknown, because the database does not answer")
    else:
        latency = (time.perf_counter() - began) * 1000
        database = {"ok": True, "engine": connection.vendor, "latency_ms": round(latency, 2)}
        if problem := write_problem():
            database.update(ok=False, error=problem)
        listener = _listener(state)
        agents = _agents(namespace)
        messages = _messages(namespace)
    healthy = all(part["ok"] for part in (database, listener, agents, messages))
    return {
        "status": "ok" if healthy else "error",
        "version": __version__,
        "database": database,
        "listener": listener,
        "agents": agents,
        "messages": messages,
    }


def _listener(state: ListenerState | None) -> dict[str, Any]:
    if state is None:
        return _listener_unknown("the listener was never started: run 'swf-monitor listen'")
    age = summary.age(state.updated_at, timezone.now())
    fresh = age < LISTENER_FRESH_SECONDS
    detail = state.detail
    if not fresh:
        detail = f"the listener has not reported for {age:.0f} s; its last report: {detail}"
    return {
        "ok": fresh and state.subscribed,
        "subscribed": state.subscribed,
        "seconds_since_update": round(age, 1),
        "detail": detail,
    }


def _listener_unknown(detail: str) -> dict[str, Any]:
    return {"ok": False, "subscribed": False, "seconds_since_update": None, "detail": detail}


def _messages(namespace: str) -> dict[str, Any]:
    try:
        return namespaces.set_aside_state(namespace)
    except UNAVAILABLE as error:
        return _messages_unknown(explain(error))


def _messages_unknown(detail: str) -> dict[str, Any]:
    return {"ok": False, "set_aside": None, "last": None, "detail": detail}


def _agents(namespace: str) -> dict[str, Any]:
    """The number of agents, and the agents that are not alive, the longest silent first."""
    try:
        agents = summary.agents(timezone.now(), namespace)
    except UNAVAILABLE as error:
        return _agents_unknown(explain(error))
    silent = [
        {name: agent[name] for name in ("instance_name", "seconds_since_heartbeat")}
        for agent in sorted(agents, key=lambda agent: -float(agent["seconds_since_heartbeat"]))
        if not agent["alive"]
    ]
    detail = f"{len(agents) - len(silent)} of {len(agents)} agents are alive"
    if silent:
        named = ", ".join(
            f"{agent['instance_name']} ({agent['seconds_since_heartbeat']:.0f} s)"
            for agent in silent[:NAMED]
        )
        more = f" and {len(silent) - NAMED} more" if len(silent) > NAMED else ""
        detail += f"; no heartbeat: {named}{more}"
    return {"ok": not silent, "total": len(agents), "silent": silent, "detail": detail}


def _agents_unknown(detail: str) -> dict[str, Any]:
    return {"ok": False, "total": None, "silent": [], "detail": detail}
