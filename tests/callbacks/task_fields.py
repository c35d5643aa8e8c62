# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs everything that a callback plugin sees of tasks: their fields before and after templating,
and their results.

It is enabled by ANSIBLE_CALLBACK_PLUGINS=tests/callbacks ANSIBLE_CALLBACKS_ENABLED=task_fields
SWF_TASK_FIELDS=<file>. Only its owner can read the file, since tests search it for secrets. Each
line is one event.
"""

from __future__ import annotations

import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: task_fields
type: aggregate
short_description: Logs the fields and results of tasks
description: For tests, which search it for secrets.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "task_fields"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, event, **seen):
        handle = os.open(
            os.environ["SWF_TASK_FIELDS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
        )
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(
                json.dumps(dict(seen, event=event), default=repr, ensure_ascii=False) + "\n"
            )

    def _of_task(self, event, task):
        self._write(
            event,
            task=task.get_name(),
            action=task.action,
            args=task.args,
            vars=task.vars,
            loop=task.loop,
        )

    def _of_result(self, event, result):
        self._write(
            event,
            task=result._task.get_name(),
            host=result._host.get_name(),
            fields=result._task_fields,
            args=result._task.args,
            result=result._result,
        )

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._of_task("start", task)

    def v2_playbook_on_handler_task_start(self, task):
        self._of_task("handler", task)

    def v2_runner_on_start(self, host, task):
        self._of_task("on a host", task)

    def v2_runner_on_ok(self, result):
        self._of_result("ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._of_result("failed", result)

    def v2_runner_on_skipped(self, result):
        self._of_result("skipped", result)

    def v2_runner_on_unreachable(self, result):
        self._of_result("unreachable", result)

    def v2_runner_item_on_ok(self, result):
        self._of_result("item ok", result)

    def v2_runner_item_on_failed(self, result):
        self._of_result("item failed", result)

    def v2_runner_item_on_skipped(self, result):
        self._of_result("item skipped", result)
