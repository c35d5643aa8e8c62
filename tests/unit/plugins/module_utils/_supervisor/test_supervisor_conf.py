# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration is read as supervisord's own code reads it: same programs and values, same
refusals."""

from __future__ import annotations

import io
import os
import re
import signal

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from supervisor.datatypes import Automatic, RestartUnconditionally, RestartWhenExitUnexpected
from supervisor.options import EventListenerPoolConfig, FastCGIGroupConfig, ServerOptions

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_file import (
    ConfigError,
    ConfigFile,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_programs import (
    Reader,
)

MINIMUM = "[supervisord]\n"
REPORTED = (
    "autostart directory uid command exitcodes killasgroup stopasgroup name redirect_stderr "
    "startretries "
    "startsecs "
    "stopwaitsecs serverurl umask environment stdout_capture_maxbytes stdout_events_enabled "
    "stdout_logfile "
    "stdout_logfile_backups stdout_logfile_maxbytes stdout_syslog stderr_capture_maxbytes "
    "stderr_events_enabled "
    "stderr_logfile stderr_logfile_backups stderr_logfile_maxbytes stderr_syslog"
).split()
AUTORESTART = {
    RestartUnconditionally: "true",
    RestartWhenExitUnexpected: "unexpected",
    False: "false",
}


def ours(path):
    try:
        groups = Reader(ConfigFile(str(path), os.environ), os.getcwd()).groups()
    except ConfigError:
        return None
    return {
        name: {
            "kind": group.kind,
            "priority": group.priority,
            "processes": [
                {key: value for key, value in process.items() if key not in ("group", "group_prio")}
                for process in group.processes
            ],
            "events": group.extras.get("events"),
            "buffer_size": group.extras.get("buffer_size"),
            "socket": group.extras.get("socket"),
        }
        for name, group in groups.items()
    }


def theirs(path):
    options = ServerOptions()
    options.stderr = io.StringIO()
    options.configfile = str(path)
    try:
        options.process_config(do_usage=False)
    except ValueError:
        return None
    found = {}
    for group in options.process_group_configs:
        pool = isinstance(group, EventListenerPoolConfig)
        fcgi = isinstance(group, FastCGIGroupConfig)
        found[group.name] = {
            "kind": "eventlistener" if pool else "fcgi-program" if fcgi else "program",
            "priority": group.priority,
            "processes": [process_of(config) for config in group.process_configs],
            "events": sorted(events_of(group)) if pool else None,
            "buffer_size": group.buffer_size if pool else None,
            "socket": group.socket_config.url if fcgi else None,
        }
    return found


def events_of(group):
    from supervisor.events import EventTypes

    return [name for name, event in vars(EventTypes).items() if event in group.pool_events]


def process_of(config):
    values = {key: getattr(config, key) for key in REPORTED}
    for key, value in values.items():
        if value is Automatic:
            values[key] = "auto"
        elif value is None and key not in ("umask",):
            values[key] = "none"
    values["process_prio"] = config.priority
    values["stopsignal"] = int(config.stopsignal)
    values["autorestart"] = AUTORESTART[config.autorestart]
    return values


def same(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "supervisord.conf"
    path.write_text(text, encoding=encoding)
    expected = theirs(path)
    assert ours(path) == expected
    return expected


SOUND = {
    "defaults": "[program:a]\ncommand=x\n",
    "every option": (
        "[program:a]\ncommand=x -y 'z w' "
        "%%d\nprocess_name=%(program_name)s_%(process_num)02d\nnumprocs=3\n"
        "numprocs_start=5\npriority=7\nautostart=no\nautorestart=on\nstartsecs=0\nstartretries=9\n"
        "exitcodes=0,2,255\n"
        "stopsignal=QUIT\nstopwaitsecs=99\nstopasgroup=true\numask=027\nuser=root\ndirectory=%(here)s\n"
        "redirect_stderr=1\nstdout_logfile=%(here)s/%(program_name)s.log\nstdout_logfile_maxbytes=3KB\n"
        "stdout_logfile_backups=2\nstdout_capture_maxbytes=1MB\nstdout_events_enabled=yes\nstdout_syslog=true\n"
        'serverurl=http://x\nenvironment=A="1,2",B=\'"q"\',N="%(process_num)s"\n'
    ),
    "comments": "; c\n# d\n[program:a] ; e\ncommand = x ; no\n  # more\n  y\nstopsignal: 9 # z\n",
    "continued": "[program:a]\ncommand=x\n  y\n\n  z\n",
    "killasgroup": "[program:a]\ncommand=x\nstopasgroup=true\n[program:b]\ncommand=x\nkillasgroup=true\n",
    "groups": (
        "[group:g]\nprograms=b, a\npriority=5\n[program:a]\ncommand=x\n[program:b]\ncommand=y "
        "%(group_name)s\n"
        "numprocs=2\nprocess_name=%(process_num)s\n[program:alone]\ncommand=z\n"
    ),
    "empty group": "[group:g]\nprograms=\n",
    "duplicate section": "[program:a]\ncommand=x\n[program:a]\ndirectory=/\n",
    "default section": "[DEFAULT]\nstartsecs=17\n[program:a]\ncommand=x\n",
    "listener": "[eventlistener:l]\ncommand=x\nevents=TICK_60, process_state\nbuffer_size=3\n",
    "listener with blanks": "[eventlistener: l ]\ncommand=x\nevents=EVENT\npriority=4\n",
    "fcgi": "[fcgi-program:f]\ncommand=x\nsocket=unix:///tmp//%(program_name)s.sock\nsocket_mode=0600\n",
    "fcgi tcp": "[fcgi-program:f]\ncommand=x\nsocket=tcp://LOCALHOST:9002\nsocket_backlog=5\n",
    "fcgi in group": "[group:g]\nprograms=f\n[fcgi-program:f]\ncommand=x\nsocket=tcp://localhost:9002\n",
    "logs": (
        "[program:a]\ncommand=x\nstdout_logfile=NONE\nstderr_logfile=AUTO\n[program:b]\ncommand=x\n"
        "stdout_logfile=syslog\nstderr_logfile=off\n[program:c]\ncommand=x\nstdout_logfile=/tmp/%%%%d\n"
    ),
    "environment of the daemon": "[program:a]\ncommand=%(ENV_PATH)s %(host_node_name)s\n",
    "environment feeds the command": '[program:a]\ncommand=%(ENV_X)s\nenvironment=X="1"\n',
    "unicode": "[program:\u00fc]\ncommand=\u20ac\n",
    "odd names": "[program:a.b@c]\ncommand=x\n[program:star*]\ncommand=x\nprocess_name=other\n",
    "signals": "[program:a]\ncommand=x\nstopsignal=sigusr1\n[program:b]\ncommand=x\nstopsignal=2\n",
    "same priority": "[program:z]\ncommand=x\n[program:a]\ncommand=x\n[program:m]\ncommand=x\npriority=1\n",
    "serverurl auto": "[program:a]\ncommand=x\nserverurl= auto\n",
}


@pytest.mark.parametrize("name", sorted(SOUND))
def test_sound_configurations(tmp_path, name):
    assert same(tmp_path, MINIMUM + SOUND[name]) is not None


@pytest.mark.parametrize(
    "text",
    [
        "[program:a]\n",
        "[program:a b]\ncommand=x\n",
        "[program:a/b]\ncommand=x\n",
        "[program:a]\ncommand=x\nnumprocs=2\n",
        "[program:a]\ncommand=x\nnumprocs=two\n",
        "[program:a]\ncommand=%(nothing)s\n",
        "[program:a]\ncommand=100%\n",
        "[program:a]\ncommand=%(program_name)d\n",
        "[program:a]\ncommand=x\nautostart=perhaps\n",
        "[program:a]\ncommand=x\nautorestart=perhaps\n",
        "[program:a]\ncommand=x\nexitcodes=256\n",
        "[program:a]\ncommand=x\nexitcodes=a\n",
        "[program:a]\ncommand=x\nstopsignal=NOSUCH\n",
        "[program:a]\ncommand=x\nstopsignal=4000\n",
        "[program:a]\ncommand=x\numask=9\n",
        "[program:a]\ncommand=x\nuser=no-such-user-here\n",
        "[program:a]\ncommand=x\nuser=4000000000\n",
        "[program:a]\ncommand=x\nstdout_logfile=/no/such/folder/x\n",
        "[program:a]\ncommand=x\nstdout_logfile_maxbytes=many\n",
        "[program:a]\ncommand=x\nstopasgroup=true\nkillasgroup=false\n",
        "[program:a]\ncommand=x\nenvironment=A\n",
        "[program:a]\ncommand=x\nenvironment=A='1\n",
        '[program:a]\ncommand=x\nenvironment=A="\\""\n',
        "[group:g]\nprograms=none\n",
        "[group:g]\nprograms=a\n[program:a]\ncommand=x\n[fcgi-program:a]\ncommand=x\nsocket=tcp://h:1\n",
        "[eventlistener:l]\ncommand=x\n",
        "[eventlistener:l]\ncommand=x\nevents=TICK_60\nbuffer_size=0\n",
        "[eventlistener:l]\ncommand=x\nevents=TICK_60\nredirect_stderr=true\n",
        "[fcgi-program:f]\ncommand=x\n",
        "[fcgi-program:f]\ncommand=x\nsocket=unix://relative\n",
        "[fcgi-program:f]\ncommand=x\nsocket=nonsense\n",
        "[fcgi-program:f]\ncommand=x\nsocket=tcp://h:1\nsocket_backlog=0\n",
        "[include]\n",
        "nonsense\n",
    ],
)
def test_refusals(tmp_path, text):
    assert same(tmp_path, MINIMUM + text) is None


@pytest.mark.parametrize(
    "text",
    [
        "[program:a]\ncommand=x\n",
        "[supervisord]\numask=9\n",
        "[supervisord]\nlogfile=/no/such/folder/x\n",
        "[supervisord]\nchildlogdir=/no/such/folder\n",
        "[supervisord]\nnodaemon=perhaps\n",
        "[supervisord]\nlogfile_maxbytes=x\n",
        "[supervisord]\nminfds=x\n",
        '[supervisord]\nenvironment=A="%(nothing)s"\n',
    ],
)
def test_refusals_of_the_main_section(tmp_path, text):
    assert same(tmp_path, text) is None


def test_environment_of_all_programs(tmp_path):
    found = same(
        tmp_path,
        '[supervisord]\nenvironment=A="1",B="1",P="%%%%",H="%(here)s"\n'
        '[program:a]\ncommand=%(ENV_A)s\nenvironment=B="2"\n',
    )
    assert found["a"]["processes"][0]["environment"] == {
        "A": "1",
        "B": "2",
        "P": "%",
        "H": str(tmp_path),
    }
    assert found["a"]["processes"][0]["command"] == "1"


def test_includes(tmp_path):
    for folder in ("conf.d", "more"):
        (tmp_path / folder).mkdir()
    (tmp_path / "conf.d" / "b.conf").write_text(
        "[program:b]\ncommand=%(here)s/b\n[program:m]\nstartsecs=3\n"
    )
    (tmp_path / "conf.d" / "a.conf").write_text("[program:a]\ncommand=%(here)s/a\n")
    (tmp_path / "more" / "c.ini").write_text("[supervisord]\nenvironment=C=1\n")
    found = same(
        tmp_path,
        MINIMUM + "[include]\nfiles=conf.d/*.conf %(here)s/more/*.ini none/*.conf\n"
        "[program:m]\ncommand=%(here)s/m\n",
    )
    assert found["b"]["processes"][0]["command"] == "%s/conf.d/b" % tmp_path
    assert found["m"]["processes"][0]["startsecs"] == 3
    conf = ConfigFile(str(tmp_path / "supervisord.conf"), {})
    assert conf.section_file["program:a"] == str(tmp_path / "conf.d" / "a.conf")


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
    option=st.sampled_from(
        ["command", "environment", "directory", "process_name", "exitcodes", "stopsignal"]
    ),
    value=st.one_of(VALUE, st.lists(PIECES | VALUE, max_size=5).map("".join)),
    include=st.booleans(),
)
def test_any_value(tmp_path, option, value, include):
    assume(not ALL_NAMES.search(value))
    text = MINIMUM + ("[include]\nfiles=none\n" if include else "")
    lines = {"command": "x", option: value}
    same(tmp_path, text + "[program:a]\n" + "".join("%s=%s\n" % item for item in lines.items()))


def test_signal_names_are_those_of_this_host():
    from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_programs import (
        signal_number,
    )

    assert signal_number("HUP") == signal_number("sighup") == signal_number("1") == signal.SIGHUP
    with pytest.raises(ValueError):
        signal_number("NOSUCH")
