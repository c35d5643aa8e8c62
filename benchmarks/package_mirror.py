#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the mirror of the package index beside CERN's simple-repository-server.

Both stand before the same stand-in of a public index: a page with 300 files, and a file of 1 MB.
Eight clients ask for each, for some seconds. For each server it prints the seconds until its first
answer, its memory, answers per second, and how often the upstream was asked.

* ours: the index as the role runs it,
* theirs: the program simple-repository-server, which has no cache,
* theirs, cached: the caches of the library simple-repository in the application of that program.

Needs: requirements/test.txt and psutil in the environment that runs this script, and a folder of an
environment with simple-repository-server (Python 3.11 or later).

    python benchmarks/package_mirror.py --theirs DIR [--seconds 5]
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))
from helpers.upstream_stand_in import StandIn, stand_in  # noqa: E402

CLIENTS = 8
TOKEN = "token" * 6
NAME = "thing-1.0-py3-none-any.whl"
FILES = {"thing-%d.0-py3-none-any.whl" % number: b"x" for number in range(300)}
PAGE = "/simple/thing/"
CACHED = """
import contextlib, pathlib
import fastapi, httpx
from simple_repository.components.http_cached import CachedHttpRepository
from simple_repository.components.resource_cache import ResourceCacheRepository
from simple_repository_server.routers import simple

@contextlib.asynccontextmanager
async def life(app):
    folder = pathlib.Path(__file__).parent
    async with httpx.AsyncClient(follow_redirects=True) as client:
        pages = CachedHttpRepository(%r, folder / "pages", client)
        repository = ResourceCacheRepository(pages, folder / "files", client)
        app.include_router(
            simple.build_router(repository, http_client=client, stream_http_resources=True))
        yield

app = fastapi.FastAPI(openapi_url=None, lifespan=life)
"""


def commands(folder: Path, url: str, theirs: Path, port: int) -> Iterator[tuple[str, list[str]]]:
    """Each server with the command that starts it."""
    address = ["--host", "127.0.0.1", "--port", str(port)]
    digest = base64.b64encode(hashlib.sha256(TOKEN.encode() + b"salt").digest() + b"salt").decode()
    (folder / "packages").mkdir()
    (folder / "accounts").write_text("reader:{SSHA256}%s:read\n" % digest)
    (folder / "upstream.json").write_text(json.dumps({"url": url}))
    mirror = {
        "upstream": str(folder / "upstream.json"),
        "directory": str(folder / "mirror"),
        "page_seconds": 600,
        "max_bytes": 10**9,
    }
    settings = {
        "accounts": str(folder / "accounts"),
        "packages": str(folder / "packages"),
        "private": ["swf-*"],
        "mirror": mirror,
    }
    (folder / "index.json").write_text(json.dumps(settings))
    gunicorn = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:%d" % port]
    gunicorn += ["--worker-class", "index_worker.BoundedWorker", "--threads", "512"]
    gunicorn += ["--no-control-socket", "--pythonpath", str(ROOT / "roles/package_index/files")]
    yield "ours", [*gunicorn, "index_app:create('%s')" % (folder / "index.json")]
    program = [str(theirs / "bin/simple-repository-server"), "--stream-http-resources"]
    yield "theirs", [*program, *address, url]
    (folder / "cached.py").write_text(CACHED % url)
    for name in ("pages", "files"):
        (folder / name).mkdir()
    uvicorn = [str(theirs / "bin/uvicorn"), "--app-dir", str(folder), *address]
    yield "theirs, cached", [*uvicorn, "cached:app"]


def ask(connection: http.client.HTTPConnection, path: str) -> bytes:
    login = base64.b64encode(("reader:" + TOKEN).encode()).decode()
    accept = "application/vnd.pypi.simple.v1+json"
    headers = {"Accept": accept, "Authorization": "Basic " + login}
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise SystemExit("%s: HTTP %d" % (path, answer.status))
    return body


def rate(port: int, path: str, seconds: float) -> float:
    """Answers per second."""
    counts = [0] * CLIENTS
    end = time.monotonic() + seconds

    def one(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while time.monotonic() < end:
            ask(connection, path)
            counts[number] += 1

    threads = [threading.Thread(target=one, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def memory(pid: int) -> float:
    process = psutil.Process(pid)
    return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)]) / 1e6


def measure(name: str, process: subprocess.Popen, port: int, public: StandIn, secs: float) -> None:
    began = time.monotonic()
    while True:
        try:
            page = json.loads(ask(http.client.HTTPConnection("127.0.0.1", port), PAGE))
            break
        except OSError:
            if process.poll() is not None:
                raise SystemExit("%s ended" % name) from None
            time.sleep(0.02)
    start, size = time.monotonic() - began, memory(process.pid)
    url = next(item["url"] for item in page["files"] if item["filename"] == NAME)
    path = urlsplit(urljoin("http://x" + PAGE, url)).path
    pages, files = rate(port, PAGE, secs), rate(port, path, secs)
    asked = [sum(word in entry for entry in public.paths()) for word in (PAGE, NAME)]
    print(
        "| %s | %.2f | %.0f | %.0f | %d | %.0f | %d |"
        % (name, start, size, pages, asked[0], files, asked[1]),
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--theirs", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--port", type=int, default=18431)
    options = parser.parse_args()
    print("| server | start, s | memory, MB | pages/s | asked | files/s | asked |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with stand_in({**FILES, NAME: os.urandom(1_000_000)}) as public:
        with tempfile.TemporaryDirectory(prefix="mirror-") as name:
            folder = Path(name)
            for server, command in commands(folder, public.url, options.theirs, options.port):
                public.asked.clear()
                with open(folder / "log", "w") as log:
                    process = subprocess.Popen(command, stdout=log, stderr=log)
                try:
                    measure(server, process, options.port, public, options.seconds)
                finally:
                    process.terminate()
                    process.wait(30)


if __name__ == "__main__":
    main()
