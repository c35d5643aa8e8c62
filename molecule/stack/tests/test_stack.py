# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack of others: sources, steps, secrets in the environment, probes, upgrades and failures."""

from __future__ import annotations

import os
from pathlib import Path

from helpers import stand_in

PAGE = "<html><title>Another page</title><body>agents: %d</body></html>\n"


def test_the_page_comes_from_the_source_tree_and_the_agent_is_heard_of(site):
    assert "Stand-in" in site.get("/")
    (agent,) = site.agents()
    assert agent["instance_name"] == "stand-in-agent-swf-molecule"
    tree = site.root / site.release() / "src/stand-in-monitor"
    assert (tree / "templates/page.html").is_file() and not (tree / ".git").exists()


def test_secrets_are_in_the_environment_of_those_that_take_them_there(site):
    secrets = Path(os.environ["HOME"], ".local/share/swf-testbed-controller/secrets")
    token = (secrets / "api_token").read_text().strip()
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


def test_an_upgrade_to_another_commit_and_back(site):
    before = site.release()
    stand_in.commit(site.repositories, "stand-in-monitor", {"templates/page.html": PAGE})
    done = site.play("playbooks/upgrade.yml")
    assert done.returncode == 0, done.stdout
    assert "Another page" in site.get("/") and site.release() != before
    (backup,) = (site.home / ".local/state/swf-testbed/backups").iterdir()
    assert backup.name.endswith("-%s.sqlite3" % os.path.basename(site.release()))
    done = site.play("playbooks/rollback.yml")
    assert done.returncode == 0 and site.release() == before, done.stdout
    assert site.play().returncode == 0 and site.release() != before


def test_a_step_that_fails_changes_nothing(site):
    before = site.release()
    broken = site.repositories / "stand-in-monitor/src/stand_in_monitor/__init__.py"
    text = broken.read_text()
    failing = text.replace(
        "def migrate() -> None:\n", "def migrate() -> None:\n    sys.exit('no migration')\n"
    )
    path = "src/stand_in_monitor/__init__.py"
    stand_in.commit(site.repositories, "stand-in-monitor", {path: failing})
    done = site.play()
    assert done.returncode != 0 and "The step migrate the database failed" in done.stdout
    assert "no migration" in done.stdout
    assert site.release() == before and "Another page" in site.get("/")
    stand_in.commit(site.repositories, "stand-in-monitor", {path: text})


def test_an_agent_that_is_not_heard_of_fails_the_gate(site):
    before = site.release()
    path = "src/stand_in_agent/__init__.py"
    text = (site.repositories / "stand-in-agent" / path).read_text()
    silent = text.replace("opener.open(", "print(").replace(
        ", timeout=10\n            ).close()", ")"
    )
    stand_in.commit(site.repositories, "stand-in-agent", {path: silent})
    done = site.play()
    assert done.returncode != 0 and "worker" in done.stdout, done.stdout
    assert site.release() == before and len(site.agents()) == 1
    stand_in.commit(site.repositories, "stand-in-agent", {path: text})
    assert site.play("playbooks/status.yml").returncode == 0
