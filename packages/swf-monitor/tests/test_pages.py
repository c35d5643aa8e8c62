# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of the history, of lists and of single records. tests/test_browser.py has them in a
browser."""

import html
import itertools
import threading
import time
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

numbers = itertools.count(1)


@pytest.fixture
def clock(database: None) -> datetime:
    """A time in the middle of a minute, so that a test does not end in the next one."""
    return datetime.now(timezone.utc).replace(second=30, microsecond=0)


def page(address: str, status: int = 200, **options: Any) -> str:
    from django.test import Client

    answer = Client().get(address, **options)
    assert answer.status_code == status, answer.content.decode()
    return html.unescape(answer.content.decode())


def run() -> Any:
    from swf_monitor.models import Run

    return Run.objects.create(namespace="testbed", status="running")


def stf(of: Any, at: datetime, seconds: float | None = None, status: str = "processed") -> Any:
    """A file that was registered at a time, and finished some seconds later."""
    from swf_monitor.models import StfFile

    number = next(numbers)
    finished = at + timedelta(seconds=seconds) if seconds is not None else None
    return StfFile.objects.create(
        filename=f"swf.{number:06d}.stf",
        run=of,
        path="/data",
        size_bytes=1,
        checksum="sha256:0",
        sequence=number,
        status=status if finished else "registered",
        registered_at=at,
        updated_at=finished or at,
        sampled_at=finished,
    )


def message(msg_type: str, at: datetime, **fields: Any) -> Any:
    from swf_monitor.models import Message

    return Message.objects.create(
        message_id=uuid.uuid4(), msg_type=msg_type, received_at=at, **{"body": {}, **fields}
    )


def test_history_has_rates_times_backlog_and_failures(clock: datetime) -> None:
    from swf_monitor.pages.history import read

    of, minute = run(), timedelta(minutes=1)
    stf(of, clock - 26 * 60 * minute, 1)
    stf(of, clock - 5 * minute, 2)
    stf(of, clock - 5 * minute, 4)
    stf(of, clock - 5 * minute, 120)
    stf(of, clock - 3 * minute, 1, status="failed")
    stf(of, clock - 2 * minute)
    stf(of, clock)
    steps = read("hour", clock)
    assert len(steps) == 60
    assert steps[-1].begin == (clock - minute).replace(second=0)
    assert [(s.registered, s.processed, s.failed, s.backlog) for s in steps[-5:]] == [
        (3, 2, 0, 1),
        (0, 0, 0, 1),
        (1, 1, 1, 0),
        (1, 0, 0, 1),
        (0, 0, 0, 1),
    ]
    assert steps[-5].mean_seconds == pytest.approx(42, abs=0.01)
    assert steps[-5].longest_seconds == pytest.approx(120, abs=0.01)
    assert steps[-1].mean_seconds is None
    assert sum(step.registered for step in read("day", clock + timedelta(minutes=15))) == 6


def test_history_of_postgresql_is_the_same(postgresql_site: Any) -> None:
    """The functions of its times differ."""
    postgresql_site.set_up()
    code = """
from datetime import timedelta
from django.utils import timezone
from swf_monitor.models import Run, StfFile
from swf_monitor.pages.history import read
now, run = timezone.now().replace(second=30), Run.objects.create()
for number, seconds in enumerate((2, 5)):
    at = now - timedelta(minutes=3)
    done = at + timedelta(seconds=seconds)
    StfFile.objects.create(filename=str(number), run=run, path="", checksum="", sequence=0,
        status="processed", registered_at=at, updated_at=done, sampled_at=done)
step = read("hour", now)[-3]
print(step.registered, step.processed, step.backlog, step.mean_seconds, step.longest_seconds)
"""
    assert postgresql_site.python(code).split() == ["2", "2", "0", "3.5", "5.0"]


def test_history_page_has_charts_and_their_numbers(clock: datetime) -> None:
    of = run()
    for number in range(5):
        stf(of, clock - timedelta(minutes=2 + number), 1)
    text = page("/history/")
    assert text.count("<svg") == 4
    assert "largest 1, newest 0" in text
    assert text.count('<td data-label="registered"') == 5
    assert "No file was registered" not in text
    assert "Must be one of hour, day." in page("/history/?span=week", 400)


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (1, 1), (1.1, 2), (3, 5), (5, 5), (7, 10), (30, 50), (1001, 2000)]
)
def test_axis_ends_at_a_round_number(value: float, top: float) -> None:
    from swf_monitor.pages.chart import round_up

    assert round_up(value) == top


def test_numbers_of_charts_are_short() -> None:
    from swf_monitor.pages.chart import short

    values = (0, 0.25, 2, 12.5, 340, 1000, 1250, 3e6)
    assert [short(value) for value in values] == [
        "0",
        "0.25",
        "2",
        "12.5",
        "340",
        "1k",
        "1.2k",
        "3M",
    ]


def test_lists_have_filters_and_pages(clock: datetime) -> None:
    of = run()
    files = [stf(of, clock, 1) for _ in range(51)]
    failed = stf(of, clock, 1, status="failed")
    first, second = page("/files/"), page("/files/?page=2")
    assert first.count('<td data-label="file"') == 50
    assert second.count('<td data-label="file"') == 2
    assert 'href="?page=2"' in first
    assert 'href="?page=1"' in second
    assert files[0].filename not in first
    found = page("/files/?status=failed&search=&run_id=")
    assert found.count('<td data-label="file"') == 1
    assert failed.filename in found
    # the form keeps what it was given, and a second page its filters
    assert '<option value="failed" selected>' in found
    assert "?run_id=" + str(of.pk) + "&page=2" in page(f"/files/?run_id={of.pk}")
    for query in ("status=lost", "run_id=x", "page=0", "page=9999999", "stauts=failed"):
        assert "does not understand" in page(f"/files/?{query}", 400), query
    assert "Did you mean status?" in page("/files/?stauts=failed", 400)
    for address in ("/runs/", "/agents/", "/messages/", "/set-aside/"):
        assert "does not understand" in page(f"{address}?nothing=1", 400)
        assert page(f"{address}?part=content")


def test_a_search_in_messages_is_of_the_last_day_unless_it_says_otherwise(clock: datetime) -> None:
    for hours in (1, 30):
        message(f"type{hours}", clock - timedelta(hours=hours), sender="me@host")
    text = page("/messages/?sender=me@host")
    assert "type1" in text
    assert "type30" not in text
    since = clock - timedelta(days=1)
    assert f'type="datetime-local" value="{since:%Y-%m-%dT%H}' in text
    assert "type30" in page("/messages/?sender=me@host&received_after=2020-01-01T00:00")
    assert "type30" in page("/messages/")


def test_a_file_leads_to_everything_about_it(clock: datetime) -> None:
    from django.urls import reverse

    from swf_monitor.models import SystemAgent, TfFile

    of = run()
    file = stf(of, clock - timedelta(minutes=1), 2)
    sender = "processing-agent@testbed.me.host"
    SystemAgent.objects.create(
        instance_name=sender, agent_type="processing", status="OK", last_heartbeat=clock
    )
    frame = TfFile.objects.create(filename="a.tf", stf_file=file, size_bytes=1, offset=0)
    sent = {"filename": file.filename, "namespace": "testbed", "run_id": of.pk}
    done = message("processing_complete", clock, sender=sender, **sent)
    about_frame = message("tf_file_registered", clock, **{**sent, "filename": frame.filename})
    message("stf_gen", clock, **{**sent, "namespace": "other"})
    message("stf_gen", clock - timedelta(hours=5), **sent)
    text = page(f"/files/{file.filename}/")
    links = (
        reverse("run", args=[of.pk]),
        reverse("agent", args=[sender]),
        reverse("message", args=[done.message_id]),
        reverse("message", args=[about_frame.message_id]),
    )
    for link in links:
        assert f'href="{link}"' in text
        page(link)
    # neither of another namespace, nor of another time
    assert "stf_gen" not in text
    for link in (links[2], links[3]):
        assert f'href="{reverse("file", args=[file.filename])}"' in page(link)
    assert f'href="{reverse("file", args=[file.filename])}"' in page(links[0])
    assert page(f"/files/{file.filename}/?namespace=testbed")
    assert "There is no STF file" in page(f"/files/{file.filename}/?namespace=other", 404)


def test_the_body_of_a_message_is_for_the_host_alone(clock: datetime) -> None:
    sent = message("stf_gen", clock, body={"path": "<secret>"})
    address = f"/messages/{sent.message_id}/"
    assert '"path": "<secret>"' in page(address)
    for options in (
        {"REMOTE_ADDR": "192.0.2.1"},
        {"headers": {"X-Forwarded-For": "127.0.0.1"}},
        {"headers": {"Forwarded": "for=127.0.0.1"}},
    ):
        text = page(address, **options)
        assert "secret" not in text
        assert "shown on the monitor's own host and after a login" in text


def test_unknown_records_are_named(clock: datetime) -> None:
    for address, words in (
        ("/runs/99/", "There is no run 99."),
        (f"/runs/{10**30}/", "There is no run"),
        ("/files/no.stf/", "There is no STF file no.stf."),
        ("/agents/no/body/", "There is no agent no/body."),
        (f"/messages/{uuid.uuid4()}/", "There is no message"),
        ("/nothing", "There is no such page."),
    ):
        assert words in page(address, 404)


def test_the_state_of_an_agent_and_of_its_host(clock: datetime) -> None:
    from swf_monitor.models import SystemAgent

    heard = datetime.now(timezone.utc)
    for name, silent, version in (("a", 0, "1.0"), ("b", 60, "1.1")):
        SystemAgent.objects.create(
            instance_name=f"{name}@farm",
            agent_type="processing",
            status="OK",
            hostname="farm",
            version=version,
            last_heartbeat=heard - timedelta(seconds=silent),
        )
    text = page("/agents/")
    assert "1.0, 1.1" in text
    assert '<td data-label="alive" class="number bad">1' in text
    stf(run(), clock)
    text = page("/agents/b@farm/")
    assert "No heartbeat for 30 s or more" in text
    assert "files that wait for this type<dd>1<" in text
    assert "No heartbeat for" not in page("/agents/a@farm/")


def test_links_hold_below_a_path(site: Any) -> None:
    _program, api = site.serve("--setup", SWF_MONITOR_URL="https://lab.example.org/swf-monitor")
    for address in ("/", "/files/", "/swf-monitor/files/", "/api/summary/"):
        answer = api.request("GET", address, Accept="text/html")
        assert answer.status == 200, address
        assert 'href="/swf-monitor/runs/"' in answer.text
        assert 'href="/swf-monitor/api/docs/"' in answer.text
        assert 'href="/runs/' not in answer.text


def test_one_thread_makes_a_shared_value_and_the_others_do_not_wait() -> None:
    from swf_monitor.pages.shared import Shared

    made: list[int] = []
    go = threading.Event()

    def make() -> int:
        made.append(len(made))
        if len(made) == 2:
            go.wait(10)
        return made[-1]

    shared = Shared(make, seconds=0.05, limit=60)
    assert shared.get() == shared.get() == 0
    time.sleep(0.1)
    second = threading.Thread(target=shared.get)
    second.start()
    while len(made) < 2:
        time.sleep(0.01)
    began = time.monotonic()
    assert [shared.get() for _ in range(20)] == [0] * 20
    assert time.monotonic() - began < 1
    go.set()
    second.join()
    assert shared.get() == 1


def test_a_shared_value_is_never_too_old_and_an_error_is_not_shared() -> None:
    from swf_monitor.pages.shared import Shared

    values = iter([1, 2, 3])
    shared = Shared(lambda: next(values), seconds=0.01, limit=0.01)
    assert shared.get() == 1
    time.sleep(0.1)
    assert shared.get() == 2
    time.sleep(0.1)
    assert shared.get() == 3
    time.sleep(0.1)
    for _ in range(2):
        with pytest.raises(StopIteration):
            shared.get()
