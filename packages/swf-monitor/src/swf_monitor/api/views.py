# SPDX-License-Identifier: GPL-3.0-or-later
"""The REST API. A status only moves forward, and an object that is posted twice is stored once."""

import re
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from rest_framework import generics, serializers, status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from swf_common_lib.monitor import NAMESPACE_HEADER

from swf_monitor import health, namespaces, summary
from swf_monitor.api.public_shapes import NewPublicStfSerializer, NewRunSerializer
from swf_monitor.api.rights import given_namespace, refuse_other, refuse_other_run
from swf_monitor.api.serializers import (
    ConfirmationSerializer,
    GoodbyeQuery,
    HeartbeatSerializer,
    MessageQuery,
    MessageSerializer,
    NamespaceQuery,
    NewStfFileSerializer,
    NewTfFileSerializer,
    PageQuery,
    RunChangeSerializer,
    RunQuery,
    RunSerializer,
    StfChangeSerializer,
    StfFileSerializer,
    StfQuery,
    TfFileSerializer,
)
from swf_monitor.database import reserve_run_number
from swf_monitor.logins import namespace_of
from swf_monitor.models import (
    RUN_BEFORE,
    AgentStatus,
    Message,
    OperationalState,
    Run,
    RunStatus,
    StfFile,
    StfStatus,
    SystemAgent,
    TfFile,
)

# The statuses from which each status can be reached. Finished files do not change.
STF_BEFORE = {
    StfStatus.REGISTERED: (),
    StfStatus.PROCESSING: (StfStatus.REGISTERED,),
    StfStatus.PROCESSED: (StfStatus.REGISTERED, StfStatus.PROCESSING),
    StfStatus.FAILED: (StfStatus.REGISTERED, StfStatus.PROCESSING),
}

# The name of an STF file, or of a part of it, by the agents of both stacks: the monitor gives the
# number of the run to one testbed, so two testbeds never have the same name.
NUMBERED = re.compile(r"swf\.(\d+)\.\d{6}")


class Conflict(APIException):
    """The name belongs to another object. A retry does not help."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


def valid(serializer_class: type[serializers.Serializer[Any]], data: Any) -> dict[str, Any]:
    """The validated values.

    Raises:
        ValidationError: becomes a 400 that names each invalid field.
    """
    serializer = serializer_class(data=data)
    serializer.is_valid(raise_exception=True)
    values: dict[str, Any] = serializer.validated_data
    return values


def _refuse_other(stored: Any, given: dict[str, Any], names: tuple[str, ...]) -> None:
    """A second post must have the values of the first: one name for two different files is an
    error."""
    differing = [name for name in names if getattr(stored, name) != given[name]]
    if differing:
        raise Conflict(
            f"{given['filename']} is already registered with another {' and '.join(differing)}."
        )


def _refuse_name_of_other_run(filename: str, run: Run, field: str) -> None:
    """A testbed must not take the names of the files of another one, whose run has the number.

    Raises:
        ValidationError: the name has the number of another run.
    """
    match = NUMBERED.match(filename)
    if match and int(match[1]) != run.pk:
        raise ValidationError(
            {field: f"Has the number of run {int(match[1])}, and the file is of run {run.pk}."}
        )


def _refuse_other_namespace(request: Request, run: Run) -> None:
    """An agent changes no run and no file of another testbed. Agents of the public testbed, and of
    earlier versions, do not send their namespace.

    Raises:
        PermissionDenied: the login was issued for another namespace.
        Conflict: the header of the request has another namespace.
    """
    refuse_other_run(request, run)
    own = request.headers.get(NAMESPACE_HEADER)
    if own and run.namespace not in ("", own):
        raise Conflict(f"Run {run.pk} belongs to the namespace {run.namespace}, not to {own}.")


def _refuse_other_agents(request: Request, named: dict[str, Any]) -> None:
    """An issued login neither replaces nor deletes the agents of another testbed."""
    for agent in SystemAgent.objects.filter(**named):
        refuse_other(request, agent.namespace, f"the agent {agent.instance_name}")


class HeartbeatView(APIView):
    def post(self, request: Request) -> Response:
        given = valid(HeartbeatSerializer, request.data)
        given["namespace"] = given_namespace(request, given.get("namespace", ""), "the heartbeat")
        _refuse_other_agents(request, {"instance_name": given["instance_name"]})
        claims = self._confirm_claim(request, given)
        agent = SystemAgent(**given, last_heartbeat=timezone.now())
        # One statement, so that the first heartbeats of two processes do not conflict.
        SystemAgent.objects.bulk_create(
            [agent],
            update_conflicts=True,
            unique_fields=["instance_name"],
            update_fields=[
                name for name in HeartbeatSerializer.Meta.fields if name != "instance_name"
            ],
        )
        if agent.operational_state:
            self._retire_predecessors(agent)
        if claims and namespace_of(request.user) is None:
            self._forget_former_name(agent)
        return Response(HeartbeatSerializer(agent).data)

    def _confirm_claim(self, request: Request, given: dict[str, Any]) -> bool:
        """Whether the heartbeat has a claim. A testbed whose namespace was taken over must stop its
        work."""
        claim = valid(ConfirmationSerializer, request.data)
        if claim["namespace_owner"]:
            try:
                namespaces.confirm(
                    given["namespace"],
                    claim["namespace_owner"],
                    claim["namespace_id"],
                    given["instance_name"],
                    adopts_runs=namespace_of(request.user) is None,
                )
            except namespaces.NamespaceError as error:
                raise Conflict(str(error)) from None
        return bool(claim["namespace_owner"])

    def _forget_former_name(self, agent: SystemAgent) -> None:
        """An agent of an earlier version had the name TYPE@HOST. If it was killed before the upgrade,
        that name would count as dead. No issued login had an earlier version."""
        SystemAgent.objects.filter(
            instance_name=f"{agent.agent_type}@{agent.hostname}",
            last_heartbeat__lt=self._silent_since(agent),
        ).exclude(instance_name=agent.instance_name).delete()

    def _silent_since(self, agent: SystemAgent) -> datetime:
        return agent.last_heartbeat - timedelta(
            seconds=summary.fresh_seconds(agent.heartbeat_interval)
        )

    def _retire_predecessors(self, agent: SystemAgent) -> None:
        """An agent of the public testbed has a new name after each start, so its former name would
        count as dead for ever."""
        SystemAgent.objects.filter(
            agent_type=agent.agent_type,
            hostname=agent.hostname,
            namespace=agent.namespace,
            last_heartbeat__lt=self._silent_since(agent),
        ).exclude(operational_state__in=("", OperationalState.EXITED)).update(
            status=AgentStatus.EXITED, operational_state=OperationalState.EXITED
        )


class ListView(generics.ListAPIView[Any]):
    """A list whose query is validated before it is run."""

    query_class: type[PageQuery] = PageQuery

    def get_queryset(self) -> QuerySet[Any]:
        return self.select(valid(self.query_class, self.request.query_params))

    def select(self, query: dict[str, Any]) -> QuerySet[Any]:
        raise NotImplementedError


class AgentListView(ListView):
    serializer_class = HeartbeatSerializer

    def select(self, query: dict[str, Any]) -> QuerySet[Any]:
        return SystemAgent.objects.all()


class AgentView(APIView):
    def delete(self, request: Request, instance_name: str) -> Response:
        """Delete an agent that has stopped normally or was removed. An unknown agent is not an
        error.

        With `pid`, as an agent sends it, only if the last heartbeat is from that process.
        """
        named = valid(GoodbyeQuery, {**request.query_params.dict(), "instance_name": instance_name})
        _refuse_other_agents(request, named)
        SystemAgent.objects.filter(**named).delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


class RunListView(ListView):
    serializer_class = RunSerializer
    query_class = RunQuery

    def select(self, query: dict[str, Any]) -> QuerySet[Any]:
        wanted = {name: query[name] for name in ("namespace", "status") if name in query}
        return Run.objects.filter(**wanted)

    def post(self, request: Request) -> Response:
        """Create a run with a new number, or with the number of the public testbed's DAQ."""
        given = valid(NewRunSerializer, request.data)
        namespace = given_namespace(request, given.get("namespace", ""), "the run")
        if "run_number" not in given:
            run, created = Run.objects.create(namespace=namespace), True
        else:
            run, created = self._numbered_run(request, given)
        return Response(
            RunSerializer(run).data,
            status=status.HTTP_201_CREATED if created else status.HTTP_200_OK,
        )

    def _numbered_run(self, request: Request, given: dict[str, Any]) -> tuple[Run, bool]:
        with transaction.atomic():
            run, created = Run.objects.select_for_update().get_or_create(
                pk=given["run_number"],
                defaults={"namespace": given_namespace(request, "", "the run")},
            )
            refuse_other_run(request, run)
            if created:
                reserve_run_number(run.pk)
            run.metadata = given.get("run_conditions") or {}
            if "start_time" in given and run.status in RUN_BEFORE[RunStatus.RUNNING]:
                run.status, run.started_at = RunStatus.RUNNING, given["start_time"]
            run.save()
        return run, created


class RunView(APIView):
    def get(self, request: Request, run_id: int) -> Response:
        return Response(RunSerializer(get_object_or_404(Run, pk=run_id)).data)

    def patch(self, request: Request, run_id: int) -> Response:
        change = valid(RunChangeSerializer, request.data)
        # Only within one request: with two, a clock that was set back may lead to this order.
        if {"started_at", "ended_at"} <= change.keys() and change["ended_at"] < change[
            "started_at"
        ]:
            raise ValidationError({"ended_at": "Is before started_at."})
        with transaction.atomic():
            run = get_object_or_404(Run.objects.select_for_update(), pk=run_id)
            _refuse_other_namespace(request, run)
            # A message that is late or repeated must not reopen an ended run.
            wanted = change.pop("status", run.status)
            if run.status in RUN_BEFORE[wanted]:
                run.status = wanted
            for name, value in change.items():
                setattr(run, name, value)
            run.save()
        return Response(RunSerializer(run).data)


class StfListView(ListView):
    """Newest first; with `older_than` the oldest first, to find files that make no progress."""

    serializer_class = StfFileSerializer
    query_class = StfQuery

    def select(self, query: dict[str, Any]) -> QuerySet[Any]:
        files = StfFile.objects.all()
        if "status" in query:
            files = files.filter(status__in=query["status"])
        if query["sampled"] is not None:
            files = files.filter(sampled_at__isnull=not query["sampled"])
        if "run_id" in query:
            files = files.filter(run_id=query["run_id"])
        if "namespace" in query:
            files = files.filter(run__namespace=query["namespace"])
        if "older_than" in query:
            now, age = timezone.now(), timedelta(seconds=query["older_than"])
            # A time in the future is from before the clock was set back; its distance counts.
            # A file of the public testbed has no checksum, and the reference agents cannot read it.
            files = (
                files.filter(Q(updated_at__lt=now - age) | Q(updated_at__gt=now + age))
                .exclude(checksum="")
                .order_by("id")
            )
        return files

    def post(self, request: Request) -> Response:
        public = isinstance(request.data, dict) and "stf_filename" in request.data
        given = valid(NewPublicStfSerializer if public else NewStfFileSerializer, request.data)
        run = Run.objects.filter(pk=given["run_id"]).first()
        if run is None:
            name = "run" if public else "run_id"
            raise ValidationError({name: f"There is no run {given['run_id']}."})
        _refuse_other_namespace(request, run)
        _refuse_name_of_other_run(given["filename"], run, "stf_filename" if public else "filename")
        stf, created = StfFile.objects.get_or_create(filename=given["filename"], defaults=given)
        if not created:
            _refuse_other(stf, given, ("run_id", "size_bytes", "checksum"))
        answer = StfFileSerializer(stf).data
        return Response(
            # The key of a file: its agent sends it back in the address of a PATCH.
            {**answer, "file_id": stf.filename} if public else answer,
            status=status.HTTP_201_CREATED if created else status.HTTP_200_OK,
        )


class StfView(APIView):
    def get(self, request: Request, filename: str) -> Response:
        return Response(StfFileSerializer(get_object_or_404(StfFile, filename=filename)).data)

    def patch(self, request: Request, filename: str) -> Response:
        """Respond with 200 and the current file, even if the change would move its status back."""
        change = valid(StfChangeSerializer, request.data)
        file = get_object_or_404(StfFile.objects.select_related("run"), filename=filename)
        _refuse_other_namespace(request, file.run)
        if "metadata" in change:
            change["metadata"] = {**(file.metadata or {}), **change["metadata"]}
        # The condition is part of the UPDATE, so only the first of two agents can finish a file.
        StfFile.objects.filter(filename=filename, status__in=STF_BEFORE[change["status"]]).update(
            **change, updated_at=timezone.now()
        )
        return Response(StfFileSerializer(get_object_or_404(StfFile, filename=filename)).data)


class TfListView(APIView):
    new_class: type[serializers.Serializer[Any]] = NewTfFileSerializer
    stored_class: type[serializers.BaseSerializer[Any]] = TfFileSerializer
    stf_field = "stf_filename"
    name_field = "filename"

    def post(self, request: Request) -> Response:
        given = valid(self.new_class, request.data)
        files = StfFile.objects.select_related("run")
        stf = files.filter(filename=given.pop("stf_filename")).first()
        if stf is None:
            raise ValidationError({self.stf_field: "No such STF file is registered."})
        _refuse_other_namespace(request, stf.run)
        _refuse_name_of_other_run(given["filename"], stf.run, self.name_field)
        with transaction.atomic():
            tf, created = TfFile.objects.get_or_create(
                filename=given["filename"], defaults={**given, "stf_file": stf}
            )
            if not created:
                _refuse_other(
                    tf, {**given, "stf_file_id": stf.pk}, ("stf_file_id", "size_bytes", "offset")
                )
            now = timezone.now()
            StfFile.objects.filter(pk=stf.pk, sampled_at__isnull=True).update(
                sampled_at=now, updated_at=now
            )
        tf.stf_file = stf
        return Response(
            self.stored_class(tf).data,
            status=status.HTTP_201_CREATED if created else status.HTTP_200_OK,
        )


class MessageListView(ListView):
    serializer_class = MessageSerializer
    query_class = MessageQuery

    def select(self, query: dict[str, Any]) -> QuerySet[Any]:
        messages = Message.objects.all()
        return messages.filter(msg_type=query["msg_type"]) if "msg_type" in query else messages


class OpenView(APIView):
    """Public views: numbers and states, but no content."""

    authentication_classes = ()
    permission_classes = (AllowAny,)


class SummaryView(OpenView):
    def get(self, request: Request) -> Response:
        return Response(summary.collect())


class HealthView(OpenView):
    def get(self, request: Request) -> Response:
        query = valid(NamespaceQuery, request.query_params)
        state = health.check(query.get("namespace", ""))
        return Response(
            state,
            status=status.HTTP_200_OK
            if state["status"] == "ok"
            else status.HTTP_503_SERVICE_UNAVAILABLE,
        )
