#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the monitor while many browsers watch its page, at a former commit and at this one.

Both get copies of the same SQLite database, which is filled as by benchmarks/dashboard.py. Each watcher
asks for the content of the page every 5 seconds, as the script of the page does. An agent registers files
meanwhile, to show whether ingest is slower than without watchers. For each commit it prints the median,
the 95th percentile and the maximum of the response times, and the requests per second. The exit status is
1 if the 95th percentile of this commit is 0.5 s or more.

Needs swf-monitor with its dependencies in the environment that runs this script. The sources of both
commits come from this repository.

    python benchmarks/watchers.py [--former COMMIT] [--files 270000] [--watchers 200] [--seconds 60]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from dashboard import FILL

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("packages/swf-monitor/src", "packages/swf-common-lib/src")
PERIOD = 5.0
INGEST_PERIOD = 0.2
GOAL = 0.5
TOKEN = "0" * 40


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--former", default="HEAD~1", help="the commit to compare with")
    parser.add_argument("--files", type=int, default=270_000)
    parser.add_argument("--watchers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="swf-watchers-") as name:
        former = _sources(options.former, Path(name, "former"))
        filled = Path(name, "filled")
        _django(former, filled, "from swf_monitor.provision import set_up; set_up(%r)" % TOKEN)
        _django(former, filled, FILL % options.files)
        size = sum(path.stat().st_size for path in filled.iterdir()) / 1e6
        print(f"{options.files} files, {options.files * 5} messages, database {size:.0f} MB")
        print(f"{options.watchers} watchers for {options.seconds:.0f} s")
        p95 = 0.0
        for title, sources in ((f"former ({options.former})", former), ("this one", ROOT)):
            data = Path(name, "data")
            shutil.copytree(filled, data)
            with _monitor(sources, data) as port:
                p95 = _report(title, port, options.watchers, options.seconds)
            shutil.rmtree(data)
    print(f"goal: 95 % below {GOAL} s: {'reached' if p95 < GOAL else 'MISSED'}")
    return 0 if p95 < GOAL else 1


def _sources(commit: str, folder: Path) -> Path:
    """The packages of a commit."""
    folder.mkdir()
    archive = subprocess.run(
        ["git", "archive", commit, *SOURCES], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)
    return folder


def _environment(sources: Path, data: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(sources / path) for path in SOURCES),
        "DJANGO_SETTINGS_MODULE": "swf_monitor.settings",
        "SECRET_KEY": "benchmark",
        "SWF_API_TOKEN": TOKEN,
        "SWF_MONITOR_DATA_DIR": str(data),
    }


def _django(sources: Path, data: Path, code: str) -> None:
    code = f"import django\ndjango.setup()\n{code}"
    subprocess.run([sys.executable, "-c", code], env=_environment(sources, data), check=True)


@contextlib.contextmanager
def _monitor(sources: Path, data: Path) -> Iterator[int]:
    """A running monitor; gives its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "swf_monitor.cli", "serve", "--setup", "--port", str(port)]
    process = subprocess.Popen(
        command, env=_environment(sources, data), stdout=subprocess.DEVNULL, cwd=data
    )
    try:
        asyncio.run(_answer(port, time.monotonic() + 120))
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


async def _answer(port: int, limit: float) -> None:
    """Wait for the monitor. It accepts connections before it answers."""
    while True:
        try:
            await _Client(port).ask("GET", "/api/summary/")
            return
        except OSError:
            if time.monotonic() > limit:
                raise
            await asyncio.sleep(0.2)


def _report(title: str, port: int, watchers: int, seconds: float) -> float:
    alone, _ = asyncio.run(_watch(port, 0, min(seconds, 20)))
    ingest, pages = asyncio.run(_watch(port, watchers, seconds))
    pages.sort()
    p95 = pages[int(len(pages) * 0.95)]
    print(
        f"{title}: median {statistics.median(pages):.3f} s, 95 % {p95:.3f} s, longest {pages[-1]:.3f} s, "
        f"{len(pages) / seconds:.0f} requests/s; registration of a file: median {statistics.median(ingest):.3f} s, "
        f"without watchers {statistics.median(alone):.3f} s",
        flush=True,
    )
    return p95


async def _watch(port: int, watchers: int, seconds: float) -> tuple[list[float], list[float]]:
    """The response times of the agent, and those of the watchers."""
    end = time.monotonic() + seconds
    ingest: list[float] = []
    pages: list[float] = []

    async def watch(number: int) -> None:
        client = _Client(port)
        # the browsers were opened at different times
        await asyncio.sleep(PERIOD * number / watchers)
        while time.monotonic() < end:
            pages.append(await client.ask("GET", "/?part=content"))
            await asyncio.sleep(max(0, PERIOD - pages[-1]))

    async def register() -> None:
        client = _Client(port)
        number = 0
        while time.monotonic() < end:
            number += 1
            file = {
                "filename": f"bench.{watchers}.{number}.stf",
                "run_id": 1,
                "path": "/data/x",
                "size_bytes": 1,
                "checksum": "sha256:" + "0" * 64,
                "sequence": number,
            }
            ingest.append(await client.ask("POST", "/api/stf-files/", json.dumps(file)))
            await asyncio.sleep(INGEST_PERIOD)

    await asyncio.gather(register(), *(watch(number) for number in range(watchers)))
    return ingest, pages


class _Client:
    """A client with one persistent connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: str = "") -> float:
        """The time until the whole response is there.

        :raises RuntimeError: the status is not 2xx
        """
        began = time.monotonic()
        if not self._streams:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Token {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        if head.split()[1][0] != "2":
            raise RuntimeError(head)
        if "content-length:" in head:
            await reader.readexactly(int(head.split("content-length:")[1].split()[0]))
        else:
            while size := int(await reader.readline(), 16):
                await reader.readexactly(size + 2)
            await reader.readline()
        return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
