# SPDX-License-Identifier: GPL-3.0-or-later
"""The data of the REST API in the shapes of the public testbed, as values of the monitor's models.

docs/reference/compatibility.md of the collection describes them.
"""

from typing import Any

from rest_framework import serializers

from swf_monitor.api.serializers import (
    MAX_BIG_INTEGER,
    MAX_INTEGER,
    MetadataField,
    MomentField,
    filename_field,
)
from swf_monitor.models import StfStatus, TfFile


class NewRunSerializer(serializers.Serializer[Any]):
    """The body of POST /api/runs/: at most a namespace for a new number, or a run of the public
    testbed."""

    namespace = serializers.CharField(max_length=100, required=False)
    run_number = serializers.IntegerField(min_value=1, max_value=MAX_INTEGER, required=False)
    start_time = MomentField(required=False)
    run_conditions = MetadataField(required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.keys() - {"namespace"} and "run_number" not in attrs:
            raise serializers.ValidationError({"run_number": "This field is required."})
        return attrs


class NewPublicStfSerializer(serializers.Serializer[Any]):
    """The body of POST /api/stf-files/ with `stf_filename`."""

    run = serializers.IntegerField(source="run_id", min_value=1, max_value=MAX_BIG_INTEGER)
    stf_filename = filename_field(source="filename")
    file_size_bytes = serializers.IntegerField(
        source="size_bytes", min_value=0, max_value=MAX_BIG_INTEGER, default=None, allow_null=True
    )
    checksum = serializers.CharField(max_length=71, default="", allow_blank=True)
    machine_state = serializers.CharField(max_length=64, default="physics")
    status = serializers.ChoiceField(choices=StfStatus.choices, default=StfStatus.REGISTERED)
    metadata = MetadataField(default=dict)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        metadata = {"machine_state": attrs.pop("machine_state"), **attrs["metadata"]}
        sequence = metadata.get("sequence")
        usable = type(sequence) is int and 0 <= sequence <= MAX_INTEGER
        return {**attrs, "metadata": metadata, "path": "", "sequence": sequence if usable else 0}


class NewFastMonFileSerializer(serializers.Serializer[Any]):
    """The body of POST /api/fastmon-files/."""

    stf_file = filename_field(source="stf_filename")
    tf_filename = filename_field(source="filename")
    file_size_bytes = serializers.IntegerField(
        source="size_bytes", min_value=0, max_value=MAX_BIG_INTEGER
    )
    tf_first = serializers.IntegerField(min_value=0, max_value=MAX_INTEGER, default=None)
    tf_last = serializers.IntegerField(min_value=0, max_value=MAX_INTEGER, default=None)
    tf_count = serializers.IntegerField(min_value=0, max_value=MAX_INTEGER, default=None)
    metadata = MetadataField(default=dict)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        numbers = {name: attrs.pop(name) for name in ("tf_first", "tf_last", "tf_count")}
        return {**attrs, "offset": None, "metadata": {**attrs["metadata"], **numbers}}


class FastMonFileSerializer(serializers.BaseSerializer[Any]):
    """The answer to POST /api/fastmon-files/, which an agent announces with `tf_file_registered`."""

    def to_representation(self, instance: TfFile) -> dict[str, Any]:
        metadata = instance.metadata or {}
        return {
            "tf_file_id": instance.filename,
            "tf_filename": instance.filename,
            "stf_file": instance.stf_file.filename,
            "file_size_bytes": instance.size_bytes,
            "status": StfStatus.REGISTERED,
            "metadata": metadata,
            **{name: metadata.get(name) for name in ("tf_first", "tf_last", "tf_count")},
        }


class SubscriberSerializer(serializers.Serializer[Any]):
    """The body of POST /api/subscribers/, and its answer."""

    subscriber_name = serializers.CharField(max_length=255)
    description = serializers.CharField(max_length=2000, default="", allow_blank=True)
    is_active = serializers.BooleanField(default=True)
    fraction = serializers.FloatField(min_value=0, max_value=1, default=None, allow_null=True)


class EnsuredNamespaceSerializer(serializers.Serializer[Any]):
    """The body of POST /api/namespaces/ensure/."""

    name = serializers.CharField(max_length=100)
    owner = serializers.CharField(max_length=100)
    description = serializers.CharField(max_length=2000, default="", allow_blank=True)


class LogRecordSerializer(serializers.Serializer[Any]):
    """The body of POST /api/logs/: the parts of a record that the monitor's log shows."""

    app_name = serializers.CharField(max_length=100)
    instance_name = serializers.CharField(max_length=100)
    level = serializers.IntegerField(min_value=0, max_value=50)
    message = serializers.CharField(max_length=10_000, allow_blank=True)
    extra_data = MetadataField(default=None, allow_null=True)
