# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that the monitor follows while it serves."""

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

logger = logging.getLogger(__name__)

Content = TypeVar("Content")


class FileError(ValueError):
    """A file cannot be used. The message is one line without a secret."""


class FollowedFile(Generic[Content]):
    """A file whose content becomes a part of the database.

    Args:
        path: The file; None for no file.
        what: What it has, for messages.
        read: The content of the file. Raises FileError.
        apply: Makes the content that of the database.
        empty: The content for a file that is missing.
    """

    def __init__(
        self,
        path: Path | None,
        what: str,
        read: Callable[[Path], Content],
        apply: Callable[[Content], None],
        empty: Content,
    ) -> None:
        self._path, self._what = path, what
        self._read, self._apply, self._empty = read, apply, empty
        self._applied: tuple[int, int, int] | None = (0, 0, 0)
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Apply the file, if it has changed. A file that cannot be used changes nothing.

        Raises:
            swf_monitor.database.UNAVAILABLE: the database does not answer. The next call repeats it.
        """
        if self._path is None or _version(self._path) == self._applied:
            return
        with self._lock:
            version = _version(self._path)
            if version == self._applied:
                return
            try:
                content = self._read(self._path) if version else self._empty
            except FileError as error:
                logger.error("the %s did not change: %s", self._what, error)
            else:
                self._apply(content)
            self._applied = version


def _version(path: Path) -> tuple[int, int, int] | None:
    """A value that differs for each content of a file that is replaced; None without a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def read_list(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON list; one without keys stands for an item that is none.

    Raises:
        FileError: it cannot be read, or is not such a file.
    """
    try:
        items = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise FileError(f"{path} is not JSON") from None
    if not isinstance(items, list):
        raise FileError(f"{path} is not a list")
    return [item if isinstance(item, dict) else {} for item in items]
