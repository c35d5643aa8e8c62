# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor of the stand-in stack: a database, a token, a page, and agents that are heard of."""

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

USAGE = """
usage: stand-in-monitor migrate
       stand-in-monitor token
       stand-in-monitor collect
       stand-in-monitor serve HOST PORT
       stand-in-monitor listen
"""
TEMPLATE = Path("templates/page.html")  # in the source tree, which is the working directory


def settings() -> dict[str, str]:
    found = dict(os.environ)
    if found.get("STAND_IN_ENV_LOADED") != "true":
        env_file = Path.home() / ".env"
        if env_file.exists():
            found.update(
                line.split("=", 1) for line in env_file.read_text().splitlines() if "=" in line
            )
    return found


def database() -> sqlite3.Connection:
    return sqlite3.connect(settings()["STAND_IN_DATABASE"], timeout=10)


def migrate() -> None:
    with database() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS tokens (key TEXT PRIMARY KEY)")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS agents (name TEXT PRIMARY KEY, pid INTEGER, hostname TEXT, heard TEXT)"
        )


def token() -> None:
    with database() as connection:
        connection.execute("DELETE FROM tokens")
        connection.execute("INSERT INTO tokens VALUES (?)", (sys.stdin.read().strip(),))


def collect() -> None:
    target = Path(settings()["STAND_IN_STATIC"])
    target.mkdir(parents=True, exist_ok=True)
    (target / "page.html").write_text(TEMPLATE.read_text())


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        with database() as connection:
            rows = connection.execute("SELECT name, pid, hostname, heard FROM agents").fetchall()
        keys = ("instance_name", "pid", "hostname", "last_heartbeat")
        if self.path == "/":
            page = Path(settings()["STAND_IN_STATIC"], "page.html").read_text()
            self.answer(200, page % len(rows), "text/html")
        elif self.path == "/api/":
            self.answer(200, json.dumps({"systemagents": "/api/systemagents/"}))
        elif self.path == "/api/systemagents/":
            self.answer(200, json.dumps([dict(zip(keys, row)) for row in rows]))
        else:
            self.answer(404, "{}")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers.get("Authorization", "").removeprefix("Token ")
        with database() as connection:
            if not connection.execute("SELECT 1 FROM tokens WHERE key = ?", (key,)).fetchone():
                self.answer(401, "{}")
                return
            heard = datetime.now(timezone.utc).isoformat()
            row = (body["instance_name"], body["pid"], body["hostname"], heard)
            connection.execute("INSERT OR REPLACE INTO agents VALUES (?, ?, ?, ?)", row)
        self.answer(200, "{}")

    def answer(self, status: int, text: str, content_type: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.end_headers()
        self.wfile.write(text.encode())


def serve(host: str, port: int) -> None:
    if not settings().get("SECRET_KEY"):
        sys.exit("SECRET_KEY is not set")
    with database() as connection:
        connection.execute("SELECT 1 FROM tokens")
    ThreadingHTTPServer((host, port), Handler).serve_forever()


def listen() -> None:
    """Runs; what a listener of a broker does is not what is tested with it."""
    while True:
        time.sleep(60)


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
