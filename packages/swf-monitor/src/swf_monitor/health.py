# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the monitor can do its work: the database answers, and the listener is subscribed and fresh."""

import time
from typing import Any

from django.db import connection
from django.utils import timezone

from swf_monitor import __version__, summary
from swf_monitor.database import UNAVAILABLE, explain
from swf_monitor.models import ListenerState

# The listener writes its row every 5 s. Older than this (s), and it is taken for dead.
LISTENER_FRESH_SECONDS = 20.0


def check() -> dict[str, Any]:
    """The body of GET /api/health/; `status` is "ok" or "error". Never raises for a database that is away."""
    began = time.perf_counter()
    try:
        state = ListenerState.objects.filter(pk=1).first()
    except UNAVAILABLE as error:
        database = {"ok": False, "engine": connection.vendor, "error": explain(error)}
        listener = _listener_unknown("the database does not answer, so nothing is known of the listener")
    else:
        latency = (time.perf_counter() - began) * 1000
        database = {"ok": True, "engine": connection.vendor, "latency_ms": round(latency, 2)}
        listener = _listener(state)
    healthy = database["ok"] and listener["ok"]
    return {
        "status": "ok" if healthy else "error",
        "version": __version__,
        "database": database,
        "listener": listener,
    }


def _listener(state: ListenerState | None) -> dict[str, Any]:
    if state is None:
        return _listener_unknown("the listener was never started: run 'swf-monitor listen'")
    age = summary.age(state.updated_at, timezone.now())
    fresh = age < LISTENER_FRESH_SECONDS
    detail = state.detail
    if not fresh:
        detail = f"the listener has not been heard of for {age:.0f} s; it said last: {detail}"
    return {
        "ok": fresh and state.subscribed,
        "subscribed": state.subscribed,
        "seconds_since_update": round(age, 1),
        "detail": detail,
    }


def _listener_unknown(detail: str) -> dict[str, Any]:
    return {"ok": False, "subscribed": False, "seconds_since_update": None, "detail": detail}
