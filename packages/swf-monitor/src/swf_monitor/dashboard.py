# SPDX-License-Identifier: GPL-3.0-or-later
"""The page at `/`: how the testbed is, on one screen."""

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_safe

from swf_monitor import __version__, health, summary
from swf_monitor.database import UNAVAILABLE, explain
from swf_monitor.models import AgentStatus, Message, Run, StfFile, StfStatus, SystemAgent

RUNS_SHOWN = 6
FILES_SHOWN = 12
MESSAGES_SHOWN = 12
# A file that nobody touched for this long (s) is worth a word; the data agent has re-sent it twice
# by then.
STUCK_SECONDS = 180
# Failures older than this are history: they stay in the counts, and the banner is green again.
FAILURE_SHOWN = timedelta(hours=1)
# A file that was announced longer ago than this and is not registered was announced in vain.
ANNOUNCED_WITHIN = timedelta(hours=1)
ENGINES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}

_templates = files("swf_monitor") / "templates" / "swf_monitor"
CSS = (_templates / "dashboard.css").read_text(encoding="utf-8")
JAVASCRIPT = (_templates / "dashboard.js").read_text(encoding="utf-8")


def _source(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


# The page is one answer: its style and script are in it, and the browser takes no others.
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src {_source(CSS)}; script-src {_source(JAVASCRIPT)}; connect-src 'self'; "
    "img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


@dataclass
class Banner:
    """The one sentence on top, and why it is not a better one. `level`: ok, waiting, warning or
    error."""

    level: str
    title: str
    causes: list[str] = field(default_factory=list)


@require_safe
def show_dashboard(request: HttpRequest) -> HttpResponse:
    """The whole page, or with `?part=content` what the script of the page puts in place of the
    old."""
    now = timezone.now()
    state = health.check()
    engine = ENGINES[state["database"]["engine"]]
    context: dict[str, Any] = {
        "now": now,
        "health": state,
        "engine": engine,
        "version": __version__,
    }
    if state["database"]["ok"]:
        try:
            context |= _collect(now)
            context["banner"] = _banner(state, context, now)
        except UNAVAILABLE as error:
            state["database"] = {
                "ok": False,
                "engine": state["database"]["engine"],
                "error": explain(error),
            }
    if not state["database"]["ok"]:
        context["banner"] = Banner(
            "error", "The database cannot be used", [state["database"]["error"]]
        )
    if request.GET.get("part") == "content":
        template = "swf_monitor/content.html"
    else:
        template = "swf_monitor/page.html"
        # Both are files of this package.
        context |= {"css": mark_safe(CSS), "javascript": mark_safe(JAVASCRIPT)}  # noqa: S308
    response = render(request, template, context, status=200 if state["database"]["ok"] else 503)
    response["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    # By this the script knows an answer of the monitor from the error page of a proxy before it.
    response["X-SWF-Monitor"] = __version__
    return response


def _collect(now: datetime) -> dict[str, Any]:
    """What the page shows, in a fixed number of queries."""
    counts = summary.stf_counts()
    generated = counts["total"] + _announced_only(now)
    agents = [_agent(agent, now) for agent in SystemAgent.objects.all()]
    return {
        "agents": agents,
        "alive": sum(not agent["silent"] for agent in agents),
        "runs": _runs(),
        "stages": _stages(generated, counts),
        "counts": counts,
        "files": list(StfFile.objects.all()[:FILES_SHOWN]),
        "messages": list(Message.objects.defer("body")[:MESSAGES_SHOWN]),
    }


def _announced_only(now: datetime) -> int:
    """How many files were announced and are not registered. One may be announced more than once."""
    registered = StfFile.objects.filter(filename=OuterRef("filename"))
    announced = Message.objects.filter(msg_type="stf_gen", received_at__gt=now - ANNOUNCED_WITHIN)
    unregistered = announced.filter(~Exists(registered))
    counted: int = unregistered.aggregate(n=Count("filename", distinct=True))["n"]
    return counted


def _agent(agent: SystemAgent, now: datetime) -> dict[str, Any]:
    silent = summary.age(agent.last_heartbeat, now) >= summary.AGENT_FRESH_SECONDS
    level = {AgentStatus.OK: "ok", AgentStatus.WARNING: "warning"}.get(
        AgentStatus(agent.status), "error"
    )
    return {
        "row": agent,
        "silent": silent,
        "level": "error" if silent else level,
        "word": "silent" if silent else agent.status,
    }


def _runs() -> list[dict[str, Any]]:
    """The newest runs with the numbers of their files: two queries, however many runs there are."""
    runs = list(Run.objects.all()[:RUNS_SHOWN])
    rows = (
        StfFile.objects.filter(run__in=runs)
        .order_by()
        .values("run_id")
        .annotate(
            registered=Count("pk"),
            processed=Count("pk", filter=Q(status=StfStatus.PROCESSED)),
            failed=Count("pk", filter=Q(status=StfStatus.FAILED)),
            sampled=Count("sampled_at"),
        )
    )
    files_of = {row["run_id"]: row for row in rows}
    nothing = {"registered": 0, "processed": 0, "failed": 0, "sampled": 0}
    return [{"row": run, "files": files_of.get(run.pk, nothing)} for run in runs]


def _stages(generated: int, counts: dict[str, int]) -> list[dict[str, Any]]:
    """The way of an STF file, each stage with how many got there and how many are on their way."""
    waiting, processing, total = counts["registered"], counts["processing"], counts["total"]
    unsampled = total - counts["sampled"]
    stages = [
        ("generated", generated, ""),
        ("registered", total, f"{generated - total} on the way" if generated > total else ""),
        ("processed", counts["processed"], _listed((waiting, "waiting"), (processing, "in work"))),
        ("sampled", counts["sampled"], _listed((unsampled, "waiting"))),
        ("failed", counts["failed"], ""),
    ]
    return [
        # `share` is a width in twentieths: the page allows no inline style, so each width is a
        # class.
        {
            "name": name,
            "count": count,
            "note": note,
            "share": max(1, round(20 * count / generated)) if count else 0,
        }
        for name, count, note in stages
    ]


def _listed(*parts: tuple[int, str]) -> str:
    return ", ".join(f"{number} {word}" for number, word in parts if number)


def _banner(state: dict[str, Any], shown: dict[str, Any], now: datetime) -> Banner:
    agents, runs, worries = shown["agents"], shown["runs"], _worries(shown, now)
    if not state["listener"]["ok"]:
        causes = [state["listener"]["detail"], *worries]
        return Banner("error", "The message listener is not working", causes)
    if worries:
        broken = any(agent["level"] == "error" for agent in agents)
        return Banner("error" if broken else "warning", "The testbed needs a look", worries)
    if not agents:
        return Banner("waiting", "The monitor is ready and waits for agents")
    if not runs:
        return Banner("waiting", "The agents are ready and wait for a run")
    return Banner("ok", "All is well")


def _worries(shown: dict[str, Any], now: datetime) -> list[str]:
    """What is not as it should be, the gravest first, each in one sentence."""
    worries = []
    silent = [agent["row"].instance_name for agent in shown["agents"] if agent["silent"]]
    if silent:
        verb = "has" if len(silent) == 1 else "have"
        worries.append(f"{_some(silent)} {verb} not been heard of: see 'swf-testbed status'")
    for agent in shown["agents"]:
        if not agent["silent"] and agent["level"] != "ok":
            said = agent["row"].description or "no reason given"
            worries.append(f"{agent['row'].instance_name} says {agent['row'].status}: {said}")
    failed = StfFile.objects.filter(
        status=StfStatus.FAILED, updated_at__gt=now - FAILURE_SHOWN
    ).count()
    if failed:
        worries.append(f"{failed} STF file{'s' if failed > 1 else ''} failed in the last hour")
    stuck = StfFile.objects.filter(
        Q(status__in=(StfStatus.REGISTERED, StfStatus.PROCESSING)),
        updated_at__lt=now - timedelta(seconds=STUCK_SECONDS),
    ).count()
    if stuck:
        minutes = STUCK_SECONDS // 60
        worries.append(
            f"{stuck} STF file{'s' if stuck > 1 else ''} waited more than {minutes} min to be processed"
        )
    return worries


def _some(names: list[str]) -> str:
    if len(names) <= 3:
        return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return f"{', '.join(names[:2])} and {len(names) - 2} others"
