# SPDX-License-Identifier: GPL-3.0-or-later
"""A real PostgreSQL on a port of its own."""

from __future__ import annotations

import contextlib
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
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}


@contextlib.contextmanager
def running(*options, hba=None, files=()):
    """The folder and the port of a server, whose superuser is swf.

    :param options: settings, as in postgresql.conf.
    :param hba: text of pg_hba.conf, if it is not that of initdb.
    :param files: paths of files to copy to its data, for it alone.
    """
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
    for path in (scratch, scratch / "password"):
        if root:
            shutil.chown(path, "postgres")
    command = [BIN + "/initdb", "-D", str(scratch / "data"), "-U", "swf", "--auth=scram-sha-256"]
    command.append("--pwfile=%s" % (scratch / "password"))
    subprocess.run(command, check=True, **QUIET, **as_user)
    for path in files:
        copy = shutil.copy(path, scratch / "data")
        os.chmod(copy, 0o600)
        if root:
            shutil.chown(copy, "postgres")
    if hba:
        (scratch / "data/pg_hba.conf").write_text(hba)
    port = free_port()
    command = [BIN + "/postgres", "-D", str(scratch / "data"), "-p", str(port)]
    defaults = ("fsync=off", "listen_addresses=127.0.0.1", "unix_socket_directories=")
    for option in (*defaults, *options):
        command += ["-c", option.replace("FOLDER", str(scratch))]
    server = subprocess.Popen(command, **QUIET, **as_user)
    deadline = time.monotonic() + 30
    while (
        subprocess.call([BIN + "/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)])
        and time.monotonic() < deadline
    ):
        time.sleep(0.1)
    try:
        yield scratch, port
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(scratch)


@pytest.fixture(name="postgresql")
def a_postgresql_server(tmp_path):
    with running() as (_folder, port):
        (tmp_path / "password_file").write_text(PASSWORD + "\n")
        (tmp_path / "password_file").chmod(0o600)
        yield {
            "DB_HOST": "127.0.0.1",
            "DB_PORT": port,
            "DB_NAME": "postgres",
            "DB_USER": "swf",
            "DB_PASSWORD_FILE": str(tmp_path / "password_file"),
        }
