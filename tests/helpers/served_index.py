# SPDX-License-Identifier: GPL-3.0-or-later
"""The index as the role runs it: gunicorn, with or without TLS and a certificate of the lab CA, and
a mirror of a stand-in."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from ansible_collections.bnlnpps.swf_testbed.plugins.filter.htpasswd_file import htpasswd_file
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._lab_ca import LabCa
from helpers.index_server import make_wheel
from helpers.ports import free_port
from helpers.upstream_stand_in import stand_in

ROOT = Path(__file__).resolve().parents[2]
READER, PUBLISHER = "canaryreader" * 3, "canarypublisher" * 3
USERS = [
    {"name": "reader", "token": READER, "rights": ["read"]},
    {"name": "publisher", "token": PUBLISHER, "rights": ["read", "upload"]},
]


def form_of(name, content, **fields):
    """The body of an upload, as twine sends it."""
    fields = {":action": "file_upload", **fields}
    return b"".join(
        [
            *(
                b'--edge\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
                % (key.encode(), value.encode())
                for key, value in fields.items()
            ),
            b'--edge\r\nContent-Disposition: form-data; name="content"; filename="%s"\r\n\r\n'
            % name.encode(),
            content,
            b"\r\n--edge--\r\n",
        ]
    )


class Running:
    """The index with a mirror of a stand-in, which also offers a package of a private name."""

    def __init__(self, folder, public, tls=True):
        self.folder, self.public = folder, public
        self.packages = folder / "packages"
        self.packages.mkdir()
        make_wheel(self.packages, "swf-thing", "1.0", requires=["thing"])
        authority = LabCa(str(folder / "lab"))
        self.ca = folder / "lab/ca/ca.pem"
        for part, text in authority.issued("index", ["127.0.0.1"], 397, 90).items():
            (folder / part).write_text(text)
        self.write_users(USERS)
        (folder / "upstream.json").write_text(json.dumps({"url": public.url}))
        (folder / "index.json").write_text(
            json.dumps(
                {
                    "accounts": str(folder / "htpasswd"),
                    "packages": str(self.packages),
                    "private": ["swf-*"],
                    "mirror": {
                        "upstream": str(folder / "upstream.json"),
                        "directory": str(folder / "mirror"),
                        "page_seconds": 600,
                        "max_bytes": 10**9,
                    },
                }
            )
        )
        self.port = free_port()
        self.url = "http%s://127.0.0.1:%d" % ("s" if tls else "", self.port)
        self.log = open(folder / "log", "w+")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "gunicorn",
                "--bind",
                "127.0.0.1:%d" % self.port,
                "--worker-class",
                "index_worker.BoundedWorker",
                "--threads",
                "512",
                "--graceful-timeout",
                "5",
                "--no-control-socket",
                "--access-logfile",
                "-",
                *(
                    ["--certfile", str(folder / "certificate"), "--keyfile", str(folder / "key")]
                    if tls
                    else []
                ),
                "--pythonpath",
                str(ROOT / "roles/package_index/files"),
                "index_app:create('%s')" % (folder / "index.json"),
            ],
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1"),
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                assert self.ask("/simple/")[0] == 401
                return
            except OSError:
                assert self.process.poll() is None, (
                    "the index ended at its start: %s" % (folder / "log").read_text()
                )
                time.sleep(0.1)
        raise AssertionError("the index does not answer: %s" % (folder / "log").read_text())

    def write_users(self, users):
        # replaced, as the role does it
        (self.folder / "htpasswd.new").write_text(htpasswd_file(users, salt_of="index"))
        os.replace(self.folder / "htpasswd.new", self.folder / "htpasswd")

    def ask(
        self, path, user=None, token=None, method="GET", accept="*/*", body=None, content_type=None
    ):
        """(status, content type, text)"""
        status, headers, text = self.answer(
            path, user, token, method, body, {"Accept": accept, "Content-Type": content_type}
        )
        return status, headers["Content-Type"], text.decode("utf-8", "replace")

    def answer(self, path, user=None, token=None, method="GET", body=None, headers=()):
        """(status, headers, bytes)"""
        headers = {key: value for key, value in dict(headers).items() if value}
        if user:
            headers["Authorization"] = (
                "Basic " + base64.b64encode(("%s:%s" % (user, token)).encode()).decode()
            )
        request = urllib.request.Request(self.url + path, data=body, headers=headers, method=method)
        try:
            with urllib.request.urlopen(
                request, timeout=30, context=ssl.create_default_context(cafile=str(self.ca))
            ) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def upload(self, name, user, token, content=b"x", **fields):
        status, _content_type, text = self.ask(
            "/",
            user,
            token,
            "POST",
            body=form_of(name, content, **fields),
            content_type="multipart/form-data; boundary=edge",
        )
        return status, text

    def client(self, **more):
        """The environment of a host that has no other way than to this index."""
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PIP_", "UV_", "SSL_"))
        }
        netrc = self.folder / "netrc"
        netrc.write_text("machine 127.0.0.1 login reader password %s\n" % READER)
        netrc.chmod(0o600)
        nowhere = "http://127.0.0.1:9"
        return dict(
            inherited,
            HOME=str(self.folder),
            NETRC=str(netrc),
            HTTPS_PROXY=nowhere,
            HTTP_PROXY=nowhere,
            NO_PROXY="127.0.0.1",
            PIP_CONFIG_FILE="/dev/null",
            PIP_INDEX_URL=self.url + "/simple/",
            PIP_CERT=str(self.ca),
            PIP_NO_INPUT="1",
            PIP_NO_CACHE_DIR="1",
            UV_NO_CONFIG="1",
            UV_DEFAULT_INDEX=self.url + "/simple/",
            SSL_CERT_FILE=str(self.ca),
            UV_NO_CACHE="1",
            UV_SYSTEM_CERTS="1",
            **more,
        )

    def stop(self):
        self.process.terminate()
        self.process.wait(15)
        self.log.close()


@contextlib.contextmanager
def running_index(folder, tls=True):
    public = folder / "public"
    public.mkdir()
    wheels = [make_wheel(public, "thing", "1.0"), make_wheel(public, "swf-thing", "99.0")]
    files = {path.name.replace("swf_thing", "swf-thing"): path.read_bytes() for path in wheels}
    with stand_in(files) as server:
        running = Running(folder, server, tls)
        try:
            yield running
        finally:
            running.stop()
