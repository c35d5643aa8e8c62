# SPDX-License-Identifier: GPL-3.0-or-later
"""Structured logs: one JSON object per line on stdout."""

from __future__ import annotations

import json
import logging
import sys
import threading
from datetime import datetime, timezone
from types import TracebackType
from typing import Any

# color_message: uvicorn adds each message again, with terminal colours.
_NOT_EXTRA = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}
_HIDDEN = "********"


class JsonFormatter(logging.Formatter):
    """Formats a record as {"time", "level", "logger", "message", ...extra}.

    :param secrets: values to replace wherever they appear. No code here logs a secret, but a
        third-party library or a server's response might contain one.
    """

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        super().__init__()
        # Escaped as in the JSON, longest first so that no part of a secret remains.
        self._secrets = sorted((json.dumps(s)[1:-1] for s in secrets if s), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(
                timespec="milliseconds"
            ),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry.update(
            (k, v) for k, v in vars(record).items() if k not in _NOT_EXTRA and k not in entry
        )
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        line = json.dumps(entry, default=str)
        for secret in self._secrets:
            line = line.replace(secret, _HIDDEN)
        return line


def configure_logging(level: str = "INFO", secrets: tuple[str, ...] = ()) -> None:
    """Write all logs of this process, including uncaught exceptions, to stdout as JSON lines.

    :param level: DEBUG, INFO, WARNING or ERROR
    :param secrets: values that must never appear
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # At DEBUG, stomp.py logs the CONNECT frame with its passcode.
    logging.getLogger("stomp.py").setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def _log_uncaught(
    exception: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    logging.getLogger("uncaught").critical(
        "%s: %s", exception.__name__, error, exc_info=(exception, error, trace)
    )


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)
