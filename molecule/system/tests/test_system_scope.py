# SPDX-License-Identifier: GPL-3.0-or-later
"""Two instances and an index of the system scope on one host: who owns what, who may do what, and
that the pipeline works."""

from __future__ import annotations

import json
import re
import time

import pytest

INSTANCES = {
    "swf-testbed": ("swf-testbed", 8002),
    "swf-strict": ("swf-strict", 9002),
    "swf-index": ("swf-index", None),
}
# the hosts are bare, and have no curl
FETCH = "python3 -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).read().decode())'"
PIPELINES = [name for name, (_user, port) in INSTANCES.items() if port]
# what systemd-analyze says at most, for the levels that the instances have
EXPOSURE = {"swf-testbed": 3.0, "swf-index": 3.0, "swf-strict": 1.6}


@pytest.fixture(name="root")
def commands_as_root(host):
    with host.sudo():
        yield host


def processes(root, instance):
    """{program: pid} of what supervisord runs."""
    conf = "/etc/%s/supervisord.conf" % instance
    daemon = root.check_output("sed -n 's/^supervisord = //p' " + conf)
    output = root.run("%s/supervisorctl -c %s status" % (daemon.rpartition("/")[0], conf)).stdout
    found = {
        line.split()[0]: int(re.search(r"pid (\d+)", line).group(1))
        for line in output.splitlines()
        if "RUNNING" in line
    }
    assert found, output
    return found


@pytest.mark.parametrize("instance", INSTANCES)
def test_the_unit_runs_and_is_enabled(root, instance):
    service = root.service(instance + ".service")
    assert service.is_running and service.is_enabled


@pytest.mark.parametrize("instance", INSTANCES)
def test_programs_run_as_their_own_user(root, instance):
    user, _port = INSTANCES[instance]
    for pid in processes(root, instance).values():
        # ps shortens a name of more than eight letters
        assert root.check_output("stat -c %%U /proc/%d" % pid) == user


@pytest.mark.parametrize("instance", INSTANCES)
def test_the_runtime_user_writes_neither_code_nor_configuration(root, instance):
    user, _port = INSTANCES[instance]
    places = f"/opt/{instance} /etc/{instance} /etc/systemd/system/{instance}.service /var/lib/{instance}"
    writable = root.run("runuser -u %s -- find %s -writable -not -type l" % (user, places))
    # in its directories of secrets it cannot even look; of its state it writes all
    assert {
        line.partition(": ")[2].rpartition(": ")[2] for line in writable.stderr.splitlines()
    } <= {"Permission denied"}
    lines = writable.stdout.splitlines()
    assert "/var/lib/" + instance in lines and all(
        line.startswith("/var/lib/") for line in lines
    ), writable.stdout
    assert root.file("/opt/" + instance).user == "root"


@pytest.mark.parametrize("instance", INSTANCES)
def test_secrets_are_for_root_alone(root, instance):
    # the index takes no login to another one
    places = ["secrets"] if instance == "swf-index" else ["secrets", "pip/netrc"]
    listing = root.check_output(
        "find %s -printf '%%m %%u %%y %%p\\n'"
        % " ".join("/etc/%s/%s" % (instance, place) for place in places)
    ).splitlines()
    assert len(listing) > 2
    for line in listing:
        mode, owner, file_type, path = line.split(" ", 3)
        assert owner == "root" and mode == {"d": "700", "f": "600"}[file_type], path


@pytest.mark.parametrize("instance", INSTANCES)
def test_operators_may_use_the_socket_and_read_the_logs_and_others_may_not(root, instance):
    user, _port = INSTANCES[instance]
    socket = root.file("/run/%s/supervisor.sock" % instance)
    assert (socket.user, socket.group, socket.mode) == (user, "swf-operators", 0o770)
    logs = root.file("/var/log/" + instance)
    assert (logs.user, logs.group, logs.mode) == (user, "swf-operators", 0o2750)


@pytest.fixture(name="operator", scope="module")
def login_of_an_operator(host):
    with host.sudo():
        host.check_output("useradd --no-create-home --groups swf-operators an-operator")
    yield "an-operator"
    with host.sudo():
        host.check_output("userdel an-operator")


@pytest.mark.parametrize("instance", INSTANCES)
def test_an_operator_uses_the_sockets_of_all_instances_and_reads_their_logs(
    root, instance, operator
):
    conf = "/etc/%s/supervisord.conf" % instance
    ctl = (
        root.check_output("sed -n 's/^supervisord = //p' " + conf).rpartition("/")[0]
        + "/supervisorctl"
    )
    # a program may be starting
    assert "RUNNING" in root.run("runuser -u %s -- %s -c %s status", operator, ctl, conf).stdout
    assert root.check_output(
        "runuser -u %s -- sh -c %s", operator, "cat /var/log/%s/*.log | head -c 100" % instance
    )


@pytest.mark.parametrize("instance", INSTANCES)
def test_programs_are_in_no_group_of_another_instance(root, instance):
    user, _port = INSTANCES[instance]
    # the one that prepare.yml put it into
    allowed = {user, "swf-data"} if user == "swf-testbed" else {user}
    assert set(root.check_output("id -Gn %s", user).split()) == allowed
    numbers = {root.check_output("getent group %s", name).split(":")[2] for name in allowed}
    for pid in root.check_output("pgrep -u %s", user).split():
        lines = re.findall(
            r"^(?:Gid|Groups):(.*)$", root.run("cat /proc/%s/status", pid).stdout, re.MULTILINE
        )
        assert {group for line in lines for group in line.split()} <= numbers, lines


CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"


@pytest.mark.parametrize("instance", INSTANCES)
def test_the_runtime_user_of_one_instance_reaches_nothing_of_another(root, instance):
    user, _port = INSTANCES[instance]
    for other in INSTANCES:
        done = root.run(
            "runuser -u %s -- python3 -c %s %s", user, CONNECT, "/run/%s/supervisor.sock" % other
        )
        assert (done.rc == 0) == (other == instance), (other, done.stderr)
        if other == instance:
            continue
        assert "PermissionError" in done.stderr
        places = f"/run/{other} /var/log/{other} /var/lib/{other} /etc/{other} /opt/{other}"
        assert not root.run(
            "runuser -u %s -- find %s -writable -not -type l" % (user, places)
        ).stdout.strip()
        places = f"/var/log/{other} /var/lib/{other} /etc/{other}/secrets /etc/{other}/pip /run/credentials/{other}.service"
        assert not root.run("runuser -u %s -- find %s -readable" % (user, places)).stdout.strip()


@pytest.mark.parametrize("instance", INSTANCES)
def test_nobody_else_can_hold_the_lock_of_the_releases(root, instance):
    done = root.run("runuser -u nobody -- flock --nonblock /opt/%s/.lock true", instance)
    assert done.failed and "Permission denied" in done.stderr
    assert not root.run(
        "runuser -u nobody -- find /opt/%s /etc/%s -name '*.lock' -readable" % (instance, instance)
    ).stdout


SLOW = """
import socket, sys, time
kept = [socket.create_connection((sys.argv[1], int(sys.argv[2]))) for _number in range(200)]
for number, connection in enumerate(kept):
    connection.sendall(b"\\x16\\x03\\x01" if number % 2 else b"G")
print("open", flush=True)
time.sleep(20)
"""


def test_the_index_answers_while_a_local_user_holds_requests_open(root):
    url = root.check_output("sed -n 's/^index-url = //p' /etc/swf-testbed/pip/swf.conf")
    name, port = url.split("/")[2].split(":")
    root.check_output("printf %%s %s > /tmp/slow.py; chmod 0644 /tmp/slow.py", SLOW)
    start = "setsid runuser -u nobody -- timeout 40 python3 /tmp/slow.py %s %s >/tmp/slow.out 2>&1 </dev/null &"
    root.check_output(start, name, port)
    try:
        deadline = time.monotonic() + 15
        while "open" not in root.run("cat /tmp/slow.out").stdout:
            assert time.monotonic() < deadline, root.run("cat /tmp/slow.out").stdout
            time.sleep(0.5)
        assert root.check_output("timeout 5 python3 -c %s %s", ASK, "swf-testbed") == "200"
    finally:
        root.run("pkill -u nobody -f /tmp/slow.py; rm -f /tmp/slow.py /tmp/slow.out")


def test_nothing_listens_on_all_addresses_but_ssh(root):
    listening = root.check_output("ss -Hltn").splitlines()
    assert any(":8002 " in line for line in listening), listening
    wide = {
        line.split()[3]
        for line in listening
        if line.split()[3].startswith(("0.0.0.0:", "*:", "[::]:"))
    }
    assert wide <= {"0.0.0.0:22", "[::]:22", "*:22"}


@pytest.mark.parametrize("instance", INSTANCES)
def test_exposure(root, instance):
    verdict = root.check_output(
        "systemd-analyze security --no-pager %s.service | tail -1" % instance
    )
    assert float(re.search(r"([\d.]+) [A-Z]", verdict).group(1)) <= EXPOSURE[instance], verdict


ASK = """
import netrc, ssl, sys, urllib.request
url = open("/etc/swf-testbed/pip/swf.conf").read().split("index-url = ")[1].split()[0]
host = url.split("/")[2].split(":")[0]
login = netrc.netrc("/etc/swf-testbed/pip/netrc").authenticators(host)
known = urllib.request.HTTPPasswordMgrWithPriorAuth()
known.add_password(None, url, login[0], login[2], is_authenticated=True)
context = ssl.create_default_context(cafile="/etc/swf-testbed/pip/swf.pem")
opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), urllib.request.HTTPBasicAuthHandler(known))
try:
    print(opener.open(url + sys.argv[1] + "/", timeout=30).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


@pytest.mark.parametrize(
    "name,status", [("swf-testbed", "200"), ("six", "200"), ("swf-nothing", "404")]
)
def test_the_index_serves_private_names_itself_and_others_from_its_mirror(root, name, status):
    assert root.check_output("python3 -c %s %s", ASK, name) == status


def summary(root, port):
    return json.loads(root.check_output("%s http://127.0.0.1:%d/api/summary/" % (FETCH, port)))


@pytest.mark.parametrize("instance", PIPELINES)
def test_files_go_through_the_pipeline(root, instance):
    port = INSTANCES[instance][1]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        now = summary(root, port)
        if now["stf"]["processed"] >= 3 and now["stf"]["sampled"] >= 3:
            return
        time.sleep(1)
    raise AssertionError(now)
