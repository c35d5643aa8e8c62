# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade of the whole lab, and a rollback on request. The figures are in
docs/explanation/releases.md."""

from __future__ import annotations

import re
import time

import pytest

# a table more, as a release that changes the monitor's database brings it
MIGRATION = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("swf_monitor", "0003_namespaces")]
    operations = [migrations.RunSQL("CREATE TABLE swf_of_a_later_release (id integer)", "DROP TABLE swf_of_a_later_release")]
"""
TABLES = "runuser -u postgres -- psql -XAtd swf_testbed -c %s"
AGENTS = (
    "swf_daqsim_agent",
    "swf_data_agent",
    "swf_processing_agent",
    "swf_fastmon_agent",
    "swf_mcp_agent",
)


def changed(output):
    """{host: what it counted as changed} in a play's recap."""
    return {
        name: int(number)
        for name, number in re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", output, re.MULTILINE)
    }


@pytest.fixture(name="show")
def shown_though_tests_are_captured(capsys):
    def show(what, began, downtime):
        with capsys.disabled():
            print(
                "\n%s: %d s; seconds without a process: %s; all at once: %.1f"
                % (what, time.monotonic() - began, downtime, downtime.together)
            )

    return show


def test_a_rolling_upgrade_with_a_migration(fleet, lab, serves, nothing_lost, show):
    version = fleet.new_version(
        swf_monitor={"swf_monitor/migrations/0004_later.py": MIGRATION},
        **{name: {} for name in AGENTS},
    )
    before = {state["current"] for state in fleet.states().values()}
    began = time.monotonic()
    with fleet.probed() as seen:
        code, output = fleet.play("upgrade.yml", swf_testbed_release_version=version)
    assert code == 0, output
    show("upgrade", began, seen[0])
    assert seen[0].together == 0
    states = fleet.states()
    releases = {name: state["current"] for name, state in states.items()}
    assert len(set(releases.values())) == 1 and releases[lab.services].startswith(version + "-"), (
        releases
    )
    assert {state["previous"] for state in states.values()} == before
    assert {name: state["sent_from"] for name, state in states.items()} == {
        lab.services: None,
        "agents-1": lab.services,
        "agents-2": None,
        "agents-3": lab.services,
    }
    serves(releases)
    services = lab.host(lab.services)
    assert (
        services.check_output(TABLES, "select to_regclass('swf_of_a_later_release')")
        == "swf_of_a_later_release"
    )
    assert (
        services.check_output("stat -c %a:%U /var/lib/swf-testbed/backups/*.pgdump | sort -u")
        == "600:swf-testbed"
    )
    nothing_lost()
    again, output = fleet.play("upgrade.yml", swf_testbed_release_version=version)
    assert again == 0 and set(changed(output).values()) == {0}, output


def test_a_rollback_of_all_hosts_brings_back_the_units_too(fleet, serves, nothing_lost, show):
    """The upgrade has a setting that changes the unit; what the rollback brings back is the unit
    before it, to the byte."""
    before = fleet.states()
    version = fleet.another_version()
    code, output = fleet.play(
        "upgrade.yml", swf_testbed_release_version=version, swf_testbed_systemd_limit_nofile=8192
    )
    assert code == 0, output
    between = fleet.states()
    assert {
        (state["current"].split("-")[0], state["loaded"]["LimitNOFILE"])
        for state in between.values()
    } == {(version, "8192")}
    began = time.monotonic()
    with fleet.probed() as seen:
        code, output = fleet.play("rollback.yml")
    assert code == 0, output
    show("rollback, with a unit that changes", began, seen[0])
    assert seen[0].together == 0
    serves({name: state["current"] for name, state in before.items()})
    after = fleet.states()
    assert [(state["unit"], state["loaded"]) for state in after.values()] == [
        (state["unit"], state["loaded"]) for state in before.values()
    ]
    assert {state["previous"] for state in after.values()} == {
        state["current"] for state in between.values()
    }
    nothing_lost()
