# SPDX-License-Identifier: GPL-3.0-or-later
"""`/api/health/` in each case that does not need a process of its own."""

from datetime import timedelta

import pytest
from conftest import Site

pytestmark = pytest.mark.usefixtures("database")


def ask() -> tuple[int, dict]:
    from django.test import Client

    answer = Client().get("/api/health/")
    return answer.status_code, answer.json()


def say(*, subscribed: bool, seconds_ago: float = 0.0) -> None:
    from django.utils import timezone

    from swf_monitor.models import ListenerState

    ListenerState.objects.create(
        pk=1,
        subscribed=subscribed,
        detail="said last",
        updated_at=timezone.now() - timedelta(seconds=seconds_ago),
    )


def test_well() -> None:
    from swf_monitor import __version__

    say(subscribed=True)
    status, health = ask()
    assert status == 200
    assert health["status"] == "ok"
    assert health["version"] == __version__
    assert health["database"]["ok"] is True
    assert health["database"]["engine"] == "sqlite"
    assert health["database"]["latency_ms"] >= 0
    listener = health["listener"]
    assert (listener["ok"], listener["subscribed"], listener["detail"]) == (True, True, "said last")
    assert listener["seconds_since_update"] < 5


def test_listener_was_never_started() -> None:
    status, health = ask()
    assert (status, health["status"]) == (503, "error")
    assert health["database"]["ok"] is True
    assert health["listener"]["ok"] is False
    assert "never started" in health["listener"]["detail"]


def test_listener_is_not_subscribed() -> None:
    say(subscribed=False)
    status, health = ask()
    assert status == 503
    assert (health["listener"]["ok"], health["listener"]["detail"]) == (False, "said last")


# A negative age: the clock was set back since.
@pytest.mark.parametrize(("age", "status"), [(15, 200), (21, 503), (-1, 200), (-21.5, 503)])
def test_listener_is_silent(age: float, status: int) -> None:
    say(subscribed=True, seconds_ago=age)
    answered, health = ask()
    assert answered == status
    assert health["listener"]["ok"] is (status == 200)
    if status == 503:
        assert "not been heard of for 21 s; it said last: said last" in health["listener"]["detail"]


def test_tables_are_missing() -> None:
    from django.db import connection

    from swf_monitor.models import ListenerState

    with connection.schema_editor() as editor:
        editor.delete_model(ListenerState)
    try:
        status, health = ask()
        assert status == 503
        assert health["database"]["error"] == "the database is not set up: run 'swf-monitor setup'"
        assert health["listener"]["ok"] is False
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(ListenerState)


def test_database_is_damaged(site: Site) -> None:
    _, api = site.serve("--setup")
    for path in (site.folder / "monitor").iterdir():
        path.write_bytes(b"no database at all" * 1000)
    answer = api.get("/api/health/")
    assert answer.status == 503
    assert answer.json["database"]["error"] == "file is not a database"
    assert api.get("/").status == 503
    assert api.get("/api/runs/").status == 503
