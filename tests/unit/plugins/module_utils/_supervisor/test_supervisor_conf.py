# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration is read as supervisord's own code reads it: groups by that code itself, single
values by rules that are compared with it."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from supervisor.options import ServerOptions

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_file import (
    ConfigError,
    ConfigFile,
    key_value_pairs,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_programs import (
    read_groups,
    signal_number,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.daemon import Daemon
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    SupervisorError,
)

MINIMUM = "[supervisord]\n"
SLEEP = "import time  # supervisor\nprint(flush=True)\ntime.sleep(99)"


@contextlib.contextmanager
def process(*command, **options):
    """A process that looks like supervisord."""
    with subprocess.Popen(
        [*command, "-c", SLEEP], stdout=subprocess.PIPE, text=True, **options
    ) as child:
        try:
            child.stdout.readline()
            yield Daemon(child.pid)
        finally:
            child.kill()


@pytest.fixture(name="daemon", scope="module")
def process_with_the_python_of_the_tests(tmp_path_factory):
    folder = tmp_path_factory.mktemp("daemon")
    (folder / "supervisor.py").write_text("raise SystemExit('code from the working directory')")
    with process(sys.executable, cwd=folder, env=dict(os.environ, FROM_DAEMON="here")) as found:
        yield found


def written(tmp_path, text):
    path = tmp_path / "supervisord.conf"
    path.write_text(text, encoding="utf-8")
    return str(path)


# groups


def test_groups_of_every_kind(daemon, tmp_path):
    path = written(
        tmp_path,
        '[supervisord]\nenvironment=A="1"\n[include]\nfiles=*.ini\n'
        "[program:one]\ncommand=x %(ENV_FROM_DAEMON)s\nautorestart=on\numask=027\nstopasgroup=yes\n"
        "stopsignal=QUIT\nstdout_logfile=NONE\npriority=5\n"
        "[program:b]\ncommand=b\nautorestart=no\n"
        "[program:a]\ncommand=a\nnumprocs=2\nprocess_name=%(process_num)s\n"
        "[group:g]\nprograms=b,a\npriority=7\n"
        "[eventlistener:l]\ncommand=x\nevents=TICK_60, process_state\nbuffer_size=3\n"
        "[fcgi-program:f]\ncommand=x\nsocket=tcp://localhost:9002\n",
    )
    (tmp_path / "more.ini").write_text('[program:new]\ncommand=x\nenvironment=A="2",B="%%"\n')
    found = read_groups(path, daemon)
    assert {(group.name, group.section_type, group.priority) for group in found.values()} == {
        ("one", "program", 5),
        ("new", "program", 999),
        ("g", "program", 7),
        ("l", "eventlistener", -1),
        ("f", "fcgi-program", 999),
    }
    (one,) = found["one"].processes
    expected = {
        "group": "one",
        "name": "one",
        "group_prio": 5,
        "process_prio": 5,
        "command": "x here",
        "autorestart": "true",
        "environment": {"A": "1"},
        "stopasgroup": True,
        "umask": 0o27,
        "stopsignal": signal.SIGQUIT,
        "stdout_logfile": "none",
        "stderr_logfile": "auto",
        "directory": "none",
        "exitcodes": [0],
    }
    assert {key: one[key] for key in expected} == expected and "inuse" not in one
    assert found["new"].processes[0]["environment"] == {"A": "2", "B": "%"}
    assert [item["name"] for item in found["g"].processes] == ["b", "0", "1"]
    assert [item["autorestart"] for item in found["g"].processes] == ["false"] + ["unexpected"] * 2
    assert found["l"].extras == {
        "events": ["PROCESS_STATE", "TICK_60"],
        "buffer_size": 3,
        "result_handler": "default_handler",
    }
    assert found["f"].extras == {"socket": "tcp://localhost:9002"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[program:a]\ncommand=x\n", "does not include supervisord section"),
        (MINIMUM + "[program:a]\n", "does not specify a command in section 'program:a' (file: "),
        (MINIMUM + "[program:a]\ncommand=%(nothing)s\n", "cannot be expanded"),
        (MINIMUM + "[eventlistener:l]\ncommand=x\nevents=NOSUCH\n", "Unknown event type NOSUCH"),
        (
            MINIMUM + "[rpcinterface:x]\nsupervisor.rpcinterface_factory=no.such:thing\n",
            "cannot be resolved",
        ),
    ],
)
def test_refusals_are_those_of_supervisord(daemon, tmp_path, text, reason):
    with pytest.raises(ConfigError, match=re.escape(reason)):
        read_groups(written(tmp_path, text), daemon)


def test_the_first_of_two_groups_of_one_name_counts(daemon, tmp_path):
    text = "[group:a]\nprograms=x\npriority=%d\n[program:x]\ncommand=x\n[program:a]\ncommand=a\npriority=5\n"
    for priority, first in ((4, "x"), (6, "a")):
        found = read_groups(written(tmp_path, MINIMUM + text % priority), daemon)
        assert [item["name"] for item in found["a"].processes] == [first]


def test_a_python_without_supervisor_is_named(tmp_path):
    (tmp_path / "supervisor.py").touch()
    with process(sys.executable, env=dict(os.environ, PYTHONPATH=str(tmp_path))) as daemon:
        with pytest.raises(SupervisorError, match="Evidence: .*ImportError") as failure:
            read_groups(written(tmp_path, MINIMUM), daemon)
    assert failure.value.cause == "config_unknown"


def test_a_process_that_is_gone_or_claims_another_program_is_not_run(tmp_path):
    decoy = tmp_path / "python"
    decoy.write_text("#!/bin/sh\ntouch %s/ran\n" % tmp_path)
    decoy.chmod(0o755)
    with process(str(decoy), executable=sys.executable) as claiming:
        assert claiming.found
        with pytest.raises(SupervisorError, match="is not visible"):
            read_groups(written(tmp_path, MINIMUM), claiming)
    with pytest.raises(SupervisorError, match="is not visible"):
        read_groups(written(tmp_path, MINIMUM), Daemon(claiming.pid))
    assert not (tmp_path / "ran").exists()


def test_a_python_that_was_upgraded_is_still_found(tmp_path):
    python = tmp_path / "python"
    shutil.copy(os.path.realpath("/usr/bin/python3"), python)
    with process(str(python)) as daemon:
        shutil.copy(python, tmp_path / "new")
        os.replace(tmp_path / "new", python)
        assert os.readlink("/proc/%d/exe" % daemon.pid).endswith(" (deleted)")
        assert daemon.interpreter()["executable"] == str(python)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start processes of other users")
def test_the_python_of_another_user_gets_the_rights_of_that_user():
    account = {"user": 12345, "group": 23456, "extra_groups": [34567]}
    with process("/usr/bin/python3", cwd="/", env={"PATH": "/usr/bin"}, **account) as daemon:
        options = daemon.interpreter()
        assert {key: options[key] for key in account} == account
        code = "import os; print(os.getresuid(), os.getresgid(), os.getgroups())"
        command = [options.pop("executable"), "-c", code]
        shown = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, **options)
    assert shown.stdout == "(12345, 12345, 12345) (23456, 23456, 23456) [34567]\n"


# single values: comments, continuations, includes, expansions, environment


def ours(path):
    """Command and environment of the program a, None if they are refused."""
    try:
        conf = ConfigFile(path, os.environ)
        names = {"program_name": "a", "group_name": "a", "process_num": 0, "numprocs": 1}
        names["host_node_name"] = os.uname().nodename
        pairs = key_value_pairs(conf.get("program:a", "environment", "", names))
        names.update(("ENV_" + key, value) for key, value in pairs.items())
        return conf.get("program:a", "command", None, names), pairs
    except ConfigError:
        return None


def theirs(path):
    options = ServerOptions()
    options.stderr = io.StringIO()
    options.configfile = path
    try:
        options.process_config(do_usage=False)
    except ValueError:
        return None
    config = options.process_group_configs[0].process_configs[0]
    return config.command, config.environment


@pytest.mark.parametrize(
    "text",
    [
        "; c\n# d\n[program:a] ; e\ncommand = x ; no\n  # more\n  y\nstopsignal: 9 # z\n",
        "[program:a]\ncommand=x\n  y\n\n  z\n",
        "[program:a]\ncommand=x\n[program:a]\nenvironment=A=1\n",
        "[DEFAULT]\ncommand=x\n[program:a]\n",
        "[program:a]\ncommand=%(ENV_PATH)s %(host_node_name)s %(here)s %(process_num)02d %%\n",
        '[program:a]\ncommand=%(ENV_X)s\nenvironment=X="1",Y=\'"q"\',N="%(process_num)s"\n',
        "[program:a]\ncommand=\u20ac\n",
        "[include]\nfiles=conf.d/*.conf %(here)s/more/*.ini none/*.conf\n",
    ],
)
def test_values_of_sound_configurations(tmp_path, text):
    for folder in ("conf.d", "more"):
        (tmp_path / folder).mkdir()
    (tmp_path / "conf.d" / "a.conf").write_text("[program:a]\ncommand=%(here)s/a\n")
    (tmp_path / "more" / "c.ini").write_text("[program:a]\nenvironment=C=%(here)s\n")
    path = written(tmp_path, MINIMUM + text)
    found = theirs(path)
    assert found is not None and ours(path) == found


@pytest.mark.parametrize(
    "text",
    [
        "[program:a]\ncommand=%(nothing)s\n",
        "[program:a]\ncommand=100%\n",
        "[program:a]\ncommand=%(program_name)d\n",
        "[program:a]\ncommand=x\nenvironment=A\n",
        "[program:a]\ncommand=x\nenvironment=A='1\n",
        '[program:a]\ncommand=x\nenvironment=A="\\""\n',
        "[include]\n",
        "nonsense\n",
    ],
)
def test_values_that_are_refused(tmp_path, text):
    path = written(tmp_path, MINIMUM + text)
    assert ours(path) is None and theirs(path) is None


@pytest.mark.parametrize("missing", [True, False])
def test_includes_that_are_there_are_named(tmp_path, missing):
    if not missing:
        (tmp_path / "a.conf").write_text("[program:a]\n")
    conf = ConfigFile(written(tmp_path, MINIMUM + "[include]\nfiles=*.conf\n"), {})
    assert conf.patterns == [str(tmp_path / "*.conf")]
    assert str(tmp_path / "a.conf") in conf.files or missing


VALUE = st.text(
    st.sampled_from("ab%(){};#'\" =,\\\n\t:[]0s\u20ac") | st.characters(codec="utf-8"), max_size=30
)
PIECES = st.sampled_from(
    [
        "%(here)s",
        "%(program_name)s",
        "%%",
        '"a b"',
        "'",
        "KEY=",
        '="v"',
        ",",
        "\n ",
        " ;",
        " #",
        "%(ENV_HOME)s",
    ]
)


# without a name in parentheses Python shows all names there are, in the order in which they were
# put together
ALL_NAMES = re.compile(r"%[-+ #0]*\d*(\.\d*)?[hlL]?[rsa]")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    option=st.sampled_from(["command", "environment"]),
    value=st.one_of(VALUE, st.lists(PIECES | VALUE, max_size=5).map("".join)),
    include=st.booleans(),
)
def test_any_value(tmp_path, option, value, include):
    assume(not ALL_NAMES.search(value))
    text = MINIMUM + ("[include]\nfiles=none\n" if include else "")
    lines = {"command": "x", option: value}
    path = written(
        tmp_path, text + "[program:a]\n" + "".join("%s=%s\n" % item for item in lines.items())
    )
    assert ours(path) == theirs(path)


def test_signal_names_are_those_of_this_host():
    assert signal_number("HUP") == signal_number("sighup") == signal_number("1") == signal.SIGHUP
    with pytest.raises(ValueError):
        signal_number("NOSUCH")
