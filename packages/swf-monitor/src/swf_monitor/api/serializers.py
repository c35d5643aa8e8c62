# SPDX-License-Identifier: GPL-3.0-or-later
"""The data of the REST API. Invalid data is refused with a 400 that has the cause."""

import json
import math
import re
from datetime import datetime
from typing import Any, ClassVar

from django.utils import timezone
from rest_framework import serializers

from swf_monitor.models import (
    AgentStatus,
    Message,
    Run,
    RunStatus,
    StfFile,
    StfStatus,
    SystemAgent,
    TfFile,
)

# The largest numbers that both databases can hold.
MAX_INTEGER = 2**31 - 1
MAX_BIG_INTEGER = 2**63 - 1
MAX_METADATA_CHARACTERS = 65536
# SQLite refuses JSON that is nested deeper.
MAX_METADATA_PARTS = 1000
# In JSON; an escaped backslash may precede a "u".
ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
# The agents of the public testbed send a heartbeat after this time (s).
PUBLIC_HEARTBEAT_SECONDS = 60.0
# Names become a part of a URL, so they have no characters that must be quoted in one.
FILENAME = r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,254}\Z"
CHECKSUM = r"\Asha256:[0-9a-f]{64}\Z"


def filename_field(**options: Any) -> serializers.RegexField:
    """The name of a file, without a directory."""
    return serializers.RegexField(
        FILENAME,
        max_length=255,
        **options,
        error_messages={
            "invalid": "Must be a file name of letters, digits, '.', '_' and '-', without a "
            "directory."
        },
    )


class FiniteFloatField(serializers.FloatField):
    """A number, but not NaN or infinity: JSON has no form for them, and PostgreSQL refuses some."""

    def to_internal_value(self, data: Any) -> float:
        number = super().to_internal_value(data)
        if not math.isfinite(number):
            self.fail("invalid")
        return number


class MomentField(serializers.DateTimeField):
    """A time. A time without a time zone may be of any zone, so the time of receipt replaces it: the
    agents of the public testbed send the current local time."""

    def enforce_timezone(self, value: datetime) -> datetime:
        return timezone.now() if timezone.is_naive(value) else super().enforce_timezone(value)


class MetadataField(serializers.JSONField):
    """A JSON object that both databases can hold."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "object": "Must be a JSON object.",
        "characters": "Has a NUL, an invalid character or a number that is not finite.",
        "large": f"Has more than {MAX_METADATA_CHARACTERS} characters, or more than "
        f"{MAX_METADATA_PARTS} lists and objects.",
    }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("object")
        try:
            text = json.dumps(data, allow_nan=False, ensure_ascii=False)
            text.encode()
        except RecursionError:
            self.fail("large")
        except ValueError:
            self.fail("characters")
        if ESCAPED_NUL.search(text):
            self.fail("characters")
        parts = text.count("[") + text.count("{")
        if len(text) > MAX_METADATA_CHARACTERS or parts > MAX_METADATA_PARTS:
            self.fail("large")
        return data


class ConfirmationSerializer(serializers.Serializer[Any]):
    """The claim of a namespace in a heartbeat. Public agents, and earlier versions, send none."""

    namespace_owner = serializers.CharField(max_length=255, default="", allow_blank=True)
    namespace_id = serializers.CharField(max_length=32, default="", allow_blank=True)


class HeartbeatSerializer(serializers.ModelSerializer[Any]):
    """A heartbeat, and an agent in a list. `last_heartbeat` is by the monitor's clock, not by the
    agent's."""

    # The unique field of the model does not fit: most heartbeats come from agents with a row.
    instance_name = serializers.CharField(max_length=200)
    status = serializers.ChoiceField(choices=AgentStatus.choices)
    pid = serializers.IntegerField(
        min_value=1, max_value=MAX_INTEGER, required=False, allow_null=True
    )
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    # An agent of the public testbed does not send it.
    heartbeat_interval = FiniteFloatField(min_value=0, default=PUBLIC_HEARTBEAT_SECONDS)

    class Meta:
        model = SystemAgent
        fields = (
            "instance_name",
            "agent_type",
            "status",
            "operational_state",
            "namespace",
            "hostname",
            "pid",
            "version",
            "description",
            "started_at",
            "heartbeat_interval",
            "last_heartbeat",
        )
        read_only_fields = ("last_heartbeat",)


class RunSerializer(serializers.ModelSerializer[Any]):
    class Meta:
        model = Run
        fields = (
            "run_id",
            "namespace",
            "status",
            "created_at",
            "started_at",
            "ended_at",
            "total_files",
            "metadata",
        )
        read_only_fields = fields


class RunChangeSerializer(serializers.Serializer[Any]):
    """The body of PATCH /api/runs/<run_id>/, with at least one of the fields."""

    status = serializers.ChoiceField(choices=RunStatus.choices, required=False)
    started_at = serializers.DateTimeField(required=False)
    ended_at = serializers.DateTimeField(required=False)
    total_files = serializers.IntegerField(min_value=0, max_value=MAX_INTEGER, required=False)
    # As the agents of the public testbed end a run.
    end_time = MomentField(source="ended_at", required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError(
                "Nothing to change: give status, started_at, ended_at or total_files."
            )
        if "end_time" in self.initial_data:
            attrs["status"] = RunStatus.ENDED
        return attrs


class StfFileSerializer(serializers.ModelSerializer[Any]):
    run_id = serializers.IntegerField(read_only=True)

    class Meta:
        model = StfFile
        fields = (
            "filename",
            "run_id",
            "path",
            "size_bytes",
            "checksum",
            "sequence",
            "status",
            "reason",
            "processing_seconds",
            "registered_at",
            "updated_at",
            "sampled_at",
            "metadata",
        )
        read_only_fields = fields


class NewStfFileSerializer(serializers.Serializer[Any]):
    """The body of POST /api/stf-files/."""

    filename = filename_field()
    run_id = serializers.IntegerField(min_value=1, max_value=MAX_BIG_INTEGER)
    path = serializers.CharField(max_length=4096)
    size_bytes = serializers.IntegerField(min_value=0, max_value=MAX_BIG_INTEGER)
    checksum = serializers.RegexField(
        CHECKSUM,
        error_messages={"invalid": "Must be 'sha256:' and 64 hexadecimal digits in lower case."},
    )
    sequence = serializers.IntegerField(min_value=0, max_value=MAX_INTEGER)


class StfChangeSerializer(serializers.Serializer[Any]):
    """The body of PATCH /api/stf-files/<filename>/."""

    status = serializers.ChoiceField(choices=StfStatus.choices)
    reason = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    processing_seconds = FiniteFloatField(min_value=0, required=False)
    metadata = MetadataField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["status"] == StfStatus.FAILED and not attrs.get("reason"):
            raise serializers.ValidationError({"reason": "A failed file needs a reason."})
        return attrs


class NewTfFileSerializer(serializers.Serializer[Any]):
    """The body of POST /api/tf-files/."""

    filename = filename_field()
    stf_filename = filename_field()
    size_bytes = serializers.IntegerField(min_value=0, max_value=MAX_BIG_INTEGER)
    offset = serializers.IntegerField(min_value=0, max_value=MAX_BIG_INTEGER)


class TfFileSerializer(serializers.ModelSerializer[Any]):
    stf_filename = serializers.CharField(source="stf_file.filename", read_only=True)

    class Meta:
        model = TfFile
        fields = ("filename", "stf_filename", "size_bytes", "offset", "registered_at", "metadata")
        read_only_fields = fields


class MessageSerializer(serializers.ModelSerializer[Any]):
    class Meta:
        model = Message
        fields = (
            "message_id",
            "msg_type",
            "namespace",
            "sender",
            "run_id",
            "sent_at",
            "received_at",
            "body",
        )
        read_only_fields = fields


class GoodbyeQuery(serializers.Serializer[Any]):
    """The agent of DELETE /api/systemagents/<instance_name>/."""

    instance_name = serializers.CharField(max_length=200)
    pid = serializers.IntegerField(min_value=1, max_value=MAX_INTEGER, required=False)


class NamespaceQuery(serializers.Serializer[Any]):
    """The query of GET /api/health/."""

    namespace = serializers.CharField(max_length=100, required=False)


class StepSerializer(serializers.Serializer[Any]):
    """One step of a file. `at` is null until the step has come."""

    name = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True)
    by = serializers.CharField()
    note = serializers.CharField()


class StfHistorySerializer(serializers.Serializer[Any]):
    """The answer to GET /api/stf-files/<filename>/history/."""

    file = StfFileSerializer()
    steps = StepSerializer(many=True)
    time_frames = TfFileSerializer(many=True)
    messages = MessageSerializer(many=True)
