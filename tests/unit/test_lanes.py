# SPDX-License-Identifier: GPL-3.0-or-later
"""tools/lanes.py runs every step, whatever fails, and says what each took."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = "printf 'INFO \\033[0m lab \\342\\236\\234 %s: Executing\\n'; "


@pytest.fixture(name="lanes")
def the_tool(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    module = importlib.import_module("lanes")
    monkeypatch.setattr(module, "LOGS", tmp_path / "logs")
    return module


def test_all_steps_run_and_a_failed_one_fails_all(lanes, monkeypatch, capsys):
    commands = {
        "bad": ["sh", "-c", "echo why; exit 3"],
        "good": ["sh", "-c", (SCENARIO % "create") + (SCENARIO % "verify") + "echo fine"],
        "busy": ["sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done"],
        "last": ["sh", "-c", "kill $$"],
    }
    monkeypatch.setattr(lanes, "STEPS", commands)
    assert lanes.main([]) == 1
    *_outputs, table = capsys.readouterr().out.partition("==> step  ")
    output = "".join(_outputs)
    assert "why" in output and "fine" in output
    rows = {line.split()[0]: line for line in table.splitlines()[1:]}
    assert {name: line.split()[1] for name, line in rows.items() if name in commands} == {
        "bad": "FAILED",
        "good": "passed",
        "busy": "passed",
        "last": "FAILED",
    }
    assert "create 0 s, verify 0 s" in rows["good"]
    assert not rows["busy"].split()[4].startswith("0.00")
    assert table.splitlines()[-1] == "FAILED: bad, last"
    assert (lanes.LOGS / "bad.log").read_text() == "why\n"


def test_all_that_passes_passes(lanes, monkeypatch, capsys):
    monkeypatch.setattr(lanes, "STEPS", {"good": ["true"], "left out": ["false"]})
    assert lanes.main(["good"]) == 0
    assert capsys.readouterr().out.endswith("all steps passed\n")


def test_the_summary_of_the_unit_tests_is_the_last_line(lanes, monkeypatch, capsys):
    tests = "printf '..F\\n1 failed, 2 passed in 0.1s\\n\\nreal 0m1s\\n'"
    monkeypatch.setattr(lanes, "STEPS", {"unit": ["sh", "-c", tests], "bad": ["false"]})
    assert lanes.main([]) == 1
    assert capsys.readouterr().out.endswith("FAILED: bad\n1 failed, 2 passed in 0.1s\n")
