# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack of others on the hosts of a lab: its services, its files, and its secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

SCAN = Path(__file__).with_name("scan_host.py")
SERVICES = "lab-services"
REDIS_CLI = "redis-cli --no-auth-warning --tls --cacert /tmp/lab-ca.pem -h"


def test_the_page_comes_from_the_source_tree_and_the_agent_is_heard_of(site):
    assert "Stand-in" in site.get("/")
    (agent,) = site.agents()
    assert (agent["instance_name"], agent["hostname"]) == ("stand-in-agent-swf-testbed", "lab-node")
    tree = site.release("lab-monitor") + "/src/stand-in-monitor"
    assert site.on("lab-monitor", "stat", "-c", "%U", tree + "/templates/page.html") == "root\n"


def test_messages_go_through_the_broker_and_are_counted_in_redis(site):
    site.wait_for_messages()


def test_the_database_is_that_of_the_services(site):
    command = ("runuser", "-u", "postgres", "--", "psql", "-Atc", "SELECT name FROM agents")
    found = site.on(SERVICES, *command, "swf_testbed")
    assert found == "stand-in-agent-swf-testbed\n"


def test_redis_accepts_its_password_over_tls_alone(site):
    address = site.variables[SERVICES]["ansible_host"]
    certificate = (site.secrets.parent / "ca/ca.pem").read_text()
    site.on(SERVICES, "sh", "-c", "cat > /tmp/lab-ca.pem", text=certificate)
    password = (site.secrets / "redis_password").read_text().strip()

    def ask(options: str, with_password: bool = True) -> str:
        text = "%s\n" % password if with_password else "wrong\n"
        command = "read -r REDISCLI_AUTH; export REDISCLI_AUTH; %s 2>&1 || true" % options
        return site.on(SERVICES, "sh", "-c", command, text=text)

    cli = "%s %s" % (REDIS_CLI, address)
    assert ask(cli + " PING") == "PONG\n"
    assert "NOAUTH" in ask(cli + " PING", with_password=False)
    assert "PONG" not in ask("redis-cli -h %s PING" % address)
    assert "PONG" not in ask("redis-cli -h 127.0.0.1 PING")
    assert ask(cli + " CONFIG GET save").split() == ["save"]
    assert site.on(SERVICES, "ps", "-o", "user=", "-C", "redis-server").strip() == "redis"
    site.on(SERVICES, "rm", "/tmp/lab-ca.pem")


@pytest.fixture(name="scan", scope="module")
def scan_of_the_hosts(site):
    secrets = {
        path.name: path.read_text().strip()
        for path in site.secrets.iterdir()
        if path.suffix == "" and path.is_file()
    }
    text = SCAN.read_text().replace("] = {}\n", "] = %r\n" % secrets)
    return {
        host: json.loads(site.on(host, "python3", "-", text=text))
        for host in (SERVICES, *site.hosts)
    }


#: {path: secret} of each host
OF_INDEX = {"/etc/swf-testbed/pip/netrc": "index_token"}
PLACED = {
    # the broker has hashes of passwords
    SERVICES: {"/etc/swf-redis/secrets/password.conf": "redis_password"},
    "lab-monitor": OF_INDEX
    | {
        "/etc/swf-testbed/secrets/" + file: file.replace("_url", "_password")
        for file in (
            *("api_token", "broker_password", "database_password"),
            *("monitor_secret_key", "redis_url"),
        )
    },
    "lab-node": OF_INDEX
    | {"/etc/swf-testbed/secrets/" + name: name for name in ("api_token", "broker_password")},
}


def test_code_and_configuration_belong_to_root(site, scan):
    for host in site.hosts:
        assert scan[host]["not of root"] == []


def test_secrets_are_in_their_files_alone(scan):
    for host, found in scan.items():
        # the key of the digests is beside them, and the monitor stores the token in its database
        files = {
            path: names
            for path, names in found["files"].items()
            if list(names) != ["digest_key"] and not path.startswith("/var/lib/postgresql/")
        }
        assert files == {path: {name: "root 600"} for path, name in PLACED[host].items()}
        digests = [path for path, names in found["files"].items() if "digest_key" in names]
        assert digests and all("/provenance/" in path for path in digests)


def test_secrets_are_in_the_environment_of_the_programs_that_the_stack_declares(scan):
    assert {host: found["arguments"] for host, found in scan.items()} == dict.fromkeys(scan, {})
    assert {
        host: {program: sorted(set(names)) for program, names in found["environments"].items()}
        for host, found in scan.items()
    } == {
        SERVICES: {},
        "lab-monitor": {
            "stand-in-monitor": [
                "api_token",
                "broker_password",
                "database_password",
                "monitor_secret_key",
                "redis_password",
            ]
        },
        "lab-node": {"stand-in-agent": ["api_token", "broker_password"]},
    }


def test_doctor_finds_nothing(site):
    done = site.play("playbooks/doctor.yml")
    assert done.returncode == 0, done.stdout


def test_doctor_names_redis_if_it_is_stopped(site):
    site.on(SERVICES, "systemctl", "stop", "redis-server")
    try:
        done = site.play("playbooks/doctor.yml")
        assert done.returncode != 0 and "redis-server.service" in done.stdout, done.stdout
        assert "lab-monitor" in done.stdout
    finally:
        site.on(SERVICES, "systemctl", "start", "redis-server")
