# SPDX-License-Identifier: GPL-3.0-or-later
"""No secret in a log, an answer, an error page or an argument."""

from pathlib import Path

from conftest import PASSWORDS, SECRET_KEY, TOKEN, Site, free_port, wait_until

CANARIES = (TOKEN, SECRET_KEY, *PASSWORDS.values())


def assert_clean(text: str) -> None:
    for canary in CANARIES:
        assert canary not in text


def test_secrets_are_nowhere(site: Site) -> None:
    port = free_port()
    site.environment |= PASSWORDS | {
        "ACTIVEMQ_PORT": str(port),
        "ACTIVEMQ_USER": "swf",
        "SWF_BROKER_USER": "swf",
        "SWF_BROKER_PASSWORD": PASSWORDS["ACTIVEMQ_PASSWORD"],
        "SWF_LOG_LEVEL": "DEBUG",
    }
    done = site.command("setup")
    assert_clean(done.stdout + done.stderr)
    server, api = site.serve()
    site.start_broker(port)
    listener = site.start("listen")
    wait_until(lambda: api.get("/api/health/").status == 200, "health")
    answers = [
        api.get("/"),
        api.get("/api/runs/?limit=x"),
        api.get("/api/systemagents/"),
        api.get(f"/nothing/{TOKEN}/"),
        api.post("/api/stf-files/", {}),
        api.request("POST", "/api/systemagents/heartbeat/", raw=b"{"),
        api.request("GET", "/", Host="evil.example"),
    ]
    api.token = TOKEN[:-1] + "1"
    answers.append(api.get("/api/runs/"))
    for answer in answers:
        assert_clean(answer.text + str(answer.headers))
    for program in (server, listener):
        assert_clean(Path(f"/proc/{program.process.pid}/cmdline").read_text())
    (site.folder / "monitor" / "db.sqlite3").write_bytes(b"no database")
    for path in ("/", "/api/health/", "/api/summary/"):
        assert_clean(api.get(path).text)
    assert listener.stop() == 0
    assert server.stop() == 0
    assert_clean(server.output + listener.output)


def test_errors_show_no_secret(site: Site) -> None:
    for environment in (
        {"DB_HOST": "127.0.0.1", "DB_PORT": "1", **PASSWORDS},
        {"SWF_API_TOKEN": TOKEN + "0"},
    ):
        done = site.command("setup", **environment)
        assert done.returncode != 0
        assert_clean(done.stdout + done.stderr)


def test_error_page_shows_nothing_of_the_inside(site: Site) -> None:
    """Django's handling of an unexpected error."""
    shown = site.python(
        "import logging\n"
        "logging.disable()\n"
        "from django.test import Client\n"
        "from swf_monitor import summary\n"
        "def fail(): raise RuntimeError('inside')\n"
        "summary.collect = fail\n"
        "answer = Client(raise_request_exception=False).get('/api/summary/', headers={'host': "
        "'localhost'})\n"
        "print(answer.status_code, answer.content.decode())"
    )
    assert shown.startswith("500 ")
    assert "inside" not in shown.removeprefix("500 ")
    assert "in the monitor's log" in shown
