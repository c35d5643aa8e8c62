# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages of the testbed: their types, destinations and bodies."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

#: The queues of each namespace; `Namespace.address` has their addresses.
DATA_QUEUE = "data"
PROCESSING_QUEUE = "processing"
FASTMON_QUEUE = "fastmon"
MONITOR_QUEUE = "monitor"

#: The destination queues of each type of message.
ROUTES: Mapping[str, tuple[str, ...]] = {
    "run_imminent": (DATA_QUEUE, MONITOR_QUEUE),
    "start_run": (DATA_QUEUE, MONITOR_QUEUE),
    "end_run": (DATA_QUEUE, MONITOR_QUEUE),
    "stf_gen": (DATA_QUEUE, MONITOR_QUEUE),
    "stf_ready": (PROCESSING_QUEUE, FASTMON_QUEUE, MONITOR_QUEUE),
    "processing_complete": (MONITOR_QUEUE,),
    "tf_file_registered": (MONITOR_QUEUE,),
}

_STF_FIELDS: Mapping[str, type] = {
    "filename": str,
    "path": str,
    "size_bytes": int,
    "checksum": str,
    "sequence": int,
    "started_at": str,
    "ended_at": str,
}
_FIELDS: Mapping[str, Mapping[str, type]] = {
    "run_imminent": {},
    "start_run": {},
    "end_run": {"total_files": int},
    "stf_gen": _STF_FIELDS,
    "stf_ready": _STF_FIELDS,
    "processing_complete": {"filename": str, "checksum_ok": bool, "processing_seconds": float},
    "tf_file_registered": {
        "tf_filename": str,
        "stf_filename": str,
        "size_bytes": int,
        "offset": int,
    },
}
_ENVELOPE: Mapping[str, type] = {
    "msg_type": str,
    "message_id": str,
    "namespace": str,
    "sender": str,
    "sent_at": str,
    "run_id": int,
}


class MalformedMessage(ValueError):
    """The body is not a message of the testbed; the text is the cause."""


@dataclass(frozen=True)
class Message:
    """One message. `fields` are the fields in addition to the envelope, e.g. `filename`."""

    msg_type: str
    run_id: int
    sender: str
    namespace: str
    #: The id that the monitor gave to the namespace; "" if it is not known. It shows messages of
    #: another testbed with the same name of its namespace, at another monitor or of a former time.
    namespace_id: str = ""
    message_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    sent_at: str = field(default_factory=lambda: now())
    fields: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def to_json(self) -> str:
        """The body as it is sent.

        :raises MalformedMessage: a field is missing or has the wrong type, or the type is unknown
        """
        body = {name: getattr(self, name) for name in (*_ENVELOPE, "namespace_id")}
        body.update(self.fields)
        _check(body)
        return json.dumps(body)


def parse(text: str | bytes) -> Message:
    """Parse a body.

    :raises MalformedMessage: it is not JSON, or a field is missing or has the wrong type
    """
    try:
        body = json.loads(text)
    except ValueError:  # includes wrong UTF-8
        raise MalformedMessage("the body is not JSON") from None
    if not isinstance(body, dict):
        raise MalformedMessage("the body is not a JSON object")
    _check(body)
    envelope = {name: body.pop(name) for name in _ENVELOPE}
    namespace_id = body.pop("namespace_id", "")
    return Message(**envelope, namespace_id=str(namespace_id), fields=body)


def _check(body: Mapping[str, Any]) -> None:
    _check_fields(body, _ENVELOPE)
    if body["msg_type"] not in ROUTES:
        raise MalformedMessage(f"unknown msg_type {body['msg_type']!r}")
    _check_fields(body, _FIELDS[body["msg_type"]])


def _check_fields(body: Mapping[str, Any], expected: Mapping[str, type]) -> None:
    for name, type_ in expected.items():
        if name not in body:
            raise MalformedMessage(f"no field {name!r}")
        value = body[name]
        # A whole number is a valid float, but True is not a valid int.
        valid = isinstance(value, (int, float) if type_ is float else type_)
        if not valid or (type_ is not bool and isinstance(value, bool)):
            raise MalformedMessage(
                f"{name!r} must be of type {type_.__name__}, not {type(value).__name__}"
            )


def now() -> str:
    """The current time in the format of messages: ISO 8601 in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
