# SPDX-License-Identifier: GPL-3.0-or-later
"""tools/nightly runs every step, whatever fails, and replaces only the lines of what it ran."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load(name, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    loader = importlib.machinery.SourceFileLoader(name, str(ROOT / "tools" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    return module


@pytest.fixture(name="nightly")
def the_tool(tmp_path, monkeypatch):
    module = load("nightly", monkeypatch)
    module.PAGE, module.ROOT, module.LOGS = tmp_path / "nightly.md", tmp_path, tmp_path / "logs"
    module.PAGE.write_text(
        (ROOT / "docs/testing/nightly.md").read_text().split("\n| step | result")[0]
        + "\n| step | result | took | summary | date | commit |\n| --- | --- | --- | --- | --- | "
        "--- |\n"
    )
    module.STEPS = {
        "good": ["sh", "-c", "printf 'much\\n\\033[32m3 passed | fast\\033[0m\\n\\n'"],
        "bad": ["sh", "-c", "echo why; echo 1 failed; exit 3"],
        "lost": ["/no/such/command"],
        "last": ["sh", "-c", "echo it ran"],
    }
    return module


def rows(module):
    lines = module.PAGE.read_text().split("## Last results")[1].splitlines()
    return {
        line.split(" | ")[0].strip("| "): line
        for line in lines
        if line.startswith("| ") and "---" not in line
    }


def test_every_step_runs_whatever_fails(nightly, capsys):
    with pytest.raises(SystemExit) as ended:
        nightly.main([])
    assert "failed: bad, lost" in str(ended.value.code)
    found = rows(nightly)
    assert list(found) == ["step", "good", "bad", "lost", "last"]
    assert found["good"].startswith("| good | passed | 0 min | 3 passed \\| fast | 20")
    assert (
        found["bad"].startswith("| bad | FAILED | 0 min | 1 failed |") and "it ran" in found["last"]
    )
    assert (
        "    why" in capsys.readouterr().out
        and (nightly.LOGS / "bad.log").read_text() == "why\n1 failed\n"
    )


def test_only_the_lines_of_the_named_steps_are_replaced(nightly):
    with pytest.raises(SystemExit):
        nightly.main([])
    before = rows(nightly)
    nightly.STEPS["bad"] = ["echo", "fixed"]
    nightly.STEPS["good"] = ["echo", "not run"]
    nightly.main(["bad"])
    after = rows(nightly)
    assert after.pop("bad").startswith("| bad | passed | 0 min | fixed |")
    before.pop("bad")
    assert after == before


def test_an_unknown_step_is_refused_with_those_that_there_are(nightly):
    with pytest.raises(SystemExit) as ended:
        nightly.main(["good", "versoins"])
    assert (
        "no step versoins. There are: good, bad" in str(ended.value.code)
        and not nightly.LOGS.exists()
    )


def test_the_steps_and_the_pairs_are_on_their_pages(monkeypatch):
    page = (ROOT / "docs/testing/nightly.md").read_text()
    assert all("| `%s` |" % name in page for name in load("nightly", monkeypatch).STEPS)
    versions = load("test_versions", monkeypatch)
    required = (ROOT / "meta/runtime.yml").read_text()
    assert 'requires_ansible: ">=%s.0"' % versions.PAIRS[0].core in required, (
        "the oldest one that is promised is run"
    )


def test_a_python_is_found_by_running_it(tmp_path, monkeypatch):
    versions = load("test_versions", monkeypatch)
    for name, text in (
        ("shim", "#!/bin/sh\nexit 127\n"),
        ("real", '#!/bin/sh\nexec %s "$@"\n' % sys.executable),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "python9.9").write_text(text)
        (tmp_path / name / "python9.9").chmod(0o755)
    monkeypatch.setenv(
        "PATH", "%s:%s:%s" % (tmp_path / "shim", tmp_path / "real", os.environ["PATH"])
    )
    assert versions.interpreter("9.9") == os.path.realpath(sys.executable)
    with pytest.raises(versions.Failed, match="no python9.8"):
        versions.interpreter("9.8")


def test_changes_of_all_hosts_are_counted(monkeypatch):
    versions = load("test_versions", monkeypatch)
    recap = (
        "one   : ok=3    changed=2    unreachable=0    failed=0    skipped=0\n"
        "two   : ok=3    changed=1    unreachable=0    failed=0    skipped=0\n"
    )
    assert versions.changes(recap) == 3 and versions.changes("") == 0


@pytest.mark.parametrize(
    "command",
    [
        ["tests/run_faults.py", "--help"],
        ["-m", "pytest", "--collect-only", "-qp", "no:cacheprovider", "molecule/release/tests"],
    ],
    ids=["faults", "release"],
)
def test_the_long_steps_can_be_loaded(command):
    """They run at night alone: what breaks them at once is found here."""
    result = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
