# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: stdout
author:
  - BNL NPPS (@bnlnpps)
version_added: 0.1.0
short_description: Show the phases, changes and failures of a run
description:
  - Prints a line for each phase of a playbook, a line for each task that changed something, and each
    cause of a failure once, with its evidence and the fix.
  - The run ends with a table of the phases, and Ansible's PLAY RECAP.
  - On a terminal, the last line shows the current task, the number of finished hosts, and the elapsed
    time. Without a terminal, or if the environment variable C(CI) is set, there is no such line.
  - With C(-v), the output is that of the callback P(ansible.builtin.default#callback).
  - No meaning depends on a colour, and C(NO_COLOR) is honoured.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - Set it as stdout callback in the configuration.
"""

EXAMPLES = r"""
# ANSIBLE_STDOUT_CALLBACK=bnlnpps.swf_testbed.progress make site, or in ansible.cfg:
# [defaults]
# stdout_callback = bnlnpps.swf_testbed.progress
"""

import functools
import os
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

from ansible import constants as C
from ansible import context
from ansible.plugins.callback.default import CallbackModule as Default

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _progress

ERASE = "\r\x1b[K"
WIDTH_OF_A_FILE = 80


def brief(method: Callable[..., None]) -> Callable[..., None]:
    """With -v, the method of the callback default runs instead."""
    usual = getattr(Default, method.__name__)

    @functools.wraps(method)
    def chosen(self: CallbackModule, *args: Any, **options: Any) -> None:
        (usual if self._display.verbosity else method)(self, *args, **options)

    return chosen


def fields(result: Any) -> dict[str, Any]:
    """What a task returned. ansible-core before 2.19 has only the former name."""
    found: dict[str, Any] = result.result if hasattr(result, "result") else result._result
    return found


def host_of(result: Any) -> str:
    return str((result.host if hasattr(result, "host") else result._host).get_name())


def task_of(result: Any) -> Any:
    return result.task if hasattr(result, "task") else result._task


class CallbackModule(Default):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "bnlnpps.swf_testbed.progress"

    def __init__(self) -> None:
        super().__init__()
        self._began = self._phase_began = time.monotonic()
        self._phases: dict[str, _progress.Phase] = {}
        self._phase: _progress.Phase | None = None
        self._next = ""
        self._names: dict[str, str] = {}
        self._task = ""
        self._total = 0
        self._finished: set[str] = set()
        # {name of a task: hosts}, printed when the next task starts
        self._changed: dict[str, list[str]] = {}
        self._same: dict[str, list[str]] = {}
        self._causes: list[str] = []
        self._process = os.getpid()
        self._live = False
        self._is_terminal = (
            sys.stdout.isatty()
            and not os.environ.get("CI")
            and os.environ.get("TERM", "dumb") != "dumb"
        )
        if self._is_terminal and not self._display.verbosity:
            self._erase_before_other_output()

    # --- the line at the end of a terminal

    def _erase_before_other_output(self) -> None:
        """Action plugins print, too, and so does Ansible."""
        usual = self._display.display

        @functools.wraps(usual)
        def display(*args: Any, **options: Any) -> Any:
            self._erase()
            return usual(*args, **options)

        self._display.display = display  # type: ignore

    def _erase(self) -> None:
        # a worker process has a copy of this object, and no line
        if self._live and os.getpid() == self._process:
            self._live = False
            sys.stdout.write(ERASE)
            sys.stdout.flush()

    def _draw(self) -> None:
        if not self._is_terminal or not self._task or not self._phase:
            return
        text = "[%s] %s: %s (%d of %d hosts)" % (
            _progress.elapsed(time.monotonic() - self._began),
            self._phase.name,
            self._task,
            len(self._finished),
            self._total,
        )
        self._live = True
        sys.stdout.write(ERASE + text[: self._width() - 1])
        sys.stdout.flush()

    def _width(self) -> int:
        return shutil.get_terminal_size().columns if self._is_terminal else WIDTH_OF_A_FILE

    # --- phases and tasks

    @brief
    def v2_playbook_on_start(self, playbook: Any) -> None:
        if context.CLIARGS.get("check"):
            self._display.display("Check mode: the run reports changes, and makes none.")

    @brief
    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._flush()
        self._play = play
        self._total = len(play.get_variable_manager()._inventory.get_hosts(play.hosts))
        name = play.get_name().strip()
        self._next = _progress.PHASES.get(name, name)

    def _enter(self) -> None:
        """Print the name of the phase, with its first task: a play without hosts has none."""
        name, self._next = self._next, ""
        if not name or (self._phase and self._phase.name == name):
            return
        self._leave()
        self._phase = self._phases.setdefault(name, _progress.Phase(name))
        self._phase_began = time.monotonic()
        self._display.display(
            "[%s] %s" % (_progress.elapsed(self._phase_began - self._began), name)
        )

    def _leave(self) -> None:
        if self._phase:
            self._phase.seconds += time.monotonic() - self._phase_began

    @brief
    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._start(task)

    @brief
    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._start(task)

    def _start(self, task: Any) -> None:
        self._flush()
        self._enter()
        # later the name may not be available with its templates replaced
        self._task = self._names[task._uuid] = _progress.task_name(task.get_name())
        self._finished = set()
        self._draw()

    @brief
    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        if self._phase:
            self._phase.hosts.add(host.get_name())
        self._draw()

    def _finish(self, result: Any) -> tuple[str, str]:
        """(host, name of the task)."""
        host, task = host_of(result), task_of(result)
        self._finished.add(host)
        self._handle_warnings(fields(result))
        return host, self._names.get(task._uuid) or _progress.task_name(task.get_name())

    def _flush(self) -> None:
        """Print one line for the hosts that a task changed, and one for those that failed in the same
        way as another one."""
        changed = "would change" if context.CLIARGS.get("check") else "changed"
        for verb, found, color, of_failures in (
            (changed, self._changed, C.COLOR_CHANGED, False),
            ("FAILED, for the same cause", self._same, C.COLOR_ERROR, True),
        ):
            for name, hosts in found.items():
                start = "  %s: %s: " % (verb, name)
                self._display.display(
                    start + _progress.hosts_in(hosts, self._width() - len(start)),
                    color=color,
                    stderr=of_failures and self.get_option("display_failed_stderr"),
                )
            found.clear()

    # --- results

    @brief
    def v2_runner_on_ok(self, result: Any) -> None:
        host, name = self._finish(result)
        found = fields(result)
        if found.get("changed"):
            self._changed.setdefault(name, []).append(host)
            if self._phase:
                self._phase.change(host)
        if self._run_is_verbose(result):
            shown = found.get("msg")
            self._clean_results(found, task_of(result).action)
            self._display.display(shown if isinstance(shown, str) else self._dump_results(found))
        self._draw()

    @brief
    def v2_runner_on_skipped(self, result: Any) -> None:
        self._finish(result)
        self._draw()

    @brief
    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        host, name = self._finish(result)
        found = fields(result)
        if ignore_errors:
            self._display.display("  failed, and ignored: %s: %s" % (name, host))
            return
        items = [item for item in found.get("results") or [] if item.get("failed")]
        # v2_runner_item_on_failed printed them
        if not (task_of(result).loop and items):
            self._print_failure("FAILED", name, host, found)
        if self._phase:
            self._phase.failed.add(host)

    @brief
    def v2_runner_on_unreachable(self, result: Any) -> None:
        host, name = self._finish(result)
        self._print_failure("UNREACHABLE", name, host, fields(result))
        if self._phase:
            self._phase.failed.add(host)

    @brief
    def v2_runner_item_on_failed(self, result: Any) -> None:
        host, name = self._finish(result)
        found = fields(result)
        self._print_failure("FAILED", "%s (%s)" % (name, self._get_item_label(found)), host, found)

    def _print_failure(self, word: str, name: str, host: str, found: dict[str, Any]) -> None:
        text = _progress.cause(found)
        if _progress.is_printed(text, self._causes):
            self._same.setdefault(name, []).append(host)
            return
        self._causes.append(" ".join(text.split()))
        lines = ["  %s: %s: %s" % (word, name, host)]
        lines += _progress.wrapped(text, self._width(), "    ")
        if "Fix: " not in text:
            lines.append("    For the whole result, run it again with -v.")
        self._display.display(
            "\n".join(lines),
            color=C.COLOR_ERROR,
            stderr=self.get_option("display_failed_stderr"),
        )

    @brief
    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._draw()

    @brief
    def v2_runner_item_on_skipped(self, result: Any) -> None:
        self._draw()

    @brief
    def v2_runner_retry(self, result: Any) -> None:
        self._draw()

    @brief
    def v2_runner_on_async_poll(self, result: Any) -> None:
        self._draw()

    @brief
    def v2_runner_on_async_ok(self, result: Any) -> None:
        self._draw()

    @brief
    def v2_runner_on_async_failed(self, result: Any) -> None:
        self._draw()

    @brief
    def v2_playbook_on_include(self, included_file: Any) -> None:
        self._draw()

    @brief
    def v2_playbook_on_no_hosts_matched(self) -> None:
        """A play without hosts is no news: an inventory need not have all groups."""

    @brief
    def v2_playbook_on_no_hosts_remaining(self) -> None:
        """The failures are printed already."""

    @brief
    def _print_task_banner(self, task: Any) -> None:
        """Before the differences of a file, with --diff."""
        self._last_task_banner = task._uuid
        self._display.display("  %s" % (self._names.get(task._uuid) or task.get_name()))

    # --- the end

    def v2_playbook_on_stats(self, stats: Any) -> None:
        if not self._display.verbosity:
            self._flush()
            self._leave()
            self._task = ""
            table = _progress.summary(self._phases.values(), self._width())
            self._display.display("\n".join(["", *table]))
        # Molecule's check of idempotence and others read its lines
        super().v2_playbook_on_stats(stats)
