# SPDX-License-Identifier: GPL-3.0-or-later
"""The marker of the data directory of a namespace. It shows that an agent sees the same directory as
the others, and not an empty mount point or one of its own."""

from __future__ import annotations

import contextlib
import json
import socket
import time
import uuid
from pathlib import Path

from swf_common_lib.namespace import Namespace

MARKER = ".swf-namespace"


class DataDirectoryError(Exception):
    """The directory is not that of the namespace; the text has the cause, the evidence and the
    fix."""


def place(data_dir: Path) -> str:
    """Host and path of a directory, as evidence."""
    return f"{socket.gethostname()}:{data_dir}"


def mark(data_dir: Path, namespace: str) -> str:
    """Mark a directory as that of a namespace, unless it is marked; return the id of the marker.

    :raises DataDirectoryError: it belongs to another namespace, or cannot be written
    """
    path = data_dir / MARKER
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError), path.open("x", encoding="utf-8") as file:
            file.write(_content(namespace, uuid.uuid4().hex))
        found = _read(path)
    except OSError as error:
        raise DataDirectoryError(
            f"The data directory cannot be marked. Evidence: {error}. Fix: let this login write in "
            f"{data_dir}, or set SWF_DATA_DIR"
        ) from None
    if found.get("namespace") != namespace:
        raise DataDirectoryError(
            "The data directory belongs to another namespace. Evidence: "
            f"{path} names {found.get('namespace')!r}, not {namespace!r}. Fix: set SWF_DATA_DIR to "
            f"the directory of {namespace}; if nothing uses the other namespace any more, remove "
            f"{path}"
        )
    return str(found["id"])


def check(data_dir: Path, namespace: Namespace, data_id: str, marked: str) -> None:
    """Check that a directory is the one that the monitor knows.

    :param data_id: the id of the marker
    :param marked: host and path of the directory, as the monitor recorded them
    :raises DataDirectoryError: the directory has no marker, or another one
    """
    path = data_dir / MARKER
    try:
        found = _read(path)
        evidence = f"{path} names {found.get('namespace')!r} with another id"
    except OSError as error:
        found = {}
        evidence = f"{path}: {error.strerror}"
    if found == {"namespace": namespace.name, "id": data_id}:
        return
    raise DataDirectoryError(
        f"The data directory is not the one of the namespace {namespace.name}. Evidence: "
        f"{evidence}; the directory of the namespace is {marked}. Fix: mount it, or set "
        "SWF_DATA_DIR to its path on this host; if the directory was replaced on purpose, write "
        f"{_content(namespace.name, data_id)} to {path}"
    )


def _content(namespace: str, data_id: str) -> str:
    return json.dumps({"namespace": namespace, "id": data_id})


def _read(path: Path) -> dict[str, str]:
    """The content of a marker; empty if it is not one."""
    for _attempt in range(10):
        text = path.read_text(encoding="utf-8", errors="replace")
        if text:
            break
        time.sleep(0.1)  # another agent is writing it
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, dict) and "id" in found else {}
