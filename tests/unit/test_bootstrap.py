# SPDX-License-Identifier: GPL-3.0-or-later
"""tools/bootstrap.py says what is missing before it makes anything."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(name="bootstrap")
def module_under_test(tmp_path):
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "tools/bootstrap.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ROOT, module.VENV, module.PYTHON = (
        str(tmp_path),
        str(tmp_path / ".venv"),
        str(tmp_path / ".venv/bin/python"),
    )
    return module


def test_a_good_machine_has_no_problem(bootstrap):
    assert bootstrap.problems() == []


def test_old_python_is_named_with_the_fix(bootstrap):
    bootstrap.MIN_PYTHON = (9, 9)
    assert (
        "9.9 or newer is needed" in bootstrap.problems()[0]
        and "make site PYTHON=" in bootstrap.problems()[0]
    )


def test_full_disk_is_named(bootstrap):
    bootstrap.MIN_FREE_MB = 10**9
    assert "are needed" in bootstrap.problems()[0]


def test_missing_venv_module_is_named(bootstrap, monkeypatch):
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert (
        "apt-get install python3" in bootstrap.problems()[0] and "-venv" in bootstrap.problems()[0]
    )


def test_uv_is_found_with_its_hashes(bootstrap):
    text = (ROOT / "requirements/site.txt").read_text()
    pin = bootstrap.uv_requirement(text)
    assert pin.startswith("uv==") and pin.count("--hash=") == text.split("\nuv==")[1].split(
        "\n    #"
    )[0].count("--hash=")


def test_nothing_is_made_when_something_is_missing(tmp_path):
    copy = tmp_path / "tools/bootstrap.py"
    copy.parent.mkdir()
    copy.write_text(
        (ROOT / "tools/bootstrap.py")
        .read_text()
        .replace("MIN_FREE_MB = 500", "MIN_FREE_MB = 10**9")
    )
    done = subprocess.run(
        [sys.executable, str(copy), "site"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "nothing was changed" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["tools"]


def test_a_software_view_of_the_login_reaches_no_command(bootstrap, monkeypatch):
    for name in ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH"):
        monkeypatch.setenv(name, "/cvmfs/view")
    assert (
        "/cvmfs/view" not in bootstrap.environment().values()
        and bootstrap.environment()["PIP_NO_INPUT"] == "1"
    )


def test_confirm_asks_or_is_told():
    confirm = str(ROOT / "tools/confirm")
    assert subprocess.run([confirm, "Remove?", "yes"], check=False).returncode == 0
    refused = subprocess.run(
        [confirm, "Remove?"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1 and "CONFIRM=yes" in refused.stderr
