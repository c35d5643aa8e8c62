# SPDX-License-Identifier: GPL-3.0-or-later
"""Two instances and an index of the system scope on one host: who owns what, who may do what, and that the pipeline works."""

from __future__ import annotations

import json
import re
import time

import pytest

INSTANCES = {"swf-testbed": ("swf-testbed", 8002), "swf-strict": ("swf-strict", 9002), "swf-index": ("swf-index", None)}
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
    found = {line.split()[0]: int(re.search(r"pid (\d+)", line).group(1)) for line in output.splitlines() if "RUNNING" in line}
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
    assert {line.partition(": ")[2].rpartition(": ")[2] for line in writable.stderr.splitlines()} <= {"Permission denied"}
    lines = writable.stdout.splitlines()
    assert "/var/lib/" + instance in lines and all(line.startswith("/var/lib/") for line in lines), writable.stdout
    assert root.file("/opt/" + instance).user == "root"


@pytest.mark.parametrize("instance", INSTANCES)
def test_secrets_are_for_root_alone(root, instance):
    # the index takes no login to another one
    places = ["secrets"] if instance == "swf-index" else ["secrets", "pip/netrc"]
    listing = root.check_output("find %s -printf '%%m %%u %%y %%p\\n'" % " ".join(
        "/etc/%s/%s" % (instance, place) for place in places)).splitlines()
    assert len(listing) > 2
    for line in listing:
        mode, owner, kind, path = line.split(" ", 3)
        assert owner == "root" and mode == {"d": "700", "f": "600"}[kind], path


@pytest.mark.parametrize("instance", INSTANCES)
def test_operators_may_use_the_socket_and_read_the_logs_and_others_may_not(root, instance):
    user, _port = INSTANCES[instance]
    socket = root.file("/run/%s/supervisor.sock" % instance)
    assert (socket.user, socket.group, socket.mode) == (user, "swf-operators", 0o770)
    logs = root.file("/var/log/" + instance)
    assert (logs.user, logs.group, logs.mode) == (user, "swf-operators", 0o750)


def test_nothing_listens_on_all_addresses_but_ssh(root):
    listening = root.check_output("ss -Hltn").splitlines()
    assert any(":8002 " in line for line in listening), listening
    wide = {line.split()[3] for line in listening if line.split()[3].startswith(("0.0.0.0:", "*:", "[::]:"))}
    assert wide <= {"0.0.0.0:22", "[::]:22", "*:22"}


@pytest.mark.parametrize("instance", INSTANCES)
def test_exposure(root, instance):
    verdict = root.check_output("systemd-analyze security --no-pager %s.service | tail -1" % instance)
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


@pytest.mark.parametrize("name,status", [("swf-testbed", "200"), ("six", "200"), ("swf-nothing", "404")])
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
