#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures supervisor_info and supervisor_program against community.general.supervisorctl.

Both do the same operations in one run on the same supervisord, first with 21 and then with 200
programs, of which 20 are a group: report the status of all programs, restart the group, apply one
changed program, and two operations that change nothing. For each operation it prints the minimum of
several measurements of

* action: the seconds that the module (for the status: the query) takes, without the start of Python,
* task: the seconds of the whole task, from an ansible-playbook run with the local connection,
* execve: the number of programs that the module executes, counted by strace.

Needs ansible-core and supervisor in the environment that runs this script, and strace for the
counts. If community.general is not installed, pip downloads the release of ansible in ANSIBLE, which
contains it.

    python benchmarks/supervisor_modules.py [--programs 21 200] [--repeat 5] [--collections DIR]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
ANSIBLE = "ansible==12.3.0"
GROUP = 20
BIN = Path(sys.executable).parent

CONF = """
[unix_http_server]
file=%(here)s/s.sock
[supervisord]
logfile=%(here)s/supervisord.log
pidfile=%(here)s/supervisord.pid
childlogdir=%(here)s
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://%(here)s/s.sock
[program:team]
command=sleep 100000
numprocs={group}
process_name=%(program_name)s_%(process_num)03d
[program:one]
command=sleep {seconds}
[program:rest]
command=sleep 100000
numprocs={rest}
process_name=%(program_name)s_%(process_num)03d
"""

# Runs main() of a module in a separate process, and measures its time without the start of Python
# and the imports.
RUNNER = """
import importlib, json, sys, time
from ansible.module_utils import basic
name, arguments, result = sys.argv[1:]
sys.argv[1:] = []
basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": json.loads(arguments)}).encode()
basic._ANSIBLE_PROFILE = "legacy"
module = importlib.import_module("ansible_collections." + name)
begin = time.perf_counter()
try:
    module.main()
finally:
    with open(result, "w") as file:
        file.write(str(time.perf_counter() - begin))
"""

# The same for the query of supervisor_info alone, the counterpart of "supervisorctl status".
QUERY = """
import json, sys, time
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.address import endpoint_from
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.client import Client
names = "socket url username password ca_cert client_cert client_key".split()
params = dict(dict.fromkeys(names), timeout=60, validate_certs=True, **json.loads(sys.argv[2]))
begin = time.perf_counter()
Client(endpoint_from(params)).snapshot()
with open(sys.argv[3], "w") as file:
    file.write(str(time.perf_counter() - begin))
"""

CALLBACK = """
import json, os, time
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "seconds_of_tasks"

    def v2_runner_on_start(self, host, task):
        self.begin = time.perf_counter()

    def v2_runner_on_ok(self, result):
        with open(os.environ["SECONDS_OF_TASKS"], "a") as file:
            file.write("%s\\n" % (time.perf_counter() - self.begin))
"""


class Side(NamedTuple):
    """One implementation of an operation."""

    module: str  # a module with its collection, or "" for a command
    arguments: dict
    runner: str = "module"  # "query" to time the query of supervisor_info alone as its action


class Operation(NamedTuple):
    """An operation, its two implementations, and a preparation before each measurement."""

    name: str
    ours: Side
    theirs: Side
    prepare: Callable[[], None]
    slow: bool = False  # measured only once


class Figures(NamedTuple):
    action: float
    task: float
    execve: int | None


class Supervisord:
    """A supervisord with a number of programs."""

    def __init__(self, folder: Path, programs: int) -> None:
        self.folder = folder
        self.conf = folder / "supervisord.conf"
        self.programs = programs
        self._seconds = 100000
        self.change()

    def change(self) -> None:
        """Write a configuration with a change of the program "one"."""
        self._seconds += 1
        rest = self.programs - GROUP - 1
        text = CONF.format(group=GROUP, rest=max(rest, 1), seconds=self._seconds)
        self.conf.write_text(text if rest > 0 else text[: text.index("[program:rest]")])

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        with open(self.folder / "console", "w") as console:
            process = subprocess.Popen(
                [BIN / "supervisord", "-n", "-c", self.conf],
                stdout=console,
                stderr=console,
                cwd=self.folder,
            )
        try:
            deadline = time.monotonic() + 120
            while self.count() < self.programs:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise SystemExit("supervisord did not start, see %s/console" % self.folder)
                time.sleep(0.5)
            yield
        finally:
            process.terminate()
            process.wait(120)

    def count(self) -> int:
        done = subprocess.run(
            [BIN / "supervisorctl", "-c", self.conf, "status"],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.count(" RUNNING ")


def operations(host: Supervisord) -> list[Operation]:
    ours = "bnlnpps.swf_testbed.supervisor_"
    theirs = "community.general.supervisorctl"
    conf = str(host.conf)

    def ctl(**arguments: str) -> dict:
        return dict(arguments, config=conf, supervisorctl_path=str(BIN / "supervisorctl"))

    def nothing() -> None:
        pass

    return [
        Operation(
            "status of all",
            Side(ours + "info", {"config": conf}, "query"),
            Side("", {"argv": [str(BIN / "supervisorctl"), "-c", conf, "status"]}),
            nothing,
        ),
        Operation(
            "restart of a group of %d" % GROUP,
            Side(ours + "program", {"config": conf, "names": ["team:*"], "state": "restarted"}),
            Side(theirs, ctl(name="team:", state="restarted")),
            nothing,
            slow=True,
        ),
        Operation(
            "apply of one changed program",
            Side(ours + "program", {"config": conf, "state": "applied"}),
            Side(theirs, ctl(name="one", state="restarted")),
            host.change,
        ),
        Operation(
            "no-op: the group is started",
            Side(ours + "program", {"config": conf, "names": ["team:*"], "state": "started"}),
            Side(theirs, ctl(name="team:", state="started")),
            nothing,
        ),
        Operation(
            "no-op: the configuration is applied",
            Side(ours + "program", {"config": conf, "state": "applied"}),
            Side(theirs, ctl(name="all", state="started")),
            nothing,
        ),
    ]


class Bench:
    """Runs and measures operations.

    :param collections: folders that contain ansible_collections.
    """

    def __init__(self, folder: Path, collections: list[Path], repeat: int) -> None:
        self._folder = folder
        self._repeat = repeat
        self._paths = os.pathsep.join(map(str, collections))
        self._strace = shutil.which("strace")
        (folder / "callbacks").mkdir()
        (folder / "callbacks" / "seconds_of_tasks.py").write_text(CALLBACK)
        (folder / "module.py").write_text(RUNNER)
        (folder / "query.py").write_text(QUERY)

    def measure(self, side: Side, prepare: Callable[[], None], slow: bool) -> Figures:
        repeat = 1 if slow else self._repeat
        actions = []
        for _time in range(repeat):
            prepare()
            actions.append(self._action(side))
        prepare()
        execve = self._execve(side)
        return Figures(min(actions), self._task(side, prepare, repeat), execve)

    def _command(self, side: Side) -> list[str]:
        if not side.module:
            return side.arguments["argv"]
        namespace, collection, name = side.module.split(".")
        module = "%s.%s.plugins.modules.%s" % (namespace, collection, name)
        runner = [
            sys.executable,
            str(self._folder / (side.runner + ".py")),
            module,
            json.dumps(side.arguments),
        ]
        return [*runner, str(self._folder / "seconds")]

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(
            command,
            env=dict(os.environ, PYTHONPATH=self._paths),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit("%s failed: %s%s" % (command, done.stdout, done.stderr))

    def _action(self, side: Side) -> float:
        begin = time.perf_counter()
        self._run(self._command(side))
        elapsed = time.perf_counter() - begin
        return float((self._folder / "seconds").read_text()) if side.module else elapsed

    def _execve(self, side: Side) -> int | None:
        if not self._strace:
            return None
        trace = self._folder / "trace"
        self._run(
            [
                self._strace,
                "-f",
                "-qq",
                "-e",
                "trace=execve",
                "-o",
                str(trace),
                *self._command(side),
            ]
        )
        calls = sum(
            1
            for line in trace.read_text().splitlines()
            if "execve(" in line and line.endswith(" = 0")
        )
        # The process that runs a module is there on both sides; the query is one that is executed.
        return calls - 1 if side.module else calls

    def _task(self, side: Side, prepare: Callable[[], None], repeat: int) -> float:
        """The least of the seconds of a task; the first run, which fills caches, is left out."""
        seconds = self._folder / "seconds_of_tasks"
        seconds.unlink(missing_ok=True)
        play = self._folder / "play.json"
        task = {side.module or "ansible.builtin.command": side.arguments}
        play.write_text(
            json.dumps(
                [
                    {
                        "hosts": "localhost",
                        "connection": "local",
                        "gather_facts": False,
                        "tasks": [task],
                    }
                ]
            )
        )
        env = dict(
            os.environ,
            ANSIBLE_COLLECTIONS_PATH=self._paths,
            ANSIBLE_CALLBACK_PLUGINS=str(self._folder / "callbacks"),
            ANSIBLE_CALLBACKS_ENABLED="seconds_of_tasks",
            ANSIBLE_PIPELINING="1",
            ANSIBLE_LOCALHOST_WARNING="0",
            SECONDS_OF_TASKS=str(seconds),
        )
        # not by ANSIBLE_INVENTORY: it is a list of paths, and the empty one behind the comma is the
        # working directory
        extra = ["-i", "localhost,", "-e", "ansible_python_interpreter=" + sys.executable]
        for _time in range(max(2, repeat)):
            prepare()
            done = subprocess.run(
                [BIN / "ansible-playbook", play, *extra],
                env=env,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise SystemExit(done.stdout + done.stderr)
        return min([float(line) for line in seconds.read_text().split()][1:])


def collection_folders(given: Path | None, folder: Path) -> list[Path]:
    """Folders with this checkout as a collection, and with community.general."""
    own = folder / "own"
    namespace = own / "ansible_collections" / "bnlnpps"
    namespace.mkdir(parents=True)
    (namespace / "swf_testbed").symlink_to(ROOT)
    module = Path("ansible_collections/community/general/plugins/modules/supervisorctl.py")
    installed = [given] if given else [Path(entry) for entry in sys.path if entry]
    for candidate in installed:
        if (candidate / module).exists():
            return [own, candidate]
    if given:
        raise SystemExit("there is no %s in %s" % (module, given))
    print("taking community.general from %s ..." % ANSIBLE, file=sys.stderr)
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, ANSIBLE],
        check=True,
    )
    (wheel,) = folder.glob("ansible-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        wanted = "ansible_collections/community/general/"
        archive.extractall(
            folder / "theirs", [name for name in archive.namelist() if name.startswith(wanted)]
        )
    wheel.unlink()
    return [own, folder / "theirs"]


def row(name: str, ours: Figures, theirs: Figures) -> str:
    def counts(figures: Figures) -> str:
        return "-" if figures.execve is None else str(figures.execve)

    return "| %s | %.4f | %.3f | **%.0f x** | %.2f | %.2f | **%.1f x** | %s | %s |" % (
        name,
        ours.action,
        theirs.action,
        theirs.action / ours.action,
        ours.task,
        theirs.task,
        theirs.task / ours.task,
        counts(ours),
        counts(theirs),
    )


HEADER = """
%d programs:

| operation | action, s | supervisorctl | ratio | task, s | supervisorctl | ratio | execve | supervisorctl |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--programs", type=int, nargs="+", default=[21, 200], help="sizes of supervisord"
    )
    parser.add_argument("--repeat", type=int, default=5, help="times that each operation is done")
    parser.add_argument(
        "--collections", type=Path, help="a folder with ansible_collections/community/general"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        bench = Bench(folder, collection_folders(options.collections, folder), options.repeat)
        for programs in options.programs:
            place = folder / str(programs)
            place.mkdir()
            host = Supervisord(place, max(programs, GROUP + 1))
            with host.running():
                print(HEADER % programs, flush=True)
                for operation in operations(host):
                    ours = bench.measure(operation.ours, operation.prepare, False)
                    theirs = bench.measure(operation.theirs, operation.prepare, operation.slow)
                    print(row(operation.name, ours, theirs), flush=True)


if __name__ == "__main__":
    main()
