# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters of lists, for the REST API and for the pages. All of them can be combined."""

from datetime import timedelta
from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.utils import timezone
from django_filters import rest_framework as filters

from swf_monitor.api.serializers import MAX_BIG_INTEGER
from swf_monitor.models import (
    AgentStatus,
    Message,
    Namespace,
    Run,
    RunStatus,
    SetAsideMessage,
    StfFile,
    StfStatus,
    SystemAgent,
)

TEN_YEARS = 10 * 365 * 86400
YES_OR_NO = (("true", "yes"), ("false", "no"))


class IntegerFilter(filters.NumberFilter):
    """A whole number that both databases can hold."""

    field_class = forms.IntegerField

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, min_value=0, max_value=MAX_BIG_INTEGER, **options)


class WordsFilter(filters.BaseInFilter, filters.ChoiceFilter):
    """One or several of the choices, separated by commas."""


class Newest(filters.OrderingFilter):
    """The order of a list. Only columns with an index: others would sort the whole table."""

    def __init__(self, **fields: str) -> None:
        super().__init__(fields=tuple((column, name) for name, column in fields.items()))


class AgentFilter(filters.FilterSet):
    """Agents."""

    agent_type = filters.CharFilter(max_length=64)
    status = WordsFilter(choices=AgentStatus.choices)
    namespace = filters.CharFilter(max_length=100)
    hostname = filters.CharFilter(max_length=255)
    ordering = Newest(
        instance_name="instance_name",
        agent_type="agent_type",
        hostname="hostname",
        last_heartbeat="last_heartbeat",
    )

    class Meta:
        model = SystemAgent
        fields = ()


class NamespaceFilter(filters.FilterSet):
    """Namespaces."""

    name = filters.CharFilter(max_length=100)
    owner = filters.CharFilter(max_length=255)
    ordering = Newest(name="name", claimed_at="claimed_at", last_seen="last_seen")

    class Meta:
        model = Namespace
        fields = ()


class SetAsideFilter(filters.FilterSet):
    """Messages that were set aside."""

    namespace = filters.CharFilter(max_length=100)
    receiver = filters.CharFilter(max_length=200)
    msg_type = filters.CharFilter(max_length=64)
    ordering = Newest(received_at="id")

    class Meta:
        model = SetAsideMessage
        fields = ()


class RunFilter(filters.FilterSet):
    """Runs."""

    status = WordsFilter(choices=RunStatus.choices)
    namespace = filters.CharFilter(max_length=100)
    run_id = IntegerFilter()
    ordering = Newest(run_id="run_id")

    class Meta:
        model = Run
        fields = ()


class StfFilter(filters.FilterSet):
    """STF files."""

    status = WordsFilter(choices=StfStatus.choices)
    sampled = filters.ChoiceFilter(choices=YES_OR_NO, method="filter_sampled")
    run_id = IntegerFilter()
    namespace = filters.CharFilter(field_name="run__namespace", max_length=100)
    search = filters.CharFilter(
        field_name="filename", lookup_expr="icontains", max_length=255, label="A part of the name"
    )
    registered_after = filters.IsoDateTimeFilter(field_name="registered_at", lookup_expr="gte")
    registered_before = filters.IsoDateTimeFilter(field_name="registered_at", lookup_expr="lt")
    older_than = filters.NumberFilter(
        method="filter_older",
        min_value=0,
        max_value=TEN_YEARS,
        label="Seconds since the last change; the oldest file is first",
    )
    ordering = Newest(registered_at="id", filename="filename")

    class Meta:
        model = StfFile
        fields = ()

    def filter_sampled(self, files: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return files.filter(sampled_at__isnull=value == "false")

    def filter_older(self, files: QuerySet[Any], name: str, value: Any) -> QuerySet[Any]:
        now, age = timezone.now(), timedelta(seconds=float(value))
        # A time in the future is from before the clock was set back; its distance counts.
        # A file of the public testbed has no checksum, and the reference agents cannot read it.
        changed = Q(updated_at__lt=now - age) | Q(updated_at__gt=now + age)
        return files.filter(changed).exclude(checksum="").order_by("id")


class MessageFilter(filters.FilterSet):
    """Messages. Only type and time have an index, so give a time together with the others."""

    msg_type = filters.CharFilter(max_length=64)
    namespace = filters.CharFilter(max_length=100)
    sender = filters.CharFilter(max_length=200)
    run_id = IntegerFilter()
    filename = filters.CharFilter(max_length=255)
    received_after = filters.IsoDateTimeFilter(field_name="received_at", lookup_expr="gte")
    received_before = filters.IsoDateTimeFilter(field_name="received_at", lookup_expr="lt")
    ordering = Newest(received_at="received_at")

    class Meta:
        model = Message
        fields = ()
