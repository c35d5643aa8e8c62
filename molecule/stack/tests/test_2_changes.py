# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack of others, in both scopes: upgrades and failures."""

from __future__ import annotations

from helpers import stand_in

PAGE = "<html><title>Another page</title><body>agents: %d</body></html>\n"


def test_an_upgrade_to_another_commit_and_back(site):
    before = site.releases()
    stand_in.commit(site.repositories, "stand-in-monitor", {"templates/page.html": PAGE})
    done = site.play("playbooks/upgrade.yml")
    assert done.returncode == 0, done.stdout
    assert "Another page" in site.get("/") and site.releases() != before
    done = site.play("playbooks/rollback.yml")
    assert done.returncode == 0 and site.releases() == before, done.stdout
    assert "Another page" not in site.get("/")


def test_a_step_that_fails_changes_nothing(site):
    before, page = site.releases(), site.get("/")
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
    assert site.releases() == before and site.get("/") == page
    stand_in.commit(site.repositories, "stand-in-monitor", {path: text})


def test_an_agent_that_is_not_heard_of_fails_the_gate(site):
    before = {host: site.release(host) for host in site.workers}
    path = "src/stand_in_agent/__init__.py"
    text = (site.repositories / "stand-in-agent" / path).read_text()
    silent = text.replace("opener.open(", "print(").replace(
        ", timeout=10\n            ).close()", ")"
    )
    stand_in.commit(site.repositories, "stand-in-agent", {path: silent})
    done = site.play("site.yml", *site.new_secrets())
    assert done.returncode != 0 and "worker" in done.stdout, done.stdout
    assert not site.new_secrets() or "secrets that this run changed were restored" in done.stdout
    assert {host: site.release(host) for host in site.workers} == before
    assert len(site.agents()) == 1
    stand_in.commit(site.repositories, "stand-in-agent", {path: text})
    assert site.play("playbooks/status.yml").returncode == 0
