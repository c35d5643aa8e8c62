# SPDX-License-Identifier: GPL-3.0-or-later
"""roles/testbed/tasks/history.yml with real databases, the real swf-monitor, and a host of
this machine for each home.

Releases have the monitor alone; secrets and supervisord.conf are placed by the role.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from helpers.playbook import ROOT, TOOLS, environment, play
from helpers.ports import component_ports
from helpers.postgresql_server import (  # pylint: disable=unused-import
    BIN,
    PASSWORD,
    a_postgresql_server,  # noqa: F401
)

PLAY = """
- hosts: testbed
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - import_role: {name: bnlnpps.swf_testbed.preflight, tasks_from: check}
      # the broker and some of the databases do not run
      vars: {swf_testbed_preflight_checks: false}
    - import_role: {name: bnlnpps.swf_testbed.testbed, tasks_from: history}
    - name: Change over
      import_role: {name: bnlnpps.swf_testbed.testbed, tasks_from: configure}
"""
MONITOR = ["monitor", "monitor-listener"]
FORMER = "Count the rows of the current database"
NEW = "Validate that no history is lost"
ACCEPT = ("-e", "swf_testbed_accept_empty_database=true")


class Lab:
    """Hosts are instances of the same name in homes of their own."""

    def __init__(self, release):
        self.folder, self.release = Path(tempfile.mkdtemp(prefix="h", dir="/tmp")), release
        (self.folder / "password").write_text(PASSWORD)
        self.hosts, self.ports = {}, component_ports()
        (self.folder / "play.yml").write_text(PLAY)

    def host(self, name, *components, **variables):
        home = self.folder / name
        home.mkdir(exist_ok=True)
        # what Ansible calls the interpreter is where a home of a host's own begins
        python = home / "python"
        python.write_text('#!/bin/sh\nHOME=%s exec %s "$@"\n' % (home, sys.executable))
        python.chmod(0o755)
        self.hosts[name] = {
            "ansible_connection": "local",
            "ansible_python_interpreter": str(python),
            "swf_testbed_python": sys.executable,
            "swf_testbed_systemd": "never",
            "swf_testbed_preflight_min_free_mb": 0,
            **self.ports,
            "swf_testbed_components": list(components),
            "swf_testbed_broker_password": "b",
            "swf_testbed_api_token": "c0" * 20,
            "swf_testbed_monitor_secret_key": "k",
            "swf_testbed_database_password": "{{ lookup('file', '%s') }}"
            % (self.folder / "password"),
            "swf_testbed_controller_dir": str(self.folder / "controller"),
            "swf_testbed_release": {
                "path": str(self.release),
                "tools": str(TOOLS),
            },
            **variables,
        }

    def play(self, *arguments):
        (self.folder / "hosts.json").write_text(
            json.dumps({"all": {"children": {"testbed": {"hosts": self.hosts}}}})
        )
        code, output = play(
            *("-i", str(self.folder / "hosts.json"), *arguments, str(self.folder / "play.yml")),
            env=environment(self.folder),
        )
        assert PASSWORD not in output
        return code, output

    def monitor(self, name, code, database=None):
        """Run code in the monitor of a host, whose tables exist."""
        prepare = (
            "import django\ndjango.setup()\nfrom swf_monitor.provision import "
            "set_up\nset_up('%s')\n" % ("c0" * 20)
        )
        return self.python(
            name, database, "-c", prepare + "from swf_monitor.models import *\n" + code
        )

    def python(self, name, database, *arguments):
        environment = {
            "DJANGO_SETTINGS_MODULE": "swf_monitor.settings",
            "SECRET_KEY": "k",
            "SWF_MONITOR_DATA_DIR": self.data(name),
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            **{key: str(value) for key, value in (database or {}).items()},
        }
        done = subprocess.run(
            [str(self.release / "bin/python"), *arguments],
            env=environment,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout.strip()

    def data(self, name):
        return str(self.folder / name / ".local/state/swf-testbed/monitor")


@pytest.fixture(name="release", scope="module")
def a_release_with_the_monitor(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release") / "0.1.0"
    uv = str(Path(sys.executable).parent / "uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    subprocess.run(
        [
            uv,
            "pip",
            "install",
            "--quiet",
            "--python",
            str(folder / "bin/python"),
            str(ROOT / "packages/swf-common-lib"),
            "%s[postgresql]" % (ROOT / "packages/swf-monitor"),
        ],
        check=True,
    )
    return folder


@pytest.fixture(name="testbed")
def a_testbed(release):
    made = Lab(release)
    yield made
    shutil.rmtree(made.folder)


def database(settings, **others):
    return {
        "swf_testbed_database_host": "127.0.0.1",
        "swf_testbed_database_port": settings["DB_PORT"],
        "swf_testbed_database_name": settings["DB_NAME"],
        "swf_testbed_database_user": settings["DB_USER"],
        **others,
    }


def refused(output):
    return "The monitor would start with an empty database" in output


def asked(output, task):
    return "ok: [" in output.partition(" : %s]" % task)[2].partition("TASK [")[0]


@pytest.mark.nightly
def test_a_first_installation_and_a_run_without_a_change_ask_nothing(testbed):
    testbed.host("one", *MONITOR)
    testbed.host("two", "data-agent")
    for _run in range(2):
        code, output = testbed.play()
        assert code == 0 and not asked(output, FORMER) and not asked(output, NEW), output
    assert not os.path.exists(testbed.data("one"))


@pytest.mark.nightly
def test_from_sqlite_to_postgresql_and_back(testbed, postgresql):
    testbed.host("one", *MONITOR)
    assert testbed.play()[0] == 0
    # empty: nothing is lost
    testbed.monitor("one", "")
    testbed.host("one", *MONITOR, **database(postgresql))
    assert testbed.play("--check")[0] == 0
    testbed.monitor("one", "Run.objects.create(); Run.objects.create()")

    code, output = testbed.play()
    assert code != 0 and refused(output), output
    assert "sqlite:%s/db.sqlite3 of one, contains 2 runs" % testbed.data("one") in output, output
    assert (
        "the new one, postgresql://127.0.0.1:%d/postgres, contains no rows" % postgresql["DB_PORT"]
        in output
    ), output
    # refused as long as it is so
    assert testbed.play()[0] != 0
    code, output = testbed.play("--check", *ACCEPT)
    assert code == 0 and not asked(output, FORMER), output
    # docs/how-to/move_database.md
    history = str(testbed.folder / "history.json")
    testbed.python("one", None, "-m", "django", "dumpdata", "swf_monitor", "--output", history)
    testbed.monitor("one", "", postgresql)
    testbed.python("one", postgresql, "-m", "django", "loaddata", history)
    code, output = testbed.play()
    assert code == 0 and asked(output, NEW), output
    assert testbed.monitor("one", "print(Run.objects.create().pk)", postgresql) == "3"

    # and back, where the two runs still are
    testbed.host("one", *MONITOR)
    code, output = testbed.play("--check")
    assert code == 0 and asked(output, FORMER) and asked(output, NEW), output
    shutil.rmtree(testbed.data("one"))
    code, output = testbed.play()
    assert code != 0 and "postgres of one, contains 3 runs" in output and "sqlite:" in output, (
        output
    )
    assert not os.path.exists(testbed.data("one")), "to look is not to make one"


@pytest.mark.nightly
def test_another_database_of_a_server_that_is_moved_by_the_command_of_the_message(
    testbed, postgresql
):
    testbed.host("one", *MONITOR, **database(postgresql))
    assert testbed.play()[0] == 0
    testbed.monitor(
        "one",
        "run = Run.objects.create()\nStfFile.objects.create(filename='a', run=run, path='/a', "
        "size_bytes=1, checksum='c',"
        " sequence=1)",
        postgresql,
    )
    pgpass = testbed.folder / "pgpass"
    pgpass.write_text("*:*:*:*:%s\n" % PASSWORD.replace("\\", "\\\\").replace(":", "\\:"))
    pgpass.chmod(0o600)
    environment = dict(os.environ, PGPASSFILE=str(pgpass), PATH=BIN + ":" + os.environ["PATH"])
    subprocess.run(
        ["createdb", "-h", "127.0.0.1", "-p", str(postgresql["DB_PORT"]), "-U", "swf", "moved"],
        env=environment,
        check=True,
    )
    testbed.host("one", *MONITOR, **database(dict(postgresql, DB_NAME="moved")))

    code, output = testbed.play()
    assert code != 0 and refused(output) and "contains 1 runs, 1 STF files" in output, output
    command = output.partition("on the monitor's host: ")[2].partition(" (docs/")[0]
    assert command.startswith("pg_dump ") and command.endswith(" moved"), command
    subprocess.run(
        ["bash", "-eo", "pipefail", "-c", command],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    code, output = testbed.play()
    assert code == 0 and asked(output, NEW), output
    code, output = testbed.play()
    assert code == 0 and not asked(output, FORMER) and not asked(output, NEW), output
    assert (
        testbed.monitor("one", "print(Run.objects.create().pk)", dict(postgresql, DB_NAME="moved"))
        == "2"
    )


@pytest.mark.nightly
def test_a_former_database_that_cannot_be_asked_counts_as_one_with_history(testbed, postgresql):
    testbed.host("one", *MONITOR, **database(dict(postgresql, DB_PORT=9)))
    assert testbed.play()[0] == 0
    testbed.host("one", *MONITOR, **database(postgresql))
    code, output = testbed.play()
    assert (
        code != 0
        and refused(output)
        and "did not answer" in output
        and "port 9 failed: Connection refused" in output
    ), output
    assert "A database that does not answer is treated as one with history." in output, output
    # what was restored into the new one by other means
    testbed.monitor("one", "Run.objects.create()", postgresql)
    assert testbed.play()[0] == 0


# a host without programs is one with agents that has fewer of them
@pytest.mark.parametrize(
    "agents", [pytest.param(MONITOR[:0], marks=pytest.mark.nightly), ["data-agent"]]
)
@pytest.mark.nightly
def test_the_monitor_moves_to_another_host(testbed, agents):
    testbed.host("one", *MONITOR)
    testbed.host("two", "data-agent")
    assert testbed.play()[0] == 0
    testbed.monitor("one", "Run.objects.create()")
    testbed.host("one", *agents)
    testbed.host("two", *MONITOR)
    code, output = testbed.play()
    assert code != 0 and refused(output) and "db.sqlite3 of one, contains 1 runs" in output, output
    assert (
        "copy %s/db.sqlite3 to %s/db.sqlite3" % (testbed.data("one"), testbed.data("two")) in output
    ), output
    shutil.copytree(testbed.data("one"), testbed.data("two"))
    assert testbed.play()[0] == 0


@pytest.mark.nightly
def test_the_host_that_had_the_monitor_is_not_there_any_more(testbed):
    testbed.host("one", *MONITOR)
    testbed.host("two", "data-agent")
    assert testbed.play()[0] == 0
    testbed.host("three", *MONITOR)
    code, output = testbed.play("--limit", "two,three")
    assert (
        code != 0 and "no host of this run has had the monitor that the agents report to" in output
    ), output
    assert testbed.play("--limit", "two,three", *ACCEPT)[0] == 0
