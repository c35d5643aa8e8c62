# SPDX-License-Identifier: GPL-3.0-or-later
"""The index as the role runs it: gunicorn with TLS and a certificate of the lab CA, asked by pip,
uv and curl's like."""

from __future__ import annotations

import base64
import concurrent.futures
import hashlib
import io
import json
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urljoin

import index_app
import pytest
import simple_page

from helpers.distribution_files import metadata_of, sdist_bytes, wheel_bytes
from helpers.package_sources import make_source
from helpers.run_module import run_module
from helpers.served_index import PUBLISHER, READER, USERS, form_of, running_index
from helpers.upstream_stand_in import PROVENANCE


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
    content = wheel_bytes("swf-new", "1.0")
    assert index.upload(name, "publisher", PUBLISHER, content)[0] == 200


@pytest.mark.parametrize("place", [".", "by-hand"])
def test_the_same_file_is_taken_twice_and_other_content_is_not(index, place):
    package = "swf-again%s" % len(place)
    name = package.replace("-", "_") + "-1.0-py3-none-any.whl"
    first, other = wheel_bytes(package, "1.0"), wheel_bytes(package, "1.0", b"other")
    (index.packages / place).mkdir(exist_ok=True)
    (index.packages / place / name).write_bytes(first)
    assert index.upload(name, "publisher", PUBLISHER, first)[0] == 200
    status, text = index.upload(name, "publisher", PUBLISHER, other)
    assert (
        status == 409
        and "already exists with other content" in text
        and "raise the version" in text
    )
    assert [path.read_bytes() for path in index.packages.rglob(name)] == [first]


def test_uploads_of_one_file_at_the_same_time_end_in_one_file(index):
    names = ["swf_race-1.0.tar.gz", "swf-race-1.0.tar.gz", "SWF.race-1.0.tar.gz"]
    same, other = (sdist_bytes("swf-race", "1.0", content) for content in (b"same", b"other"))

    def upload(number):
        content = same if number % 2 else other
        return index.upload(names[number % 3], "publisher", PUBLISHER, content)[0]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(upload, range(16)))
    # whichever was first
    assert sorted(set(found)) == [200, 409] and found.count(200) == 8
    assert not [path for path in index.packages.iterdir() if path.name.startswith(".upload")]
    assert len([path for path in index.packages.iterdir() if "race" in path.name]) == 1


@pytest.mark.parametrize("part", [0.2, 0.5, 0.99])
def test_an_upload_that_breaks_off_leaves_nothing_and_can_be_repeated(index, part):
    package = "swf-half%d" % (part * 100)
    name = package.replace("-", "_") + "-1.0-py3-none-any.whl"
    content = wheel_bytes(package, "1.0", b"x" * 100_000)
    body = form_of(name, content)
    login = base64.b64encode(("publisher:" + PUBLISHER).encode()).decode()
    headers = (
        "POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %s\r\nContent-Length: %d\r\n"
        "Content-Type: multipart/form-data; boundary=edge\r\n\r\n" % (login, len(body))
    )
    with socket.create_connection(("127.0.0.1", index.port), timeout=30) as plain:
        context = ssl.create_default_context(cafile=str(index.ca))
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as client:
            client.sendall(headers.encode() + body[: int(len(body) * part)])
    # the index has read the end of the connection
    time.sleep(0.5)
    assert not [path for path in index.packages.rglob("*") if "half%d" % (part * 100) in path.name]
    assert index.upload(name, "publisher", PUBLISHER, content)[0] == 200
    assert (index.packages / name).read_bytes() == content


def test_a_body_that_ends_too_early_is_refused_with_the_reason():
    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": "multipart/form-data; boundary=edge",
        "CONTENT_LENGTH": "1000",
        "wsgi.input": io.BytesIO(form_of("swf_x-1.0.tar.gz", b"x")[:90]),
    }
    with pytest.raises(index_app.Answer, match="ended after 90 of 1000 bytes"):
        index_app.receive(environ)


def test_a_form_of_another_type_is_refused(index):
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        status, _type, _text = index.ask(
            "/", "publisher", PUBLISHER, "POST", body=b"x" * 300_000, content_type=content_type
        )
        assert status == 400, content_type


def test_half_a_file_is_refused_with_the_reason(index):
    name = "swf_half-1.0-py3-none-any.whl"
    content = wheel_bytes("swf-half", "1.0")[:400]
    status, text = index.upload(name, "publisher", PUBLISHER, content)
    assert status == 400 and "is damaged or incomplete" in text
    assert not (index.packages / name).exists()


def test_a_broken_file_on_disk_is_hidden_and_the_next_upload_repairs_it(index):
    name = "swf_repaired-1.0-py3-none-any.whl"
    content = wheel_bytes("swf-repaired", "1.0")
    (index.packages / name).write_bytes(content[: len(content) // 2])
    for path in ("/simple/swf-repaired/", "/packages/" + name):
        status, _content_type, text = index.ask(path, "reader", READER)
        assert status == 404 and "is damaged or incomplete" in text
    assert index.upload(name, "publisher", PUBLISHER, content)[0] == 200
    assert index.answer("/packages/" + name, "reader", READER)[::2] == (200, content)
    log = (index.folder / "log").read_text()
    assert name + " is not served" in log and "is replaced by an upload" in log


def test_twine_shows_the_reason(index, tmp_path):
    (tmp_path / "dist").mkdir()
    wheel = tmp_path / "dist/swf_twine-1.0-py3-none-any.whl"
    wheel.write_bytes(wheel_bytes("swf-twine", "1.0"))
    pypirc = tmp_path / "pypirc"
    pypirc.write_text(
        "[distutils]\nindex-servers = index\n[index]\nrepository = %s/\nusername = publisher\n"
        "password = %s\n" % (index.url, PUBLISHER)
    )

    def upload():
        return subprocess.run(
            [sys.executable, "-m", "twine", "upload", "--non-interactive"]
            + ["--config-file", str(pypirc), "--repository", "index", str(wheel)],
            env=index.client(REQUESTS_CA_BUNDLE=str(index.ca), COLUMNS="200"),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    for _again in range(2):
        done = upload()
        assert done.returncode == 0, done.stdout + done.stderr
    wheel.write_bytes(wheel_bytes("swf-twine", "1.0", b"other"))
    done = upload()
    output = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0 and "already exists with other content" in output, output


def test_an_upload_without_a_length_is_refused(index):
    status, _content_type, text = index.ask(
        "/",
        "publisher",
        PUBLISHER,
        "POST",
        body=iter([form_of("swf_x-1.0.tar.gz", b"x")]),
        content_type="multipart/form-data; boundary=edge",
    )
    assert status == 411 and "Content-Length" in text


@pytest.mark.parametrize(
    "name", ["swf_a\0-1.0.tar.gz", "swf_%s-1.0.tar.gz" % ("a" * 300), "swf_a-1.0.egg", ".x"]
)
def test_an_impossible_file_name_is_400(index, name):
    before = sorted(index.packages.rglob("*"))
    assert index.upload(name, "publisher", PUBLISHER, sdist_bytes("swf-a", "1.0"))[0] == 400
    assert sorted(index.packages.rglob("*")) == before


@pytest.mark.parametrize("part", ["a%00b", "a%0a", "a" * 300])
@pytest.mark.parametrize(
    "path", ["/simple/%s/", "/mirror/thing/%s", "/mirror/%s/x", "/packages/%s", "/%s/json", "/%s"]
)
def test_an_impossible_path_is_400(index, path, part):
    status, _content_type, text = index.ask(path % part, "reader", READER)
    assert status == 400 and ("control character" in text or "240 characters" in text)


def test_private_pages_say_what_installers_need(index):
    content = wheel_bytes("swf-facts", "1.0", requires_python="<3")
    index.upload("swf_facts-1.0-py3-none-any.whl", "publisher", PUBLISHER, content)
    _status, _headers, text = index.answer(
        "/simple/swf-facts/", "reader", READER, headers={"Accept": simple_page.JSON}
    )
    page = json.loads(text)
    entry = page["files"][0]
    assert entry["requires-python"] == "<3" and page["versions"] == ["1.0"]
    address = urljoin("/simple/swf-facts/", entry["url"])
    assert index.answer(address, "reader", READER)[2] == content
    metadata = index.answer(address + ".metadata", "reader", READER)[2]
    assert metadata == metadata_of("swf-facts", "1.0", "<3").encode()
    assert hashlib.sha256(metadata).hexdigest() == entry["core-metadata"]["sha256"]
    html = index.ask("/simple/swf-facts/", "reader", READER)[2]
    assert 'data-requires-python="&lt;3"' in html
    assert 'data-core-metadata="sha256=' + entry["core-metadata"]["sha256"] in html


@pytest.mark.parametrize(
    "path", ["/mirror/thing/thing-1.0-py3-none-any.whl", "/packages/swf_thing-1.0-py3-none-any.whl"]
)
def test_files_answer_to_head_and_range(index, path):
    status, headers, content = index.answer(path, "reader", READER)
    assert status == 200 and headers["Accept-Ranges"] == "bytes"
    status, of_head, nothing = index.answer(path, "reader", READER, "HEAD")
    assert (status, nothing, of_head["Content-Length"]) == (200, b"", str(len(content)))
    status, headers, part = index.answer(path, "reader", READER, headers={"Range": "bytes=100-199"})
    assert (status, part) == (206, content[100:200])
    assert headers["Content-Range"] == "bytes 100-199/%d" % len(content)
    last = index.answer(path, "reader", READER, headers={"Range": "bytes=-22"})
    assert last[::2] == (206, content[-22:])
    assert index.answer(path, "reader", READER, headers={"Range": "bytes=999999-"})[0] == 416


def test_attestations_pass_through(index):
    accept = {"Accept": simple_page.JSON}
    page = json.loads(index.answer("/simple/thing/", "reader", READER, headers=accept)[2])
    address = page["files"][0]["provenance"]
    assert address == index.url + "/mirror/thing/thing-1.0-py3-none-any.whl.provenance"
    found = index.answer(address.removeprefix(index.url), "reader", READER)
    assert found[::2] == (200, PROVENANCE)
    content = wheel_bytes("swf-attested", "1.0")
    digest = {"sha256": hashlib.sha256(content).hexdigest()}
    statement = json.dumps({"subject": [{"digest": digest}]}).encode()
    sent = [{"version": 1, "envelope": {"statement": base64.b64encode(statement).decode()}}]
    name = "swf_attested-1.0-py3-none-any.whl"
    status, text = index.upload(
        name, "publisher", PUBLISHER, content, attestations=json.dumps(sent)
    )
    assert status == 200, text
    page = json.loads(index.answer("/simple/swf-attested/", "reader", READER, headers=accept)[2])
    address = page["files"][0]["provenance"]
    assert address.startswith(index.url + "/")
    found = index.answer(address.removeprefix(index.url), "reader", READER)
    assert json.loads(found[2])["attestation_bundles"][0]["attestations"] == sent


def test_a_public_name_is_not_taken(index):
    status, text = index.upload("requests-99.0.tar.gz", "publisher", PUBLISHER)
    assert status == 400 and "requests is not one of the names" in text
    assert (
        sorted(
            path.name
            for path in index.packages.iterdir()
            if "requests" in path.name or path.name.startswith(".upload")
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
