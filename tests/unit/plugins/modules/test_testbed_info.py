# SPDX-License-Identifier: GPL-3.0-or-later
"""What ails an instance, told with the next command; supervisord and its programs are real."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import layout
from helpers.probed_host import COMPONENTS, faults, probed_instance
from helpers.run_module import run_module
from helpers.stand_in_release import stand_in_release
from helpers.supervisord_host import Supervisord, until

PROGRAMS = """
[program:well]
command=/bin/sleep 1000
startsecs=0

[program:limps]
command=/bin/sh -c "echo the cause is here; sleep 0.3; test -e %(here)s/enough && exec sleep 1000; exit 7"
startsecs=0
redirect_stderr=true
"""


@pytest.fixture(name="instance")
def instance_of_the_login():
    """(supervisord, layout, home) of an instance that went from the release old to new."""
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        places = layout("swf-testbed", "user", {"HOME": home})
        for name in ("config_dir", "run_dir", "log_dir"):
            os.makedirs(places[name], mode=0o700)
        root = Path(places["root"])
        for number, name in enumerate(("old", "new")):
            stand_in_release(root, name, built_at="2027-01-0%dT00:00:00Z" % (number + 1))
        (root / "current").symlink_to("releases/new")
        (root / "previous").symlink_to("releases/old")
        host = Supervisord(places["run_dir"], PROGRAMS)
        host.move_to(places)
        host.start()
        yield host, places, home
        host.stop()


def let_it_end_twice(places):
    log = Path(places["log_dir"], "supervisord.log")
    until(lambda: log.read_text().count("exited: limps") >= 2, "two ends")
    Path(places["log_dir"], "enough").touch()
    time.sleep(1)


def problems(home):
    answer = run_module(
        "testbed_info",
        {"instances": ["swf-testbed"]},
        env={"HOME": home, "PATH": os.environ["PATH"]},
    )
    assert not answer["failed"], answer
    return answer["instances"][0]["problems"]


def test_a_program_that_passed_the_gate_and_ends_again_and_again(instance):
    _host, places, home = instance
    let_it_end_twice(places)
    limping, back = problems(home)
    assert "limps is RUNNING, but ended and was restarted" in limping
    assert "with exit status 7. Evidence: the end of its log then: the cause is here" in limping
    assert limping.endswith("ansible-playbook site.yml")
    assert back == (
        "the release new became active 0 minutes ago. Fix: If it is the cause, roll back to old: "
        "ansible-playbook playbooks/rollback.yml"
    )


def test_a_rollback_is_proposed_only_where_it_may_help(instance):
    host, places, home = instance
    let_it_end_twice(places)
    current, previous = Path(places["root"], "current"), Path(places["root"], "previous")
    for age, seen in (
        (90 * 60, "90 minutes ago"),
        (-3600, "before the clock was set back"),
        (2 * 86400, None),
    ):
        os.utime(current, (0, time.time() - age), follow_symlinks=False)
        reported = [line for line in problems(home) if "became active" in line]
        assert seen in reported[0] if seen else reported == []
    # somebody went back already: the former release is the later one
    for link, name in ((current, "old"), (previous, "new")):
        link.unlink()
        link.symlink_to("releases/" + name)
    assert len(problems(home)) == 1
    # what was stopped and started by hand is well
    for method in ("stopProcess", "startProcess"):
        host.client.call("supervisor." + method, "limps")
    assert problems(home) == []


def reported(home):
    return run_module(
        "testbed_info",
        {"instances": ["swf-testbed"]},
        env={"HOME": home, "PATH": os.environ["PATH"]},
    )


@pytest.mark.parametrize("change", ["deleted", "renamed", "replaced by an empty one"])
def test_a_log_that_is_not_in_its_place(instance, change):
    host, places, home = instance
    Path(places["log_dir"], "enough").touch()
    (log,) = (Path(info["stdout_logfile"]) for info in host.infos() if info["name"] == "well")
    if change == "deleted":
        log.unlink()
    else:
        log.rename(str(log) + "-20260102")
    if "replaced" in change:
        log.touch()
    (problem,) = (line for line in problems(home) if "moved or deleted" in line)
    assert "the log %s was" % log in problem and problem.endswith(
        "Run: kill -USR2 %d, which makes supervisord reopen its logs" % host.process.pid
    )
    assert (
        "writes to the deleted file" if change == "deleted" else "writes to %s-20260102" % log
    ) in problem
    os.kill(host.process.pid, signal.SIGUSR2)
    until(lambda: not any("moved or deleted" in line for line in problems(home)), "the log")


def test_the_log_of_supervisord_itself(instance):
    host, places, home = instance
    Path(places["log_dir"], "supervisord.log").rename(Path(places["log_dir"], "gone"))
    assert any(
        "process %d does not have that file open" % host.process.pid in line
        for line in problems(home)
    )


def test_a_supervisord_without_its_socket_is_named(instance):
    host, places, home = instance
    Path(places["log_dir"], "enough").touch()
    os.unlink(places["socket"])
    time.sleep(2.2)
    answer = reported(home)["instances"][0]
    assert answer["unreachable"] == [host.process.pid] and answer["processes"] == []
    assert (
        "supervisord (pid %d) runs, but its socket was removed or replaced" % host.process.pid
        in answer["problems"][0]
    )
    assert "start.yml, which stops it with its programs" in answer["problems"][0]
    second = Supervisord(host.folder, env=host.env)
    second.conf, second.socket = host.conf, host.socket
    second.start()
    try:
        answer = reported(home)["instances"][0]
        assert answer["unreachable"] == [host.process.pid] and answer["processes"]
        assert "another supervisord answers there: each program runs twice" in answer["problems"][0]
    finally:
        second.stop()


@pytest.mark.parametrize("number", range(7))
def test_each_fault_of_a_stack_with_probes_is_named(number):
    with probed_instance() as (host, _places, home, server):
        options = {
            "instances": ["swf-testbed"],
            "probes": server.probes(),
            "components": COMPONENTS,
        }
        environment = {"HOME": home, "PATH": os.environ["PATH"]}
        answer = run_module("testbed_info", options, env=environment)
        assert answer["healthy"] and answer["health_checked"], answer
        what, happens, seen = faults(host, server)[number]
        happens()
        answer = run_module("testbed_info", options, env=environment)
        assert not answer["healthy"] and answer["health_checked"], what
        text = "\n".join(answer["instances"][0]["problems"])
        assert seen in text and "Evidence: " in text.replace("STOPPED", "Evidence: "), (what, text)


def test_a_health_that_nobody_asked_for_is_not_good():
    with probed_instance() as (_host, _places, home, server):
        environment = {"HOME": home, "PATH": os.environ["PATH"]}
        for probes in ([], [dict(server.probes()[0], component="not-here")]):
            options = {"instances": ["swf-testbed"], "probes": probes, "components": COMPONENTS}
            answer = run_module("testbed_info", options, env=environment)
            assert answer["instances"][0]["problems"] == []
            assert not answer["healthy"] and not answer["health_checked"]
