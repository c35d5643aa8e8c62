# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests on namespaces, and on messages that were set aside."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from swf_common_lib.namespace import RULE, valid_namespace
from swf_common_lib.namespace import Namespace as Claim

from swf_monitor import namespaces
from swf_monitor.api.rights import refuse_other
from swf_monitor.api.serializers import NamespaceQuery
from swf_monitor.api.views import Conflict, ListView, valid
from swf_monitor.logins import namespace_of
from swf_monitor.models import Namespace, SetAsideMessage


def check_name(name: str) -> None:
    """Check that it can be the name of a namespace.

    Raises:
        ValidationError: it cannot.
    """
    if not valid_namespace(name):
        raise serializers.ValidationError(f"Must be {RULE}.")


class ClaimSerializer(serializers.Serializer[Any]):
    """The body of POST /api/namespaces/claim/."""

    name = serializers.CharField(max_length=100, validators=[check_name])
    owner = serializers.CharField(max_length=255)
    agent = serializers.CharField(max_length=200)
    take_over_from = serializers.CharField(max_length=255, default="", allow_blank=True)


class DataDirectorySerializer(serializers.Serializer[Any]):
    """The body of POST /api/namespaces/<name>/data/."""

    owner = serializers.CharField(max_length=255)
    data_id = serializers.CharField(max_length=64)
    place = serializers.CharField(max_length=4500)


class ReleaseQuery(serializers.Serializer[Any]):
    """The query of DELETE /api/namespaces/<name>/."""

    owner = serializers.CharField(max_length=255)


class NamespaceSerializer(serializers.ModelSerializer[Any]):
    class Meta:
        model = Namespace
        fields = (
            "name",
            "owner",
            "namespace_id",
            "claimed_at",
            "last_seen",
            "last_agent",
            "data_id",
            "data_place",
        )
        read_only_fields = fields


class SetAsideSerializer(serializers.ModelSerializer[Any]):
    body = serializers.CharField(allow_blank=True, trim_whitespace=False)

    class Meta:
        model = SetAsideMessage
        fields = (
            "namespace",
            "receiver",
            "destination",
            "reason",
            "msg_type",
            "sender",
            "sender_namespace",
            "body",
            "received_at",
        )
        read_only_fields = ("msg_type", "sender", "sender_namespace", "received_at")


class NamespaceListView(ListView):
    serializer_class = NamespaceSerializer

    def select(self, query: dict[str, Any]) -> QuerySet[Any]:
        return Namespace.objects.all()


class ClaimView(APIView):
    def post(self, request: Request) -> Response:
        given = valid(ClaimSerializer, request.data)
        refuse_other(request, given["name"], "the claim")
        try:
            row = namespaces.claim(
                Claim(given["name"], given["owner"], given["take_over_from"]),
                given["agent"],
                adopts_runs=namespace_of(request.user) is None,
            )
        except namespaces.NamespaceError as error:
            raise Conflict(str(error)) from None
        return Response(NamespaceSerializer(row).data)


class DataDirectoryView(APIView):
    def post(self, request: Request, name: str) -> Response:
        refuse_other(request, name, "the URL")
        try:
            row = namespaces.mark_data(name, **valid(DataDirectorySerializer, request.data))
        except namespaces.NamespaceError as error:
            raise Conflict(str(error)) from None
        return Response(NamespaceSerializer(row).data)


class NamespaceView(APIView):
    def delete(self, request: Request, name: str) -> Response:
        """Release a namespace whose agents have stopped. An unknown one is not an error."""
        refuse_other(request, name, "the URL")
        try:
            namespaces.release(name, **valid(ReleaseQuery, request.query_params.dict()))
        except namespaces.NamespaceError as error:
            raise Conflict(str(error)) from None
        return Response(status=status.HTTP_204_NO_CONTENT)


class SetAsideListView(ListView):
    serializer_class = SetAsideSerializer
    query_class = NamespaceQuery

    def select(self, query: dict[str, Any]) -> QuerySet[Any]:
        rows = SetAsideMessage.objects.all()
        return rows.filter(namespace=query["namespace"]) if "namespace" in query else rows

    def post(self, request: Request) -> Response:
        given = valid(SetAsideSerializer, request.data)
        refuse_other(request, given["namespace"], "the message")
        row = namespaces.set_aside(**given)
        return Response(SetAsideSerializer(row).data, status=status.HTTP_201_CREATED)
