# SPDX-License-Identifier: GPL-3.0-or-later
"""The lists of runs, files, agents, hosts and messages, with filters and pages in the URL."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, QueryDict
from django.utils import timezone
from django_filters.rest_framework import FilterSet

from swf_monitor import summary
from swf_monitor.api.filters import AgentFilter, MessageFilter, RunFilter, SetAsideFilter, StfFilter
from swf_monitor.models import AgentStatus, Message, Run, SetAsideMessage, StfFile, SystemAgent
from swf_monitor.pages.answer import Page, page, refused
from swf_monitor.pages.overview import agent_state, with_files

ROWS = 50
MAX_PAGE = 100_000
# The filters of messages that have no index, and the time that is searched unless another one is given.
UNINDEXED = ("namespace", "sender", "run_id", "filename")
RECENT = timedelta(days=1)


@dataclass(frozen=True)
class Field:
    """One field of the form above a list. With choices it is a menu."""

    name: str
    label: str
    value: str
    choices: tuple[tuple[str, str], ...] = ()
    input_type: str = "search"


@dataclass(frozen=True)
class Part:
    """A page of a list: its rows, and the addresses of the pages before and after it."""

    rows: list[Any]
    number: int
    previous: str
    next: str


class QueryError(Exception):
    """The query is wrong; `problems` has the texts per parameter."""

    def __init__(self, problems: dict[str, list[str]]) -> None:
        super().__init__(problems)
        self.problems = problems


def _form(filterset: FilterSet, names: Iterable[tuple[str, str]]) -> list[Field]:
    """The fields of the form, each with its value in the query."""
    fields = []
    for name, label in names:
        choices = filterset.base_filters[name].extra.get("choices", ())
        value = filterset.data.get(name, "")
        if choices and "," in value:
            choices = (*choices, (value, value.replace(",", " or ")))
        input_type = "datetime-local" if name.endswith(("_after", "_before")) else "search"
        fields.append(Field(name, label, value, tuple(choices), input_type))
    return fields


def _part(filterset: FilterSet, query: QueryDict) -> Part:
    """The rows of one page of a list. Nobody counts the others: that would read a large table.

    Raises:
        QueryError: a filter or the number of the page is wrong.
    """
    if not filterset.is_valid():
        errors = {name: [str(text) for text in texts] for name, texts in filterset.errors.items()}
        raise QueryError(errors)
    text = query.get("page", "1")
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= MAX_PAGE):
        raise QueryError({"page": [f"Must be a number from 1 to {MAX_PAGE}."]})
    number = int(text)
    rows = list(filterset.qs[(number - 1) * ROWS : number * ROWS + 1])
    return Part(
        rows[:ROWS],
        number,
        _address(query, page=number - 1) if number > 1 else "",
        _address(query, page=number + 1) if len(rows) > ROWS else "",
    )


def _address(query: QueryDict, **changes: Any) -> str:
    changed = query.copy()
    changed.pop("part", None)
    for name, value in changes.items():
        changed[name] = str(value)
    return f"?{changed.urlencode()}"


def _list(
    query: QueryDict,
    current: str,
    title: str,
    filterset_class: type[FilterSet],
    rows: Any,
    names: Iterable[tuple[str, str]],
    **context: Any,
) -> Page:
    # A form sends empty fields, too.
    given = query.copy()
    for name in [name for name, value in given.items() if not value]:
        del given[name]
    filterset = filterset_class(given, rows)
    try:
        part = _part(filterset, given)
    except QueryError as error:
        return refused(error.problems, current)
    form = {"fields": _form(filterset, names), "filtered": any(n in given for n, _label in names)}
    context = {"list": part, "form": form, "heading": title, **context}
    return Page(f"swf_monitor/{current}.html", title, current, context)


def _parameters(filterset_class: type[FilterSet]) -> tuple[str, ...]:
    return (*filterset_class.base_filters, "page")


@page("runs", *_parameters(RunFilter))
def show_runs(request: HttpRequest) -> Page:
    """The list at /runs/."""
    names = (("status", "state"), ("namespace", "namespace"))
    shown = _list(request.GET, "runs", "Runs", RunFilter, Run.objects.all(), names)
    if "list" in shown.context:
        shown.context["runs"] = with_files(shown.context["list"].rows)
    return shown


@page("files", *_parameters(StfFilter))
def show_files(request: HttpRequest) -> Page:
    """The list at /files/."""
    names = (
        ("search", "part of the name"),
        ("status", "state"),
        ("sampled", "sampled"),
        ("run_id", "run"),
        ("namespace", "namespace"),
        ("registered_after", "registered after (UTC)"),
    )
    files = StfFile.objects.select_related("run")
    return _list(request.GET, "files", "STF files", StfFilter, files, names)


@page("agents", *_parameters(AgentFilter))
def show_agents(request: HttpRequest) -> Page:
    """The list at /agents/, and the hosts of all agents."""
    names = (
        ("agent_type", "type"),
        ("status", "reported state"),
        ("hostname", "host"),
        ("namespace", "namespace"),
    )
    now = timezone.now()
    shown = _list(request.GET, "agents", "Agents", AgentFilter, SystemAgent.objects.all(), names)
    if "list" in shown.context:
        shown.context["agents"] = [agent_state(agent, now) for agent in shown.context["list"].rows]
        shown.context["hosts"] = _hosts(now)
    return shown


def _hosts(now: Any) -> list[dict[str, Any]]:
    """The fleet: each host with its agents, and with the versions that they have."""
    hosts: dict[str, dict[str, Any]] = {}
    for agent in SystemAgent.objects.exclude(status=AgentStatus.EXITED).order_by("hostname"):
        host = hosts.setdefault(
            agent.hostname, {"name": agent.hostname, "agents": 0, "alive": 0, "versions": set()}
        )
        host["agents"] += 1
        fresh = summary.fresh_seconds(agent.heartbeat_interval)
        host["alive"] += summary.age(agent.last_heartbeat, now) < fresh
        host["versions"] |= {agent.version} - {""}
    return [{**host, "versions": sorted(host["versions"])} for host in hosts.values()]


@page("messages", *_parameters(MessageFilter))
def show_messages(request: HttpRequest) -> Page:
    """The list at /messages/."""
    names = (
        ("msg_type", "type"),
        ("sender", "sender"),
        ("run_id", "run"),
        ("filename", "file"),
        ("received_after", "received after (UTC)"),
    )
    messages = Message.objects.defer("body")
    given = request.GET.copy()
    if any(given.get(name) for name in UNINDEXED) and not given.get("received_after"):
        # It would read all messages. The form shows the time, and who wants older ones changes it.
        given["received_after"] = f"{timezone.now() - RECENT:%Y-%m-%dT%H:%M}"
    return _list(given, "messages", "Messages", MessageFilter, messages, names)


@page("messages", *_parameters(SetAsideFilter))
def show_set_aside(request: HttpRequest) -> Page:
    """The list at /set-aside/."""
    names = (("namespace", "namespace"), ("receiver", "receiver"), ("msg_type", "type"))
    rows = SetAsideMessage.objects.defer("body")
    shown = _list(
        request.GET, "messages", "Messages that were set aside", SetAsideFilter, rows, names
    )
    if shown.status == 200:
        shown.template = "swf_monitor/set_aside.html"
    return shown
