# SPDX-License-Identifier: GPL-3.0-or-later
"""`/api/health/` in each case that does not need a process of its own."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import TOKEN, Site

pytestmark = pytest.mark.usefixtures("database")


def ask() -> tuple[int, dict]:
    from django.test import Client

    answer = Client().get("/api/health/")
    return answer.status_code, answer.json()


def record_state(*, subscribed: bool, seconds_ago: float = 0.0) -> None:
    from django.utils import timezone

    from swf_monitor.models import ListenerState

    ListenerState.objects.create(
        pk=1,
        subscribed=subscribed,
        detail="its detail",
        updated_at=timezone.now() - timedelta(seconds=seconds_ago),
    )


def test_well() -> None:
    from swf_monitor import __version__

    record_state(subscribed=True)
    status, health = ask()
    assert status == 200
    assert health["status"] == "ok"
    assert health["version"] == __version__
    assert health["database"]["ok"] is True
    assert health["database"]["engine"] == "sqlite"
    assert health["database"]["latency_ms"] >= 0
    listener = health["listener"]
    assert (listener["ok"], listener["subscribed"], listener["detail"]) == (
        True,
        True,
        "its detail",
    )
    assert listener["seconds_since_update"] < 5


def test_listener_was_never_started() -> None:
    status, health = ask()
    assert (status, health["status"]) == (503, "error")
    assert health["database"]["ok"] is True
    assert health["listener"]["ok"] is False
    assert "never started" in health["listener"]["detail"]


def test_listener_is_not_subscribed() -> None:
    record_state(subscribed=False)
    status, health = ask()
    assert status == 503
    assert (health["listener"]["ok"], health["listener"]["detail"]) == (False, "its detail")


# A negative age: the clock was set back since.
@pytest.mark.parametrize(("age", "status"), [(15, 200), (21, 503), (-1, 200), (-21.5, 503)])
def test_listener_is_silent(age: float, status: int) -> None:
    record_state(subscribed=True, seconds_ago=age)
    answered, health = ask()
    assert answered == status
    assert health["listener"]["ok"] is (status == 200)
    if status == 503:
        assert (
            "has not reported for 21 s; its last report: its detail" in health["listener"]["detail"]
        )


def heard(name: str, seconds_ago: float) -> None:
    from django.utils import timezone

    from swf_monitor.models import SystemAgent

    when = timezone.now() - timedelta(seconds=seconds_ago)
    SystemAgent.objects.create(
        instance_name=name, agent_type="data", status="OK", last_heartbeat=when
    )


@pytest.mark.parametrize(("age", "status"), [(25, 200), (31, 503), (-1, 200), (-31, 503)])
def test_an_agent_is_silent(age: float, status: int) -> None:
    """The summary and the health report have the same definition of an alive agent."""
    from django.test import Client

    record_state(subscribed=True)
    heard("here", 1)
    heard("other", age)
    answered, health = ask()
    alive = [agent["alive"] for agent in Client().get("/api/summary/").json()["agents"]]
    assert (answered, all(alive)) == (status, status == 200)
    assert (health["status"], health["agents"]["ok"]) == (
        ("ok", True) if status == 200 else ("error", False)
    )
    assert health["agents"]["total"] == 2
    assert [agent["instance_name"] for agent in health["agents"]["silent"]] == ["other"] * (
        status == 503
    )
    if status == 503:
        assert health["agents"]["detail"] == "1 of 2 agents are alive; no heartbeat: other (31 s)"
        assert health["listener"]["ok"] is True


def test_many_agents_are_silent() -> None:
    record_state(subscribed=True)
    for number in range(7):
        heard(f"data@host{number}", 100 + number)
    _status, health = ask()
    assert health["agents"]["detail"] == (
        "0 of 7 agents are alive; no heartbeat: data@host6 (106 s), data@host5 (105 s), data@host4 "
        "(104 s),"
        " data@host3 (103 s), data@host2 (102 s) and 2 more"
    )
    assert len(health["agents"]["silent"]) == 7


def test_an_agent_that_is_deleted() -> None:
    from django.test import Client

    from swf_monitor.models import SystemAgent

    record_state(subscribed=True)
    heard("data@host/1", 100)
    SystemAgent.objects.update(pid=7)
    client = Client(headers={"Authorization": f"Token {TOKEN}"})
    assert Client().delete("/api/systemagents/data@host%2F1/").status_code == 401
    assert client.delete("/api/systemagents/data@host%2F1/?pid=x").status_code == 400
    # another process has sent a heartbeat under that name
    assert client.delete("/api/systemagents/data@host%2F1/?pid=8").status_code == 204
    assert ask()[0] == 503
    assert client.delete("/api/systemagents/data@host%2F1/?pid=7").status_code == 204
    assert ask()[0] == 200
    assert client.delete("/api/systemagents/data@host%2F1/").status_code == 204, (
        "it is forgotten already"
    )


@pytest.mark.skipif(os.getuid() != 0, reason="mounting takes root")
@pytest.mark.parametrize(
    ("make", "cause"),
    [
        ("mount -o remount,ro,bind data", "Read-only file system"),
        ("cat /dev/zero >data/x 2>/dev/null", "space left"),
    ],
)
def test_nothing_can_be_written(tmp_path: Path, make: str, cause: str) -> None:
    """A real file system in a mount namespace of its own, where stored data stays readable."""
    code = f"""if True:
        import json, os
        import django
        django.setup()
        from swf_monitor.provision import set_up
        set_up({TOKEN!r})
        from django.test import Client
        first = Client().get("/api/health/").json()["database"]
        from django.db import connection
        if "remount" in {make!r}:
            connection.close()
        os.system({make!r})
        print(json.dumps([first, Client().get("/api/health/").json()["database"]]))
    """
    script = 'mkdir data && mount -t tmpfs -o size=4m none data && exec "$@"'
    done = subprocess.run(
        ["/usr/bin/unshare", "--mount", "sh", "-c", script, "sh", sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "SWF_MONITOR_DATA_DIR": str(tmp_path / "data"), "SECRET_KEY": "x" * 50}
        | {"DJANGO_SETTINGS_MODULE": "swf_monitor.settings", "ALLOWED_HOSTS": "testserver"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if "unshare" in done.stderr and "CI" not in os.environ:
        pytest.skip(f"nothing can be mounted here: {done.stderr}")
    first, second = json.loads(done.stdout)
    assert first["ok"] is True
    assert second["ok"] is False
    assert "cannot write in" in second["error"]
    assert cause in second["error"]


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
        assert health["agents"]["ok"] is False
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
