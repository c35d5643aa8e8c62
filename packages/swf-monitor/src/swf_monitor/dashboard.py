# SPDX-License-Identifier: GPL-3.0-or-later
"""The page at `/`: the state of the testbed on one screen."""

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
# A file without a change for this long (s) is a warning; the data agent has sent it again twice by
# then.
STUCK_SECONDS = 180
# Older failures stay in the counts, but the banner is green again.
FAILURE_SHOWN = timedelta(hours=1)
# Agents that exited earlier are not shown.
EXIT_SHOWN = timedelta(minutes=10)
# An announced file that is not registered within this time does not count as pending.
ANNOUNCED_WITHIN = timedelta(hours=1)
ENGINES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}

_templates = files("swf_monitor") / "templates" / "swf_monitor"
CSS = (_templates / "dashboard.css").read_text(encoding="utf-8")
JAVASCRIPT = (_templates / "dashboard.js").read_text(encoding="utf-8")


def _source(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


# The page is one response: it contains its style and script, and the browser loads no others.
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src {_source(CSS)}; script-src {_source(JAVASCRIPT)}; "
    "connect-src 'self'; img-src data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


@dataclass
class Banner:
    """The headline of the page, and its causes. `level`: ok, waiting, warning or error."""

    level: str
    title: str
    causes: list[str] = field(default_factory=list)


@require_safe
def show_dashboard(request: HttpRequest) -> HttpResponse:
    """The whole page, or with `?part=content` the part that the page's script refreshes."""
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
            "error", "The database is unavailable", [state["database"]["error"]]
        )
    if request.GET.get("part") == "content":
        template = "swf_monitor/content.html"
    else:
        template = "swf_monitor/page.html"
        # Both are files of this package.
        context |= {"css": mark_safe(CSS), "javascript": mark_safe(JAVASCRIPT)}  # noqa: S308
    response = render(request, template, context, status=200 if state["database"]["ok"] else 503)
    response["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    # The script recognises the monitor's responses by this, and not the error page of a proxy.
    response["X-SWF-Monitor"] = __version__
    return response


def _collect(now: datetime) -> dict[str, Any]:
    """The data of the page, in a fixed number of queries."""
    counts = summary.stf_counts()
    generated = counts["total"] + _announced_only(now)
    listed = SystemAgent.objects.filter(
        ~Q(status=AgentStatus.EXITED) | Q(last_heartbeat__gt=now - EXIT_SHOWN)
    )
    shown = [_agent(agent, now) for agent in listed]
    agents = [agent for agent in shown if agent["word"] != AgentStatus.EXITED]
    return {
        "shown": shown,
        "agents": agents,
        "alive": sum(not agent["silent"] for agent in agents),
        "runs": _runs(),
        "stages": _stages(generated, counts),
        "counts": counts,
        "files": list(StfFile.objects.all()[:FILES_SHOWN]),
        "messages": list(Message.objects.defer("body")[:MESSAGES_SHOWN]),
    }


def _announced_only(now: datetime) -> int:
    """The number of files that were announced, perhaps several times, and are not registered."""
    registered = StfFile.objects.filter(filename=OuterRef("filename"))
    announced = Message.objects.filter(msg_type="stf_gen", received_at__gt=now - ANNOUNCED_WITHIN)
    unregistered = announced.filter(~Exists(registered))
    counted: int = unregistered.aggregate(n=Count("filename", distinct=True))["n"]
    return counted


def _agent(agent: SystemAgent, now: datetime) -> dict[str, Any]:
    silence = summary.age(agent.last_heartbeat, now)
    silent = agent.status != AgentStatus.EXITED and silence >= summary.fresh_seconds(
        agent.heartbeat_interval
    )
    level = {
        AgentStatus.OK: "ok",
        AgentStatus.WARNING: "warning",
        AgentStatus.EXITED: "plain",
    }.get(AgentStatus(agent.status), "error")
    return {
        "row": agent,
        "silent": silent,
        "level": "error" if silent else level,
        "word": "silent" if silent else agent.status,
    }


def _runs() -> list[dict[str, Any]]:
    """The newest runs with the numbers of their files, in two queries for any number of runs."""
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
    """The stages of an STF file, each with the numbers of files that reached it and that are
    pending."""
    waiting, processing, total = counts["registered"], counts["processing"], counts["total"]
    unsampled = total - counts["sampled"]
    stages = [
        ("generated", generated, ""),
        ("registered", total, f"{generated - total} pending" if generated > total else ""),
        ("processed", counts["processed"], _listed((waiting, "waiting"), (processing, "running"))),
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
    agents, runs, problems = shown["agents"], shown["runs"], _problems(state, shown, now)
    if not state["listener"]["ok"]:
        causes = [state["listener"]["detail"], *problems]
        return Banner("error", "The message listener is not working", causes)
    if problems:
        broken = any(agent["level"] == "error" for agent in agents)
        return Banner("error" if broken else "warning", "The testbed needs attention", problems)
    if not agents:
        return Banner("waiting", "The monitor is ready and is waiting for agents")
    if not runs:
        return Banner("waiting", "The agents are ready and are waiting for a run")
    return Banner("ok", "The testbed is healthy")


def _problems(state: dict[str, Any], shown: dict[str, Any], now: datetime) -> list[str]:
    """The problems, the most serious first, each in one sentence."""
    problems = []
    if not state["messages"]["ok"]:
        problems.append(f"Messages: {state['messages']['detail']}")
    silent = [agent["row"].instance_name for agent in shown["agents"] if agent["silent"]]
    if silent:
        verb = "sends" if len(silent) == 1 else "send"
        problems.append(f"{_some(silent)} {verb} no heartbeats: run 'swf-testbed status'")
    for agent in shown["agents"]:
        if not agent["silent"] and agent["level"] != "ok":
            reason = agent["row"].description or "no reason given"
            problems.append(f"{agent['row'].instance_name} reports {agent['row'].status}: {reason}")
    failed = StfFile.objects.filter(
        status=StfStatus.FAILED, updated_at__gt=now - FAILURE_SHOWN
    ).count()
    if failed:
        problems.append(f"{failed} STF file{'s' if failed > 1 else ''} failed in the last hour")
    stuck = StfFile.objects.filter(
        Q(status__in=(StfStatus.REGISTERED, StfStatus.PROCESSING)),
        updated_at__lt=now - timedelta(seconds=STUCK_SECONDS),
    ).count()
    if stuck:
        minutes = STUCK_SECONDS // 60
        problems.append(
            f"{stuck} STF file{'s' if stuck > 1 else ''} waited more than {minutes} min "
            "to be processed"
        )
    return problems


def _some(names: list[str]) -> str:
    if len(names) <= 3:
        return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return f"{', '.join(names[:2])} and {len(names) - 2} others"
