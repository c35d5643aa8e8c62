# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages flow through real processes."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

WANTED = 10


def test_files_are_registered_processed_and_sampled_within_a_minute(testbed, wait_until):
    before = testbed.summary()["stf"]
    after = wait_until(
        lambda: (
            lambda now: (
                now
                if all(
                    now[key] >= before[key] + WANTED for key in ("total", "processed", "sampled")
                )
                else None
            )
        )(testbed.summary()["stf"]),
        60,
        "%d more STF files processed and sampled" % WANTED,
    )
    assert after["failed"] == 0


def test_every_agent_is_alive(testbed, wait_until):
    wanted = {"daqsim", "data", "processing", "fastmon", "mcp"}
    wait_until(
        lambda: (
            wanted
            <= {agent["agent_type"] for agent in testbed.summary()["agents"] if agent["alive"]}
        ),
        30,
        "a heartbeat of each of %s" % ", ".join(sorted(wanted)),
    )


def test_dashboard_shows_the_files(testbed):
    page = testbed.get("/")
    assert "<html" in page.lower()
    assert re.search(r"swf\.\d{6}\.\d{6}\.stf", page)
    for agent in testbed.summary()["agents"]:
        assert agent["instance_name"] in page


def test_health_is_ok(testbed):
    health = testbed.health()
    assert (
        health["status"] == "ok" and health["database"]["ok"] and health["listener"]["subscribed"]
    ), json.dumps(health)


def test_files_that_were_registered_are_on_disk_as_they_were_registered(testbed):
    registered = json.loads(
        testbed.get("/api/stf-files/?limit=%d" % WANTED, testbed.secrets()["api_token"])
    )["results"]
    assert len(registered) == WANTED
    for file in registered:
        assert (
            file["checksum"]
            == "sha256:" + hashlib.sha256(Path(file["path"]).read_bytes()).hexdigest()
        ), file
