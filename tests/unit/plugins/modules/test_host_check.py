# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole host: before the first installation, and with a real supervisord whose programs are not
well."""

from __future__ import annotations

import json
import os
import signal
import socket
import tempfile
import time
from pathlib import Path

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import layout
from helpers.certificates import Ca, tls_server
from helpers.index_server import IndexServer, make_wheel
from helpers.ports import free_port
from helpers.probed_host import COMPONENTS, faults, probed_instance
from helpers.run_module import run_module
from helpers.stand_in_release import stand_in_release
from helpers.supervisord_host import Supervisord, until

SECRET = "canary4f3a9c1e7b0d2c8a5e6f1b3d7a9c0e"
PROGRAMS = """
[program:well]
command=/bin/sleep 1000
startsecs=0
environment=SUPERVISOR_SERVER_URL="unix://%(here)s/s.sock"

[program:dying]
command=/bin/sh -c "echo 127.0.0.1 has the token {secret}; echo the cause is here; exit 7"
startsecs=1
startretries=0
redirect_stderr=true
"""


@pytest.fixture(name="home")
def short_home():
    """A home whose socket's path is short enough; pytest's own directories are not."""
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        yield Path(path)


def examine(home, **options):
    options.setdefault("instances", [{"name": "swf-testbed", "part": "testbed"}])
    # the login that runs the tests need not linger
    answer = run_module(
        "host_check",
        dict({"systemd": "never", "timeout": 5}, **options),
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
    )
    assert not answer["failed"] and not answer["changed"], answer
    for item in answer["findings"]:
        assert (
            item["cause"]
            and item["severity"] in ("fatal", "warning")
            and (item["fix"] or item["check"] == "daemon")
        ), item
    assert SECRET not in json.dumps(answer)
    return answer


def checks(answer):
    return [item["check"] for item in answer["findings"]]


def one(answer, check):
    (found,) = (item for item in answer["findings"] if item["check"] == check)
    return found


def test_a_bare_machine_lacks_the_installation_and_nothing_else(home):
    answer = examine(home)
    assert checks(answer) == ["not_installed"] and answer["installed"] == {"testbed": False}
    assert one(answer, "not_installed")["severity"] == "warning"
    assert os.listdir(home) == []


def test_everything_missing_on_a_bare_machine_is_reported_at_once(home):
    home /= "x" * 60
    home.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = occupied.getsockname()[1]
        answer = examine(
            home,
            python="python9.9",
            release_mb=10**9,
            instances=[
                {
                    "name": "x" * 32,
                    "part": "testbed",
                    "ports": [
                        {"name": "monitor", "variable": "swf_testbed_monitor_port", "port": port}
                    ],
                }
            ],
            reach=[
                {
                    "name": "broker",
                    "host": "127.0.0.1",
                    "port": free_port(),
                    "variable": "swf_testbed_broker_host",
                    "provider": "broker",
                },
                {
                    "name": "database",
                    "host": "no-such-host.invalid",
                    "port": 1,
                    "variable": "swf_testbed_database_host",
                },
                {
                    "name": "nobody",
                    "needed": False,
                    "host": "no-such-host.invalid",
                    "port": 1,
                    "variable": "x",
                },
            ],
        )
    assert sorted(checks(answer)) == [
        "connection",
        "disk",
        "name",
        "not_installed",
        "port",
        "python",
        "socket",
    ]
    # the fatal ones come first
    assert answer["findings"][-1]["severity"] == "warning"


def test_the_index_is_asked_and_says_what_it_lacks(home, tmp_path):
    make_wheel(tmp_path, "swf-there", "1.0")
    server = IndexServer(tmp_path, token=SECRET)
    try:
        index = server.as_index("lab")
        answer = examine(
            home, instances=[], indexes=[index], packages=["swf-there", "swf-gone", "swf-missing"]
        )
        found = one(answer, "index")
        assert (
            "does not have swf-gone, swf-missing" in found["cause"] and found["severity"] == "fatal"
        )
        refused = one(
            examine(
                home,
                instances=[],
                indexes=[dict(index, token="wrong" + SECRET)],
                packages=["swf-there"],
            ),
            "index",
        )
        assert "rejected the credentials (401/403)" in refused["cause"]
    finally:
        server.stop()
    gone = one(
        examine(
            home,
            instances=[],
            indexes=[index],
            packages=["swf-there"],
            provided_index=server.url[: -len("/simple/")],
        ),
        "index",
    )
    assert "nothing listens" in gone["cause"] and gone["provider"] == "index"


def test_the_certificate_of_an_index_ends_soon(home, tmp_path):
    """The CA comes along with the question: before the first installation the host does not have
    it."""
    ca = Ca(tmp_path)
    with tls_server(*ca.issued("index", days=9.5)) as port:
        index = {"name": "lab", "url": "https://127.0.0.1:%d/simple/" % port}
        answer = examine(
            home, instances=[], indexes=[index], packages=["six"], index_cas={"lab": ca.pem}
        )
        unknown = examine(home, instances=[], indexes=[index], packages=["six"])
    # the server shakes hands and says nothing
    assert "tls" not in one(answer, "index")["cause"].lower()
    assert "does not trust the CA" in one(unknown, "index")["cause"]


@pytest.fixture(name="instance")
def instance_of_the_login(home):
    """An instance with two programs, one of which ends at once and writes a secret into its log."""
    places = layout("swf-testbed", "user", {"HOME": str(home)})
    for name in ("config_dir", "secrets_dir", "run_dir", "log_dir"):
        os.makedirs(places[name], mode=0o700)
    stand_in_release(Path(places["root"]), "1")
    Path(places["root"], "current").symlink_to("releases/1")
    os.makedirs(places["access_dir"], mode=0o700)
    netrc = Path(places["access_dir"], "netrc")
    netrc.write_text("machine 127.0.0.1 login reader password %s\n" % SECRET)
    netrc.chmod(0o600)
    secret = Path(places["secrets_dir"], "api_token")
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    host = Supervisord(places["run_dir"], PROGRAMS.replace("{secret}", SECRET))
    host.move_to(places)
    host.start()
    yield host, places
    host.stop()


def test_what_is_wrong_with_what_runs(instance, home):
    host, places = instance
    host.until_states(well="RUNNING", dying="FATAL")
    program = one(examine(home), "program")
    assert program["cause"].startswith("dying is FATAL") and "exit status 7" in program["cause"]
    assert (
        "the cause is here" in program["evidence"]
        and "127.0.0.1 has the token ***" in program["evidence"]
    )

    os.chmod(places["secrets_dir"] + "/api_token", 0o644)
    host.conf.write_text(
        host.conf.read_text().replace("sleep 1000", "sleep 2000")
        + "\n[swf-testbed]\nrelease = /opt/other\n"
    )
    python = Path(places["root"], "releases/1/bin/python")
    python.unlink()
    python.symlink_to("/usr/bin/python0.9")
    answer = examine(home)
    assert sorted(checks(answer)) == ["drift", "drift", "program", "release", "secrets"]
    drifted = [item["evidence"] for item in answer["findings"] if item["check"] == "drift"]
    assert any("changed well" in text for text in drifted) and any(
        "other and 1" in text for text in drifted
    )
    assert (
        "points to /usr/bin/python0.9, which does not exist" in one(answer, "release")["evidence"]
    )


def test_a_supervisord_that_was_killed_leaves_programs_behind(instance, home):
    host, _places = instance
    host.until_states(well="RUNNING", dying="FATAL")
    pid = host.pids()["well:well"]
    host.process.kill()
    host.process.wait()
    try:
        answer = examine(home)
        assert sorted(checks(answer)) == ["daemon", "orphans"]
        assert (
            "is stale" in one(answer, "daemon")["evidence"]
            and str(pid) in one(answer, "orphans")["evidence"]
        )
    finally:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not Path("/proc/%d" % pid).exists(), "the end of the program")


def test_a_supervisord_without_its_socket_has_no_orphans(instance, home):
    host, places = instance
    host.until_states(well="RUNNING", dying="FATAL")
    pids = [pid for pid in host.pids().values() if pid]
    os.unlink(places["socket"])
    os.unlink(os.path.join(places["log_dir"], "supervisord.pid"))
    time.sleep(2.2)
    try:
        answer = examine(home)
        assert checks(answer) == ["daemon"]
        found = one(answer, "daemon")
        assert (
            "supervisord (pid %d) runs, but its socket was removed" % host.process.pid
            in found["cause"]
        )
        assert (
            found["fix"]
            == "Run: ansible-playbook playbooks/start.yml, which stops it with its programs, and "
            "starts them"
        )
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


def test_certificates_that_lie_there(instance, home, tmp_path):
    host, places = instance
    host.until_states(well="RUNNING", dying="FATAL")
    ca = Ca(tmp_path)
    certificate, key = ca.issued("own", days=-1, names=("127.0.0.1",))
    os.rename(certificate, places["secrets_dir"] + "/tls.pem")
    os.rename(key, places["secrets_dir"] + "/tls.key")
    for name in ("tls.pem", "tls.key"):
        path = places["secrets_dir"] + "/" + name
        os.chmod(path, 0o600)
        # newer than the daemon, however fast this test is
        os.utime(path, (time.time() + 60, time.time() + 60))
    answer = examine(
        home,
        instances=[
            {"name": "swf-testbed", "part": "testbed", "certificate_names": ["index.example.org"]}
        ],
    )
    found = [item["cause"] for item in answer["findings"] if item["check"] == "certificate"]
    assert (
        len(found) == 2
        and "has expired" in found[0]
        and "does not cover index.example.org" in found[1]
    )
    assert one(answer, "drift")["evidence"] == "tls.key, tls.pem"


def test_a_service_is_not_installed_and_its_port_is_taken(home, tmp_path):
    service = {
        "part": "broker",
        "placed": str(tmp_path / "*/x.service"),
        "unit": "swf-nothing-*.service",
        "listen": ["127.0.0.1"],
        "variable": "swf_testbed_broker_port",
    }
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        answer = examine(
            home, instances=[], services=[dict(service, port=occupied.getsockname()[1])]
        )
    assert set(checks(answer)) == {"not_installed", "port"} and answer["installed"] == {
        "broker": False
    }


def probed(server, **more):
    stack = {"probes": server.probes(), "components": COMPONENTS}
    return [dict({"name": "swf-testbed", "part": "testbed"}, **dict(stack, **more))]


@pytest.mark.parametrize("number", range(7))
def test_each_fault_of_a_stack_with_probes_is_named(number):
    with probed_instance() as (host, _places, home, server):
        answer = examine(home, instances=probed(server))
        assert checks(answer) == [] and answer["health_checked"], answer
        what, happens, seen = faults(host, server)[number]
        happens()
        (found, *more) = examine(home, instances=probed(server))["findings"]
        assert found["check"] == ("program" if "stopped" in what else "health")
        # all pages are of one server
        assert len(more) == (2 if what == "no connection" else 0)
        assert found["severity"] == "fatal"
        assert seen in found["cause"] + ". " + found["evidence"], (what, found)


def test_the_monitor_is_found_by_its_role():
    page = "http://127.0.0.1:%d/" % free_port()
    with probed_instance() as (host, _places, home, server):
        asked = {"probes": [], "health_url": page}
        (found,) = examine(home, instances=[dict(probed(server)[0], **asked)])["findings"]
        assert "the monitor's health is unknown" in found["cause"]
        assert found["fix"] == "Look at: swf-testbed logs watcher"
        # one that does not run is a finding of its own
        host.client.call("supervisor.stopProcess", "watcher")
        answer = examine(home, instances=[dict(probed(server)[0], **asked)])
        assert checks(answer) == ["program"] and not answer["health_checked"]


def test_a_health_that_nobody_asked_for_is_not_good():
    with probed_instance() as (_host, _places, home, _server):
        answer = examine(home)
        assert checks(answer) == [] and not answer["health_checked"]


def test_a_file_that_replaces_the_environment_of_programs():
    programs = """
[program:watcher]
command=/bin/sleep 1000
startsecs=0

[program:ear]
command=/bin/sleep 1000
startsecs=0
environment=SWF_ENV_LOADED="true"

[program:worker]
command=/bin/sleep 1000
startsecs=0
"""
    components = [
        {"name": "watcher", "role": "monitor"},
        {"name": "ear", "role": "listener", "reads_env_file": "SWF_ENV_LOADED"},
        {"name": "worker", "role": "agent", "reads_env_file": "SWF_ENV_LOADED"},
    ]
    with probed_instance(programs) as (host, _places, home, server):
        instances = probed(server, components=components)
        assert checks(examine(home, instances=instances)) == []
        Path(home, ".env").write_text("ACTIVEMQ_HOST=production.example.org\n")
        found = one(examine(home, instances=instances), "environment")
        assert found["severity"] == "warning" and str(Path(home, ".env")) in found["cause"]
        assert found["evidence"] == "the file exists; its readers are worker"
        assert 'add {SWF_ENV_LOADED: "true"} to swf_testbed_environment' in found["fix"]
        # also a program that does not run: the file may be the reason
        host.client.call("supervisor.stopProcess", "worker")
        assert one(examine(home, instances=instances), "environment")["evidence"].endswith("worker")
        components[1]["reads_env_file"] = "always"
        found = one(examine(home, instances=instances), "environment")
        assert found["evidence"].endswith("are ear, worker")
        assert found["fix"] == "Move the file away"
