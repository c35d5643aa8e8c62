# SPDX-License-Identifier: GPL-3.0-or-later
"""The page at `/`: the state of the testbed on one screen."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Exists, OuterRef, Q
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from swf_monitor import health, pipeline, summary
from swf_monitor.api.base import unknown_parameters
from swf_monitor.database import UNAVAILABLE
from swf_monitor.models import AgentStatus, Message, Run, StfFile, StfStatus, SystemAgent
from swf_monitor.pages.answer import Page, Rendered, refused, render, response, unavailable
from swf_monitor.pages.history import charts, recent
from swf_monitor.pages.shared import Shared

RUNS_SHOWN = 6
FILES_SHOWN = 12
MESSAGES_SHOWN = 12
# Older failures stay in the counts, but the banner is green again.
FAILURE_SHOWN = timedelta(hours=1)
# Agents that exited earlier are not shown.
EXIT_SHOWN = timedelta(minutes=10)
# An announced file that is not registered within this time does not count as pending.
ANNOUNCED_WITHIN = timedelta(hours=1)
ENGINES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}

MARKS = {"ok": "✓", "waiting": "…", "warning": "!", "error": "✕"}


@dataclass(frozen=True)
class Problem:
    """One problem in a sentence, what to do about it, and the page with its details."""

    text: str
    fix: str = ""
    url: str = ""


@dataclass
class Banner:
    """The headline of the page, and its causes. `level`: ok, waiting, warning or error."""

    level: str
    title: str
    problems: list[Problem] = field(default_factory=list)


@require_safe
def show_overview(request: HttpRequest) -> HttpResponse:
    """The page at `/`. All of its watchers share one rendering."""
    if unknown := unknown_parameters(request.GET, ("part",)):
        return response(request, render(refused(unknown, "overview")))
    return response(request, shared.get())


def _make() -> Rendered:
    now = timezone.now()
    state = health.check()
    if not state["database"]["ok"]:
        return render(unavailable(state["database"]["error"], "overview"))
    try:
        shown = _collect(now)
        banner = _banner(state, shown, now)
        context = {
            "health": state,
            "engine": ENGINES[state["database"]["engine"]],
            "banner": banner,
            "charts": charts("hour", recent["hour"].get()),
            **shown,
        }
        title = f"{MARKS[banner.level]} {banner.title}"
        return render(Page("swf_monitor/overview.html", title, "overview", context))
    except UNAVAILABLE as error:
        return render(unavailable(error, "overview"))


shared = Shared(_make, seconds=1.0, limit=5.0)


def _collect(now: datetime) -> dict[str, Any]:
    """The data of the page, in a fixed number of queries."""
    counts = summary.stf_counts()
    generated = counts["total"] + _announced_only(now)
    listed = SystemAgent.objects.filter(
        ~Q(status=AgentStatus.EXITED) | Q(last_heartbeat__gt=now - EXIT_SHOWN)
    )
    shown = [agent_state(agent, now) for agent in listed]
    agents = [agent for agent in shown if agent["word"] != AgentStatus.EXITED]
    return {
        "shown": shown,
        "agents": agents,
        "alive": sum(not agent["silent"] for agent in agents),
        "runs": _runs(),
        "stages": _stages(generated, counts),
        "counts": counts,
        "files": list(StfFile.objects.select_related("run")[:FILES_SHOWN]),
        "messages": list(Message.objects.defer("body")[:MESSAGES_SHOWN]),
    }


def _announced_only(now: datetime) -> int:
    """The number of files that were announced, perhaps several times, and are not registered."""
    registered = StfFile.objects.filter(filename=OuterRef("filename"))
    announced = Message.objects.filter(msg_type="stf_gen", received_at__gt=now - ANNOUNCED_WITHIN)
    unregistered = announced.filter(~Exists(registered))
    counted: int = unregistered.aggregate(n=Count("filename", distinct=True))["n"]
    return counted


def agent_state(agent: SystemAgent, now: datetime) -> dict[str, Any]:
    """An agent with the word and the colour of its state."""
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
    return with_files(list(Run.objects.all()[:RUNS_SHOWN]))


def with_files(runs: list[Run]) -> list[dict[str, Any]]:
    """Runs with the numbers of their files, in one query for any number of runs."""
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
        ("generated", generated, "", ""),
        ("registered", total, f"{generated - total} pending" if generated > total else "", ""),
        (
            "processed",
            counts["processed"],
            _listed((waiting, "waiting"), (processing, "running")),
            files_url(status="processed"),
        ),
        (
            "sampled",
            counts["sampled"],
            _listed((unsampled, "waiting")),
            files_url(sampled="true"),
        ),
        ("failed", counts["failed"], "", files_url(status="failed")),
    ]
    return [
        # `share` is a width in twentieths: the page allows no inline style, so each width is a
        # class.
        {
            "name": name,
            "count": count,
            "note": note,
            "url": url or files_url(),
            "share": max(1, round(20 * count / generated)) if count else 0,
        }
        for name, count, note, url in stages
    ]


def files_url(**filters: str) -> str:
    """The list of files with these filters."""
    return reverse("files") + (f"?{urlencode(filters)}" if filters else "")


def _listed(*parts: tuple[int, str]) -> str:
    return ", ".join(f"{number} {word}" for number, word in parts if number)


def _banner(state: dict[str, Any], shown: dict[str, Any], now: datetime) -> Banner:
    agents, runs, problems = shown["agents"], shown["runs"], _problems(state, shown, now)
    if not state["listener"]["ok"]:
        listener = Problem(
            f"Listener: {state['listener']['detail']}",
            "Messages wait in the broker and are not lost. 'swf-testbed status' shows whether the "
            "broker and monitor-listener run; 'swf-testbed logs monitor-listener' has the cause.",
        )
        return Banner("error", "The message listener is not working", [listener, *problems])
    if problems:
        broken = any(agent["level"] == "error" for agent in agents)
        return Banner("error" if broken else "warning", "The testbed needs attention", problems)
    if not agents:
        return Banner("waiting", "The monitor is ready and is waiting for agents")
    if not runs:
        return Banner("waiting", "The agents are ready and are waiting for a run")
    return Banner("ok", "The testbed is healthy")


def _problems(state: dict[str, Any], shown: dict[str, Any], now: datetime) -> list[Problem]:
    """The problems, the most serious first."""
    problems = []
    if not state["messages"]["ok"]:
        problems.append(
            Problem(
                f"Messages: {state['messages']['detail']}",
                "A sender with another namespace or version is still running: stop it.",
                reverse("set-aside"),
            )
        )
    silent = [agent["row"] for agent in shown["agents"] if agent["silent"]]
    if silent:
        verb = "sends" if len(silent) == 1 else "send"
        hosts = sorted({agent.hostname for agent in silent if agent.hostname})
        place = f" on {_some(hosts)}" if hosts else ""
        problems.append(
            Problem(
                f"{_some([agent.instance_name for agent in silent])} {verb} no heartbeats",
                f"Run 'swf-testbed status'{place}: it names the program and the cause.",
                agent_url(silent[0]) if len(silent) == 1 else reverse("agents"),
            )
        )
    for agent in shown["agents"]:
        if not agent["silent"] and agent["level"] != "ok":
            row = agent["row"]
            reason = row.description or "no reason given"
            problems.append(
                Problem(f"{row.instance_name} reports {row.status}: {reason}", "", agent_url(row))
            )
    failed = StfFile.objects.filter(
        status=StfStatus.FAILED, updated_at__gt=now - FAILURE_SHOWN
    ).count()
    if failed:
        problems.append(
            Problem(
                f"{failed} STF file{'s' if failed > 1 else ''} failed in the last hour",
                "The list has the reason of each.",
                files_url(status="failed"),
            )
        )
    stuck = pipeline.stuck(now).count()
    if stuck:
        minutes = pipeline.STUCK_SECONDS // 60
        problems.append(
            Problem(
                f"{stuck} STF file{'s' if stuck > 1 else ''} waited more than {minutes} min "
                "to be processed",
                "Check that a processing-agent is alive and not too slow; the data agent sends the "
                "files to it again.",
                files_url(status="registered,processing", older_than=str(pipeline.STUCK_SECONDS)),
            )
        )
    return problems


def agent_url(agent: SystemAgent) -> str:
    """The page of an agent."""
    return reverse("agent", args=[agent.instance_name])


def _some(names: list[str]) -> str:
    if len(names) <= 3:
        return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return f"{', '.join(names[:2])} and {len(names) - 2} others"
