# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import (
    limits,
    private_services,
    python,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import ports as host_ports
from ansible_collections.bnlnpps.swf_testbed.plugins.modules import preflight
from helpers.run_module import COLLECTIONS, run_module
from helpers.unprivileged import NOBODY, unprivileged_home


def environment(home, **extra):
    return dict({"HOME": str(home), "PATH": os.environ["PATH"]}, **extra)


def check(home, env=None, **arguments):
    return run_module(
        "preflight",
        dict({"python": sys.executable}, **arguments),
        env=environment(home, **(env or {})),
    )


@pytest.fixture(name="home")
def short_home():
    """A home whose socket's path is short enough; pytest's own directories are not."""
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        yield Path(path)


def test_layout_follows_xdg(home):
    answer = check(home, {"XDG_CONFIG_HOME": str(home / "c"), "XDG_DATA_HOME": "relative"})
    places = answer["ansible_facts"]["swf_testbed_layout_swf_testbed"]
    assert places["config_dir"] == str(home / "c/swf-testbed")
    assert places["root"] == str(home / ".local/share/swf-testbed")
    assert not answer["failed"] and answer["problems"] == []


def test_github_packages_are_warned_of_without_their_token(home):
    conf = home / ".config/pip/pip.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("[global]\nextra-index-url = https://me:canary@pypi.pkg.github.com/bnlnpps/\n")
    answer = check(home)
    assert not answer["failed"] and "canary" not in str(answer)
    assert "%s contains [global] extra-index-url" % conf in str(answer["warnings"])


def test_changes_nothing(tmp_path):
    check(tmp_path)
    assert os.listdir(tmp_path) == []


def test_without_checks_only_the_layout_is_told(tmp_path):
    answer = check(tmp_path, checks=False, python="no-such-python")
    assert not answer["failed"] and "swf_testbed_layout_swf_testbed" in answer["ansible_facts"]


def test_the_distribution_is_a_fact_and_decides_about_services(home):
    answer = check(home, checks=False)
    assert set(answer["ansible_facts"]["swf_testbed_distribution"]) == {"family", "release", "id"}
    problem = preflight.platform_problem
    assert problem(["redis"], {"family": "RedHat", "id": "rocky"}) is None
    assert problem([], {"family": "", "id": "arch"}) is None
    found = problem(["broker", "redis"], {"family": "", "id": "arch"})
    assert "groups broker, redis, and os-release(5) says ID=arch" in found["evidence"]


def test_the_servers_that_the_instance_runs_itself_are_found(home):
    if not private_services.all_postgresql() and not os.environ.get("CI"):
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    arguments = {"postgresql": "13", "redis": True, "checks": False}
    with unprivileged_home() as other:
        answer = run_module("preflight", arguments, env=environment(other), drop_to=NOBODY)
    places = answer["ansible_facts"]["swf_testbed_layout_swf_testbed"]
    assert os.access(places["postgresql"] + "/initdb", os.X_OK), answer
    assert places["redis"] == (private_services.choose_redis()[0])
    # and not looked for without need
    assert not check(home)["ansible_facts"]["swf_testbed_layout_swf_testbed"]["postgresql"]


def test_postgresql_as_root_is_named_with_its_fix(home):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    answer = check(home, postgresql="13")
    assert answer["failed"] and "PostgreSQL does not run as root" in answer["msg"]
    assert "set swf_testbed_database_host to a server of your own" in answer["msg"]


def test_missing_python_is_named_with_its_fix(tmp_path):
    answer = check(tmp_path, python="python9.9")
    assert (
        answer["failed"]
        and "no Python named 'python9.9'" in answer["msg"]
        and "install" in answer["msg"]
    )


def test_old_python_is_named(tmp_path):
    answer = check(tmp_path, min_python="9.9")["msg"]
    assert "the packages need 9.9 or newer" in answer and "swf_testbed_python" in answer


def test_old_sqlite_is_named(home):
    answer = check(home, min_sqlite="99.1")["msg"]
    assert "the stack needs 99.1 or newer" in answer and "swf_testbed_database_host" in answer
    assert not check(home, min_sqlite="3.0")["failed"]


@pytest.mark.parametrize(
    "version,minimum,fine",
    [("3.9.18", "3.10", False), ("3.10.0", "3.10", True), ("3.13.1", "3.9", True)],
)
def test_versions_are_compared_as_numbers(version, minimum, fine):
    found = {"path": "/usr/bin/python3", "version": version, "venv": True}
    assert (python.python_problem("python3", minimum, found, "debian") is None) == fine


def test_missing_venv_module_names_debians_package():
    found = {"path": "/usr/bin/python3", "version": "3.11.2", "venv": False}
    assert "apt-get install python3.11-venv" in python.venv_problem(found, None)["fix"]
    assert python.venv_problem(found, "/usr/bin/uv") is None


def test_taken_port_names_who_has_it(tmp_path):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        answer = check(
            tmp_path,
            ports=[{"name": "monitor", "variable": "swf_testbed_monitor_port", "port": port}],
        )
    assert answer["failed"]
    assert "port %d for monitor is in use by process %d" % (port, os.getpid()) in answer["msg"]
    assert "swf_testbed_monitor_port" in answer["msg"]


def test_port_of_this_instance_is_fine(home):
    # supervisord marks what it starts with its own address
    mark = "unix://" + str(home / ".local/state/swf-testbed/run/supervisor.sock")
    code = (
        "import socket, sys; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); "
        "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ, SUPERVISOR_SERVER_URL=mark),
    ) as program:
        ports = [
            {
                "name": "monitor",
                "variable": "swf_testbed_monitor_port",
                "port": int(program.stdout.readline()),
            }
        ]
        assert check(home, ports=ports)["problems"] == []
        assert len(check(home, ports=ports, instance="another")["problems"]) == 1
        program.stdin.close()


def test_privileged_port_is_explained(tmp_path):
    if os.getuid() == 0:
        problem = "port 80 for monitor needs root"
        assert (
            problem
            in host_ports.bind_problem(
                {"name": "monitor", "variable": "x", "host": "h", "port": 80}, 13
            )["cause"]
        )
    else:
        assert (
            "needs root"
            in check(tmp_path, ports=[{"name": "monitor", "variable": "x", "port": 80}])["msg"]
        )


def test_address_of_another_host_is_explained(tmp_path):
    answer = check(
        tmp_path, ports=[{"name": "broker", "variable": "x", "host": "192.0.2.1", "port": 61613}]
    )
    assert "cannot listen on 192.0.2.1 port 61613 for broker" in answer["msg"]


def test_long_socket_path_is_explained(tmp_path):
    answer = check(tmp_path, {"XDG_STATE_HOME": str(tmp_path / ("x" * 90))})
    assert "the maximum is 99" in answer["msg"] and "XDG_STATE_HOME" in answer["msg"]


def test_full_disk_is_explained(tmp_path):
    answer = check(tmp_path, min_free_mb=10**9)
    assert "a release needs about 1000000000" in answer["msg"]


def test_all_problems_are_told_at_once(tmp_path):
    message = check(tmp_path, min_free_mb=10**9, python="python9.9")["msg"]
    assert "\n1. " in message and "\n2. " in message and "nothing was changed" in message


@pytest.mark.parametrize("name", ["a b", "it's", "c:d", 'q"q', "b\\s"])
def test_a_home_that_programs_cannot_run_from_is_explained(home, name):
    (home / name).mkdir()
    answer = check(home / name)
    assert (
        answer["failed"]
        and "the programs cannot run from a directory with a space" in answer["msg"]
    )
    assert "XDG_DATA_HOME" in answer["msg"]


def test_places_elsewhere_do_for_a_home_with_a_space(home):
    (home / "a b").mkdir()
    elsewhere = {"XDG_%s_HOME" % base: str(home / base) for base in ("CONFIG", "DATA", "STATE")}
    assert check(home / "a b", elsewhere)["problems"] == []


def test_few_open_files_are_explained(monkeypatch):
    monkeypatch.setattr(limits.os, "geteuid", lambda: 1000)
    assert "ulimit -Hn is 512" in limits.limit_problem(False, 512)["evidence"]
    # systemd gives the unit a limit of its own
    assert limits.limit_problem(True, 512) is None
    assert limits.limit_problem(False, 1024) is None and limits.limit_problem(False, -1) is None


def test_the_limit_is_that_of_supervisord_conf(root):
    assert (
        "minfds = %d\n" % limits.OPEN_FILES
        in (root / "roles/_instance/templates/supervisord.conf.j2").read_text()
    )


@pytest.mark.parametrize("name", ["root", "nobody"])
def test_accounts_of_the_system_run_no_programs(name):
    assert "must not run as %s" % name in limits.account_problem("system", name)["cause"]
    assert limits.account_problem("user", name) is None


def test_accounts_for_a_service_are_fine():
    assert limits.account_problem("system", "www-data") is None
    assert limits.account_problem("system", "is-made-later") is None


def test_a_login_account_runs_no_programs(monkeypatch):
    account = pwd.struct_passwd(("alice", "x", 1000, 1000, "", "/home/alice", "/bin/bash"))
    monkeypatch.setattr(limits.pwd, "getpwnam", lambda name: account)
    assert "its shell is /bin/bash" in limits.account_problem("system", "alice")["evidence"]


@pytest.mark.skipif(os.getuid() != 0, reason="takes another account")
def test_an_account_without_a_home_is_not_given_the_root_directory(home):
    code = (
        "import os, sys; os.setgid(65534); os.setuid(65534); sys.path[:0] = sys.argv[1:]\n"
        "from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import layout, "
        "places\n"
        "print(places.place_problems(layout.layout('x', 'user', {'HOME': '/nonexistent'})))"
    )
    done = subprocess.run(
        ["/usr/bin/python3", "-c", code, str(COLLECTIONS)],
        text=True,
        capture_output=True,
        check=False,
        env={"HOME": "/nonexistent", "PATH": os.environ["PATH"]},
    )
    if "Permission denied" in done.stderr:
        pytest.skip("the other account cannot read this checkout")
    assert (
        "chown" not in done.stdout and "nobody has no home directory (/nonexistent)" in done.stdout
    ), done.stderr


def test_accounts_that_a_run_is_about_to_make_are_for_the_manifest():
    answer = run_module(
        "preflight",
        {"scope": "system", "checks": False, "user": "swf-not-there", "operators": "daemon"},
    )
    listed = answer["ansible_facts"]["swf_testbed_layout_swf_testbed"]["manifest"]
    assert [(item["kind"], item["name"], item["uninstall"]) for item in listed["entries"]] == [
        ("account", "swf-not-there", "data"),
        ("group", "swf-not-there", "data"),
    ]
