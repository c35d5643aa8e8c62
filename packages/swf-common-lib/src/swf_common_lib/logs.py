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

# color_message: uvicorn repeats each message with terminal colours.
_NOT_EXTRA = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}
_HIDDEN = "********"


class JsonFormatter(logging.Formatter):
    """Formats a record as {"time", "level", "logger", "message", ...extra}.

    :param secrets: values that are replaced wherever they appear. No code here logs a secret; this
        is for what third-party libraries or a server's reply might repeat.
    """

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        super().__init__()
        # Escaped as the JSON shows them, longest first so that no part of one is left over.
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
    """Send all logs of this process, uncaught exceptions too, to stdout as JSON lines.

    :param level: DEBUG, INFO, WARNING or ERROR
    :param secrets: values that must never appear
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # stomp.py writes the CONNECT frame with its passcode to the log at DEBUG.
    logging.getLogger("stomp.py").setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    logging.getLogger("uncaught").critical(
        "%s: %s", kind.__name__, error, exc_info=(kind, error, trace)
    )


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)
