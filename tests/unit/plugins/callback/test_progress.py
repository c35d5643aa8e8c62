# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback progress, in runs of ansible-playbook: with and without a terminal, each 80 columns
wide, and of a failure. Times are written as 0:00."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
import yaml

PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"
CHANGES = {"ansible.builtin.set_fact": {"a": 1}, "changed_when": True}
FAILS = (
    "The port 8002 is in use. Evidence: the process 17 of the login anna listens on it, and it is not "
    "ours. Fix: choose another port in swf_testbed_monitor_port"
)


def task(name, when=True, **action):
    return {"name": name, "when": when, **(action or CHANGES)}


def play(name, *tasks, hosts="all"):
    return {"name": name, "hosts": hosts, "gather_facts": False, "tasks": list(tasks)}


def fail(text, when=True):
    return task("Check the ports", when, **{"ansible.builtin.fail": {"msg": text}})


SITE = (
    play(
        "Run preflight checks on all hosts",
        task("Find the paths", **{"ansible.builtin.set_fact": {"a": 1}}),
    ),
    play("Serve the private package index", task("Serve it"), hosts="index"),
    play("Open the firewall", task("Open the ports", when=False)),
    play(
        "Build the release on every host",
        task("Install the release", when="inventory_hostname != 'one'"),
        task("Skip this", when=False),
    ),
    play("A play of somebody else", task("Change something")),
)


class Run:
    def __init__(self, folder):
        self.folder = folder

    def command(self, plays, hosts, *options):
        (self.folder / "ansible.cfg").touch()
        (self.folder / "play.yml").write_text(yaml.safe_dump(list(plays)))
        (self.folder / "hosts").write_text("\n".join(hosts) + "\n")
        return [PLAYBOOK, "-i", self.folder / "hosts", *options, self.folder / "play.yml"]

    def environment(self, **more):
        ours = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("ANSIBLE_") and key not in ("CI", "NO_COLOR", "COLUMNS", "LINES")
        }
        return dict(
            ours,
            ANSIBLE_HOME=str(self.folder / "home"),
            ANSIBLE_CONFIG=str(self.folder / "ansible.cfg"),
            ANSIBLE_COLLECTIONS_PATH=os.environ["ANSIBLE_COLLECTIONS_PATH"],
            ANSIBLE_STDOUT_CALLBACK="bnlnpps.swf_testbed.progress",
            ANSIBLE_LOCALHOST_WARNING="0",
            TERM="xterm",
            **more,
        )

    def plain(self, plays, hosts=("one", "two"), *options, code=0):
        done = subprocess.run(
            self.command(plays, hosts, *options),
            env=self.environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def terminal(self, plays, hosts=("one", "two"), **environment):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        with subprocess.Popen(
            self.command(plays, hosts),
            env=self.environment(**environment),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        ) as running:
            os.close(theirs)
            output = b""
            while True:
                try:
                    part = os.read(ours, 65536)
                except OSError:
                    part = b""
                if not part:
                    break
                output += part
            os.close(ours)
            assert running.wait(timeout=120) == 0, output
        return output.decode()


@pytest.fixture(name="run")
def run_of_a_playbook(tmp_path, root, monkeypatch):
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", str(root / ".ansible/collections"))
    return Run(tmp_path)


def same_times(text):
    return re.sub(r"\d+:\d\d", "0:00", text)


def screen(text):
    """What a terminal shows at the end: a line without the text before its last return to its
    begin."""
    lines = [line.rpartition("\r\x1b[K")[2] for line in text.replace("\r\n", "\n").split("\n")]
    return "\n".join(lines)


SHOWN = """\
[0:00] preflight
[0:00] build
  changed: Install the release: two
[0:00] A play of somebody else
  changed: Change something: one, two

phase                      time    hosts  changes  changed hosts
preflight                  0:00        2        0
build                      0:00        2        1  two
A play of somebody else    0:00        2        2  one, two
all                        0:00        2        3

PLAY RECAP *********************************************************************
"""


def without_warnings(text):
    """Ansible warns of the group index, which the inventory does not have."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if "Could not match" not in line and "index" not in line)


def test_without_a_terminal(run):
    output = without_warnings(same_times(run.plain(SITE)))
    shown, recap = output.split("PLAY RECAP", 1)
    assert shown == SHOWN.split("PLAY RECAP")[0].replace("PLAY RECAP", "")
    assert "\x1b" not in output and "\r" not in output
    assert "one" in recap.splitlines()[1] and "changed=2" in recap.splitlines()[2]
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_on_a_terminal_the_last_line_shows_the_task(run):
    output = run.terminal(SITE, NO_COLOR="1")
    assert re.search(r"\r\x1b\[K\[\d:\d\d\] build: Install the release \(1 of 2 hosts\)", output)
    shown = without_warnings(same_times(screen(output))).split("PLAY RECAP")[0]
    assert shown.strip() == SHOWN.split("PLAY RECAP")[0].strip()
    # no other escape: NO_COLOR
    assert set(re.findall(r"\x1b\[[0-9;]*\w", output)) == {"\x1b[K"}


def test_the_elapsed_time_goes_on_while_a_task_runs(run):
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    waits = {"ansible.builtin.command": "sleep 3.5"}
    waiting = dict(play("Run Redis", task("Connect"), task("Start it", **waits)), vars=local)
    output = run.terminal([waiting], ("one",))
    times = re.findall(r"\r\x1b\[K\[0:(\d\d)\] services: Start it \(0 of 1 hosts\)", output)
    assert len(set(times)) >= 3, output


def test_a_question_of_the_first_connection_stays_on_the_terminal(run):
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    waits = {"ansible.builtin.command": "sleep 2.5"}
    output = run.terminal(
        [dict(play("Run Redis", task("Start it", **waits)), vars=local)], ("one",)
    )
    # of the task and of the host, and none for the time
    assert output.count("services: Start it (0 of 1 hosts)") == 2, output


def test_a_terminal_of_ci_has_no_such_line(run):
    output = run.terminal(SITE, CI="true")
    assert "\x1b[K" not in output and "\x1b[0;33m  changed: Install the release: two" in output


def test_a_cause_is_printed_once_with_its_evidence_and_fix(run):
    plays = [
        play(
            "Run the testbed on all hosts but those of agents",
            fail(FAILS, "inventory_hostname != 'two'"),
        ),
        play("Report the status", fail("Start the monitor: " + FAILS)),
    ]
    # one host after the other, so that it is always the same one that fails first
    output = same_times(run.plain(plays, ("one", "two", "three"), "--forks", "1", code=2))
    assert (
        output.split("PLAY RECAP")[0]
        == """\
[0:00] change-over
  FAILED: Check the ports: one
    The port 8002 is in use.
    Evidence: the process 17 of the login anna listens on it, and it is not
      ours.
    Fix: choose another port in swf_testbed_monitor_port
  FAILED, for the same cause: Check the ports: three
[0:00] verify
  FAILED, for the same cause: Check the ports: two

phase          time    hosts  changes  changed hosts
change-over    0:00   1 of 3        0
verify         0:00   0 of 1        0
all            0:00        3        0

"""
    )


def test_a_failure_without_a_fix_names_the_way_to_the_whole_result(run):
    command = {"ansible.builtin.command": "sh -c 'echo first; echo because >&2; exit 3'"}
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    failing = dict(play("Run Redis", task("Start it", **command)), vars=local)
    output = run.plain([failing], ("one",), code=2)
    assert "  FAILED: Start it: one\n    non-zero return code\n    stderr:\n    because\n" in output
    assert "run it again with -v" in output and "PLAY RECAP" in output


def test_hidden_results_stay_hidden(run):
    secret = dict(fail("canary-5b1c"), no_log=True)
    output = run.plain([play("Run Redis", secret)], ("one",), code=2)
    assert "canary" not in output and "the output has been hidden" in output


def test_items_of_a_loop(run):
    looping = dict(fail("no {{ item }}", "item == 'b'"), loop=["a", "b"])
    output = run.plain([play("Run Redis", looping)], ("one",), code=2)
    assert "  FAILED: Check the ports (b): one\n    no b\n" in output
    assert "One or more items failed" not in output


def test_messages_for_people_are_printed(run):
    message = {"ansible.builtin.debug": {"msg": "the monitor: https://lab"}}
    assert "the monitor: https://lab\n" in run.plain([play("Show", task("Show", **message))])


def test_fifty_hosts_have_one_line(run):
    hosts = ["host-%02d" % number for number in range(50)]
    output = run.plain([play("Run the agents", task("Install"))], hosts, "--forks=10")
    (line,) = [line for line in output.splitlines() if line.startswith("  changed")]
    assert "and 45 more" in line and line.count("host-") == 5 and len(line) <= 80
    assert output.count("changed=1") == 50


def test_check_mode_says_so(run):
    output = run.plain([play("Run the agents", task("Install"))], ("one",), "--check")
    assert output.startswith("Check mode: ") and "  would change: Install: one" in output


def test_with_v_the_output_is_the_usual_one(run):
    output = run.plain(SITE, ("one", "two"), "-v")
    assert "TASK [Install the release] ***" in output and "skipping: [one]" in output
    assert "phase" not in output.split("PLAY RECAP")[0].replace("phases", "")


def test_the_check_of_idempotence_of_molecule_finds_a_task_that_changes_something_every_time(run):
    idempotence = pytest.importorskip("molecule.command.idempotence")
    changing, idle = [
        run.plain([play("Run the agents", task("Install", when=when))]) for when in (True, False)
    ]
    last = [line for line in changing.splitlines() if line.strip()][-2:]
    assert all(re.match(r"\S+ +: ok=1 +changed=1 ", line) for line in last), changing
    step = idempotence.Idempotence.__new__(idempotence.Idempotence)
    assert not step._is_idempotent(changing) and step._is_idempotent(idle)
