# SPDX-License-Identifier: GPL-3.0-or-later
"""supervisor_info against a real supervisord: every state, filters, waiting, logs, odd names and
numbers."""

from __future__ import annotations

import datetime
import os
import signal
import sys
import threading
import time

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import client
from helpers.run_module import run_module
from helpers.supervisord_host import Supervisord, until

EVERY_STATE = (
    """
[program:runs]
command=sleep 1000

[program:slowstart]
command=sleep 1000
startsecs=3600

[program:flaps]
command=/bin/sh -c 'echo to-stdout; echo to-stderr >&2; exit 7'
startretries=1000000

[program:dead]
command=/bin/sh -c 'echo out-of-dead; echo reason-of-dead >&2; exit 5'
startretries=0

[program:missing]
command=/nonexistent/program
startretries=0

[program:segfault]
command=/bin/sh -c 'kill -SEGV $$'
startretries=0

[program:done]
command=/bin/sh -c 'exit 0'
startsecs=0
autorestart=false

[program:broken]
command=/bin/sh -c 'exit 9'
startsecs=0
autorestart=false

[program:killed]
command=/bin/sh -c 'kill -TERM $$'
startsecs=0
autorestart=false

[program:off]
command=sleep 1000
autostart=false

[program:stubborn]
command=%s -c "import signal, time; signal.signal(15, 1); print('ready', flush=True); time.sleep(1000)"
stopwaitsecs=3600
stdout_logfile=%%(here)s/stubborn.log

[program:pair]
command=sleep 1000
numprocs=2
process_name=%%(program_name)s_%%(process_num)02d

[group:mixed]
programs=inner,other
[program:inner]
command=sleep 1000
[program:other]
command=sleep 1000
autostart=false

[eventlistener:listens]
command=/bin/sh -c 'printf READY\\\\n; exec sleep 1000'
events=TICK_3600

[fcgi-program:fast]
command=sleep 1000
socket=unix://%%(here)s/fcgi.sock
"""
    % sys.executable
)


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    supervisord = Supervisord(tmp_path_factory.mktemp("sv"), EVERY_STATE).start()
    until(
        lambda: "ready" in (supervisord.folder / "stubborn.log").read_text(), "the stubborn program"
    )
    supervisord.until_states(
        runs="RUNNING", dead="FATAL", missing="FATAL", segfault="FATAL", stubborn="RUNNING"
    )
    supervisord.until_states(
        done="EXITED", broken="EXITED", killed="EXITED", listens="RUNNING", fast="RUNNING"
    )
    until(lambda: supervisord.states()["pair:pair_01"] == "RUNNING", "pair")
    until(lambda: supervisord.states()["mixed:inner"] == "RUNNING", "mixed")
    supervisord.client.call("supervisor.stopProcess", "stubborn", False)
    yield supervisord
    supervisord.stop()


@pytest.fixture(scope="module")
def answer(host):
    def between_two_starts():
        """It is restarted repeatedly: the answer has to be from the time between two starts."""
        found = host.info()
        found["by_name"] = {item["full_name"]: item for item in found["processes"]}
        return found if found["by_name"]["flaps"]["state"] == "BACKOFF" else None

    return until(between_two_starts, "a pause of flaps")


def test_supervisor_itself(host, answer):
    assert answer["supervisor"] == {
        "version": answer["supervisor"]["version"],
        "api_version": "3.0",
        "identification": "test",
        "state": "RUNNING",
        "state_code": 1,
        "pid": host.process.pid,
    }
    assert answer["supervisor"]["version"].startswith("4.")
    assert answer["changed"] is False


@pytest.mark.parametrize(
    ("name", "state", "healthy", "status", "signalled", "error"),
    [
        ("runs", "RUNNING", True, None, None, None),
        ("slowstart", "STARTING", False, None, None, None),
        ("flaps", "BACKOFF", False, 7, None, "Exited too quickly"),
        ("dead", "FATAL", False, 5, None, "Exited too quickly"),
        ("missing", "FATAL", False, None, None, "can't find command"),
        ("segfault", "FATAL", False, None, "SIGSEGV", "Exited too quickly"),
        ("done", "EXITED", True, 0, None, None),
        ("broken", "EXITED", False, 9, None, "Bad exit code 9"),
        ("killed", "EXITED", False, None, "SIGTERM", "Bad exit code -1"),
        ("off", "STOPPED", True, None, None, None),
        ("stubborn", "STOPPING", False, None, None, None),
        ("pair:pair_00", "RUNNING", True, None, None, None),
        ("mixed:inner", "RUNNING", True, None, None, None),
        ("mixed:other", "STOPPED", True, None, None, None),
        ("listens", "RUNNING", True, None, None, None),
        ("fast", "RUNNING", True, None, None, None),
    ],
)
def test_every_state(answer, name, state, healthy, status, signalled, error):
    item = answer["by_name"][name]
    assert item["state"] == state
    assert item["healthy"] is healthy
    assert item["exit_status"] == status
    assert item["exit_signal"] == signalled
    assert (item["spawn_error"] or "").startswith(error or "")
    assert bool(item["spawn_error"]) == bool(error)
    alive = state in ("RUNNING", "STARTING", "STOPPING")
    assert bool(item["pid"]) == alive
    assert (item["uptime_seconds"] is not None) == alive


def test_times_are_utc(answer):
    item = answer["by_name"]["runs"]
    started = datetime.datetime.strptime(item["started_at"], "%Y-%m-%dT%H:%M:%SZ")
    age = (
        datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - started
    ).total_seconds()
    assert 0 <= age < 600
    assert abs(age - item["uptime_seconds"]) < 60
    assert item["stopped_at"] is None
    assert answer["by_name"]["dead"]["stopped_at"] is not None
    assert answer["by_name"]["off"]["started_at"] is None


def test_groups_and_summary(answer):
    groups = {group["name"]: group for group in answer["groups"]}
    assert groups["pair"]["members"] == ["pair:pair_00", "pair:pair_01"]
    assert groups["pair"] == dict(groups["pair"], worst_state="RUNNING", healthy=True)
    assert groups["mixed"] == dict(groups["mixed"], worst_state="STOPPED", healthy=True)
    assert groups["dead"] == dict(groups["dead"], worst_state="FATAL", healthy=False)
    counts = answer["summary"]
    assert counts["total"] == len(answer["processes"]) == 17
    assert counts["fatal"] == 3
    assert sum(value for key, value in counts.items() if key != "total") == counts["total"]
    assert answer["healthy"] is False


def test_tails_of_those_that_are_not_well(answer):
    assert answer["by_name"]["dead"]["stdout_tail"] == "out-of-dead\n"
    assert answer["by_name"]["dead"]["stderr_tail"] == "reason-of-dead\n"
    assert "stdout_tail" not in answer["by_name"]["runs"]


def test_a_tail_is_as_long_as_asked(host):
    (item,) = host.info(names=["dead"], log_tail=5)["processes"]
    assert item["stdout_tail"] == "dead\n"
    (item,) = host.info(names=["dead"], log_tail=0)["processes"]
    assert "stdout_tail" not in item
    (item,) = host.info(names=["runs"], log_tail_all=True)["processes"]
    assert item["stdout_tail"] == ""


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"names": ["runs"]}, ["runs"]),
        ({"names": ["pair:*"]}, ["pair:pair_00", "pair:pair_01"]),
        ({"names": ["pair:"]}, ["pair:pair_00", "pair:pair_01"]),
        ({"groups": ["mixed"]}, ["mixed:inner", "mixed:other"]),
        ({"groups": ["mix*"], "names": ["*_01"]}, ["mixed:inner", "mixed:other", "pair:pair_01"]),
        ({"names": ["pair"]}, []),
        ({"names": ["nothing*"]}, []),
    ],
)
def test_filters(host, arguments, names):
    answer = host.info(**arguments)
    assert [item["full_name"] for item in answer["processes"]] == names
    assert answer["summary"]["total"] == len(names)


def test_waiting_for_what_is_so_already(host):
    answer = host.info(names=["runs", "done"], wait_for="running", wait_timeout=10)
    assert not answer["failed"]
    answer = host.info(
        wait_for={"runs": "running", "off": "stopped", "dead": "fatal", "broken": "exited"},
        wait_timeout=10,
    )
    assert not answer["failed"]


def test_waiting_fails_at_once_on_fatal_with_tails(host):
    begin = time.monotonic()
    answer = host.info(names=["runs", "dead"], wait_for="running", wait_timeout=600)
    assert time.monotonic() - begin < 60
    assert answer["failed"] and answer["cause"] == "wait_failed"
    assert "dead is FATAL (Exited too quickly" in answer["msg"] and "exit status 5" in answer["msg"]
    assert "runs" not in answer["msg"]
    assert [item["stderr_tail"] for item in answer["failures"]] == ["reason-of-dead\n"]
    assert answer["summary"]["total"] == 2


def test_waiting_fails_on_an_unexpected_exit(host):
    answer = host.info(names=["broken"], wait_for="running", wait_timeout=600)
    assert answer["failed"] and "broken is EXITED (Bad exit code 9)" in answer["msg"]


def test_waiting_times_out_with_the_full_status(host):
    answer = host.info(names=["slowstart", "off"], wait_for="running", wait_timeout=0.2)
    assert answer["failed"] and answer["cause"] == "wait_timeout"
    assert "slowstart is STARTING" in answer["msg"] and "off is STOPPED" in answer["msg"]
    assert len(answer["processes"]) == 2


def test_waiting_for_what_is_not_there(host):
    answer = host.info(wait_for={"nobody": "running"})
    assert (
        answer["failed"] and answer["cause"] == "no_such_program" and "slowstart" in answer["msg"]
    )


def test_check_mode_does_not_wait(host):
    options = {
        "socket": str(host.socket),
        "names": ["off"],
        "wait_for": "running",
        "wait_timeout": 600,
    }
    answer = run_module("supervisor_info", options, check=True)
    assert not answer["failed"]
    assert any("off is STOPPED" in str(text) for text in answer["warnings"])


def test_an_unknown_state_is_refused(host):
    answer = host.info(wait_for="sleeping")
    assert answer["failed"] and "running, stopped, exited, fatal" in answer["msg"]


def test_a_flapping_program_does_not_count_as_running(tmp_path):
    host = Supervisord(
        tmp_path,
        "[program:flap]\ncommand=/bin/sh -c 'sleep 1.2; exit 1'\nautorestart=true\nstartsecs=0\n",
    ).start()
    try:
        host.until_states(flap="RUNNING")
        assert not host.info(wait_for="running", wait_timeout=20)["failed"]
        answer = host.info(wait_for="running", min_uptime=3, wait_timeout=6)
        assert answer["failed"] and "flap is" in answer["msg"]
    finally:
        host.stop()


def test_min_uptime_waits_for_a_young_program(tmp_path):
    host = Supervisord(tmp_path, "[program:young]\ncommand=sleep 1000\nstartsecs=0\n").start()
    try:
        host.until_states(young="RUNNING")
        answer = host.info(wait_for="running", min_uptime=2, wait_timeout=20)
        assert not answer["failed"]
        assert answer["processes"][0]["uptime_seconds"] >= 2 and answer["healthy"]
    finally:
        host.stop()


def test_five_hundred_programs_in_one_round_trip(tmp_path, monkeypatch):
    host = Supervisord(
        tmp_path,
        "[program:many]\ncommand=/bin/true\nautorestart=false\nstartsecs=0\nnumprocs=500\n"
        "process_name=%(program_name)s_%(process_num)03d\nstdout_logfile=NONE\nstderr_logfile=NONE\n",
    ).start()
    try:
        until(lambda: set(host.states().values()) == {"EXITED"}, "the end of all")
        calls = []
        genuine = client.call
        monkeypatch.setattr(client, "call", lambda *a: calls.append(a[1]) or genuine(*a))
        answer = host.info()
        assert answer["summary"]["total"] == answer["summary"]["exited"] == 500
        assert calls == ["system.multicall"]
    finally:
        host.stop()


LOGS = """
[program:logs]
command=sleep 1000
autostart=false
stdout_logfile=%(here)s/out.log
stderr_logfile=%(here)s/err.log
"""


@pytest.fixture
def logs(tmp_path):
    host = Supervisord(tmp_path, LOGS).start()
    yield host
    host.stop()


def tails(host, size):
    (item,) = host.info(log_tail_all=True, log_tail=size)["processes"]
    return item["stdout_tail"], item["stderr_tail"]


def test_logs_of_any_bytes(logs):
    (logs.folder / "out.log").write_bytes(b"start \xff\xfe\x80 middle \xe2\x82\xac end\n")
    (logs.folder / "err.log").write_bytes(b"\x1b[31mred\x1b[0m \x00 bell\x07\n")
    out, err = tails(logs, 2000)
    assert out.startswith("start \ufffd\ufffd\ufffd middle") and out.endswith(" end\n")
    assert err == "red \u2400 bell\u2407\n"


def test_a_cut_through_a_character(logs):
    (logs.folder / "out.log").write_text("\u20ac" * 100, encoding="utf-8")
    (logs.folder / "err.log").write_text("x\u20ac", encoding="utf-8")
    out, err = tails(logs, 20)
    assert out == "\u20ac" * 7
    assert err == "x\u20ac"


def test_huge_logs(logs):
    with open(logs.folder / "out.log", "wb") as log:
        log.truncate(1 << 33)
        log.seek(0, os.SEEK_END)
        log.write(b"the end\n")
    out, err = tails(logs, 8)
    assert out == "the end\n"
    assert err is None


def test_odd_names(tmp_path):
    host = Supervisord(
        tmp_path,
        "[program:a.b-c_d@e+f]\ncommand=sleep 1000\nautostart=false\n"
        "[program:\u00fcn\u00efc\u00f6d\u00e9]\ncommand=sleep 1000\nautostart=false\n"
        "[program:sh[ell*]\ncommand=sleep 1000\nautostart=false\n"
        "[program:x]\nprocess_name=<&>\ncommand=sleep 1000\nautostart=false\n"
        "[eventlistener: blank]\ncommand=sleep 1000\nevents=TICK_60\nautostart=false\n",
        env={"LC_ALL": "C.UTF-8"},
    ).start()
    try:
        names = [item["full_name"] for item in host.info()["processes"]]
        odd = "\u00fcn\u00efc\u00f6d\u00e9"
        assert sorted(names) == sorted(["a.b-c_d@e+f", odd, "sh[ell*", "x:<&>", " blank:blank"])
        assert [item["full_name"] for item in host.info(names=[odd])["processes"]] == [odd]
        assert host.program("started", [odd, "x:<&>", " blank:*"])["changed_programs"] == [
            " blank:blank",
            "x:<&>",
            odd,
        ]
        assert host.program("stopped", ["all"])["changed"]
    finally:
        host.stop()


def test_numbers_that_xmlrpc_cannot_hold(tmp_path):
    host = Supervisord(
        tmp_path, "[program:big]\ncommand=sleep 1000\nstartsecs=0\nstdout_logfile_maxbytes=4GB\n"
    ).start()
    try:
        host.until_states(big="RUNNING")
        (item,) = host.info()["processes"]
        assert item["state"] == "RUNNING"
        pids = host.pids()
        assert host.program("applied")["changed"] is False
        assert host.pids() == pids
        host.client.call("supervisor.stopProcess", "big")
        assert host.program("applied")["changed_programs"] == ["big"]
    finally:
        host.stop()


def test_an_exit_status_far_back_in_the_main_log(tmp_path):
    host = Supervisord(
        tmp_path, "[program:dead]\ncommand=/bin/sh -c 'exit 4'\nstartretries=0\n"
    ).start()
    try:
        host.until_states(dead="FATAL")
        with open(host.folder / "supervisord.log", "a") as log:
            log.write("noise\n" * 20000)
        assert host.info()["processes"][0]["exit_status"] == 4
    finally:
        host.stop()


def test_an_exit_status_that_could_be_anothers_is_not_guessed(tmp_path):
    host = Supervisord(
        tmp_path,
        "[group:one]\nprograms=a\n[group:two]\nprograms=b\n"
        "[program:a]\nprocess_name=same\ncommand=/bin/sh -c 'exit 4'\nstartretries=0\n"
        "[program:b]\nprocess_name=same\ncommand=/bin/sh -c 'exit 5'\nstartretries=0\n",
    ).start()
    try:
        until(lambda: set(host.states().values()) == {"FATAL"}, "FATAL")
        assert [item["exit_status"] for item in host.info()["processes"]] == [None, None]
    finally:
        host.stop()


def test_supervisord_dies_while_it_is_waited_for(tmp_path):
    host = Supervisord(tmp_path, "[program:off]\ncommand=sleep 1000\nautostart=false\n").start()
    killer = threading.Timer(0.5, os.kill, (host.process.pid, signal.SIGKILL))
    killer.start()
    try:
        answer = host.info(wait_for="running", wait_timeout=60)
        assert answer["failed"] and answer["cause"] in ("died", "socket_stale")
    finally:
        killer.join()
        host.stop()
