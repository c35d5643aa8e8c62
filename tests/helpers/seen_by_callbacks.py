# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ansible-playbook with a callback plugin that writes down all it sees of tasks."""

from __future__ import annotations

import json
from pathlib import Path

CALLBACKS = Path(__file__).resolve().parents[1] / "callbacks"


class Seen:
    """What a callback plugin saw in the runs that had ``environment``."""

    def __init__(self, folder):
        self.path = folder / "seen-by-callbacks"
        self.environment = {
            "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
            "ANSIBLE_CALLBACKS_ENABLED": "task_fields",
            "SWF_TASK_FIELDS": str(self.path),
        }

    def scan(self, leaks):
        """Look for secrets, event by event. Returns the names of the tasks that ended, so that a
        test can see which did."""
        ended = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            leaks.text("%s of the task %s" % (event["event"], event["task"]), line)
            if event["event"] not in ("start", "on a host", "handler", "skipped"):
                ended.append(event["task"].split(" : ")[-1])
        return ended
