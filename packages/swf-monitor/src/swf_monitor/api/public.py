# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests of the agents of the public testbed that have no equal among those of the reference
agents."""

import logging
from typing import Any

from django.db import transaction
from django.db.models import F
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from swf_monitor.api import public_shapes
from swf_monitor.api.base import View, valid
from swf_monitor.api.rights import given_namespace, refuse_other
from swf_monitor.api.views import TfListView
from swf_monitor.models import Counter, Run

logger = logging.getLogger(__name__)


class NextRunNumberView(View):
    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        """Create a run of the public testbed; `run_number` is its number."""
        namespace = given_namespace(request, "", "the run")
        run = Run.objects.create(metadata={}, namespace=namespace)
        return Response({"run_number": run.pk, "status": "success"})


class NextAgentIdView(View):
    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        """A number that no other agent has; an agent of the public testbed makes its name of it."""
        # The row is locked until the end of the transaction, so each number is given once.
        with transaction.atomic():
            counter, _created = Counter.objects.get_or_create(pk="agent")
            Counter.objects.filter(pk=counter.pk).update(value=F("value") + 1)
            counter.refresh_from_db()
        return Response({"agent_id": counter.value, "status": "success"})


class FastMonListView(TfListView):
    new_class = public_shapes.NewFastMonFileSerializer
    stored_class = public_shapes.FastMonFileSerializer
    stf_field = "stf_file"
    name_field = "tf_filename"

    @extend_schema(
        request=public_shapes.NewFastMonFileSerializer, responses={201: OpenApiTypes.OBJECT}
    )
    def post(self, request: Request) -> Response:
        """Register a time frame of the public testbed."""
        return super().post(request)


class CheckedView(View):
    """Validates and confirms what the monitor does not store."""

    serializer_class: type[serializers.Serializer[Any]]

    @extend_schema(responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request) -> Response:
        return self.confirm(valid(self.serializer_class, request.data))

    def confirm(self, given: dict[str, Any]) -> Response:
        return Response(given, status=status.HTTP_201_CREATED)


class SubscriberListView(CheckedView):
    """The broker knows its subscribers."""

    serializer_class = public_shapes.SubscriberSerializer


class NamespaceView(CheckedView):
    """A namespace is a field of agents and messages. Nobody has to create it."""

    serializer_class = public_shapes.EnsuredNamespaceSerializer

    def confirm(self, given: dict[str, Any]) -> Response:
        refuse_other(self.request, given["name"], "the request")
        return Response({**given, "created": False, "status": "success"})


class LogListView(CheckedView):
    """A record goes to the monitor's own log."""

    serializer_class = public_shapes.LogRecordSerializer

    def confirm(self, given: dict[str, Any]) -> Response:
        level, message = given.pop("level"), given.pop("message")
        logger.log(level, "%s", message, extra=given)
        return Response(status=status.HTTP_201_CREATED)
