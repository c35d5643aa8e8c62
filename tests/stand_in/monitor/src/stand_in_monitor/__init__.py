# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor of the stand-in stack: a database, a token, a page, agents that are heard of, and
messages that are counted."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import docopt
import psycopg
import redis
import stomp

USAGE = """
usage: stand-in-monitor migrate
       stand-in-monitor token
       stand-in-monitor collect
       stand-in-monitor serve HOST PORT
       stand-in-monitor listen
"""
TEMPLATE = Path("templates/page.html")  # in the source tree, which is the working directory
TOPIC = "/topic/stand-in"


def settings() -> dict[str, str]:
    found = dict(os.environ)
    if found.get("STAND_IN_ENV_LOADED") != "true":
        env_file = Path.home() / ".env"
        if env_file.exists():
            found.update(
                line.split("=", 1) for line in env_file.read_text().splitlines() if "=" in line
            )
    return found


def execute(text: str, *values: object) -> list[tuple]:
    """In PostgreSQL, if the environment has an address, otherwise in SQLite."""
    found = settings()
    if "DB_HOST" not in found:
        with sqlite3.connect(found["STAND_IN_DATABASE"], timeout=10) as file:
            return file.execute(text, values).fetchall()
    with psycopg.connect(
        host=found["DB_HOST"],
        port=found["DB_PORT"],
        dbname=found["DB_NAME"],
        user=found["DB_USER"],
        password=found["DB_PASSWORD"],
        sslmode="verify-full",
        sslrootcert=found["STAND_IN_CA"],
    ) as server:
        cursor = server.execute(text.replace("?", "%s"), values)
        return cursor.fetchall() if cursor.description else []


def counter() -> redis.Redis | None:
    """Where the listener and the web server both find the number of messages."""
    url = settings().get("REDIS_URL")
    return redis.Redis.from_url(url) if url else None


def migrate() -> None:
    execute("CREATE TABLE IF NOT EXISTS tokens (key TEXT PRIMARY KEY)")
    execute(
        "CREATE TABLE IF NOT EXISTS agents (name TEXT, hostname TEXT, pid INTEGER, heard TEXT, "
        "PRIMARY KEY (name, hostname))"
    )


def token() -> None:
    execute("DELETE FROM tokens")
    execute("INSERT INTO tokens VALUES (?)", sys.stdin.read().strip())


def collect() -> None:
    target = Path(settings()["STAND_IN_STATIC"])
    target.mkdir(parents=True, exist_ok=True)
    (target / "page.html").write_text(TEMPLATE.read_text())


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        rows = execute("SELECT name, pid, hostname, heard FROM agents")
        keys = ("instance_name", "pid", "hostname", "last_heartbeat")
        if self.path == "/":
            page = Path(settings()["STAND_IN_STATIC"], "page.html").read_text()
            self.answer(200, page % len(rows), "text/html")
        elif self.path == "/api/":
            self.answer(200, json.dumps({"systemagents": "/api/systemagents/"}))
        elif self.path == "/api/systemagents/":
            self.answer(200, json.dumps([dict(zip(keys, row)) for row in rows]))
        elif self.path == "/api/messages/":
            server = counter()
            self.answer(200, json.dumps({"heard": int(server.get(TOPIC) or 0) if server else None}))
        else:
            self.answer(404, "{}")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers.get("Authorization", "").removeprefix("Token ")
        if not execute("SELECT 1 FROM tokens WHERE key = ?", key):
            self.answer(401, "{}")
            return
        heard = datetime.now(timezone.utc).isoformat()
        execute(
            "INSERT INTO agents VALUES (?, ?, ?, ?) ON CONFLICT (name, hostname) "
            "DO UPDATE SET pid = excluded.pid, heard = excluded.heard",
            *(body["instance_name"], body["hostname"], body["pid"], heard),
        )
        self.answer(200, "{}")

    def answer(self, status: int, text: str, content_type: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.end_headers()
        self.wfile.write(text.encode())


def serve(host: str, port: int) -> None:
    if not settings().get("SECRET_KEY"):
        sys.exit("SECRET_KEY is not set")
    execute("SELECT 1 FROM tokens")
    ThreadingHTTPServer((host, port), Handler).serve_forever()


class Ears(stomp.ConnectionListener):
    def on_message(self, _frame: object) -> None:
        server = counter()
        if server:
            server.incr(TOPIC)


def listen() -> None:
    """Counts the messages of the agents, or waits if there is no broker."""
    found = settings()
    while "ACTIVEMQ_HOST" not in found:
        time.sleep(60)
    address = [(found["ACTIVEMQ_HOST"], int(found["ACTIVEMQ_PORT"]))]
    connection = stomp.Connection(address, heartbeats=(10000, 10000))
    connection.set_ssl(address, ca_certs=found["STAND_IN_CA"])
    connection.set_listener("", Ears())
    connection.connect(found["ACTIVEMQ_USER"], found["ACTIVEMQ_PASSWORD"], wait=True)
    connection.subscribe(TOPIC, id="ears")
    while connection.is_connected():
        time.sleep(1)
    sys.exit("The connection to the broker is gone")


def main() -> None:
    arguments = docopt.docopt(USAGE)
    if arguments["serve"]:
        serve(arguments["HOST"], int(arguments["PORT"]))
    for name, function in (
        ("migrate", migrate),
        ("token", token),
        ("collect", collect),
        ("listen", listen),
    ):
        if arguments[name]:
            function()
