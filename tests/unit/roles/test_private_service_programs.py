# SPDX-License-Identifier: GPL-3.0-or-later
"""The private services under a real supervisord: the command lines of the components, and the real
servers as an unprivileged login."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import private_services
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _data, _stack
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _variables
from helpers.run_module import run_module
from helpers.unprivileged import NOBODY, as_nobody, unprivileged_home

POSTGRESQL = private_services.all_postgresql()
REDIS = next(filter(None, map(shutil.which, private_services.REDIS)), None)
CLI = next(filter(None, map(shutil.which, ("redis-cli", "valkey-cli"))), None)
PASSWORD = "canary /:'\"\\ pässwörd"

pytestmark = pytest.mark.skipif(
    not os.environ.get("CI") and not (POSTGRESQL and REDIS),
    reason="needs PostgreSQL and Redis: apt-get install postgresql redis-server",
)


@pytest.fixture(name="home")
def a_login():
    with unprivileged_home() as home:
        for name in ("run", "state", "state/redis", "secrets"):
            (home / name).mkdir(mode=0o700)
        yield home


def components(home):
    layout = {
        "run_dir": home / "run",
        "state_dir": home / "state",
        "readable_secrets_dir": home / "secrets",
    }
    variables = {
        "swf_testbed_layout": {
            **{name: str(path) for name, path in layout.items()},
            "postgresql": POSTGRESQL[-1].directory,
            "redis": REDIS,
        },
        "swf_testbed_redis_password": PASSWORD,
        "swf_testbed_redis_host": "",
    }
    templar = Templar(loader=DataLoader(), variables=variables)
    texts = _variables.trusted(
        {
            "services": _stack.private_services(),
            "url": "{{ swf_testbed_redis_url }}",
            "configuration": "{{ swf_testbed_redis_configuration }}",
        }
    )
    return _data.rendered(texts, templar, variables)


class Service:
    """A component as supervisord runs it, without supervisord: its signal and its patience."""

    def __init__(self, home, component):
        self.component = component
        self.log = home / (component["name"] + ".log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                shlex.split(component["command"]),
                stdout=log,
                stderr=log,
                cwd=home,
                **as_nobody(),
            )

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        number = {"INT": 2}.get(self.component.get("stopsignal"), 15)
        self.process.send_signal(number)
        assert self.process.wait(self.component.get("stopwaitsecs", 10)) == 0, self.log.read_text()


def wait_for(path, service):
    deadline = time.monotonic() + 30
    while not path.exists() and time.monotonic() < deadline:
        assert service.process.poll() is None, service.log.read_text()
        time.sleep(0.1)


def test_postgresql_serves_the_database_of_the_instance(home):
    database = components(home)["services"][0]
    arguments = {
        "directory": str(home / "state/postgresql"),
        "binaries": POSTGRESQL[-1].directory,
        "name": "swf_testbed",
        "owner": "swf_testbed",
    }
    assert run_module("database_cluster", arguments, drop_to=NOBODY)["changed"]
    with Service(home, database) as service:
        socket = home / "run/.s.PGSQL.5432"
        wait_for(socket, service)
        assert oct(socket.stat().st_mode & 0o777) == "0o700"
        shown = subprocess.run(
            [
                POSTGRESQL[-1].directory + "/psql",
                *("-XqAtw", "-h", str(home / "run"), "-U", "swf_testbed", "-d", "swf_testbed"),
            ],
            input="SHOW listen_addresses; SHOW dynamic_shared_memory_type; SELECT current_user",
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            **as_nobody(),
        )
        assert shown.stdout.splitlines() == ["", "mmap", "swf_testbed"], shown.stderr
        assert not run_module("database_cluster", arguments, drop_to=NOBODY)["changed"]


def redis(home, *arguments, password=PASSWORD, **options):
    return subprocess.run(
        [CLI, "--no-auth-warning", "-s", str(home / "run/redis.sock"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"REDISCLI_AUTH": password} if password else {},
        **as_nobody(),
        **options,
    ).stdout.strip()


def test_redis_takes_the_password_of_its_file_and_no_connection_of_the_network(home):
    found = components(home)
    (home / "secrets/redis_configuration").write_text(found["configuration"])
    with Service(home, found["services"][1]) as service:
        socket = home / "run/redis.sock"
        wait_for(socket, service)
        assert oct(socket.stat().st_mode & 0o777) == "0o700"
        url = urlsplit(found["url"])
        assert unquote(url.password) == PASSWORD and url.path == str(socket)
        assert redis(home, "PING") == "PONG"
        assert "NOAUTH" in redis(home, "PING", password="")
        assert "NOAUTH" in redis(home, "PING", password="other")
        assert redis(home, "CONFIG", "GET", "port").split() == ["port", "0"]
        assert redis(home, "CONFIG", "GET", "maxmemory").split() == ["maxmemory", str(64 << 20)]
        assert redis(home, "CONFIG", "GET", "save").split() == ["save"]
        assert redis(home, "SET", "a", "7") == "OK" and redis(home, "GET", "a") == "7"
        assert "canary" not in Path("/proc/%d/cmdline" % service.process.pid).read_text()
    # nothing is written at its end
    assert list((home / "state/redis").iterdir()) == []
    assert "canary" not in service.log.read_text()
