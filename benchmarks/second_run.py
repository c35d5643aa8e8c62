#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures a run of site.yml that has nothing to do, with the question for the state of the host and
without it.

Installs the reference stack with its index for a login in a new home, in user scope and on ports of
its own. Then it alternates between a run with the question and one of all roles, and prints the
minimum of the wall times and of the CPU times of the controller with the host, the remote calls, and
the ratios. The roles run because of ``-e swf_testbed_full_run=true``, or they are those of another
checkout (``--before``), for example of a commit without the question.

Run it as a user without root, in the environment of the checkout:

    python benchmarks/second_run.py [--repeat 5] [--before DIR] [--keep]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
CALL = "EXEC /bin/sh"


class Run(NamedTuple):
    seconds: float
    cpu: float
    output: str


def free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _each in range(number)]
    for item in sockets:
        item.bind(("127.0.0.1", 0))
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


class Login:
    """A home with an inventory."""

    def __init__(self, home: Path) -> None:
        self.home = home
        # a build writes there
        packages = shutil.copytree(
            ROOT / "packages",
            home / "packages",
            ignore=shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info"),
        )
        ports = dict(zip(("index", "broker", "monitor", "mcp"), free_ports(4)))
        host = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "swf_testbed_package_index_sources": [
                str(path.parent) for path in sorted(packages.glob("*/pyproject.toml"))
            ],
            **{"swf_testbed_%s_port" % name: port for name, port in ports.items()},
        }
        groups: dict[str, Any] = {
            name: {} for name in ("agents", "broker", "database", "redis", "monitor")
        }
        members: dict[str, Any] = {"hosts": {"this-machine": {}}}
        groups.update(index=members, testbed=members)
        self.inventory = home / "hosts.json"
        self.inventory.write_text(
            json.dumps({"all": {"hosts": {"this-machine": host}, "children": groups}})
        )

    def play(self, playbook: str, *options: str, root: Path = ROOT) -> Run:
        names = ("PATH", "LANG", "LC_ALL", "SSL_CERT_FILE")
        environment = {name: os.environ[name] for name in names if name in os.environ}
        environment.update(
            HOME=str(self.home),
            ANSIBLE_CONFIG=str(root / "ansible.cfg"),
            ANSIBLE_COLLECTIONS_PATH=str(root / ".ansible/collections"),
            ANSIBLE_NOCOLOR="1",
            ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default",
            PYTHONDONTWRITEBYTECODE="1",
        )
        command = [str(BIN / "ansible-playbook"), "-i", str(self.inventory)]
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [*command, str(root / "playbooks" / playbook), *options],
            cwd=self.home,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            sys.exit(done.stdout[-5000:])
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Run(seconds, cpu, done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--before", type=Path, help="another checkout, with its collections")
    parser.add_argument("--keep", action="store_true", help="do not remove the home")
    options = parser.parse_args()
    if os.geteuid() == 0:
        sys.exit("Run it as a user without root.")
    # short, for the path of the socket
    home = Path(tempfile.mkdtemp(prefix="swf-run-", dir="/tmp"))
    login = Login(home)
    roles = () if options.before else ("-e", "swf_testbed_full_run=true")
    sides = {"question": ((), ROOT), "all roles": (roles, options.before or ROOT)}
    try:
        print("first run: %.1f s" % login.play("site.yml").seconds)
        calls = {
            name: login.play("site.yml", "-vvvv", *more, root=root).output.count(CALL)
            for name, (more, root) in sides.items()
        }
        assert calls["question"] == 1, "the host differs"
        runs: dict[str, list[Run]] = {name: [] for name in sides}
        for _each in range(options.repeat):
            for name, (more, root) in sides.items():
                run = login.play("site.yml", *more, root=root)
                assert "changed=0" in run.output, run.output[-3000:]
                runs[name].append(run)
        best = {
            name: (min(run.seconds for run in those), min(run.cpu for run in those))
            for name, those in runs.items()
        }
        print("%-10s %8s %8s %6s" % ("", "seconds", "CPU s", "calls"))
        for name, (seconds, cpu) in best.items():
            print("%-10s %8.2f %8.2f %6d" % (name, seconds, cpu, calls[name]))
        ratios = [new / old for new, old in zip(best["question"], best["all roles"])]
        print("%-10s" % "ratio", *("%8.2f" % ratio for ratio in ratios))
    finally:
        login.play("stop.yml")
        if not options.keep:
            shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
