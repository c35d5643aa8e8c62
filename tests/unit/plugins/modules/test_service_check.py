# SPDX-License-Identifier: GPL-3.0-or-later
"""service_check, with stand-ins for apt-cache and systemctl. Scenarios lab and stack_lab run it on
real hosts."""

from __future__ import annotations

import os

import pytest

from helpers.run_module import run_module

POLICY = """postgresql-15:
  Installed: %s
  Candidate: %s
  Version table:
     15.14-0+deb12u1 500
"""
DROP_IN = "/etc/systemd/system/redis-server.service.d/swf-testbed.conf"


@pytest.fixture(name="check")
def make_check(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "%s:%s" % (tmp_path, os.environ["PATH"]))

    def check(output, **options):
        for name in ("apt-cache", "systemctl"):
            (tmp_path / name).write_text("#!/bin/sh\ncat <<'END'\n%s\nEND\n" % output)
            (tmp_path / name).chmod(0o755)
        return run_module("service_check", {"name": "A", "other": "use another one", **options})

    return check


@pytest.mark.parametrize(
    ("installed", "candidate", "minimum", "is_old"),
    [
        ("(none)", "15.14-0+deb12u1", "14", False),
        ("(none)", "15.14-0+deb12u1", "15.14", False),
        ("(none)", "15.14-0+deb12u1", "15.15", True),
        ("(none)", "15.14-0+deb12u1", "16", True),
        # a package that is installed stays
        ("15.3-0+deb12u1", "15.14-0+deb12u1", "15.14", True),
        ("1:15.3-0+deb12u1", "(none)", "15", False),
        # no list of packages yet: what the role knows of the distribution
        ("(none)", "(none)", "15.14", False),
        ("(none)", "(none)", "16", True),
        ("(none)", "(none)", "", False),
    ],
)
def test_the_version_of_the_package(check, installed, candidate, minimum, is_old):
    answer = check(
        POLICY % (installed, candidate), package="postgresql-15", version="15", minimum=minimum
    )
    assert bool(answer.get("failed")) is is_old, answer
    assert not answer.get("changed")
    if is_old:
        assert "nothing was changed" in answer["msg"]
        assert "the stack needs %s or newer" % minimum in answer["msg"]
        assert "Fix: Upgrade the distribution, or use another one" in answer["msg"]


@pytest.mark.parametrize(
    ("state", "drop_ins", "is_foreign"),
    [
        ("active", "", True),
        ("active", "/etc/other.conf %s" % DROP_IN, False),
        ("active", DROP_IN + ".old", True),
        ("inactive", "", False),
    ],
)
def test_a_unit_that_runs_for_others(check, state, drop_ins, is_foreign):
    answer = check(
        "ActiveState=%s\nDropInPaths=%s" % (state, drop_ins),
        unit="redis-server.service",
        drop_in=DROP_IN,
    )
    assert bool(answer.get("failed")) is is_foreign, answer
    if is_foreign:
        assert "redis-server.service runs already" in answer["msg"]
        assert "For a server that others use, use another one; otherwise run" in answer["msg"]
