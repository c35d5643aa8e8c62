# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab as somebody who brings releases to it sees it: new versions in its index, playbooks, and
what runs afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from downtime import Downtime

from faults.wheels import UMBRELLA, Versions, find

SCENARIO = Path(__file__).absolute().parents[1]
ROOT = SCENARIO.parents[1]
FAULTS = ROOT / "tests/faults"

HELPERS = "/var/tmp/swf-release"
PATIENCE = 120
# seconds that a playbook takes on a machine with much other work
LONGEST = 1200
# with the first host of agents alone, then the others at once
SERIAL = {"swf_testbed_upgrade_serial": [1, "100%"]}


def podman(*arguments):
    return subprocess.run(["podman", *arguments], check=True, capture_output=True, text=True).stdout


class Fleet:
    """
    :param lab: the Lab of the scenario lab, of this scenario's hosts.
    :param scratch: a directory for wheels.
    """

    def __init__(self, lab, scratch):
        self.lab = lab
        # what testbed.py starts is not started here; its prober and its way to supervisord serve on
        # the hosts, too
        for name in lab.variables:
            podman("exec", lab.container(name), "mkdir", "-p", HELPERS)
            for path in (FAULTS / "testbed.py", SCENARIO / "tests/on_host.py"):
                podman("cp", str(path), "%s:%s/%s" % (lab.container(name), HELPERS, path.name))
        self._base, self._new = scratch / "base", scratch / "new"
        podman("cp", lab.container(lab.services) + ":/var/lib/swf-index/packages", str(self._base))
        # an index takes a version once, and this may not be the first run of the tests
        self._number = max(
            [0]
            + [
                int(path.name.split("-")[1].split(".")[2])
                for path in find(self._base, UMBRELLA, "0.2.*")
            ]
        )

    @property
    def hosts(self):
        return [self.lab.services, *self.lab.agents]

    def new_version(self, **changes):
        """Publish a version of the testbed as whoever makes one does; for ``changes`` see
        tests/faults/wheels.py."""
        self._number += 1
        version = "0.2.%d" % self._number
        folder = self._new / version
        folder.mkdir(parents=True)
        Versions(self._base, folder).publish(version, **changes)
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "twine",
                "upload",
                "--non-interactive",
                "--disable-progress-bar",
                *map(str, folder.glob("*-%s-*.whl" % version)),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env=dict(
                os.environ,
                TWINE_REPOSITORY_URL="https://%s:8004/" % self.lab.addresses[self.lab.services],
                TWINE_USERNAME="swf",
                TWINE_PASSWORD=(self.lab.secrets / "index_token").read_text().strip(),
                # a login's own bundle would go before what twine is told
                REQUESTS_CA_BUNDLE=str(self.lab.ca_file),
            ),
        )
        assert done.returncode == 0, done.stdout
        return version

    def another_version(self):
        """A good version that is not the active one: the one before it on a host where no bad one
        gets active."""
        previous = self.state("agents-2")["previous"]
        return previous.rpartition("-")[0] if previous else self.new_version()

    def start(self, playbook, *options, **variables):
        """A playbook as a process."""
        command = [
            "ansible-playbook",
            "-i",
            str(SCENARIO / "inventory"),
            "-e",
            json.dumps(dict(SERIAL, **variables)),
            *options,
        ]
        return subprocess.Popen(
            [*command, "playbooks/" + playbook],
            cwd=ROOT,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(
                os.environ,
                ANSIBLE_NOCOLOR="1",
                ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default",
                ANSIBLE_FORCE_COLOR="0",
                ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"),
                PYTHONUNBUFFERED="1",
            ),
        )

    def play(self, playbook, *options, **variables):
        """(exit code, output)."""
        process = self.start(playbook, *options, **variables)
        output, _errors = process.communicate(timeout=LONGEST)
        return process.returncode, output

    def play_and_disturb(self, playbook, task, turn, disturb, **variables):
        """Do something a second into the so manieth task of a name; (exit code, output)."""
        process = self.start(playbook, **variables)
        lines = []
        # a play that waits for an unreachable host would never end
        patience = threading.Timer(LONGEST, process.kill)
        patience.start()
        try:
            for line in process.stdout:
                lines.append(line)
                if line.startswith("TASK [") and task in line:
                    turn -= 1
                    if turn == 0:
                        time.sleep(1)
                        disturb()
            return process.wait(), "".join(lines)
        finally:
            # one that still waits would keep pytest from its end
            patience.cancel()

    def state(self, name):
        """The running and the configured release of a host; empty while it is unreachable."""
        try:
            return json.loads(
                podman("exec", self.lab.container(name), "python3", HELPERS + "/on_host.py")
            )
        except (subprocess.CalledProcessError, ValueError):
            return {}

    def states(self):
        return {name: self.state(name) for name in self.hosts}

    def problems(self, releases):
        """What is wrong with hosts that should run these releases; {host: release}, {} when all is
        well."""
        found = {}
        for name, release in releases.items():
            state = self.state(name)
            wanted = {
                program: ["RUNNING", release]
                for program in self.lab.variables[name]["swf_testbed_components"]
            }
            right = {
                "programs": wanted,
                "current": release,
                "configured": release,
                "known_good": ["supervisord.conf", "swf-testbed.service"],
            }
            wrong = {key: state.get(key) for key, value in right.items() if state.get(key) != value}
            if wrong:
                found[name] = wrong
        return found

    def mixed(self, name):
        """What is wrong with a host that should run one release, whichever: (problem or None,
        release)."""
        state = self.state(name)
        if not state:
            return "it is unreachable", None
        wanted = {
            program: ["RUNNING", state["configured"]]
            for program in self.lab.variables[name]["swf_testbed_components"]
        }
        return (None if state["programs"] == wanted else str(state["programs"])), state[
            "configured"
        ]

    @contextlib.contextmanager
    def probed(self):
        """A prober on each host; gives a list, into which what they saw comes at the end."""
        path, found = HELPERS + "/seen", []
        for name in self.hosts:
            podman(
                "exec",
                self.lab.container(name),
                "systemd-run",
                "--collect",
                "--unit=swf-prober",
                "python3",
                HELPERS + "/on_host.py",
                "probe",
                path,
            )
        time.sleep(2)
        try:
            yield found
        finally:
            seen = {}
            for name in self.hosts:
                podman("exec", self.lab.container(name), "systemctl", "stop", "swf-prober")
                lines = podman("exec", self.lab.container(name), "cat", path).splitlines()
                seen[name] = [json.loads(line) for line in lines]
            found.append(Downtime(seen, time.time()))
