# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of the callback progress."""

from __future__ import annotations

import pytest
import yaml

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _progress


def plays(root, name):
    for found in yaml.safe_load((root / "playbooks" / name).read_text()):
        imported = found.get("ansible.builtin.import_playbook")
        yield from plays(root, imported) if imported else [found["name"]]


def test_every_play_of_a_deployment_has_a_phase(root):
    used = {name for book in ("site.yml", "upgrade.yml") for name in plays(root, book)}
    assert used == set(_progress.PHASES)


@pytest.mark.parametrize(
    ("room", "shown"),
    [(80, "a-1, a-2, a-3"), (13, "a-1, a-2, a-3"), (12, "a-1 and 2 more"), (1, "a-1 and 2 more")],
)
def test_hosts_are_named_while_there_is_room(room, shown):
    assert _progress.hosts_in(["a-1", "a-2", "a-3", "a-1"], room) == shown


def test_no_host():
    assert _progress.hosts_in([], 80) == ""


def test_the_lines_of_a_message_stay_and_long_words_are_whole():
    path = "/" + "x" * 90
    text = "2 problems:\n  - a is wrong. Evidence: b. Fix: write %s\n\n" % path
    assert _progress.wrapped(text, 40, "  ") == [
        "  2 problems:",
        "    - a is wrong.",
        "      Evidence: b.",
        "      Fix: write",
        "        " + path,
    ]


def test_the_line_of_a_terminal_has_the_number_of_hosts_also_if_the_task_has_a_long_name():
    assert _progress.line(61, "build: Install", "(1 of 2 hosts)", 79) == (
        "[1:01] build: Install (1 of 2 hosts)"
    )
    shown = _progress.line(5, "build: " + "x" * 90, "(1 of 2 hosts)", 79)
    assert len(shown) == 79 and shown.endswith("xxx... (1 of 2 hosts)")
    assert len(_progress.line(5, "build: Install", "(1 of 2 hosts)", 10)) == 10


def test_each_answer_has_its_hosts():
    hosts = ["host-%02d" % number for number in range(50)]
    assert _progress.answers({"the variables of the inventory changed": hosts}, 80) == [
        "  host-00, host-01, host-02 and 47 more: the variables of the inventory changed"
    ]
    assert _progress.answers({"long " * 15: ["a", "b"]}, 80) == [
        "  a, b: " + " ".join(["long"] * 14),
        "    long",
    ]
    assert _progress.answers({}, 80) == []


def test_of_many_answers_the_first_are_shown():
    lines = _progress.answers({"file %d differs" % number: ["a"] for number in range(10)}, 80)
    assert len(lines) == 9 and lines[-1] == "  and 2 more; -v shows them"


def test_one_phase_has_no_table():
    verify = _progress.Phase("verify")
    assert _progress.summary([verify], 80) == []
    assert len(_progress.summary([verify, _progress.Phase("build")], 80)) == 4


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"msg": "m"}, "m"),
        ({"censored": "hidden", "msg": "m"}, "hidden"),
        ({"msg": "m", "stderr": "e\n", "stdout": "o"}, "m\nstderr:\ne"),
        ({"msg": "m e", "stderr": "e", "stdout": ""}, "m e"),
        ({"module_stdout": "\n".join(map(str, range(30)))}, None),
        ({}, "the task has no message"),
    ],
)
def test_the_cause_of_a_failure(result, text):
    found = _progress.cause(result)
    assert found == text or (text is None and found.endswith("\n29") and "\n9\n" not in found)


def test_a_cause_is_found_in_other_lines_and_in_other_words():
    printed = ["The port is in use. Evidence: 17"]
    assert _progress.is_printed("The port\n is in  use. Evidence: 17", printed)
    assert _progress.is_printed("Start it: The port is in use. Evidence: 17", printed)
    assert not _progress.is_printed("The port is in use. Evidence: 18", printed)


def test_times():
    assert [_progress.elapsed(seconds) for seconds in (0, 59.9, 61, 3600)] == [
        *("0:00", "0:59", "1:01", "60:00")
    ]
