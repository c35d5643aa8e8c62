# SPDX-License-Identifier: GPL-3.0-or-later
"""The index as the role runs it: gunicorn with TLS and a certificate of the lab CA, asked by pip,
uv and curl's like."""

from __future__ import annotations

import base64
import concurrent.futures
import hashlib
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.package_sources import make_source
from helpers.run_module import run_module
from helpers.served_index import PUBLISHER, READER, USERS, running_index


@pytest.fixture(name="index", scope="module")
def index_with_tls(tmp_path_factory):
    with running_index(tmp_path_factory.mktemp("index")) as running:
        yield running


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"],
        [
            str(Path(sys.executable).parent / "uv"),
            "pip",
            "install",
            "--quiet",
            "--python",
            sys.executable,
        ],
    ],
    ids=["pip", "uv"],
)
def test_a_private_package_and_what_it_needs_come_from_one_index(index, tmp_path, command):
    done = subprocess.run(
        [*command, "--target", str(tmp_path / "out"), "swf-thing"],
        env=index.client(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = {path.name for path in (tmp_path / "out").glob("*.dist-info")}
    assert found == {"swf_thing-1.0.dist-info", "thing-1.0.dist-info"}
    # the stand-in has swf-thing 99.0, and was never asked
    assert not [path for path in index.public.paths() if "swf" in path]


def test_an_absent_private_name_is_asked_for_nowhere_else(index):
    assert index.ask("/simple/swf-absent/", "reader", READER)[0] == 404
    assert (
        index.ask("/mirror/swf-thing/swf-thing-99.0-py3-none-any.whl", "reader", READER)[0] == 404
    )
    assert not [path for path in index.public.paths() if "swf" in path]
    assert index.ask("/simple/absent/", "reader", READER)[0] == 404
    assert "/simple/absent/" in index.public.paths()


@pytest.mark.parametrize("name", ["swf-thing", "thing"])
def test_pages_come_as_json_and_as_html(index, name):
    status, content_type, text = index.ask(
        "/simple/%s/" % name, "reader", READER, accept="application/vnd.pypi.simple.v1+json"
    )
    page = json.loads(text)
    assert (
        status == 200
        and content_type == "application/vnd.pypi.simple.v1+json"
        and page["name"] == name
    )
    file = page["files"][0]
    assert file["hashes"]["sha256"] and "//" not in file["url"]
    status, content_type, text = index.ask("/simple/%s/" % name, "reader", READER)
    assert (
        status == 200
        and content_type.startswith("text/html")
        and "#sha256=" + file["hashes"]["sha256"] in text
    )


def test_names_are_normalised_and_strange_ones_refused(index):
    assert json.loads(
        index.ask(
            "/simple/SWF_Thing/", "reader", READER, accept="application/vnd.pypi.simple.v1+json"
        )[2]
    )
    before = len(index.public.asked)
    for path in (
        "/simple/..%2fx/",
        "/simple/a%20b/",
        "/simple/%c3%a9/",
        "/mirror/..%2f..%2fetc/passwd",
        "/mirror/thing/..%2fx",
    ):
        assert index.ask(path, "reader", READER)[0] == 404, path
    assert len(index.public.asked) == before


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/simple/",
        "/simple/thing/",
        "/simple/swf-thing/",
        "/packages/x",
        "/mirror/thing/x",
        "/x/json",
    ],
)
def test_nothing_is_shown_without_a_login(index, path):
    status, _content_type, text = index.ask(path)
    assert status == 401 and "requires a user name" in text
    status, _content_type, text = index.ask(path, "reader", PUBLISHER)
    assert status == 401 and "is wrong" in text
    assert index.ask(path, "nobody", READER)[0] == 401


def test_who_may_read_may_not_upload(index):
    name = "swf_new-1.0-py3-none-any.whl"
    status, text = index.upload(name, "reader", READER, b"x" * 40_000_000)
    assert status == 403 and "reader may read and not upload" in text
    assert not (index.packages / name).exists()
    assert index.upload(name, "publisher", PUBLISHER, b"first")[0] == 200


@pytest.mark.parametrize("place", [".", "by-hand"])
def test_the_same_file_is_taken_twice_and_other_content_is_not(index, place):
    name = "swf_again%s-1.0-py3-none-any.whl" % len(place)
    (index.packages / place).mkdir(exist_ok=True)
    (index.packages / place / name).write_bytes(b"first")
    assert index.upload(name, "publisher", PUBLISHER, b"first")[0] == 200
    status, text = index.upload(name, "publisher", PUBLISHER, b"other")
    assert (
        status == 409
        and "already exists with other content" in text
        and "raise the version" in text
    )
    assert [path.read_bytes() for path in index.packages.rglob(name)] == [b"first"]


def test_uploads_of_one_file_at_the_same_time_end_in_one_file(index):
    def upload(number):
        return index.upload(
            "swf_race-1.0.tar.gz", "publisher", PUBLISHER, b"same" if number % 2 else b"other"
        )[0]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(upload, range(16)))
    # whichever was first
    assert sorted(set(found)) == [200, 409] and found.count(200) == 8
    assert not [path for path in index.packages.iterdir() if path.name.startswith(".")]


def test_a_public_name_is_not_taken(index):
    status, text = index.upload("requests-99.0.tar.gz", "publisher", PUBLISHER)
    assert status == 400 and "requests is not one of the names" in text
    assert (
        sorted(
            path.name
            for path in index.packages.iterdir()
            if "requests" in path.name or path.name.startswith(".")
        )
        == []
    )


def test_users_change_without_a_new_start(index):
    token = hashlib.sha256(b"new").hexdigest()
    assert index.ask("/simple/", "third", token)[0] == 401
    index.write_users([*USERS, {"name": "third", "token": token, "rights": ["read"]}])
    assert index.ask("/simple/", "third", token)[0] == 200
    index.write_users(USERS)
    assert index.ask("/simple/", "third", token)[0] == 401


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


def test_two_runs_publish_to_it_at_once(index, tmp_path):
    sources = [str(make_source(tmp_path / name, name=name)) for name in ("swf-first", "swf-second")]
    arguments = {
        "sources": sources,
        "index_url": index.url + "/simple/",
        "upload_url": index.url + "/",
        "username": "publisher",
        "token": PUBLISHER,
        "ca_cert": str(index.ca),
    }
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda _number: run_module("package_publish", arguments), range(2)))
    assert not any(answer["failed"] for answer in answers), answers
    again = run_module("package_publish", arguments)
    assert not again["changed"] and again["present"] == ["swf-first 1.0", "swf-second 1.0"], again
