# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests of the agents of the public testbed that have no equal among those of the reference
agents."""

import logging
from typing import Any

from django.db import transaction
from django.db.models import F
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from swf_monitor.api import public_shapes
from swf_monitor.api.rights import given_namespace, refuse_other
from swf_monitor.api.views import TfListView, valid
from swf_monitor.models import Counter, Run

logger = logging.getLogger(__name__)


class NextRunNumberView(APIView):
    def post(self, request: Request) -> Response:
        namespace = given_namespace(request, "", "the run")
        run = Run.objects.create(metadata={}, namespace=namespace)
        return Response({"run_number": run.pk, "status": "success"})


class NextAgentIdView(APIView):
    def post(self, request: Request) -> Response:
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


class CheckedView(APIView):
    """Validates and confirms what the monitor does not store."""

    serializer_class: type[serializers.Serializer[Any]]

    def post(self, request: Request) -> Response:
        return self.confirm(valid(self.serializer_class, request.data))

    def confirm(self, given: dict[str, Any]) -> Response:
        return Response(given, status=status.HTTP_201_CREATED)


class SubscriberListView(CheckedView):
    """The broker knows its subscribers."""

    serializer_class = public_shapes.SubscriberSerializer


class NamespaceView(CheckedView):
    """A namespace is a field of agents and messages. Nobody has to create it."""

    serializer_class = public_shapes.NamespaceSerializer

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
