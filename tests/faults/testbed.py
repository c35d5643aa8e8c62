# SPDX-License-Identifier: GPL-3.0-or-later
"""A testbed of this login in a home to throw away, and what is asked of it from outside."""

from __future__ import annotations

import configparser
import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
import xmlrpc.client
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60
# supervisord's states in which a program has a process
ALIVE = ("RUNNING", "STARTING")


def free_ports(count):
    probes = [socket.socket() for _number in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def descendants(pid):
    """Pids of the processes that a process started, and those started; not of daemons, which have
    left it."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open("/proc/%s/stat" % name, encoding="utf-8", errors="replace") as stream:
                if int(stream.read().rpartition(")")[2].split()[1]) == pid:
                    found += [int(name), *descendants(int(name))]
    return found


class UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path):
        super().__init__()
        self.path = path

    def make_connection(self, _host):
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(5)
        connection.sock.connect(self.path)
        return connection


class Testbed:
    def __init__(self, home: Path):
        self.home = home
        self.ports = dict(zip(("index", "broker", "monitor", "mcp"), free_ports(4)))
        self.root = home / ".local/share/swf-testbed"
        self.state = home / ".local/state/swf-testbed"
        self.conf = home / ".config/swf-testbed/supervisord.conf"
        self.packages = home / ".local/state/swf-index/packages"
        self.locks = home / ".local/share/swf-testbed-controller/locks"
        self.inventory = home / "inventory.json"
        # what plays and the daemon are started with beside what a login has
        self.extra: dict[str, str] = {}
        # whether a prober looks; not while the test itself takes the daemon away
        self.measured = True
        host = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "swf_testbed_package_index_sources": [],
        }
        host.update({"swf_testbed_%s_port" % name: port for name, port in self.ports.items()})
        group = {"hosts": {"this-machine": {}}}
        self.inventory.write_text(
            json.dumps(
                {
                    "all": {
                        "hosts": {"this-machine": host},
                        "children": {
                            "index": group,
                            "testbed": group,
                            "database": {},
                            "broker": {},
                            "redis": {},
                            "monitor": {},
                            "agents": {},
                        },
                    }
                }
            )
        )

    def change_inventory(self, variables):
        """Add variables of the host, which may be secrets."""
        inventory = json.loads(self.inventory.read_text())
        inventory["all"]["hosts"]["this-machine"].update(variables)
        self.inventory.chmod(0o600)
        self.inventory.write_text(json.dumps(inventory))

    def command(self, playbook, **variables):
        settings = dict(
            {"swf_testbed_wait_timeout": 40, "swf_testbed_health_timeout": 40}, **variables
        )
        return [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-i",
            str(self.inventory),
            "-e",
            json.dumps(settings),
            str(ROOT / "playbooks" / playbook),
        ]

    def start(self, playbook, **variables):
        """The playbook as a process, in a group of its own, so that it can be killed with all that
        it started."""
        environment = dict(
            os.environ,
            HOME=str(self.home),
            ANSIBLE_NOCOLOR="1",
            ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default",
            ANSIBLE_HOME=str(self.home / ".ansible"),
            ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".ansible/collections"),
            PYTHONUNBUFFERED="1",
        )
        for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
            environment.pop(name, None)
        for name, folder in (("UV_CACHE_DIR", "uv"), ("PIP_CACHE_DIR", "pip")):
            environment.setdefault(name, os.path.expanduser("~/.cache/" + folder))
        environment.update(self.extra)
        return subprocess.Popen(
            self.command(playbook, **variables),
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def play(self, playbook, during=None, **variables):
        """(exit code, output).

        :param during: (task, seconds, action): what to call so many seconds into a task.
        """
        process = self.start(playbook, **variables)
        output = ""
        for line in process.stdout if during else ():
            output += line
            if line.startswith("TASK [") and during[0] in line:
                time.sleep(during[1])
                during[2]()
                break
        output += process.communicate(timeout=900)[0]
        with (self.home / "plays.log").open("a") as log:
            log.write("\n\n##### %s %s: %d\n%s" % (playbook, variables, process.returncode, output))
        return process.returncode, output

    def play_and_kill(self, playbook, task, seconds, **variables):
        """Kill the controller, and all that it runs here, so many seconds into a task; whether it
        came to that."""
        process = self.start(playbook, **variables)
        for line in process.stdout:
            if line.startswith("TASK [") and task in line:
                time.sleep(seconds)
                for pid in [process.pid, *descendants(process.pid)]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                process.wait()
                return True
        process.wait()
        return False

    def start_daemon(self, extra):
        """Start the daemon again as supervisor_daemon does, with more in its environment, which its
        programs inherit.

        :returns: what is wrong, or None.
        """
        self.measured = False
        self.play("stop.yml")
        self.extra = extra
        conf = configparser.RawConfigParser(inline_comment_prefixes=(" ;",))
        conf.read(self.conf)
        subprocess.run(
            [conf.get("swf-testbed", "supervisord"), "-c", str(self.conf)],
            check=True,
            stdin=subprocess.DEVNULL,
            env=dict(
                extra, HOME=str(self.home), PATH="/usr/local/bin:/usr/bin:/bin", LANG="C.UTF-8"
            ),
        )
        # the index, which was stopped, too
        code, _output = self.play("start.yml")
        problem = "start.yml failed" if code else self.serves()
        self.measured = True
        return problem

    def pids(self):
        """{name: pid} of the programs, and of supervisord."""
        return dict(
            {info["name"]: info["pid"] for info in self.infos()},
            supervisord=int((self.state / "run/supervisord.pid").read_text()),
        )

    def infos(self):
        path = str(self.state / "run/supervisor.sock")
        with xmlrpc.client.ServerProxy("http://localhost", UnixTransport(path)) as server:
            return server.supervisor.getAllProcessInfo()

    def healthy(self):
        try:
            with urllib.request.urlopen(
                "http://127.0.0.1:%d/api/health/" % self.ports["monitor"], timeout=5
            ) as response:
                return json.load(response)["status"] == "ok"
        except OSError:
            return False

    def active(self):
        return os.path.basename(os.readlink(self.root / "current"))

    def problem(self, release=None, settled=True):
        """What is wrong, or None if every program runs, from the active release, which is the
        wanted one, and all is healthy.

        :param settled: False in the middle of an upgrade, when programs may run from either
            release.
        """
        try:
            infos, active = self.infos(), self.active()
        except OSError as error:
            return "supervisord does not answer: %s" % error
        down = [
            "%s is %s" % (info["name"], info["statename"])
            for info in infos
            if info["statename"] != "RUNNING"
        ]
        if down or not infos:
            return ", ".join(down) or "no programs"
        if release and active != release:
            return "active is %s and not %s" % (active, release)
        for info in infos if settled else ():
            if "/releases/%s/" % active not in Path(
                "/proc/%d/cmdline" % info["pid"]
            ).read_text().replace("\0", " "):
                return "%s does not run from %s" % (info["name"], active)
        return None if self.healthy() else "the monitor is not healthy"

    def serves(self, release=None, settled=True):
        """None once all is well, or what is still wrong when patience ends."""
        deadline = time.monotonic() + PATIENCE
        while True:
            problem = self.problem(release, settled)
            if problem is None or time.monotonic() > deadline:
                return problem
            time.sleep(0.5)

    def query(self, text):
        with sqlite3.connect(
            "file:%s?mode=ro" % (self.state / "monitor/db.sqlite3"), uri=True, timeout=20
        ) as database:
            return database.execute(text).fetchall()

    def files(self):
        """{STF: its checksum} of all that are registered."""
        return dict(self.query("SELECT filename, checksum FROM swf_monitor_stffile"))

    def open_runs(self):
        """How many runs were never ended, once their messages had their time; the newest one goes
        on.

        A number that the monitor gave to somebody who did not get it, as it was being stopped, is
        no run.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            count = self.query(
                "SELECT COUNT(*) FROM swf_monitor_run WHERE status != 'ended' "
                "AND (started_at IS NOT NULL OR run_id IN (SELECT run_id FROM "
                "swf_monitor_stffile)) "
                "AND run_id < (SELECT MAX(run_id) FROM swf_monitor_run)"
            )[0][0]
            if not count or time.monotonic() > deadline:
                return count
            time.sleep(1)

    def lost(self, before):
        """How many files are lost: registered ones that are gone or changed, and unregistered ones
        of ended runs."""
        deadline = time.monotonic() + PATIENCE * 2
        while True:
            now = self.files()
            gone = [name for name, checksum in before.items() if now.get(name) != checksum]
            missing = (
                self.query(
                    "SELECT SUM(total_files - (SELECT COUNT(*) FROM swf_monitor_stffile f WHERE "
                    "f.run_id = r.run_id)) "
                    "FROM swf_monitor_run r WHERE status = 'ended' AND total_files IS NOT NULL"
                )[0][0]
                or 0
            )
            failed = self.query("SELECT COUNT(*) FROM swf_monitor_stffile WHERE status = 'failed'")[
                0
            ][0]
            # what a queue still holds is not lost: it gets its time
            if not gone and not missing and not failed or time.monotonic() > deadline:
                return len(gone) + abs(missing) + failed
            time.sleep(1)


class Prober:
    """Looks every 100 ms which programs have a process, and whether broker and monitor take
    connections."""

    EVERY = 0.1

    def __init__(self, testbed):
        self.testbed = testbed
        self.down: dict[str, float] = {}
        self.longest_all = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.names = {info["name"] for info in self.testbed.infos()}
        self.down = dict.fromkeys(self.names, 0.0)
        self._thread.start()
        return self

    def __exit__(self, *_exception):
        self._over.set()
        self._thread.join()

    def _run(self):
        last, all_down = time.monotonic(), 0.0
        while not self._over.wait(self.EVERY):
            up = self._up()
            now = time.monotonic()
            passed, last = now - last, now
            if not self.testbed.measured:
                continue
            for name in self.names - up:
                self.down[name] += passed
            all_down = 0.0 if up else all_down + passed
            self.longest_all = max(self.longest_all, all_down)

    def _up(self):
        try:
            up = {info["name"] for info in self.testbed.infos() if info["statename"] in ALIVE}
        except (OSError, xmlrpc.client.Fault):
            return set()
        return {name for name in up if name not in ("broker", "monitor") or self._connects(name)}

    def _connects(self, name):
        try:
            socket.create_connection(("127.0.0.1", self.testbed.ports[name]), timeout=1).close()
            return True
        except OSError:
            return False

    def worst(self):
        name = max(self.down, key=self.down.get)
        return "%s %.1f" % (name, self.down[name]) if self.down[name] else "none"
