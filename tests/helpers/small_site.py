# SPDX-License-Identifier: GPL-3.0-or-later
"""A testbed in user scope that site.yml installs: a stack of two small programs and one package from
PyPI, with a real supervisord. Its login is not root."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from helpers.playbook import ROOT, play
from helpers.unprivileged import run_as_nobody

STACK = """
title: Two programs of the system
requires: {python: "3.9"}
distributions: {requirements: [iniconfig==2.0.0], import_check: [iniconfig]}
secrets: {API_TOKEN_FILE: api_token}
environment: {SETTING: "{{ swf_testbed_setting_of_test | default('one') }}"}
state_directories: [made]
files:
  - {name: app.toml, content: "instance = '{{ swf_testbed_instance }}'\\n"}
components:
  - {name: sleeper, role: tool, command: "/bin/sleep 100000", startsecs: 1}
  - name: worker
    role: agent
    command: "/bin/sleep 100001"
    startsecs: 1
    secrets_in: environment
    secrets: {SECRET_KEY: monitor_secret_key}
steps:
  - {name: prepare, component: sleeper, command: "/bin/true"}
"""


# In place of ssh: it runs the command on this machine, and writes what a call sends to a file.
# Without standard input, Ansible gives it a terminal.
SSH = """#!/bin/sh
for command; do :; done
sent=$(mktemp "$(dirname "$0")/calls/XXXXXX")
printf %s "$command" > "$sent"
[ ! -t 0 ] || exec sh -c "$command"
tee -a "$sent" | sh -c "$command"
"""


class Site:
    """:param folder: the home of the login.
    :ivar variables: of all hosts.
    :ivar calls: the remote calls of the last playbook: the bytes that each has sent.
    """

    def __init__(self, folder: Path, *hosts: str, **variables: Any) -> None:
        self.folder, self.hosts = folder, hosts or ("one",)
        self.config = folder / ".config/swf-testbed"
        self.root = folder / ".local/share/swf-testbed"
        self.state = folder / ".local/state/swf-testbed"
        self.controller = folder / "swf-testbed-controller"
        (folder / "stack.yml").write_text(STACK)
        (folder / "ssh").write_text(SSH)
        (folder / "ssh").chmod(0o755)
        self.calls: list[int] = []
        self.variables = {
            "ansible_connection": "ssh",
            "ansible_ssh_executable": str(folder / "ssh"),
            "ansible_remote_tmp": str(folder / "tmp"),
            "ansible_python_interpreter": sys.executable,
            "swf_testbed_python": sys.executable,
            "swf_testbed_systemd": "never",
            "swf_testbed_stack": str(folder / "stack.yml"),
            "swf_testbed_controller_dir": str(self.controller),
            "swf_testbed_pip_indexes": [{"name": "pypi"}],
            "swf_testbed_min_uptime": 1,
            "swf_testbed_preflight_min_free_mb": 0,
            **variables,
        }

    def play(self, playbook: str | Path, *arguments: str, **environment: str) -> tuple[int, str]:
        """(exit code, output in one line) of a playbook."""
        groups = {"testbed": {"hosts": {name: {} for name in self.hosts}}}
        inventory = self.folder / "hosts.json"
        inventory.write_text(json.dumps({"all": {"vars": self.variables, "children": groups}}))
        shutil.rmtree(self.folder / "calls", ignore_errors=True)
        (self.folder / "calls").mkdir()
        result = play(
            *("-i", str(inventory), str(ROOT / "playbooks" / playbook), *arguments),
            cwd=self.folder,
            run=run_as_nobody,
            env={
                "HOME": str(self.folder),
                "PATH": os.environ["PATH"],
                "LANG": "C.UTF-8",
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_PIPELINING": "1",
                "ANSIBLE_LOCALHOST_WARNING": "0",
                "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible/collections"),
                "PYTHONDONTWRITEBYTECODE": "1",
                **{
                    name: os.environ[name]
                    for name in (
                        "PIP_INDEX_URL",
                        "UV_INDEX_URL",
                        "UV_DEFAULT_INDEX",
                        "SSL_CERT_FILE",
                    )
                    if name in os.environ
                },
                **environment,
            },
        )
        self.calls = [path.stat().st_size for path in (self.folder / "calls").iterdir()]
        return result

    def site(self, *arguments: str, **environment: str) -> tuple[int, str]:
        return self.play("site.yml", *arguments, **environment)

    def release(self) -> Path:
        return (self.root / "current").resolve()

    def supervisorctl(self, *arguments: str) -> str:
        (tools,) = (self.root / "tools").iterdir()
        return run_as_nobody(
            [
                str(tools / "bin/supervisorctl"),
                "-c",
                str(self.config / "supervisord.conf"),
                *arguments,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ).stdout

    def pid(self) -> int:
        return int((self.state / "run/supervisord.pid").read_text())

    def stop(self) -> None:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.kill(self.pid(), signal.SIGTERM)
