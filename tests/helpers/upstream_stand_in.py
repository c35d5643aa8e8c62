# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for a public index: pages as JSON or HTML, files, and whatever can go wrong. It
remembers what it was asked."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import os
import threading

METADATA = b"Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n"
PROVENANCE = b'{"version": 1, "attestation_bundles": []}'


class StandIn:
    """
    :ivar files: {file name: bytes}, one project per name before the first dash.
    :ivar asked: list of (path, headers).
    :ivar status: answer everything with this status, if set.
    :ivar hold: an event that the second half of a file waits for.
    """

    def __init__(self, files, html=False, login=None):
        self.files, self.html, self.login = files, html, login
        self.asked, self.status, self.hold, self.lie, self.cut = [], None, None, False, False
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append((self.path, dict(self.headers)))
                outer.answer(self)

            def do_HEAD(self):
                content = outer.files[self.path.split("/")[2]]
                outer.send(self, 200, b"", "application/octet-stream", '"%d"' % len(content))

            def log_message(self, *_arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d/simple/" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def paths(self):
        return [path for path, _headers in self.asked]

    def answer(self, request):
        folder, name = request.path.split("/")[1:3]
        if self.status:
            self.send(request, self.status, b"", "text/plain")
        elif (
            self.login
            and request.headers.get("Authorization")
            != "Basic " + base64.b64encode(self.login.encode()).decode()
        ):
            self.send(request, 401, b"", "text/plain")
        elif folder == "simple":
            self.page(request, name)
        else:
            self.file(request, name)

    def page(self, request, name):
        found = {
            file: content for file, content in self.files.items() if file.split("-")[0] == name
        }
        if not found:
            self.send(request, 404, b"", "text/plain")
            return
        entries = []
        for file, content in found.items():
            digest = hashlib.sha256(b"else" if self.lie else content).hexdigest()
            entries.append(
                {
                    "filename": file,
                    "url": "/files/" + file,
                    "hashes": {"sha256": digest},
                    "size": len(content),
                    "requires-python": ">=3.9",
                    "yanked": "broken & bad" if "0.9" in file else False,
                    "upload-time": "2026-01-02T03:04:05Z",
                    "provenance": "http://127.0.0.1:%d/files/%s.provenance"
                    % (self.server.server_port, file),
                    "core-metadata": {"sha256": hashlib.sha256(METADATA).hexdigest()},
                }
            )
        etag = '"%d"' % len(entries)
        if request.headers.get("If-None-Match") == etag:
            request.send_response(304)
            request.end_headers()
        elif self.html:
            lines = [
                '<a href="%s#sha256=%s" data-requires-python="&gt;=3.9"%s '
                'data-core-metadata="sha256=%s">%s</a>'
                % (
                    item["url"],
                    item["hashes"]["sha256"],
                    ' data-yanked="broken &amp; bad"' if item["yanked"] else "",
                    item["core-metadata"]["sha256"],
                    item["filename"],
                )
                for item in entries
            ]
            self.send(request, 200, "\n".join(lines).encode(), "text/html", etag)
        else:
            body = json.dumps(
                {
                    "meta": {"api-version": "1.1"},
                    "name": name,
                    "files": entries,
                    "versions": ["1.0"],
                }
            )
            self.send(request, 200, body.encode(), "application/vnd.pypi.simple.v1+json", etag)

    def file(self, request, name):
        separate = {".metadata": METADATA, ".provenance": PROVENANCE}
        content = separate.get(os.path.splitext(name)[1]) or self.files[name]
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        half = len(content) // 2
        request.wfile.write(content[:half])
        request.wfile.flush()
        if self.hold:
            self.hold.wait(30)
        if not self.cut:
            request.wfile.write(content[half:])

    @staticmethod
    def send(request, status, body, content_type, etag=None):
        request.send_response(status)
        request.send_header("Content-Type", content_type)
        request.send_header("Content-Length", str(len(body)))
        if etag:
            request.send_header("ETag", etag)
        request.end_headers()
        request.wfile.write(body)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@contextlib.contextmanager
def stand_in(files, **options):
    server = StandIn(files, **options)
    try:
        yield server
    finally:
        server.stop()
