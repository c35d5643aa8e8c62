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
  - Prints a line for each phase of a playbook with a result, a line for each task that changed
    something, and each cause of a failure once, with its evidence and the fix.
  - The answers of the hosts to M(bnlnpps.swf_testbed.host_state) are grouped, each with its hosts.
  - The run ends with a table of the phases, if there are several, and Ansible's PLAY RECAP.
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
# in ansible.cfg:
# [defaults]
# stdout_callback = bnlnpps.swf_testbed.progress
"""

import functools
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from ansible import constants as C
from ansible import context
from ansible.plugins.callback.default import CallbackModule as Default

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _progress

ERASE = "\r\x1b[K"
WIDTH_OF_A_FILE = 80
SECONDS_OF_A_LINE = 1.0
#: the action with the answers of the hosts
QUESTION = "bnlnpps.swf_testbed.host_state"
CURRENT = "as the last run left it"


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
        self._began = self._play_began = self._phase_began = time.monotonic()
        self._phases: dict[str, _progress.Phase] = {}
        self._phase: _progress.Phase | None = None
        # the phase of the play, until one of its tasks has a result
        self._next = ""
        self._names: dict[str, str] = {}
        self._task = ""
        self._total = 0
        self._finished: set[str] = set()
        # hosts of the play that have a result
        self._hosts: set[str] = set()
        # in the whole run: the hosts with a task, and those with a result
        self._started: set[str] = set()
        self._answered: set[str] = set()
        # {name of a task: hosts}, printed when the next task starts
        self._changed: dict[str, list[str]] = {}
        self._same: dict[str, list[str]] = {}
        # {answer to the question for the state of a host: hosts}
        self._answers: dict[str, list[str]] = {}
        self._causes: list[str] = []
        self._process = os.getpid()
        self._live = False
        # a line is written by the thread of the results or by that of the elapsed time
        self._line = threading.RLock()
        self._ended = threading.Event()
        self._is_terminal = (
            sys.stdout.isatty()
            and not os.environ.get("CI")
            and os.environ.get("TERM", "dumb") != "dumb"
        )
        if not self._display.verbosity:
            self._prepare_other_output()
        if self._is_terminal and not self._display.verbosity:
            threading.Thread(target=self._show_elapsed_time, daemon=True).start()

    # --- the line at the end of a terminal

    def _prepare_other_output(self) -> None:
        """Action plugins print, too, and so does Ansible: after the name of the phase, and not into the
        line."""
        usual = self._display.display

        @functools.wraps(usual)
        def display(*args: Any, **options: Any) -> Any:
            # a worker process has a copy of this object, and no line
            if os.getpid() != self._process:
                return usual(*args, **options)
            with self._line:
                self._erase()
                if self._task:
                    self._enter()
                return usual(*args, **options)

        self._display.display = display  # type: ignore

    def _erase(self) -> None:
        if self._live:
            self._live = False
            sys.stdout.write(ERASE)
            sys.stdout.flush()

    def _draw(self) -> None:
        name = self._next or (self._phase.name if self._phase else "")
        if not self._is_terminal or not self._task or not name:
            return
        text = _progress.line(
            time.monotonic() - self._began,
            "%s: %s" % (name, self._task),
            "(%d of %d hosts)" % (len(self._finished), self._total),
            self._width() - 1,
        )
        with self._line:
            self._live = True
            sys.stdout.write(ERASE + text)
            sys.stdout.flush()

    def _show_elapsed_time(self) -> None:
        while not self._ended.wait(SECONDS_OF_A_LINE):
            with self._line:
                # the first connection to a host may ask whether its key is right: the question stays
                if self._live and self._started <= self._answered:
                    self._draw()

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
        self._play_began = time.monotonic()
        self._task = ""
        self._hosts = set()
        name = play.get_name().strip()
        self._next = _progress.PHASES.get(name, name)

    def _enter(self) -> None:
        """Print the name of the phase, with the first result that is not "skipped": a play may have no
        hosts, or nothing to do on them."""
        name, self._next = self._next, ""
        if not name or (self._phase and self._phase.name == name):
            return
        self._leave(self._play_began)
        self._phase = self._phases.setdefault(name, _progress.Phase(name))
        self._phase_began = self._play_began
        self._display.display(
            "[%s] %s" % (_progress.elapsed(self._phase_began - self._began), name)
        )

    def _leave(self, now: float) -> None:
        if self._phase:
            self._phase.seconds += now - self._phase_began

    @brief
    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._start(task)

    @brief
    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._start(task)

    def _start(self, task: Any) -> None:
        self._flush()
        # later the name may not be available with its templates replaced
        self._task = self._names[task._uuid] = _progress.task_name(task.get_name())
        self._finished = set()
        self._draw()

    @brief
    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._started.add(host.get_name())
        self._draw()

    def _finish(self, result: Any, skipped: bool = False) -> tuple[str, str]:
        """(host, name of the task)."""
        host, task = host_of(result), task_of(result)
        self._finished.add(host)
        self._answered.add(host)
        self._hosts.add(host)
        if not skipped:
            self._enter()
        if self._phase and not self._next:
            self._phase.hosts |= self._hosts
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
        lines = _progress.answers(self._answers, self._width())
        if lines:
            self._display.display("\n".join(lines))
        self._answers.clear()

    # --- results

    @brief
    def v2_runner_on_ok(self, result: Any) -> None:
        host, name = self._finish(result)
        found = fields(result)
        if found.get("changed"):
            self._changed.setdefault(name, []).append(host)
            if self._phase:
                self._phase.change(host)
        if task_of(result).action == QUESTION and "current" in found:
            for answer in found["reasons"] or ([CURRENT] if found["current"] else []):
                self._answers.setdefault(answer, []).append(host)
        if self._run_is_verbose(result):
            shown = found.get("msg")
            self._clean_results(found, task_of(result).action)
            self._display.display(shown if isinstance(shown, str) else self._dump_results(found))
        self._draw()

    @brief
    def v2_runner_on_skipped(self, result: Any) -> None:
        self._finish(result, skipped=True)
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
            self._leave(time.monotonic())
            self._task = ""
            self._ended.set()
            table = _progress.summary(self._phases.values(), self._width())
            if table:
                self._display.display("\n".join(["", *table]))
        # Molecule's check of idempotence and others read its lines
        super().v2_playbook_on_stats(stats)
