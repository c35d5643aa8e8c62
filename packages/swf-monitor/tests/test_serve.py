# SPDX-License-Identifier: GPL-3.0-or-later
"""`swf-monitor serve`: its start, its end, and an outage of its database."""

import contextlib
import signal
import socket
import sqlite3
import threading
import time

import pytest
from conftest import Api, PostgreSQL, Site, free_port, wait_until


def test_taken_port_is_one_clear_line_and_nothing_is_changed(site: Site) -> None:
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        port = used.getsockname()[1]
        done = site.command("serve", "--setup", "--port", str(port))
    assert done.returncode == 2
    assert (
        done.stderr
        == f"swf-monitor: cannot listen on 127.0.0.1 port {port}: Address already in use\n"
    )
    assert not (site.folder / "monitor").exists()


def test_port_is_taken_before_anything_that_takes_time(site: Site) -> None:
    """During a restart, clients are refused only while Python starts."""
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        # with this environment, Django cannot even be set up
        done = site.command("serve", "--port", str(used.getsockname()[1]), SECRET_KEY="")
    assert "cannot listen" in done.stderr


def test_database_that_is_not_set_up_is_one_clear_line(site: Site) -> None:
    done = site.command("serve", "--port", str(free_port()))
    assert done.returncode == 2
    assert "the database is not set up" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (site.folder / "monitor").exists()


def test_it_serves_below_the_path_of_its_url(site: Site) -> None:
    _, api = site.serve("--setup", SWF_MONITOR_URL="https://monitor.example.org/swf-monitor")
    # a web server passes the path; programs on this host may leave it out
    for path in ("/swf-monitor/", "/"):
        assert api.get(path).status == 200
    assert '"/api/' not in api.get("/swf-monitor/").text
    for path in ("/swf-monitor/api/stf-files/", "/api/stf-files/"):
        assert api.get(path).json["count"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
def test_stop_signals(site: Site, number: signal.Signals) -> None:
    program, _ = site.serve("--setup")
    began = time.monotonic()
    assert program.stop(number) == 0
    # without waiting for anything, also on a busy machine
    assert time.monotonic() - began < 10
    assert [line["message"] for line in program.lines[-2:]] == ["stopping", "stopped"]
    # the journal of SQLite is empty
    assert {path.name for path in (site.folder / "monitor").iterdir()} == {
        "db.sqlite3",
        ".setup.lock",
    }


def test_request_in_work_is_answered_before_the_end(site: Site) -> None:
    program, api = site.serve("--setup")
    # another process holds the write lock of the database, so a POST waits
    lock = sqlite3.connect(
        site.folder / "monitor" / "db.sqlite3", isolation_level=None, check_same_thread=False
    )
    lock.execute("BEGIN IMMEDIATE")
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(api.post("/api/runs/", {}).status))
    waiting.start()
    time.sleep(0.5)
    program.process.send_signal(signal.SIGTERM)
    wait_until(lambda: '"stopping"' in program.output, "word of the stop")
    lock.execute("ROLLBACK")
    lock.close()
    waiting.join(10)
    assert answers == [201]
    assert program.process.wait(10) == 0


def test_request_that_never_ends_does_not_block_the_stop(site: Site) -> None:
    program, api = site.serve("--setup")
    with contextlib.closing(
        sqlite3.connect(site.folder / "monitor" / "db.sqlite3", isolation_level=None)
    ) as lock:
        lock.execute("BEGIN IMMEDIATE")

        def post() -> None:
            with contextlib.suppress(OSError):
                api.post("/api/runs/", {})

        waiting = threading.Thread(target=post)
        waiting.start()
        time.sleep(0.5)
        began = time.monotonic()
        assert program.stop() == 0
        assert time.monotonic() - began < 5
        assert program.lines[-1]["message"] == "stopped with requests unanswered"
        waiting.join(10)


def test_clients_that_stay_connected_do_not_block_the_stop(site: Site) -> None:
    program, api = site.serve("--setup")
    port = int(api.url.rpartition(":")[2])
    with contextlib.ExitStack() as stack:
        for number in range(8):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            if number % 2:
                client.sendall(b"GET /api/summary/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 200")
            else:
                client.sendall(b"GET /api/summary/ HTTP/1.1\r\nHo")
        time.sleep(1.5)
        began = time.monotonic()
        assert program.stop() == 0
        assert time.monotonic() - began < 5


def test_websocket_is_refused(site: Site) -> None:
    program, api = site.serve("--setup")
    port = int(api.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert client.recv(100).startswith(b"HTTP/1.1 403")
    assert '"ERROR"' not in program.output


def test_every_line_of_the_log_is_json(site: Site) -> None:
    program, api = site.serve("--setup", SWF_LOG_LEVEL="DEBUG")
    api.get("/")
    api.get("/nothing")
    program.stop()
    requests = [line for line in program.lines if line["logger"] == "swf_monitor.access"]
    assert any(line["message"] == "GET /" and line["status"] == 200 for line in requests)


def test_postgresql_that_goes_and_comes(postgresql: PostgreSQL, postgresql_site: Site) -> None:
    _, api = postgresql_site.serve("--setup")
    assert api.post("/api/runs/", {}).status == 201
    postgresql.stop()
    try:
        health = api.get("/api/health/")
        assert health.status == 503
        assert health.json["database"]["ok"] is False
        assert health.json["database"]["engine"] == "postgresql"
        assert "refused" in health.json["database"]["error"]
        refused = api.post("/api/runs/", {})
        assert refused.status == 503
        assert refused.headers["Retry-After"]
        page = api.get("/")
        assert page.status == 503
        assert "The database is unavailable" in page.text
        # a monitor that starts now serves, so its health report has the cause
        port = free_port()
        late = postgresql_site.start("serve", "--setup", "--port", str(port))
        late_api = Api(f"http://127.0.0.1:{port}")
        wait_until(lambda: late.has_output('"serving"'), "server without a database")
        assert late_api.get("/api/health/").status == 503
    finally:
        postgresql.start()
    assert api.post("/api/runs/", {}).status == 201
    assert api.get("/api/health/").json["database"]["ok"] is True
    wait_until(lambda: late.has_output("answers again"), "setup after the database came")
    assert late_api.post("/api/runs/", {}).status == 201
