# SPDX-License-Identifier: GPL-3.0-or-later
"""A real supervisord in a folder of its own, and the supervisor modules run against it."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from ansible.module_utils import basic
from ansible.module_utils.common import warnings as ansible_warnings

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.client import Client
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.rpc import Endpoint

MODULES = "ansible_collections.bnlnpps.swf_testbed.plugins.modules."
PATIENCE = 30  # seconds; only a broken test waits that long

BASE = """
[unix_http_server]
file=%(here)s/s.sock

[supervisord]
logfile=%(here)s/supervisord.log
pidfile=%(here)s/supervisord.pid
childlogdir=%(here)s
identifier=test
{supervisord}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""


def module(name, check=False, diff=False, **arguments):
    """What a module answers, with C(failed), C(changed) and C(warnings) always in it.

    It runs in this process: there are hundreds of these calls, and a start of Python takes longer
    than they do.
    """
    arguments.update(_ansible_check_mode=check, _ansible_diff=diff)
    for store in ("_global_warnings", "_global_deprecations"):
        getattr(ansible_warnings, store).clear()
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
    basic._ANSIBLE_PROFILE = "legacy"  # ansible-core 2.19 and later want to be told
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        importlib.import_module(MODULES + name).main()
    return dict({"failed": False, "changed": False, "warnings": []}, **json.loads(out.getvalue()))


def until(condition, what="the condition"):
    """Wait for something that another process does."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("%s did not come true within %d s" % (what, PATIENCE))


class Supervisord:
    """One supervisord.

    :param programs: the sections of the configuration behind those in BASE.
    :param supervisord: more lines for the section [supervisord].
    """

    def __init__(self, folder, programs="", supervisord="", env=None):
        self.folder = Path(folder)
        self.conf = self.folder / "supervisord.conf"
        self.socket = self.folder / "s.sock"
        self.process = None
        self.env = dict(os.environ, **(env or {}))
        self.configure(programs, supervisord)

    def configure(self, programs, supervisord=""):
        self.conf.write_text(
            BASE.replace("{supervisord}", supervisord) + programs, encoding="utf-8"
        )

    def move_to(self, places):
        """Before the start: the configuration, the socket and the logs where the layout of an
        instance has them."""
        text = self.conf.read_text().replace("%(here)s/s.sock", places["socket"])
        self.conf.unlink()
        self.conf, self.socket = Path(places["supervisord_conf"]), Path(places["socket"])
        self.conf.write_text(text.replace("%(here)s", places["log_dir"]))

    def start(self, wait=True):
        with open(self.folder / "console", "ab") as console:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(self.conf)],
                stdout=console,
                stderr=console,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env=self.env,
            )
        if wait:
            until(self._answers, "supervisord's answer")
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError((self.folder / "console").read_text())
        with contextlib.suppress(Exception):
            return self.client.call("supervisor.getState")
        return None

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            for info in self._registered():
                if info["pid"]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(info["pid"], 9)
            self.process.kill()
        if self.process is not None:
            self.process.wait(PATIENCE)

    def _registered(self):
        with contextlib.suppress(Exception):
            return self.infos()
        return []

    @property
    def client(self):
        return Client(Endpoint("unix", str(self.socket)))

    def infos(self):
        return self.client.call("supervisor.getAllProcessInfo")

    def states(self):
        return {info["group"] + ":" + info["name"]: info["statename"] for info in self.infos()}

    def pids(self):
        return {info["group"] + ":" + info["name"]: info["pid"] for info in self.infos()}

    def until_states(self, **wanted):
        """Wait for the states of programs whose groups have their names."""
        names = {"%s:%s" % (name, name): state for name, state in wanted.items()}
        until(lambda: all(self.states().get(name) == state for name, state in names.items()), names)

    def info(self, **arguments):
        return module("supervisor_info", socket=str(self.socket), **arguments)

    def program(self, state, names=None, **arguments):
        if names is not None:
            arguments["names"] = names
        return module("supervisor_program", socket=str(self.socket), state=state, **arguments)
