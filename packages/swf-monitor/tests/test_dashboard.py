# SPDX-License-Identifier: GPL-3.0-or-later
"""The page at `/`: it shows the state and the problems, and loads nothing from other servers."""

import html
import re
import uuid
from datetime import timedelta
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("database")


def page(address: str = "/") -> str:
    from django.test import Client

    answer = Client().get(address)
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def banner(text: str) -> tuple[str, str]:
    found = re.search(r'<section class="banner (\w+)".*?<h1>(.*?)</h1>', text, re.DOTALL)
    assert found
    return found[1], found[2]


def listener_is_well() -> None:
    from swf_monitor.models import ListenerState

    ListenerState.objects.create(pk=1, subscribed=True, detail="subscribed")


def agent(name: str = "data-agent@host", silent: float = 0, **other: Any) -> None:
    """:param silent: minutes since its last heartbeat."""
    from django.utils import timezone

    from swf_monitor.models import SystemAgent

    heard = timezone.now() - timedelta(minutes=silent)
    SystemAgent.objects.create(
        **{
            "instance_name": name,
            "agent_type": "data",
            "status": "OK",
            "last_heartbeat": heard,
            **other,
        }
    )


def run_with_files(**statuses: int) -> int:
    from swf_monitor.models import Run, StfFile

    run = Run.objects.create(status="running")
    number = 0
    for status, count in statuses.items():
        for _ in range(count):
            number += 1
            StfFile.objects.create(
                filename=f"swf.{run.pk:06d}.{number:06d}.stf",
                run=run,
                path="/x",
                size_bytes=65536,
                checksum="sha256:0",
                sequence=number,
                status=status,
                reason="<gone>" if status == "failed" else "",
            )
    return run.pk


def announce(filename: str) -> None:
    from swf_monitor.models import Message

    Message.objects.create(
        message_id=uuid.uuid4(),
        msg_type="stf_gen",
        sender="daqsim-agent@host",
        filename=filename,
        body={},
    )


def counts(text: str) -> dict[str, int]:
    found = re.findall(
        r'<span class="count">(\d+)</span>\s*<a class="name" href="[^"]*">(\w+)</a>', text
    )
    return {name: int(count) for count, name in found}


def test_empty_states_have_the_next_step() -> None:
    listener_is_well()
    text = page()
    assert banner(text) == ("waiting", "The monitor is ready and is waiting for agents")
    for word in (
        "No agent has reported yet",
        "swf-testbed start",
        "No run yet",
        "No STF file is registered yet",
        "No message yet",
    ):
        assert word in text
    agent()
    assert banner(page()) == ("waiting", "The agents are ready and are waiting for a run")


def test_all_is_well() -> None:
    listener_is_well()
    agent()
    run_id = run_with_files(processed=3, processing=1, registered=2)
    # One file is announced twice, and is not registered yet.
    for number in (1, 2, 3, 4, 5, 6, 99, 99):
        announce(f"swf.{run_id:06d}.{number:06d}.stf")
    text = page()
    assert banner(text) == ("ok", "The testbed is healthy")
    assert counts(text) == {
        "generated": 7,
        "registered": 6,
        "processed": 3,
        "sampled": 0,
        "failed": 0,
    }
    for word in (
        "1 of 1 agents alive",
        "data-agent@host",
        "2 waiting, 1 running",
        "1 pending",
        "64.0 KiB",
        "stf_gen",
        "daqsim-agent",
    ):
        assert word in text


@pytest.mark.parametrize("minutes", [3, -3], ids=["for minutes", "before the clock was set back"])
def test_problems_are_on_top(minutes: int) -> None:
    listener_is_well()
    agent()
    agent("processing-agent@host", silent=minutes)
    agent("fastmon-agent@host", status="WARNING", description="slow disk")
    run_with_files(processed=1, failed=2)
    text = page()
    assert banner(text) == ("error", "The testbed needs attention")
    assert "processing-agent@host sends no heartbeats" in text
    assert "fastmon-agent@host reports WARNING: slow disk" in text
    assert "2 STF files failed in the last hour" in text
    assert "2 of 3 agents alive" in text


def test_failures_and_stuck_files_are_worth_a_warning() -> None:
    from swf_monitor.models import StfFile

    listener_is_well()
    agent()
    run_with_files(processed=1, failed=1, registered=1)
    assert banner(page())[0] == "warning"
    StfFile.objects.filter(status="failed").update(updated_at="2020-01-01T00:00:00Z")
    assert banner(page())[0] == "ok"
    StfFile.objects.filter(status="registered").update(updated_at="2020-01-01T00:00:00Z")
    text = page()
    assert banner(text)[0] == "warning"
    assert "1 STF file waited more than 3 min" in text


def test_listener_that_does_not_work() -> None:
    agent()
    assert banner(page()) == ("error", "The message listener is not working")


def test_nothing_that_came_from_outside_is_markup() -> None:
    from django.test import Client

    listener_is_well()
    agent("<script>alert(1)</script>", status="ERROR", description="<img src=x>")
    run_with_files(failed=1)
    announce("<b>bold</b>")
    text = Client().get("/").content.decode()
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "<b>bold" not in text
    assert "&lt;gone&gt;" in text


def test_page_is_one_answer_and_its_policy_lets_it_work() -> None:
    from base64 import b64encode
    from hashlib import sha256

    from django.test import Client

    listener_is_well()
    answer = Client().get("/")
    text = answer.content.decode()
    policy = answer.headers["Content-Security-Policy"]
    for tag in ("style", "script"):
        inside = re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert inside
        assert f"'sha256-{b64encode(sha256(inside[1].encode()).digest()).decode()}'" in policy
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)
    assert "style=" not in text.partition("</style>")[2]
    assert 'http-equiv="refresh"' in text


def test_the_refreshed_part_is_the_content_of_the_page() -> None:
    from django.test import Client

    listener_is_well()
    answer = Client().get("/?part=content")
    assert answer.headers["X-SWF-Monitor"]
    part = answer.content.decode()
    assert "<html" not in part
    assert 'data-title="' in part
    assert Client().post("/").status_code == 405


def test_number_of_queries_does_not_grow() -> None:
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    def queries(address: str) -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            Client().get(address)
        return len(captured)

    listener_is_well()
    agent()
    run_with_files(processed=1)
    few = {address: queries(address) for address in ("/", "/api/summary/")}
    for number in range(5):
        agent(f"data-agent@host{number}")
        run_with_files(processed=3, registered=2)
        announce(str(number))
    assert {address: queries(address) for address in few} == few
    assert max(few.values()) <= 18


def test_no_query_scans_a_table_that_grows() -> None:
    """So the page is fast with 100,000 files: benchmarks/dashboard.py measures it.

    A plan with SCAN and without an index reads every row, and one with a B-TREE for ORDER BY sorts
    them: neither is acceptable for tables that grow. Counts read an index, which is small.
    """
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.utils import timezone

    from swf_monitor.models import StfFile

    listener_is_well()
    agent()
    run_with_files(processed=300, failed=1, registered=2)
    # as in operation: few files wait to be sampled
    StfFile.objects.filter(status="processed").update(sampled_at=timezone.now())
    for number in range(300):
        announce(str(number))
    for address in ("/", "/api/summary/"):
        with CaptureQueriesContext(connection) as captured:
            assert Client().get(address).status_code == 200
        selects = [query["sql"] for query in captured if query["sql"].startswith("SELECT")]
        assert len(selects) > 5
        for sql in selects:
            if "swf_monitor_stffile" not in sql and "swf_monitor_message" not in sql:
                continue
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN QUERY PLAN " + sql)
                plan = [row[3] for row in cursor.fetchall()]
            ends = (
                "LIMIT" in sql
            )  # in the order of the rows, a scan ends with the last one that is wanted
            slow = [step for step in plan if "SCAN" in step and "INDEX" not in step and not ends]
            assert not slow, (sql, plan)
            assert not any("FOR ORDER BY" in step for step in plan), (sql, plan)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s ago"),
        (0, "0 s ago"),
        (89, "89 s ago"),
        (90, "2 min ago"),
        (5399, "90 min ago"),
        (7200, "2 h ago"),
        (200000, "2 days ago"),
    ],
)
def test_relative_times(seconds: int, words: str) -> None:
    from django.utils import timezone

    from swf_monitor.templatetags.swf_format import ago

    now = timezone.now()
    assert ago(now - timedelta(seconds=seconds), now) == words


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 B"), (1023, "1023 B"), (65536, "64.0 KiB"), (2**40, "1.0 TiB")]
)
def test_sizes(count: int, words: str) -> None:
    from swf_monitor.templatetags.swf_format import size

    assert size(count) == words
