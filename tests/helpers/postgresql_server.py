# SPDX-License-Identifier: GPL-3.0-or-later
"""A real PostgreSQL on a port of its own."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from helpers.ports import free_port

PASSWORD = "canary:with\\odd characters"
BIN = (sorted(glob.glob("/usr/lib/postgresql/*/bin")) or [""])[-1]


@pytest.fixture(name="postgresql")
def a_postgresql_server(tmp_path):
    root = os.geteuid() == 0
    # root must become somebody else for PostgreSQL; where everything is tested, what is missing is
    # a mistake
    if not os.environ.get("CI") and (
        not BIN or (root and "postgres" not in [entry.pw_name for entry in pwd.getpwall()])
    ):
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    as_user = {"user": "postgres", "group": "postgres", "extra_groups": []} if root else {}
    # not in tmp_path, which another user cannot enter
    scratch = Path(tempfile.mkdtemp(dir="/tmp"))
    (scratch / "password").write_text(PASSWORD)
    if root:
        for path in (scratch, scratch / "password"):
            shutil.chown(path, "postgres")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    subprocess.run(
        [
            BIN + "/initdb",
            "-D",
            str(scratch / "data"),
            "-U",
            "swf",
            "--auth=scram-sha-256",
            "--pwfile=%s" % (scratch / "password"),
        ],
        check=True,
        **quiet,
        **as_user,
    )
    port = free_port()
    server = subprocess.Popen(
        [
            BIN + "/postgres",
            "-D",
            str(scratch / "data"),
            "-p",
            str(port),
            "-c",
            "fsync=off",
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "unix_socket_directories=",
        ],
        **quiet,
        **as_user,
    )
    (tmp_path / "password_file").write_text(PASSWORD + "\n")
    (tmp_path / "password_file").chmod(0o600)
    deadline = time.monotonic() + 30
    while (
        subprocess.call([BIN + "/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)])
        and time.monotonic() < deadline
    ):
        time.sleep(0.1)
    yield {
        "DB_HOST": "127.0.0.1",
        "DB_PORT": port,
        "DB_NAME": "postgres",
        "DB_USER": "swf",
        "DB_PASSWORD_FILE": str(tmp_path / "password_file"),
    }
    server.terminate()
    server.wait(30)
    shutil.rmtree(scratch)
