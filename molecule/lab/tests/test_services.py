# SPDX-License-Identifier: GPL-3.0-or-later
"""What site.yml made of the hosts: services, users, files with secrets, addresses that are listened
on, hardening."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import launched
from helpers.leaks import ON_A_HOST

# what systemd-analyze says at most, for the units of each host
EXPOSURE = {
    "services": {
        "swf-testbed": 3.0,
        "swf-index": 3.0,
        "swf-broker": 1.5,
        "nginx": 3.0,
        "postgresql@15-main": 3.0,
    },
    "agents": {"swf-testbed": 3.0},
}
RUNTIME_USERS = {"swf-testbed": "swf-testbed", "swf-index": "swf-index"}
# what is listened on beside ssh, by address and port: that of the lab for what others call,
# 127.0.0.1 for the rest
LISTENING = {
    "services": {
        ("lab", 8004): "gunicorn",
        ("lab", 5432): "postgres",
        ("lab", 61613): "java",
        ("lab", 80): "nginx",
        ("lab", 443): "nginx",
        ("127.0.0.1", 8002): "swf-monitor",
    },
    "agents-1": {},
    "agents-2": {("127.0.0.1", 8003): "swf-mcp-agent"},
}
SECRET_FILES = {
    "services": {
        "/etc/swf-testbed/secrets": {
            "api_token",
            "broker_password",
            "database_password",
            "monitor_secret_key",
        },
        "/etc/swf-testbed/pip": {"netrc"},
        "/etc/swf-index/secrets": {"htpasswd", "tls.key", "tls.pem"},
        "/etc/swf-broker/secrets": {"management", "users.properties", "tls.key", "tls.pem"},
    },
    "agents": {
        "/etc/swf-testbed/secrets": {"api_token", "broker_password"},
        "/etc/swf-testbed/pip": {"netrc"},
    },
}


@pytest.fixture(name="name")
def name_of_the_host(host):
    return host.ansible.get_variables()["inventory_hostname"]


def of(table, lab, name):
    return table[name] if name in table else table["services" if name == lab.services else "agents"]


def test_units_run_are_enabled_and_are_closed_enough(host, lab, name):
    wrong = []
    for unit, most in of(EXPOSURE, lab, name).items():
        service = host.service(unit + ".service")
        # Debian enables each server of PostgreSQL through the unit that is for all
        enabled = service.is_enabled or (
            unit.startswith("postgresql@") and host.service("postgresql.service").is_enabled
        )
        verdict = host.check_output(
            "systemd-analyze security --no-pager %s.service | tail -1" % unit
        )
        if not (
            service.is_running
            and enabled
            and float(re.search(r"([\d.]+) [A-Z]", verdict).group(1)) <= most
        ):
            wrong.append((unit, service.is_running, enabled, verdict))
    assert not wrong


def test_programs_run_where_the_inventory_puts_them_and_as_their_own_user(host, lab, name):
    for instance, programs in (
        ("swf-testbed", set(lab.variables[name]["swf_testbed_components"])),
        ("swf-index", {"package-index"} if name == lab.services else set()),
    ):
        if not programs:
            assert not host.file("/etc/" + instance).exists
            continue
        conf = "/etc/%s/supervisord.conf" % instance
        folder = host.check_output("sed -n 's/^supervisord = //p' " + conf).rpartition("/")[0]
        lines = host.check_output("%s/supervisorctl -c %s status" % (folder, conf)).splitlines()
        pids = {line.split()[0]: re.search(r"RUNNING +pid (\d+)", line) for line in lines}
        assert set(pids) == programs and all(pids.values()), lines
        owners = host.check_output(
            "stat -c %%U %s" % " ".join("/proc/" + found.group(1) for found in pids.values())
        ).split()
        assert set(owners) == {RUNTIME_USERS[instance]}


def test_the_broker_and_the_servers_do_not_run_as_root(host, lab, name):
    if name == lab.services:
        running = host.check_output("ps -eo user:20,comm").splitlines()
        owners = {
            line.split()[1]: line.split()[0]
            for line in running
            if line.split()[1] in ("java", "postgres", "nginx")
        }
        # the last nginx is one that answers, and not the one that opens ports
        assert owners == {"java": "swf-broker", "postgres": "postgres", "nginx": "www-data"}


def test_directories_of_secrets_have_what_the_host_needs_and_are_for_root_alone(host, lab, name):
    for folder, files in of(SECRET_FILES, lab, name).items():
        listed = host.check_output("find %s -printf '%%m %%U %%y %%f\\n'" % folder).splitlines()
        entries = {line.split(" ", 3)[3]: line.split(" ", 3)[:3] for line in listed}
        assert entries.pop(folder.rpartition("/")[2]) == ["700", "0", "d"], folder
        if folder.endswith("/secrets"):
            assert set(entries) == files
        for file in files:
            assert entries[file] == ["600", "0", "f"], (folder, file)


def test_keys_of_the_services_are_for_those_who_must_read_them(host, lab, name):
    if name == lab.services:
        keys = {
            "/etc/nginx/swf-monitor.key": ("root", "root", 0o600),
            "/etc/postgresql/15/main/swf-testbed.key": ("root", "postgres", 0o640),
        }
        assert {
            path: (host.file(path).user, host.file(path).group, host.file(path).mode)
            for path in keys
        } == keys


FIND_SECRETS = (
    ON_A_HOST
    + """
import json, stat, sys
secrets = sys.argv[1][::-1].encode().split()
declared = json.loads(sys.argv[2])
for folder in ("/etc", "/opt", "/var", "/home", "/root", "/tmp", "/run"):
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not os.path.islink(os.path.join(place, name))]
        for path in (os.path.join(place, name) for name in files):
            try:
                found = os.lstat(path)
                if not stat.S_ISREG(found.st_mode) or found.st_size > 5000000:
                    continue
                with open(path, "rb") as stream:
                    content = stream.read()
            except OSError:
                continue
            if any(secret in content for secret in secrets):
                print(oct(found.st_mode & 0o777), found.st_uid, path)
for process, part, content in contents():
    if part == "environ":
        content = undeclared(content, declared)
    if any(secret in content for secret in secrets):
        print("process", process, part, content.split(b"\\0")[0])
"""
)


def test_no_secret_is_anywhere_else(host, lab, tmp_path):
    """In no file that others may read, in no log, and in no command line or environment."""
    conf = tmp_path / "supervisord.conf"
    conf.write_text(host.file("/etc/swf-testbed/supervisord.conf").content_string)
    declared = json.dumps(launched.variables(str(conf)))
    values = "\n".join(
        path.read_text().strip() for path in lab.secrets.iterdir() if not path.suffix
    )
    assert len(values.splitlines()) == 7
    # backwards, so that the search does not find itself
    found = host.run("python3 -c %s %s %s", FIND_SECRETS, values[::-1], declared)
    assert found.rc == 0, found.stderr
    # The key of the digests is beside these, on each host. systemd's copies are in directories that
    # only the service enters; the monitor has its API's token in a table.
    allowed = re.compile(
        r"0o600 0 /etc/(swf-[a-z]+/(secrets|pip|provenance)|bnlnpps.swf_testbed/provenance)/"
        r"|0o4[04]0 \d+ /run/credentials/|0o600 \d+ /var/lib/postgresql/"
    )
    stray = [line for line in found.stdout.splitlines() if not allowed.match(line)]
    assert not stray


@pytest.mark.skipif(
    "SWF_TASK_FIELDS" not in os.environ and "CI" not in os.environ,
    reason="tools/test sets SWF_TASK_FIELDS",
)
def test_callback_plugins_were_shown_no_secret(lab):
    """Of all tasks so far, which installed every service; with no_log the arguments of a task are
    not hidden from them."""
    values = [path.read_text() for path in lab.secrets.iterdir() if path.name[0] != "."]
    # a line of a private key is part of no other text
    secrets = [
        value.splitlines()[2] if "PRIVATE KEY" in value else value.strip() for value in values
    ]
    assert len(secrets) >= 9
    events = [
        (json.loads(line)["task"].split(" : ")[-1], line)
        for line in Path(os.environ["SWF_TASK_FIELDS"]).read_text(encoding="utf-8").splitlines()
    ]
    assert {
        "Create the role",
        "Place the users and the certificate",
        "Place the secrets of the instance swf-testbed",
        "Publish the missing versions",
    } <= {task for task, _line in events}
    assert [task for task, line in events if any(secret in line for secret in secrets)] == []


def test_the_mcp_server_asks_for_the_token(lab):
    """From its own host, since it listens there alone."""
    host = lab.host(lab.host_of("mcp-agent"))
    ask = (
        "import urllib.request as r, urllib.error as e\ntry: "
        "print(r.urlopen('http://127.0.0.1:8003/mcp').status)\n"
        "except e.HTTPError as error: print(error.code, error.headers['WWW-Authenticate'])"
    )
    assert host.check_output("python3 -c %s", ask) == '401 Bearer realm="swf-testbed"'


def test_only_what_was_asked_for_is_listened_on(host, lab, name):
    found = {}
    for line in host.check_output("ss -Hltunp").splitlines():
        address, _colon, port = line.split()[4].rpartition(":")
        address = address.strip("[]").replace("::ffff:", "")
        if int(port) != 22:
            found["lab" if address == lab.addresses[name] else address, int(port)] = re.search(
                r'"([^"]+)"', line
            ).group(1)
    assert found == of(LISTENING, lab, name)


def test_the_runtime_user_writes_neither_code_nor_configuration(host, lab, name):
    for instance in ["swf-testbed", "swf-index"] if name == lab.services else ["swf-testbed"]:
        writable = host.check_output(
            "runuser -u %s -- find /opt/%s /etc/%s /etc/systemd/system -writable -not -type l "
            "2>/dev/null || true" % (RUNTIME_USERS[instance], instance, instance)
        )
        assert writable == ""


def test_operators_may_use_the_socket_and_others_may_not(host):
    socket = host.file("/run/swf-testbed/supervisor.sock")
    assert (socket.user, socket.group, socket.mode) == ("swf-testbed", "swf-operators", 0o770)
    logs = host.file("/var/log/swf-testbed")
    assert (logs.user, logs.group, logs.mode) == ("swf-testbed", "swf-operators", 0o2750)


def test_all_hosts_run_the_same_release(lab):
    releases = {
        name: lab.host(name).check_output("readlink /opt/swf-testbed/current")
        for name in lab.variables
    }
    assert len(set(releases.values())) == 1, releases


PSQL = "runuser -u postgres -- psql -XAtc %s"


def test_the_database_lets_in_the_monitor_alone_and_keeps_no_password(lab):
    services = lab.host(lab.services)
    verifier = services.check_output(
        PSQL, "select rolpassword from pg_authid where rolname = 'swf_testbed'"
    )
    assert verifier.startswith("SCRAM-SHA-256$")
    rules = services.check_output(
        PSQL, "select type, address from pg_hba_file_rules where type <> 'local'"
    )
    assert rules == "hostssl|" + lab.addresses[lab.services]
    clients = services.check_output(
        PSQL,
        "select distinct ssl from pg_stat_ssl join pg_stat_activity using (pid) "
        "where usename = 'swf_testbed'",
    )
    assert clients == "t"


@pytest.mark.parametrize("port", [443, 8004, 61613])
def test_services_take_tls_alone_with_a_certificate_of_the_lab(lab, port):
    agent = lab.host(lab.agents[0])
    try_it = (
        "import socket, ssl, sys; c = "
        "ssl.create_default_context(cafile='/etc/swf-testbed/ca.pem'); "
        "s = c.wrap_socket(socket.create_connection((sys.argv[1], int(sys.argv[2])), 10), "
        "server_hostname=sys.argv[1]); "
        "print(s.version())"
    )
    assert agent.check_output(
        "python3 -c %s %s %s", try_it, lab.addresses[lab.services], str(port)
    ) in ("TLSv1.2", "TLSv1.3")
    in_the_clear = (
        "import socket, sys; s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10); "
        "s.settimeout(10); "
        "s.sendall(b'CONNECT\\naccept-version:1.2\\nhost:x\\n\\n\\0\\r\\n\\r\\n'); "
        "print(s.recv(100))"
    )
    answer = agent.run("python3 -c %s %s %s", in_the_clear, lab.addresses[lab.services], str(port))
    assert "CONNECTED" not in answer.stdout and "200 OK" not in answer.stdout


def test_the_firewall_lets_the_hosts_in_to_the_services_and_to_nothing_else(lab):
    services, agent = lab.host(lab.services), lab.host(lab.agents[0])
    allowed = services.check_output("firewall-cmd --info-service=swf-testbed")
    assert sorted(re.search(r"ports: (.*)", allowed).group(1).split()) == [
        "443/tcp",
        "5432/tcp",
        "61613/tcp",
        "80/tcp",
        "8004/tcp",
    ]
    reach = "timeout 5 bash -c 'echo > /dev/tcp/%s/%d'"
    assert agent.run(reach % (lab.addresses[lab.services], 61613)).succeeded
    services.check_output("systemd-run --unit=swf-not-open python3 -m http.server 9009")
    try:
        lab.host(lab.services).check_output(
            "timeout 10 bash -c 'until echo > /dev/tcp/127.0.0.1/9009; do sleep 0.2; done'"
        )
        assert agent.run(reach % (lab.addresses[lab.services], 9009)).failed
    finally:
        services.check_output("systemctl stop swf-not-open")
