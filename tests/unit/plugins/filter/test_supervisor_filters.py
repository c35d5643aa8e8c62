# SPDX-License-Identifier: GPL-3.0-or-later
"""What the filters write, a real supervisord hands to its programs byte for byte; the rest they
refuse."""

from __future__ import annotations

import os

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.bnlnpps.swf_testbed.plugins.filter.supervisor_environment import (
    supervisor_environment,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.filter.supervisor_escape import (
    supervisor_escape,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import RpcFault
from helpers.supervisord_host import Supervisord, until

SETTINGS = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.filter_too_much,
        HealthCheck.too_slow,
    ],
)
SPECIAL = st.sampled_from(
    [
        "%",
        "%%",
        "%(here)s",
        "%(x)s",
        "'",
        '"',
        ";",
        "#",
        " ;",
        " #",
        "\t#",
        ",",
        "=",
        "\\",
        "\n",
        "\n\n",
        " ",
        "$(x)",
        "\r",
    ]
    + ["\u20ac", "\u00a0", "\u2028", "\x1b", "\x85", "\x7f", "[program:x]", "a", "B9", "/.+-():"]
)
TEXT = st.lists(
    SPECIAL | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4), max_size=8
).map("".join)
NAME = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,10}", fullmatch=True).filter(
    lambda name: not name.startswith(("SUPERVISOR", "PYTHON", "LC_", "LANG", "PATH", "_"))
)


class Echo:
    """A running supervisord whose one program writes down its environment and arguments."""

    def __init__(self, folder):
        self.host = Supervisord(folder, env={"LC_ALL": "C.UTF-8"}).start()
        self.out = self.host.folder / "out"
        script = self.host.folder / "script"
        script.write_text(
            "#!/bin/sh\n{ cat /proc/$$/environ; echo =====; printf '%s\\0' \"$@\"; } >out.tmp\n"
            "mv out.tmp out\n"
        )
        script.chmod(0o755)
        self.script = str(script)

    def run(self, lines, supervisord=""):
        """The environment and the arguments with which supervisord started the program."""
        call = self.host.client.call
        if self.host.infos():
            call("supervisor.stopAllProcesses")
            call("supervisor.removeProcessGroup", "echo")
        self.out.unlink(missing_ok=True)
        self.host.configure(
            "[include]\nfiles=none\n[program:echo]\ndirectory=%(here)s\nstartsecs=0\nautorestart=false\n"
            + lines,
            supervisord,
        )
        call("supervisor.reloadConfig")
        call("supervisor.addProcessGroup", "echo")
        until(self.out.exists, "the program's output")
        environment, _mark, arguments = self.out.read_bytes().partition(b"=====\n")
        pairs = dict(item.split(b"=", 1) for item in environment.split(b"\0") if item)
        return {os.fsdecode(key): value for key, value in pairs.items()}, arguments.split(b"\0")[
            :-1
        ]


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    echo = Echo(tmp_path_factory.mktemp("echo"))
    yield echo
    echo.host.stop()


@SETTINGS
@given(
    variables=st.dictionaries(NAME, TEXT, max_size=5),
    section=st.sampled_from(["program", "supervisord"]),
)
def test_environment_comes_back_byte_for_byte(echo, variables, section):
    expressible = {}
    for name, value in variables.items():
        try:
            supervisor_environment({name: value}, section)
        except AnsibleFilterError:
            continue
        expressible[name] = value
    line = "environment=%s\n" % supervisor_environment(expressible, section)
    command = "command=%s\n" % echo.script
    if section == "program":
        found, _arguments = echo.run(line + command)
    else:
        found, _arguments = echo.run(command, supervisord=line)
    for name, value in expressible.items():
        assert found[name] == value.encode()


@SETTINGS
@given(argument=TEXT)
def test_escaped_values_come_back_byte_for_byte(echo, argument):
    """Through command=, whose words are quoted as a shell wants them."""
    quoted = "'%s'" % argument.replace("'", "'\"'\"'")
    try:
        line = supervisor_escape("%s %s" % (echo.script, quoted))
    except AnsibleFilterError:
        return
    _environment, arguments = echo.run("command=%s\n" % line)
    assert arguments == [argument.encode()]


REFUSED = [
    ('it\'s "both" kinds', "both types of quotes"),
    ("'edge", "begins or ends with a quote"),
    ('edge"', "begins or ends with a quote"),
    ("a ;b", "starts a comment"),
    ("a\t#b", "starts a comment"),
    ("a\n#b", "starts a comment"),
    ("a \nb", "begins or ends with blanks"),
    ("a\n b", "begins or ends with blanks"),
    ("a\rb", "carriage return"),
    ("a\0b", "NUL"),
    ("%(here)s", "%(here)s"),
    ("\udcff", "not UTF-8"),
]


@pytest.mark.parametrize(("value", "reason"), REFUSED)
def test_refused_values_with_the_reason_and_without_the_value(value, reason):
    with pytest.raises(AnsibleFilterError) as failure:
        supervisor_environment({"TOKEN": value + " canary" if value[-1:] not in "'\"" else value})
    assert "TOKEN" in str(failure.value) and reason in str(failure.value)
    assert "canary" not in str(failure.value)


def lost(echo, value):
    """Whether supervisord refuses this value or hands on another, whichever quotes are around
    it."""
    for quote in ("'", '"'):
        text = "environment=A=%s%s%s\n" % (
            quote,
            value.replace("%", "%%").replace("\n", "\n  "),
            quote,
        )
        try:
            found, _arguments = echo.run(text + "command=%s\n" % echo.script)
        except RpcFault:
            continue
        if found.get("A") == value.encode():
            return False
    return True


@pytest.mark.parametrize(
    "value", [value for value, reason in REFUSED if value not in ("a\0b", "\udcff")]
)
def test_refused_values_are_truly_lost(echo, value):
    assert lost(echo, value)


@settings(SETTINGS, max_examples=50)
@given(value=TEXT)
def test_nothing_is_refused_that_could_be_written(echo, value):
    try:
        supervisor_environment({"A": value})
    except AnsibleFilterError:
        assert lost(echo, value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (" a", "blanks"),
        ("a ", "blanks"),
        (";a", "begins with ';'"),
        ("#a", "begins with '#'"),
        ("a #b", "comment"),
        ("a\rb", "carriage"),
    ],
)
def test_escape_refuses(value, reason):
    with pytest.raises(AnsibleFilterError, match=reason):
        supervisor_escape(value)


def test_a_log_file_is_escaped_twice(echo):
    path = str(echo.host.folder / "50%.log")
    line = "stdout_logfile=%s\n" % supervisor_escape(supervisor_escape(path))
    echo.run(line + "command=%s\n" % echo.script)
    assert [item["stdout_logfile"] for item in echo.host.infos()] == [path]


@pytest.mark.parametrize("value", [True, None, ["a"], {"a": 1}])
def test_values_that_are_no_text(value):
    with pytest.raises(AnsibleFilterError, match="A"):
        supervisor_environment({"A": value})
    with pytest.raises(AnsibleFilterError, match="string"):
        supervisor_escape(value)


def test_numbers_and_order():
    assert supervisor_environment({"B": 1, "A": 2.5, "C": ""}) == 'B="1",A="2.5",C=""'
    assert supervisor_environment({}) == ""
    assert supervisor_escape(100) == "100"


@pytest.mark.parametrize("name", ["", "A B", "A=B", "A,B", "A'", "A#", "\u00e4", "A\n"])
def test_names_that_cannot_be(name):
    with pytest.raises(AnsibleFilterError, match="name"):
        supervisor_environment({name: "1"})


def test_other_misuse():
    with pytest.raises(AnsibleFilterError, match="dictionary"):
        supervisor_environment("A=1")
    with pytest.raises(AnsibleFilterError, match="section"):
        supervisor_environment({}, "elsewhere")
