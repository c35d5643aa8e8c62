# SPDX-License-Identifier: GPL-3.0-or-later
"""supervisor_program against a real supervisord: what each state does, leaves alone, and
predicts."""

from __future__ import annotations

import copy
import hashlib
import os
import signal
import sys
import time

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import client
from helpers.ports import free_port
from helpers.run_module import run_module
from helpers.supervisord_host import Supervisord, module, until

FAST = "startsecs=0\n"
TWO_WEBS = (
    "[program:web]\ncommand=sleep 1000\nnumprocs={n}\nstartsecs=0\n"
    "process_name=%(program_name)s_%(process_num)s\n"
)
THREE = TWO_WEBS.replace("{n}", "2") + "[program:one]\ncommand=sleep 1000\nstartsecs=0\n"


@pytest.fixture
def hosts(tmp_path):
    """Makes supervisords that are stopped when the test is over."""
    made = []

    def make(programs, **options):
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Supervisord(folder, programs, **options).start())
        return made[-1]

    yield make
    for host in made:
        host.stop()


def settle(host):
    until(lambda: not set(host.states().values()) & {"STARTING", "BACKOFF", "STOPPING"}, "rest")


def everything(host):
    """All that check mode must leave as it is: processes, states, supervisord's idea of itself, and
    files."""
    files = {
        path.relative_to(host.folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in host.folder.rglob("*")
        if path.is_file()
    }
    infos = [
        {key: value for key, value in info.items() if key not in ("now", "description")}
        for info in host.infos()
    ]
    return infos, host.client.call("supervisor.getAllConfigInfo"), files


def brief(answer):
    """What check mode predicts, and what the run then says."""
    keys = ("changed", "failed", "changed_programs", "actions", "before", "config_changes", "diff")
    found = copy.deepcopy({key: answer.get(key) for key in keys})
    found["after"] = {name: item["state"] for name, item in answer.get("after", {}).items()}
    return found


def predicted_and_done(host, state, names=None, exact=True, **arguments):
    """Run in check mode, see that nothing happened, run for real, and see that it did as
    predicted."""
    settle(host)
    still = everything(host)
    prediction = host.program(state, names, check=True, diff=True, **arguments)
    assert everything(host) == still
    answer = host.program(state, names, diff=True, **arguments)
    if exact:
        left, right = brief(prediction), brief(answer)
        for found in (left, right):
            (found["config_changes"] or {}).pop("unverified", None)
        assert left == right
    return answer


# started, stopped, restarted


def test_stop_start_restart(hosts):
    host = hosts(THREE)
    settle(host)
    pids = host.pids()
    answer = predicted_and_done(host, "stopped", ["web:*"])
    assert answer["changed_programs"] == ["web:web_0", "web:web_1"]
    assert host.states() == {"web:web_0": "STOPPED", "web:web_1": "STOPPED", "one:one": "RUNNING"}
    assert not host.program("stopped", ["web:*"])["changed"]

    answer = predicted_and_done(host, "started", ["web:web_0", "one"])
    assert answer["actions"] == {"web:web_0": "started"}
    assert answer["before"]["web:web_0"] == {"state": "STOPPED", "pid": None}
    assert answer["after"]["web:web_0"] == {"state": "RUNNING", "pid": host.pids()["web:web_0"]}
    assert not host.program("started", ["web:web_0", "one"])["changed"]

    answer = predicted_and_done(host, "restarted", ["all"])
    assert answer["actions"] == {
        "web:web_0": "restarted",
        "web:web_1": "started",
        "one": "restarted",
    }
    assert set(host.states().values()) == {"RUNNING"}
    assert not set(host.pids().values()) & set(pids.values())


def test_others_keep_their_pids(hosts):
    host = hosts(THREE)
    settle(host)
    before = host.pids()
    host.program("restarted", ["one"])
    after = host.pids()
    assert before.pop("one:one") != after.pop("one:one")
    assert before == after


def test_groups_option(hosts):
    host = hosts(THREE)
    settle(host)
    assert host.program("stopped", groups=["we*"])["changed_programs"] == ["web:web_0", "web:web_1"]


def test_a_whole_group_is_stopped_at_once(hosts):
    """Each of the ten takes a second to stop: one after the other would be ten."""
    slow = (
        "import signal, time; signal.signal(15, lambda *a: (time.sleep(1), exit())); "
        "print(1, flush=True); time.sleep(999)"
    )
    host = hosts(
        "[program:slow]\ncommand=%s -c "
        '"%s"\nnumprocs=10\nprocess_name=%%(process_num)s\nstartsecs=0\n'
        "stdout_logfile=%%(here)s/%%(process_num)s.out\n" % (sys.executable, slow)
    )
    until(
        lambda: all((host.folder / ("%d.out" % n)).read_text() for n in range(10)), "ten programs"
    )
    begin = time.monotonic()
    assert len(host.program("restarted", ["slow:*"])["changed_programs"]) == 10
    assert time.monotonic() - begin < 8


def test_fatal_is_tried_again_and_fails_with_tails(hosts):
    host = hosts("[program:bad]\ncommand=/bin/sh -c 'echo why >&2; exit 3'\nstartretries=0\n")
    host.until_states(bad="FATAL")
    answer = host.program("started", ["bad"])
    assert answer["failed"] and answer["changed"] and answer["cause"] == "wait_failed"
    assert "bad is FATAL" in answer["msg"] and "exit status 3" in answer["msg"]
    assert answer["failures"][0]["stderr_tail"] == "why\nwhy\n"


def test_fatal_recovers(hosts):
    host = hosts(
        "[program:bad]\ncommand=/bin/sh -c 'test -e flag && exec sleep 1000'\nstartretries=0\n"
    )
    host.until_states(bad="FATAL")
    (host.folder / "flag").touch()
    answer = predicted_and_done(host, "started", ["bad"])
    assert answer["actions"] == {"bad": "started"} and host.states() == {"bad:bad": "RUNNING"}


def test_backoff_is_not_waited_for(hosts, monkeypatch):
    """supervisord itself would let more and more seconds pass before each try."""
    host = hosts(
        "[program:late]\ncommand=/bin/sh -c 'test -e flag && exec sleep 1000'\nstartretries=1000\n"
    )
    host.until_states(late="BACKOFF")
    (host.folder / "flag").touch()
    sent = []
    genuine = client.call
    monkeypatch.setattr(client, "call", lambda *args: sent.append(args) or genuine(*args))
    assert not host.program("started", ["late"], wait_timeout=20)["failed"]
    assert "supervisor.stopProcess" in repr(sent)
    assert host.states() == {"late:late": "RUNNING"}


def test_backoff_is_stopped(hosts):
    host = hosts("[program:bad]\ncommand=/bin/false\nstartretries=1000\n")
    host.until_states(bad="BACKOFF")
    assert host.program("stopped", ["bad"])["changed"]
    assert host.states() == {"bad:bad": "STOPPED"}


def test_started_waits_for_one_that_is_stopping(hosts):
    host = hosts(
        "[program:slow]\n"
        "command=/bin/sh -c 'trap \"sleep 1; exit\" TERM; echo ok; while sleep .1; do :; done'\n"
        "startsecs=0\nstdout_logfile=%(here)s/out\n"
    )
    until((host.folder / "out").read_text, "the program")
    old = host.pids()["slow:slow"]
    host.client.call("supervisor.stopProcess", "slow", False)
    answer = host.program("started", ["slow"])
    assert answer["changed"] and not answer["failed"]
    assert host.states() == {"slow:slow": "RUNNING"} and host.pids()["slow:slow"] != old


def test_a_one_shot_program_that_is_done(hosts):
    host = hosts(
        "[program:job]\ncommand=/bin/sh -c 'sleep "
        "0.2'\nautostart=false\nautorestart=false\nstartsecs=0\n"
    )
    answer = host.program("started", ["job"], min_uptime=1)
    assert (
        answer["changed"] and not answer["failed"] and answer["after"]["job"]["state"] == "EXITED"
    )
    assert not host.program("started", ["job"])["changed"]
    assert host.program("restarted", ["job"])["actions"] == {"job": "started"}


def test_a_one_shot_program_that_fails(hosts):
    host = hosts(
        "[program:job]\ncommand=/bin/sh -c 'sleep 0.2; exit "
        "6'\nautostart=false\nautorestart=false\nstartsecs=0\n"
    )
    answer = host.program("started", ["job"], min_uptime=1, wait_timeout=60)
    assert answer["failed"] and "job is EXITED (Bad exit code 6)" in answer["msg"]


def test_what_cannot_be_executed(hosts):
    host = hosts("[program:none]\ncommand=/no/such/program\nautostart=false\n")
    answer = host.program("started", ["none"])
    assert answer["failed"] and "NO_FILE" in answer["msg"] and "/no/such/program" in answer["msg"]


def test_stubborn_programs_time_out(hosts):
    host = hosts(
        "[program:stubborn]\ncommand=/bin/sh -c 'trap : TERM; echo ready; while :; do sleep 0.05; "
        "done'\n"
        "startsecs=0\nstopwaitsecs=3600\nstdout_logfile=%(here)s/out\n"
    )
    until((host.folder / "out").read_text, "the program")
    answer = host.program("stopped", ["stubborn"], wait_timeout=0.5)
    assert (
        answer["failed"]
        and answer["cause"] == "wait_timeout"
        and "stubborn is STOPPING" in answer["msg"]
    )


def test_min_uptime(hosts):
    host = hosts(
        "[program:flap]\ncommand=/bin/sh -c 'sleep 1; exit "
        "1'\nautorestart=true\nstartsecs=0\nautostart=false\n"
    )
    assert not host.program("started", ["flap"])["failed"]
    answer = host.program("restarted", ["flap"], min_uptime=3, wait_timeout=6)
    assert answer["failed"] and "flap is" in answer["msg"]


@pytest.mark.parametrize(
    "state", ["started", "stopped", "restarted", "signalled", "present", "absent"]
)
def test_names_must_be_given_except_for_applied(hosts, state):
    answer = module("supervisor_program", socket="/none", state=state, signal="HUP")
    assert answer["failed"] and "names: all" in answer["msg"]


def test_unknown_names_are_refused_before_anything_is_done(hosts):
    host = hosts(THREE)
    settle(host)
    pids = host.pids()
    for state in ("started", "stopped", "restarted", "applied", "present"):
        answer = host.program(state, ["one", "two"])
        assert answer["failed"] and answer["cause"] == "no_such_program"
        assert "no program two" in answer["msg"] and "web:web_1" in answer["msg"]
    assert host.pids() == pids


# signalled


def test_signalled(hosts):
    host = hosts(
        "[program:hears]\n"
        "command=/bin/sh -c 'trap \"echo heard\" USR1; echo ok; while sleep .1; do :; done'\n"
        "startsecs=0\nstdout_logfile=%(here)s/out\n[program:off]\ncommand=sleep "
        "1\nautostart=false\n"
    )
    until((host.folder / "out").read_text, "the program")
    answer = host.program("signalled", ["hears"], signal="USR1", check=True)
    assert answer["changed_programs"] == ["hears"]
    time.sleep(0.3)
    assert (host.folder / "out").read_text() == "ok\n"
    assert host.program("signalled", ["all"], signal="SIGUSR1")["changed_programs"] == ["hears"]
    until(lambda: "heard" in (host.folder / "out").read_text(), "the signal")
    assert host.program("signalled", ["off"], signal="HUP")["cause"] == "not_running"
    assert "NOSUCH" in host.program("signalled", ["all"], signal="NOSUCH")["msg"]


# applied


def test_applied_touches_only_what_changed(hosts):
    host = hosts(THREE + "[program:gone]\ncommand=sleep 1000\n" + FAST)
    settle(host)
    before = host.pids()
    host.configure(
        THREE.replace("[program:one]\ncommand=sleep 1000", "[program:one]\ncommand=sleep 2000")
        + "[program:new]\ncommand=sleep 1000\n"
        + FAST
    )
    answer = predicted_and_done(host, "applied")
    assert answer["actions"] == {"gone": "removed", "new": "added", "one": "restarted"}
    assert answer["config_changes"] == {
        "added": ["new"],
        "changed": ["one"],
        "removed": ["gone"],
        "changed_keys": {"one": ["command"]},
        "restarted_unchanged": [],
        "unverified": [],
    }
    assert answer["diff"]["before"]["one"] == {"state": "RUNNING", "command": "sleep 1000"}
    assert answer["diff"]["after"]["one"] == {
        "state": "RUNNING (restarted)",
        "command": "sleep 2000",
    }
    after = host.pids()
    assert {name: after[name] for name in ("web:web_0", "web:web_1")} == {
        name: before[name] for name in ("web:web_0", "web:web_1")
    }
    assert after["one:one"] != before["one:one"] and "gone:gone" not in after
    assert set(host.states().values()) == {"RUNNING"}
    pids = host.pids()
    assert not predicted_and_done(host, "applied")["changed"]
    assert host.pids() == pids


def test_applied_in_diff_mode_shows_no_secret(hosts):
    host = hosts(THREE + 'environment=TOKEN="canary-1"\n')
    settle(host)
    host.program("applied")
    host.configure(THREE + 'environment=TOKEN="canary-2"\n')
    answer = predicted_and_done(host, "applied")
    assert answer["config_changes"]["changed_keys"] == {"one": ["environment"]}
    assert "canary" not in repr(answer)
    assert "canary" not in (host.folder / "s.sock.applied").read_text()
    assert (host.folder / "s.sock.applied").stat().st_mode & 0o777 == 0o600


def test_more_processes_of_a_program(hosts):
    """supervisord replaces a group as a whole; the result says which programs paid for that."""
    host = hosts(TWO_WEBS.replace("{n}", "2") + "[program:one]\ncommand=sleep 1000\nstartsecs=0\n")
    settle(host)
    one = host.pids()["one:one"]
    host.configure(
        TWO_WEBS.replace("{n}", "3") + "[program:one]\ncommand=sleep 1000\nstartsecs=0\n"
    )
    answer = predicted_and_done(host, "applied")
    assert answer["actions"] == {
        "web:web_0": "restarted",
        "web:web_1": "restarted",
        "web:web_2": "added",
    }
    assert answer["config_changes"]["restarted_unchanged"] == ["web:web_0", "web:web_1"]
    assert host.pids()["one:one"] == one
    host.configure(
        TWO_WEBS.replace("{n}", "1") + "[program:one]\ncommand=sleep 1000\nstartsecs=0\n"
    )
    answer = predicted_and_done(host, "applied")
    assert answer["actions"] == {
        "web:web_0": "restarted",
        "web:web_1": "removed",
        "web:web_2": "removed",
    }


CHANGES = {
    "command": ("command=sleep 1000", "command=sleep 1001"),
    "environment": ('environment=A="1"', 'environment=A="2"'),
    "autorestart": ("autorestart=true", "autorestart=unexpected"),
    "umask": ("umask=022", "umask=027"),
    "stopasgroup": ("stopasgroup=false", "stopasgroup=true"),
    "startretries": ("startretries=3", "startretries=4"),
    "stopsignal": ("stopsignal=TERM", "stopsignal=INT"),
    "stdout_logfile": ("stdout_logfile=NONE", "stdout_logfile=%(here)s/x.log"),
}
KEYED = (
    "[program:p]\ncommand=sleep "
    '1000\nenvironment=A="1"\nautorestart=true\numask=022\nstopasgroup=false\n'
    "killasgroup=true\nstartretries=3\nstopsignal=TERM\nstdout_logfile=NONE\nstartsecs=0\n"
    "[program:q]\ncommand=sleep 1000\nstartsecs=0\n"
)


@pytest.mark.parametrize("key", sorted(CHANGES))
def test_every_key_is_predicted(hosts, key):
    host = hosts(KEYED)
    settle(host)
    host.program("applied")
    host.configure(KEYED.replace(*CHANGES[key], 1))
    answer = predicted_and_done(host, "applied")
    assert answer["actions"] == {"p": "restarted"}
    assert answer["config_changes"]["changed_keys"] == {"p": [key]}
    assert not predicted_and_done(host, "applied")["changed"]


POOL = "[eventlistener:l]\ncommand=/bin/sh -c 'exec sleep 1000'\nevents=TICK_60\nbuffer_size=10\nstartsecs=0\n"
FCGI = "[fcgi-program:f]\ncommand=sleep 1000\nsocket=unix://%(here)s/a.sock\nstartsecs=0\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (POOL, POOL.replace("TICK_60", "TICK_60,TICK_3600")),
        (POOL, POOL.replace("buffer_size=10", "buffer_size=20")),
        (FCGI, FCGI.replace("a.sock", "b.sock")),
        (FCGI, FCGI.replace("sleep 1000", "sleep 1001")),
        (KEYED + "[group:g]\nprograms=p,q\n", KEYED + "[group:g]\nprograms=q,p\n"),
        (KEYED + "[group:g]\nprograms=p,q\n", KEYED + "[group:g]\nprograms=p\n"),
        (KEYED, KEYED + "[group:g]\nprograms=p,q\n"),
        (
            '[program:p]\ncommand=sleep 9\nstartsecs=0\nenvironment=A="1"\n',
            "[fcgi-program:p]\ncommand=sleep "
            '9\nstartsecs=0\nenvironment=A="1"\nsocket=tcp://localhost:{port}\n',
        ),
    ],
)
def test_groups_of_every_kind_are_predicted(hosts, old, new):
    host = hosts(old)
    settle(host)
    host.program("applied")
    host.configure(new.replace("{port}", str(free_port())))
    assert predicted_and_done(host, "applied")["changed"]
    assert not predicted_and_done(host, "applied")["changed"]


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: "; a comment\n" + text,
        lambda text: text.replace("command=sleep 1000", "command = sleep 1000"),
        lambda text: text.replace("startretries=3\n", ""),
        lambda text: text.replace("stopsignal=TERM", "stopsignal=15"),
    ],
)
def test_edits_without_meaning_change_nothing(hosts, edit):
    host = hosts(KEYED)
    settle(host)
    host.program("applied")
    pids = host.pids()
    host.configure(edit(KEYED))
    assert not predicted_and_done(host, "applied")["changed"]
    assert host.pids() == pids


def test_a_reread_that_was_not_applied_is_seen(hosts):
    """supervisord then reports what it read, which is no longer what is in force."""
    host = hosts(KEYED)
    settle(host)
    host.program("applied")
    host.configure(KEYED.replace("sleep 1000", "sleep 1001"))
    host.client.call("supervisor.reloadConfig")
    answer = predicted_and_done(host, "applied")
    assert answer["actions"] == {"p": "restarted", "q": "restarted"}


def test_an_update_by_other_hands_is_seen(hosts):
    host = hosts(KEYED)
    settle(host)
    host.program("applied")
    host.configure(KEYED.replace("umask=022", "umask=027"))
    time.sleep(1.1)
    call = host.client.call
    call("supervisor.reloadConfig")
    for step in ("stopProcessGroup", "removeProcessGroup", "addProcessGroup"):
        call("supervisor." + step, "p")
    settle(host)
    prediction = host.program("applied", check=True)
    assert not prediction["changed"] and prediction["config_changes"]["unverified"] == ["p"]
    assert not host.program("applied")["changed"]
    assert not host.program("applied", check=True)["config_changes"]["unverified"]


def test_what_was_never_applied_is_compared_as_far_as_supervisord_tells(hosts):
    host = hosts(KEYED)
    host.stop()
    time.sleep(
        0.3
    )  # what was written just when supervisord was started may be newer than what it read
    host.start()
    settle(host)
    assert host.program("applied", check=True)["config_changes"]["unverified"] == []
    host.configure(KEYED.replace('A="1"', 'A="2"'))
    prediction = host.program("applied", check=True)
    assert prediction["actions"] == {"p": "restarted"}  # its environment is seen in /proc
    assert prediction["config_changes"]["unverified"] == ["q"]
    assert predicted_and_done(host, "applied")["actions"] == {"p": "restarted"}


def test_the_record_of_another_supervisord_is_ignored(hosts):
    text = KEYED.replace("startsecs=0", "startsecs=0\nautostart=false")
    host = hosts(text)
    host.program("applied")
    host.stop()
    host.configure(text.replace("umask=022", "umask=027"))
    host.start()
    host.configure("; a comment\n" + text.replace("umask=022", "umask=027"))
    assert not predicted_and_done(host, "applied")["changed"]


def test_applied_starts_what_should_run(hosts):
    host = hosts(THREE + "[program:off]\ncommand=sleep 1000\nautostart=false\n" + FAST)
    settle(host)
    host.program("stopped", ["one", "web:web_0"])
    answer = predicted_and_done(host, "applied")
    assert answer["actions"] == {"one": "started", "web:web_0": "started"}
    assert host.states()["off:off"] == "STOPPED"


def test_applied_keeps_running_what_ran(hosts):
    """A program without autostart that an operator started runs again after it was replaced."""
    text = (
        "[program:off]\ncommand=sleep 1000\nautostart=false\n[program:rests]\ncommand=sleep "
        "1\nautostart=false\n" + FAST
    )
    host = hosts(text)
    host.program("started", ["off"])
    host.configure(text.replace("sleep", "/bin/sleep"))
    answer = predicted_and_done(host, "applied")
    assert answer["actions"] == {"off": "restarted", "rests": "replaced"}
    assert host.states() == {"off:off": "RUNNING", "rests:rests": "STOPPED"}


def test_applied_leaves_a_done_one_shot_alone(hosts):
    host = hosts("[program:job]\ncommand=/bin/true\nautorestart=false\nstartsecs=0\n")
    host.until_states(job="EXITED")
    assert not predicted_and_done(host, "applied")["changed"]


def test_applied_to_some_groups_only(hosts):
    host = hosts(THREE)
    settle(host)
    before = host.pids()
    host.configure(THREE.replace("sleep 1000", "sleep 2000"))
    answer = predicted_and_done(host, "applied", ["one"])
    assert answer["actions"] == {"one": "restarted"}
    assert host.pids()["web:web_0"] == before["web:web_0"]
    assert sorted(predicted_and_done(host, "applied")["actions"]) == ["web:web_0", "web:web_1"]


def test_applied_fails_for_a_program_that_does_not_stay_up(hosts):
    host = hosts(THREE)
    settle(host)
    host.configure(
        THREE + "[program:bad]\ncommand=/bin/sh -c 'echo why >&2; exit 3'\nstartretries=0\n"
    )
    answer = host.program("applied", min_uptime=2)
    assert answer["failed"] and answer["changed"] and "bad is FATAL" in answer["msg"]
    assert answer["failures"][0]["stderr_tail"] == "why\n"
    answer = host.program("applied", min_uptime=2)
    assert answer["failed"] and answer["actions"] == {"bad": "started"}


def test_a_refused_configuration_changes_nothing(hosts):
    host = hosts(THREE)
    settle(host)
    pids = host.pids()
    host.configure("[program:one]\ncommand=%(nothing)s\n")
    for check in (True, False):
        answer = host.program("applied", check=check)
        assert answer["failed"] and answer["cause"] == "config_invalid" and not answer["changed"]
        assert "nothing" in answer["msg"] and "Nothing was changed" in answer["msg"]
    assert host.pids() == pids


def test_a_group_that_supervisord_cannot_add(hosts):
    host = hosts(THREE)
    settle(host)
    host.configure(
        THREE + "[fcgi-program:f]\ncommand=sleep 1000\nsocket=unix:///no/such/folder/x.sock\n"
    )
    answer = host.program("applied")
    assert answer["failed"] and answer["cause"] == "group_failed" and answer["changed"]
    assert "could not add the group f" in answer["msg"]


def test_a_program_that_does_not_stop_keeps_its_group(hosts):
    text = (
        "[program:stubborn]\ncommand=/bin/sh -c 'trap : TERM; echo ready; while :; do sleep 0.05; "
        "done'\n"
        "startsecs=0\nstopwaitsecs=3600\nstdout_logfile=%(here)s/out\n"
    )
    host = hosts(text)
    until((host.folder / "out").read_text, "the program")
    host.configure(text.replace("startsecs=0", "startsecs=1"))
    answer = host.program("applied", wait_timeout=0.5)
    assert answer["failed"] and "stubborn is STOPPING" in answer["msg"]
    os.kill(host.pids()["stubborn:stubborn"], signal.SIGKILL)
    until(lambda: host.states()["stubborn:stubborn"] == "STOPPED", "the end")
    assert not host.program("applied")["failed"]
    assert host.states() == {"stubborn:stubborn": "RUNNING"}


def test_environment_of_supervisord_reaches_all(hosts):
    host = hosts(THREE, supervisord='environment=A="1"')
    settle(host)
    host.program("applied")
    host.configure(THREE, supervisord='environment=A="2"')
    answer = predicted_and_done(host, "applied")
    assert answer["config_changes"]["changed"] == ["one", "web"]
    assert set(map(tuple, answer["config_changes"]["changed_keys"].values())) == {("environment",)}


def test_includes_come_and_go(hosts):
    host = hosts("[include]\nfiles=conf.d/*.conf\n" + THREE)
    (host.folder / "conf.d").mkdir()
    settle(host)
    host.program("applied")
    extra = host.folder / "conf.d" / "extra.conf"
    extra.write_text("[program:extra]\ncommand=sleep 1000\nstartsecs=0\n")
    assert predicted_and_done(host, "applied")["actions"] == {"extra": "added"}
    extra.unlink()
    assert predicted_and_done(host, "applied")["actions"] == {"extra": "removed"}


def test_two_hundred_programs(hosts):
    text = (
        "[program:many]\ncommand=sleep "
        "1000\nnumprocs={n}\nprocess_name=%(process_num)03d\nstartsecs=0\n"
        "stdout_logfile=NONE\nstderr_logfile=NONE\n[program:one]\ncommand=sleep 1000\nstartsecs=0\n"
    )
    host = hosts(text.replace("{n}", "200"))
    settle(host)
    before = host.pids()
    host.configure(
        text.replace("{n}", "200").replace(
            "[program:one]\ncommand=sleep", "[program:one]\ncommand=/bin/sleep"
        )
    )
    assert predicted_and_done(host, "applied")["actions"] == {"one": "restarted"}
    after = host.pids()
    assert before.pop("one:one") != after.pop("one:one")
    assert before == after


# present, absent


def test_present_and_absent(hosts):
    host = hosts(THREE)
    settle(host)
    before = host.pids()
    host.configure(
        THREE.replace("sleep 1000", "sleep 2000") + "[program:new]\ncommand=sleep 1000\n" + FAST
    )
    answer = predicted_and_done(host, "present", ["new", "one"])
    assert answer["actions"] == {"new": "added"}  # one is there, and is not brought up to date
    assert host.pids() == dict(before, **{"new:new": host.pids()["new:new"]})
    assert not predicted_and_done(host, "present", ["new"])["changed"]
    answer = predicted_and_done(host, "absent", ["new", "web:*"])
    assert answer["actions"] == {"new": "removed", "web:web_0": "removed", "web:web_1": "removed"}
    assert host.states() == {"one:one": "RUNNING"}
    assert not predicted_and_done(host, "absent", ["new"])["changed"]


def test_a_part_of_a_group_cannot_be_taken_out(hosts):
    host = hosts(THREE)
    settle(host)
    answer = host.program("absent", ["web:web_0"])
    assert answer["failed"] and answer["cause"] == "part_of_group" and "'web:*'" in answer["msg"]
    assert len(host.pids()) == 3


def test_supervisord_started_with_another_file_is_said(hosts, tmp_path):
    host = hosts(THREE)
    settle(host)
    other = tmp_path / "other.conf"
    other.write_text("[supervisorctl]\nserverurl=unix://%s\n" % host.socket)
    answer = run_module(
        "supervisor_program", {"config": str(other), "state": "applied"}, check=True
    )
    assert str(host.conf) in str(answer["warnings"])
