# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of one run, file, agent and message."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest
from django.utils import timezone

from swf_monitor import pipeline, summary
from swf_monitor.access import may_see_all
from swf_monitor.models import Message, Run, StfFile, SystemAgent, TfFile
from swf_monitor.pages.answer import Page, page
from swf_monitor.pages.overview import agent_state, with_files

ROWS = 20
# The messages of an agent or a run have no index of their own, so only those of this time are read.
RECENT = timedelta(hours=1)


@page("runs")
def show_run(request: HttpRequest, run_id: int) -> Page:
    """The page of a run."""
    run = Run.objects.filter(pk=run_id).first()
    if run is None:
        raise Http404(f"There is no run {run_id}. Old runs without files are deleted.")
    (with_numbers,) = with_files([run])
    end = run.ended_at or timezone.now()
    messages = Message.objects.defer("body").filter(
        run_id=run_id, received_at__range=(end - RECENT, end + RECENT)
    )
    context = {
        "run": run,
        "numbers": with_numbers["files"],
        "files": list(run.stf_files.order_by("-id")[:ROWS]),
        "failed": list(run.stf_files.filter(status="failed").order_by("-id")[:ROWS]),
        "messages": list(messages[:ROWS]),
    }
    return Page("swf_monitor/run.html", f"Run {run_id}", "runs", context)


@page("files", "namespace")
def show_file(request: HttpRequest, filename: str) -> Page:
    """The page of a file: its way through the pipeline."""
    files = StfFile.objects.select_related("run").filter(filename=filename)
    if namespace := request.GET.get("namespace"):
        files = files.filter(run__namespace=namespace)
    file = files.first()
    if file is None:
        raise Http404(f"There is no STF file {filename}. Finished files are deleted after a time.")
    frames = pipeline.frames_of(file)
    messages = pipeline.messages_of(file, frames)
    context = {
        "file": file,
        "steps": pipeline.steps_of(file, messages),
        "frames": frames,
        "messages": messages,
    }
    return Page("swf_monitor/file.html", filename, "files", context)


@page("agents")
def show_agent(request: HttpRequest, instance_name: str) -> Page:
    """The page of an agent."""
    agent = SystemAgent.objects.filter(instance_name=instance_name).first()
    if agent is None:
        raise Http404(f"There is no agent {instance_name}. An agent that stops deletes itself.")
    now = timezone.now()
    messages = Message.objects.defer("body").filter(
        sender=instance_name, received_at__gt=now - RECENT
    )
    context: dict[str, Any] = {
        "agent": agent_state(agent, now),
        "fresh_seconds": summary.fresh_seconds(agent.heartbeat_interval),
        "messages": list(messages[:ROWS]),
        "waiting": _waiting(agent),
    }
    return Page("swf_monitor/agent.html", instance_name, "agents", context)


def _waiting(agent: SystemAgent) -> int | None:
    """The number of files that wait for agents of this type, of all namespaces; None: for no type."""
    if agent.agent_type == "processing":
        return StfFile.objects.filter(status__in=pipeline.WAITING).count()
    if agent.agent_type == "fastmon":
        return StfFile.objects.filter(sampled_at__isnull=True).count()
    return None


@page("messages")
def show_message(request: HttpRequest, message_id: UUID) -> Page:
    """The page of a message. Its body is for users of the monitor's host, and for those who have
    logged in: the REST API, which gives it to others, needs a token."""
    message = Message.objects.filter(message_id=message_id).first()
    if message is None:
        raise Http404(f"There is no message {message_id}. Old messages are deleted.")
    frame = TfFile.objects.select_related("stf_file").filter(filename=message.filename).first()
    if frame:
        stf: str | None = frame.stf_file.filename
    else:
        registered = StfFile.objects.filter(filename=message.filename)
        stf = message.filename if message.filename and registered.exists() else None
    context = {
        "message": message,
        "stf": stf,
        "sender_known": SystemAgent.objects.filter(instance_name=message.sender).exists(),
        "run_known": message.run_id is not None and Run.objects.filter(pk=message.run_id).exists(),
        "body": json.dumps(message.body, indent=2, ensure_ascii=False)
        if may_see_all(request)
        else "",
    }
    title = f"{message.msg_type} {message.filename}".strip()
    return Page("swf_monitor/message.html", title, "messages", context)
