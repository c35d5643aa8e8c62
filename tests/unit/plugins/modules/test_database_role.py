# SPDX-License-Identifier: GPL-3.0-or-later
"""The role and its passwords in a real PostgreSQL, which decides who comes in. Its log has all
statements that it can have."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.scram import (
    is_of,
    verifier,
)
from helpers.leaks import Leaks
from helpers.ports import free_port
from helpers.run_module import run_module

BIN = (sorted(glob.glob("/usr/lib/postgresql/*/bin")) or [""])[-1]
NAME = "o'dd \"role"
ODD = [
    "canary:with\\odd 'characters\"",
    "pässwörd-canary",
    "ｆull-canary",
    "soft\u00adhyphen-canary",
    "no\u00a0break-canary",
    "אב1-canary",
]


class Server:
    def __init__(self, folder):
        root = os.geteuid() == 0
        # not below tmp_path, which another user cannot enter
        self.folder, self.snapshot, self.port = (
            Path(folder),
            Path(folder) / "known-good",
            free_port(),
        )
        self.run_as = "postgres" if root else ""
        self.login = {"user": "postgres", "group": "postgres", "extra_groups": []} if root else {}
        if root:
            shutil.chown(folder, "postgres")
        self.admin = pwd.getpwuid(os.geteuid()).pw_name if not root else "postgres"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
        subprocess.run(
            [
                BIN + "/initdb",
                "-D",
                folder + "/data",
                "-U",
                self.admin,
                "--auth-local=peer",
                "--auth-host=scram-sha-256",
            ],
            check=True,
            **quiet,
            **self.login,
        )
        with open(folder + "/log", "wb") as log:
            self.process = subprocess.Popen(
                [
                    BIN + "/postgres",
                    "-D",
                    folder + "/data",
                    "-p",
                    str(self.port),
                    "-c",
                    "fsync=off",
                    "-c",
                    "log_statement=all",
                    "-c",
                    "log_min_duration_statement=0",
                    "-c",
                    "listen_addresses=127.0.0.1",
                    "-c",
                    "unix_socket_directories=" + folder,
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                **self.login,
            )
        deadline = time.monotonic() + 30
        ready = [BIN + "/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.call(ready) and time.monotonic() < deadline:
            time.sleep(0.1)

    def role(self, password=None, check=False, **more):
        options = {
            "name": NAME,
            "socket": str(self.folder),
            "port": self.port,
            "run_as": self.run_as,
            "known_good": str(self.snapshot),
            "password": password,
        }
        return run_module("database_role", dict(options, **more), check=check)

    def sql(self, text):
        done = subprocess.run(
            [
                BIN + "/psql",
                "-XqAt",
                "-h",
                str(self.folder),
                "-p",
                str(self.port),
                "-d",
                "postgres",
            ],
            input=text,
            text=True,
            check=True,
            stdout=subprocess.PIPE,
            cwd="/",
            **self.login,
        )
        return done.stdout.strip()

    def takes(self, password):
        """Whether a client comes in with it: the real reader of a verifier."""
        done = subprocess.run(
            [
                BIN + "/psql",
                "-XqAt",
                "-w",
                "-h",
                "127.0.0.1",
                "-p",
                str(self.port),
                "-d",
                "postgres",
                "-U",
                NAME,
            ],
            input="SELECT 7",
            text=True,
            capture_output=True,
            check=False,
            env={"PGPASSWORD": password, "PGCLIENTENCODING": "UTF8", "LANG": "C.UTF-8"},
        )
        return done.stdout.strip() == "7"


@pytest.fixture(name="server", scope="module")
def a_postgresql_server():
    root = os.geteuid() == 0
    if not os.environ.get("CI") and (
        not BIN or (root and "postgres" not in [entry.pw_name for entry in pwd.getpwall()])
    ):
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    folder = tempfile.mkdtemp(dir="/tmp")
    server = Server(folder)
    yield server
    server.process.terminate()
    server.process.wait(30)
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def without_a_role(request):
    yield
    if "server" in request.fixturenames:
        server = request.getfixturevalue("server")
        server.sql('DROP ROLE IF EXISTS "%s"' % NAME.replace('"', '""'))
        shutil.rmtree(server.snapshot, ignore_errors=True)


@pytest.mark.parametrize("password", ODD)
def test_a_password_works_whatever_is_in_it_and_a_second_run_changes_nothing(server, password):
    assert server.role(password, check=True)["changes"] == ["role"]
    answer = server.role(password)
    assert answer["changes"] == ["role"] and answer["restorable"] is False, answer
    assert server.takes(password) and not server.takes(password + "x")
    assert not server.role(password)["changed"]
    # one that the server made itself is known, too
    server.sql(
        "ALTER ROLE \"%s\" PASSWORD '%s'" % (NAME.replace('"', '""'), password.replace("'", "''"))
    )
    assert not server.role(password)["changed"]


def test_the_former_password_comes_back_and_is_that_from_before_two_changes(server):
    server.role("former")
    shutil.rmtree(server.snapshot)
    assert not server.role(state="restored")["changed"]
    assert server.role("new")["restorable"] and server.role("newer")["changes"] == ["password"]
    assert server.takes("newer") and not server.takes("former")
    assert stat.S_IMODE(server.snapshot.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in server.snapshot.iterdir()} == {0o600}
    assert server.role(state="restored", check=True)["changed"] and server.takes("newer")
    assert server.role(state="restored")["changes"] == ["password"]
    assert server.takes("former") and not server.takes("newer")
    assert not server.role(state="restored")["changed"]


def test_a_role_with_too_many_rights_loses_them_and_keeps_its_password(server):
    server.role("former")
    shutil.rmtree(server.snapshot)
    server.sql('ALTER ROLE "%s" CREATEDB CREATEROLE' % NAME.replace('"', '""'))
    answer = server.role("former")
    assert (
        answer["changes"] == ["attributes"]
        and "known_good" not in answer
        and server.takes("former")
    )
    assert not server.role("former")["changed"]


def test_neither_passwords_nor_verifiers_are_in_processes_results_or_the_log(server):
    with Leaks("canary-former", "canary-new") as leaks:
        answers = [server.role(password) for password in ("canary-former", "canary-new")]
        answers += [server.role(state="restored"), server.role("canary-new", port=1)]
        with contextlib.suppress(FileNotFoundError):
            leaks.disk(server.folder)
    assert answers[-1]["failed"] and "Fix: " in answers[-1]["msg"], answers
    leaks.text("the results", str(answers))
    log = (server.folder / "log").read_text()
    leaks.text("the log", log)
    assert leaks.found == [] and leaks.processes > 1
    assert (
        "SCRAM" not in str(answers)
        and "rolpassword" not in log
        and "ALTER ROLE %s WITH" % NAME not in log
    )


def test_verifiers_of_other_kinds_are_of_no_password():
    assert is_of(verifier("a"), "a") and not is_of(verifier("a"), "b")
    assert not any(
        is_of(text, "a") for text in ("md5" + "0" * 32, "", None, "SCRAM-SHA-256$4096:x")
    )
