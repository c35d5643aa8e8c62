# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole reference testbed of a login without root, whose PostgreSQL, Redis and Artemis were made
by hand: on an acceptor without prefixes, then on one of another version with prefixes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections import Counter

import pytest
import yaml

from helpers import brokers, postgresql_server
from helpers.login import Login, account, from_this_checkout, until
from helpers.ports import free_port
from helpers.used_services import texts

REDIS = shutil.which("redis-server") or shutil.which("valkey-server")
# one story, in the order of the tests
pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(
        not os.environ.get("CI") and not (postgresql_server.BIN and REDIS),
        reason="needs PostgreSQL and Redis: apt-get install postgresql redis-server",
    ),
]
SECRETS = {
    "swf_testbed_database_password": "canary-of-the-database",
    "swf_testbed_redis_password": "canary-of-redis",
    "swf_testbed_broker_password": brokers.PASSWORD,
}
# The components of the stack use no Redis.
REDIS_CLIENT = """
import os, socket, time, urllib.parse
url = urllib.parse.urlsplit(open(os.environ["REDIS_URL_FILE"]).read().strip())
while True:
    with socket.create_connection((url.hostname, url.port)) as server:
        words = "AUTH %s\\r\\nSET seen %d\\r\\n" % (urllib.parse.unquote(url.password), os.getpid())
        server.sendall(words.encode())
        print(server.recv(100), flush=True)
    time.sleep(5)
"""
AGENTS = ("processing-agent", "processing-agent-2")


class Site:
    """A testbed and the services that its login does not own."""

    def __init__(self, artemis, postgresql, redis):
        self.artemis, self.redis = artemis, redis
        self.login = Login(account("nobody"))
        self.ports = {name: free_port() for name in ("index", "monitor", "mcp")}
        client = self.login.write("redis_client.py", REDIS_CLIENT)
        self.variables = {
            **from_this_checkout(**self.ports),
            **SECRETS,
            "swf_testbed_database_host": "127.0.0.1",
            "swf_testbed_database_port": postgresql,
            "swf_testbed_redis_host": "127.0.0.1",
            "swf_testbed_redis_port": redis,
            "swf_testbed_broker_port": artemis["2.40.0"].port,
            "swf_testbed_components": ["monitor", "monitor-listener", "daqsim-agent", "data-agent"]
            + [AGENTS[0], "fastmon-agent"],
            "swf_testbed_extra_components": [
                {"name": AGENTS[1], "role": "agent", "command": "swf-processing-agent"},
                {
                    **{"name": "redis-client", "role": "tool"},
                    "command": "/usr/bin/python3 %s" % client,
                    "secrets": {"REDIS_URL_FILE": "redis_url"},
                },
            ],
            "swf_testbed_stf_interval": 0.5,
        }

    def play(self, playbook, *arguments, code=0, **variables):
        here = {"hosts": {"this-machine": {}}}
        content = {
            "vars": {**self.variables, **variables},
            "children": {"index": here, "testbed": here},
        }
        self.login.write("testbed/hosts.yml", yaml.safe_dump({"all": content}))
        return self.login.play(playbook, *arguments, code=code)

    def get(self, path):
        token = (self.login.controller / "secrets/api_token").read_text().strip()
        request = urllib.request.Request("http://127.0.0.1:%d%s" % (self.ports["monitor"], path))
        request.add_header("Authorization", "Token " + token)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def processed(self):
        return self.get("/api/summary/")["stf"]["processed"]

    def by_agent(self):
        """How often each of the two agents processed each file, by their logs."""
        state = self.login.home / ".local/state/swf-testbed"
        return [
            Counter(
                name
                for path in state.rglob("%s.log*" % agent)
                for line in path.read_text().splitlines()
                if "file processed" in line
                for name in re.findall(r"swf\.\d+\.\d+\.stf", line)
            )
            for agent in AGENTS
        ]

    def running(self):
        """What a refused run must not touch."""
        conf = self.login.home / ".config/swf-testbed"
        files = {path: path.stat().st_mtime_ns for path in conf.rglob("*") if path.is_file()}
        pid = self.login.home / ".local/state/swf-testbed/run/supervisord.pid"
        return pid.read_text(), files


@contextlib.contextmanager
def a_redis(folder):
    port = free_port()
    conf = folder / "redis.conf"
    conf.write_text(
        'bind 127.0.0.1\nport %d\nsave ""\nrequirepass %s\n'
        % (port, SECRETS["swf_testbed_redis_password"])
    )
    with brokers.ended(subprocess.Popen([REDIS, conf], stdout=subprocess.DEVNULL, cwd="/tmp")):
        until(lambda: not texts(port), "Redis")
        yield port


@contextlib.contextmanager
def a_database():
    """As docs/how-to/existing_services.md says it to the administrator."""
    with postgresql_server.running() as (_folder, port):
        for statement in (
            "CREATE ROLE swf_testbed LOGIN PASSWORD '%s'"
            % SECRETS["swf_testbed_database_password"],
            "CREATE DATABASE swf_testbed OWNER swf_testbed",
        ):
            subprocess.run(
                [postgresql_server.BIN + "/psql", "-qh", "127.0.0.1", "-p", str(port), "-U", "swf"]
                + ["-d", "postgres", "-c", statement],
                check=True,
                env={**os.environ, "PGPASSWORD": postgresql_server.PASSWORD},
            )
        yield port


@pytest.fixture(scope="module", name="site")
def a_testbed_and_the_services_of_others(tmp_path_factory):
    folder = tmp_path_factory.mktemp("services")
    with contextlib.ExitStack() as stack:
        redis, postgresql = stack.enter_context(a_redis(folder)), stack.enter_context(a_database())
        artemis = {}
        for version in brokers.ARTEMIS:
            (folder / version).mkdir()
            broker = brokers.Artemis(folder / version, version)
            artemis[version] = stack.enter_context(broker.running())
        site = Site(artemis, postgresql, redis)
        stack.callback(site.login.end)
        yield site


def test_it_works_without_prefixes(site):
    """Each file has one reader, also with a second agent, because the programs say so in their
    frames."""
    report = site.play("site.yml", "-vvv", "--diff")
    assert "The testbed is healthy." in report
    until(lambda: site.processed() > 20, "processed files")
    first, second = site.by_agent()
    assert first and second
    assert set((first + second).values()) == {1}
    assert site.get("/api/health/")["status"] == "ok"
    assert "changed=0" in site.play("site.yml")


def test_postgresql_and_redis_are_the_given_ones(site):
    state = site.login.home / ".local/state/swf-testbed"
    assert not list(state.rglob("db.sqlite3"))
    log = "".join(path.read_text() for path in state.rglob("redis-client.log"))
    assert "+OK" in log and "ERR" not in log


def test_wrong_credentials_change_nothing(site):
    before = site.running()
    report = site.play("site.yml", code=2, **{name: "wrong" for name in SECRETS})
    text = " ".join(report.split())
    assert "this host is not ready, and nothing was changed" in text
    for service in ("the broker", "PostgreSQL", "Redis"):
        assert "%s refuses the login of the programs" % service in text
    assert site.running() == before
    assert "healthy" in site.play("status.yml")


def test_a_stack_that_says_nothing_in_its_frames_is_refused_there(site):
    """With the lines that the administrator has to add."""
    before = site.running()
    stack = (brokers.ROOT / "stacks/reference.yml").read_text()
    assert "  routing_headers: true\n" in stack
    path = site.login.write("stack.yml", stack.replace("  routing_headers: true\n", ""))
    text = " ".join(site.play("site.yml", code=2, swf_testbed_stack=str(path)).split())
    assert "the broker does not handle messages as the stack requires" in text
    assert "<default-queue-routing-type>ANYCAST</default-queue-routing-type>" in text
    assert site.running() == before


def test_it_moves_to_a_broker_with_prefixes(site):
    site.variables["swf_testbed_broker_port"] = site.artemis["2.56.0"].prefixed
    assert "The testbed is healthy." in site.play("site.yml")
    before = site.processed()
    until(lambda: site.processed() > before + 20, "processed files")
    summary = site.get("/api/summary/")
    assert summary["stf"]["failed"] == 0
    assert site.get("/api/health/")["status"] == "ok"
    assert "changed=0" in site.play("site.yml")


def test_the_services_stay_after_the_removal(site):
    site.play("uninstall.yml", "-e", "swf_testbed_uninstall_data=true")
    assert not list(site.login.home.glob(".local/state/swf-testbed/run/supervisord.pid"))
    for port in (site.redis, site.artemis["2.40.0"].port, site.artemis["2.56.0"].prefixed):
        assert texts(port) == []


def test_no_output_has_a_secret(site):
    for secret in SECRETS.values():
        assert secret not in site.login.output
