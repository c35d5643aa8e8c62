# SPDX-License-Identifier: GPL-3.0-or-later
"""The index as the role runs it: gunicorn with TLS and a certificate of the lab CA, asked by pip, uv and curl's like."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from index_server import make_wheel
from ports import free_port
from upstream_stand_in import stand_in

from ansible_collections.bnlnpps.swf_testbed.plugins.filter.htpasswd_file import htpasswd_file
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._lab_ca import LabCa

ROOT = Path(__file__).resolve().parents[3]
READER, PUBLISHER = "canaryreader" * 3, "canarypublisher" * 3
USERS = [{"name": "reader", "token": READER, "rights": ["read"]},
         {"name": "publisher", "token": PUBLISHER, "rights": ["read", "upload"]}]


class Running:
    """The index with a mirror of a stand-in, which also offers a package of a private name."""

    def __init__(self, folder, public):
        self.folder, self.public = folder, public
        self.packages = folder / "packages"
        self.packages.mkdir()
        make_wheel(self.packages, "swf-thing", "1.0", requires=["thing"])
        authority = LabCa(str(folder / "lab"))
        self.ca = folder / "lab/ca/ca.pem"
        for kind, text in authority.issued("index", ["127.0.0.1"], 397, 90).items():
            (folder / kind).write_text(text)
        self.write_users(USERS)
        (folder / "upstream.json").write_text(json.dumps({"url": public.url}))
        (folder / "index.json").write_text(json.dumps({
            "accounts": str(folder / "htpasswd"), "packages": str(self.packages), "private": ["swf-*"],
            "mirror": {"upstream": str(folder / "upstream.json"), "directory": str(folder / "mirror"), "page_seconds": 600,
                       "max_bytes": 10**9}}))
        self.port = free_port()
        self.url = "https://127.0.0.1:%d" % self.port
        self.log = open(folder / "log", "w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:%d" % self.port, "--worker-class", "gthread", "--threads",
             "16", "--graceful-timeout", "5", "--no-control-socket", "--access-logfile", "-", "--certfile",
             str(folder / "certificate"), "--keyfile", str(folder / "key"), "--pythonpath",
             str(ROOT / "roles/package_index/files"), "index_app:create('%s')" % (folder / "index.json")],
            stdout=self.log, stderr=subprocess.STDOUT, env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1"))
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                assert self.ask("/simple/")[0] == 401
                return
            except OSError:
                assert self.process.poll() is None, "the index ended at its start: %s" % (folder / "log").read_text()
                time.sleep(0.1)
        raise AssertionError("the index does not answer: %s" % (folder / "log").read_text())

    def write_users(self, users):
        # replaced, as the role does it
        (self.folder / "htpasswd.new").write_text(htpasswd_file(users))
        os.replace(self.folder / "htpasswd.new", self.folder / "htpasswd")

    def ask(self, path, user=None, token=None, method="GET", accept="*/*", body=None, kind=None):
        """(status, content type, text)"""
        headers = {"Accept": accept}
        if user:
            headers["Authorization"] = "Basic " + base64.b64encode(("%s:%s" % (user, token)).encode()).decode()
        if kind:
            headers["Content-Type"] = kind
        request = urllib.request.Request(self.url + path, data=body, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30, context=ssl.create_default_context(cafile=str(self.ca))) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read().decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            return error.code, error.headers["Content-Type"], error.read().decode("utf-8", "replace")

    def upload(self, name, user, token, content=b"x"):
        edge = "edge"
        body = ("--%s\r\nContent-Disposition: form-data; name=\":action\"\r\n\r\nfile_upload\r\n--%s\r\nContent-Disposition: "
                "form-data; name=\"content\"; filename=\"%s\"\r\n\r\n" % (edge, edge, name)).encode()
        body += content + ("\r\n--%s--\r\n" % edge).encode()
        status, _kind, text = self.ask("/", user, token, "POST", body=body, kind="multipart/form-data; boundary=" + edge)
        return status, text

    def client(self, **more):
        """The environment of a host that has no other way than to this index."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_", "SSL_"))}
        netrc = self.folder / "netrc"
        netrc.write_text("machine 127.0.0.1 login reader password %s\n" % READER)
        netrc.chmod(0o600)
        nowhere = "http://127.0.0.1:9"
        return dict(kept, HOME=str(self.folder), NETRC=str(netrc), HTTPS_PROXY=nowhere, HTTP_PROXY=nowhere, NO_PROXY="127.0.0.1",
                    PIP_CONFIG_FILE="/dev/null", PIP_INDEX_URL=self.url + "/simple/", PIP_CERT=str(self.ca), PIP_NO_INPUT="1",
                    PIP_NO_CACHE_DIR="1", UV_NO_CONFIG="1", UV_DEFAULT_INDEX=self.url + "/simple/", SSL_CERT_FILE=str(self.ca),
                    UV_NO_CACHE="1", UV_SYSTEM_CERTS="1", **more)

    def stop(self):
        self.process.terminate()
        self.process.wait(15)
        self.log.close()


@pytest.fixture(name="index", scope="module")
def running_index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("index")
    public = folder / "public"
    public.mkdir()
    wheels = [make_wheel(public, "thing", "1.0"), make_wheel(public, "swf-thing", "99.0")]
    files = {path.name.replace("swf_thing", "swf-thing"): path.read_bytes() for path in wheels}
    with stand_in(files) as server:
        running = Running(folder, server)
        yield running
        running.stop()


@pytest.mark.parametrize("command", [
    [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"],
    [str(Path(sys.executable).parent / "uv"), "pip", "install", "--quiet", "--python", sys.executable],
], ids=["pip", "uv"])
def test_a_private_package_and_what_it_needs_come_from_one_index(index, tmp_path, command):
    done = subprocess.run([*command, "--target", str(tmp_path / "out"), "swf-thing"], env=index.client(), capture_output=True,
                          text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {path.name for path in (tmp_path / "out").glob("*.dist-info")}
    assert found == {"swf_thing-1.0.dist-info", "thing-1.0.dist-info"}
    # the stand-in has swf-thing 99.0, and was never asked
    assert not [path for path in index.public.paths() if "swf" in path]


def test_an_absent_private_name_is_asked_for_nowhere_else(index):
    assert index.ask("/simple/swf-absent/", "reader", READER)[0] == 404
    assert index.ask("/mirror/swf-thing/swf-thing-99.0-py3-none-any.whl", "reader", READER)[0] == 404
    assert not [path for path in index.public.paths() if "swf" in path]
    assert index.ask("/simple/absent/", "reader", READER)[0] == 404
    assert "/simple/absent/" in index.public.paths()


@pytest.mark.parametrize("name", ["swf-thing", "thing"])
def test_pages_come_as_json_and_as_html(index, name):
    status, kind, text = index.ask("/simple/%s/" % name, "reader", READER, accept="application/vnd.pypi.simple.v1+json")
    page = json.loads(text)
    assert status == 200 and kind == "application/vnd.pypi.simple.v1+json" and page["name"] == name
    file = page["files"][0]
    assert file["hashes"]["sha256"] and "//" not in file["url"]
    status, kind, text = index.ask("/simple/%s/" % name, "reader", READER)
    assert status == 200 and kind.startswith("text/html") and "#sha256=" + file["hashes"]["sha256"] in text


def test_names_are_normalised_and_strange_ones_refused(index):
    assert json.loads(index.ask("/simple/SWF_Thing/", "reader", READER, accept="application/vnd.pypi.simple.v1+json")[2])
    before = len(index.public.asked)
    for path in ("/simple/..%2fx/", "/simple/a%20b/", "/simple/%c3%a9/", "/mirror/..%2f..%2fetc/passwd", "/mirror/thing/..%2fx"):
        assert index.ask(path, "reader", READER)[0] == 404, path
    assert len(index.public.asked) == before


@pytest.mark.parametrize("path", [
    "/", "/simple/", "/simple/thing/", "/simple/swf-thing/", "/packages/x", "/mirror/thing/x", "/x/json"])
def test_nothing_is_shown_without_a_login(index, path):
    status, _kind, text = index.ask(path)
    assert status == 401 and "needs a user name" in text
    status, _kind, text = index.ask(path, "reader", PUBLISHER)
    assert status == 403 and "is wrong" in text
    assert index.ask(path, "nobody", READER)[0] == 403


def test_who_may_read_may_not_upload(index):
    name = "swf_new-1.0-py3-none-any.whl"
    status, text = index.upload(name, "reader", READER, b"x" * 40_000_000)
    assert status == 403 and "reader may read and not upload" in text
    assert not (index.packages / name).exists()
    assert index.upload(name, "publisher", PUBLISHER, b"first")[0] == 200
    status, text = index.upload(name, "publisher", PUBLISHER, b"second")
    assert status >= 400 and "already exists" in text
    assert (index.packages / name).read_bytes() == b"first"


def test_a_public_name_is_not_taken(index):
    status, text = index.upload("requests-99.0.tar.gz", "publisher", PUBLISHER)
    assert status == 400 and "requests is not one of the names" in text
    assert sorted(path.name for path in index.packages.iterdir() if "requests" in path.name or path.name.startswith(".")) == []


def test_users_change_without_a_new_start(index):
    token = hashlib.sha256(b"new").hexdigest()
    assert index.ask("/simple/", "third", token)[0] == 403
    index.write_users([*USERS, {"name": "third", "token": token, "rights": ["read"]}])
    assert index.ask("/simple/", "third", token)[0] == 200
    index.write_users(USERS)
    assert index.ask("/simple/", "third", token)[0] == 403


def test_clients_that_say_nothing_do_not_hold_up_the_others(index):
    silent = [socket.create_connection(("127.0.0.1", index.port)) for _number in range(5)]
    try:
        assert index.ask("/simple/", "reader", READER)[0] == 200
    finally:
        for connection in silent:
            connection.close()


def test_no_token_is_in_the_log(index):
    index.ask("/simple/thing/", "publisher", PUBLISHER)
    text = (index.folder / "log").read_text()
    assert "GET /simple/thing/" in text and READER not in text and PUBLISHER not in text
    for login in ("reader:" + READER, "publisher:" + PUBLISHER):
        assert base64.b64encode(login.encode()).decode() not in text
