# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack of others for a login: sources, and secrets in the environment."""

from __future__ import annotations

import os
from pathlib import Path


def test_the_page_comes_from_the_source_tree_and_the_agent_is_heard_of(site):
    assert "Stand-in" in site.get("/")
    (agent,) = site.agents()
    assert agent["instance_name"] == "stand-in-agent-swf-molecule"
    tree = Path(site.release("plain-user"), "src/stand-in-monitor")
    assert (tree / "templates/page.html").is_file() and not (tree / ".git").exists()


def test_secrets_are_in_the_environment_of_those_that_take_them_there(site):
    token = (site.secrets / "api_token").read_text().strip()
    uid = os.stat(site.home).st_uid
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid != uid:
                continue
            arguments = (process / "cmdline").read_text().split("\0")
            environment = (process / "environ").read_text(errors="replace")
        except OSError:
            continue
        assert token not in arguments, process
        if token in environment:
            found.update(os.path.basename(word) for word in arguments[:3] if "stand-in" in word)
    assert found == {"stand-in-monitor", "stand-in-agent"}


def test_a_file_of_the_login_does_not_replace_the_environment(site):
    (site.home / ".env").write_text("STAND_IN_STATIC=/nonexistent\n")
    try:
        assert site.play("playbooks/stop.yml").returncode == 0
        done = site.play("playbooks/start.yml")
        assert done.returncode == 0, done.stdout
        assert "Stand-in" in site.get("/")
    finally:
        (site.home / ".env").unlink()
