# SPDX-License-Identifier: GPL-3.0-or-later
"""The mirror of the index, over real sockets; the public index is a stand-in."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
import simple_page
from downloads import CHUNK
from mirror import Mirror
from upstream import Upstream, UpstreamNotFound, UpstreamUnavailable

from helpers.upstream_stand_in import METADATA, stand_in

BIG = os.urandom(3 * CHUNK + 17)
FILES = {"thing-1.0.tar.gz": BIG, "thing-0.9.tar.gz": b"old", "other-1.0.tar.gz": b"other"}


@pytest.fixture(name="public", params=["json", "html"])
def public_index(request):
    with stand_in(dict(FILES), html=request.param == "html") as server:
        yield server


@pytest.fixture(name="plain")
def public_index_in_json():
    with stand_in(dict(FILES)) as server:
        yield server


def mirror_of(server, folder, page_seconds=600, max_bytes=10**9, **settings):
    return Mirror(Upstream({"url": server.url, **settings}), str(folder), page_seconds, max_bytes)


def fetch(mirror, name, filename):
    return b"".join(mirror.file(name, filename)[1])


def until_idle(mirror):
    for _try in range(300):
        with mirror.lock:
            if not mirror.running:
                return
        time.sleep(0.05)
    raise AssertionError("a download does not end")


def test_pages_lead_here_and_keep_what_clients_decide_by(public, tmp_path):
    page = mirror_of(public, tmp_path).page("thing")
    by_name = {item["filename"]: item for item in page["files"]}
    new, old = by_name["thing-1.0.tar.gz"], by_name["thing-0.9.tar.gz"]
    assert (
        new["url"] == "../../mirror/thing/thing-1.0.tar.gz" and len(new["hashes"]["sha256"]) == 64
    )
    assert new["requires-python"] == ">=3.9" and simple_page.core_metadata(new)["sha256"]
    assert old["yanked"] == "broken & bad" and not new.get("yanked")
    # both forms say the same, and neither leads away
    for text in (simple_page.as_html(page), simple_page.as_json(page)):
        assert b"127.0.0.1" not in text and b"example.org" not in text
    again = simple_page.parse(simple_page.as_html(page).decode(), "text/html", "", "thing")
    for item in again["files"]:
        for key in ("filename", "url", "hashes", "requires-python", "core-metadata"):
            assert item[key] == by_name[item["filename"]][key]
    assert [item.get("yanked") for item in again["files"]] == [
        by_name[item["filename"]].get("yanked") or None for item in again["files"]
    ]


def test_files_and_metadata_are_downloaded_once(public, tmp_path):
    mirror = mirror_of(public, tmp_path)
    for _again in range(2):
        assert fetch(mirror, "thing", "thing-1.0.tar.gz") == BIG
        assert fetch(mirror, "thing", "thing-1.0.tar.gz.metadata") == METADATA
        until_idle(mirror)
    assert sorted(public.paths()) == [
        "/files/thing-1.0.tar.gz",
        "/files/thing-1.0.tar.gz.metadata",
        "/simple/thing/",
    ]


def test_everything_is_on_disk_when_the_upstream_is_unavailable(public, tmp_path):
    mirror = mirror_of(public, tmp_path)
    fetch(mirror, "thing", "thing-1.0.tar.gz")
    until_idle(mirror)
    public.status = 503
    # another process, whose pages are all too old
    later = mirror_of(public, tmp_path, page_seconds=0)
    assert later.page("thing") == mirror.page("thing")
    assert fetch(later, "thing", "thing-1.0.tar.gz") == BIG
    with pytest.raises(UpstreamUnavailable, match="HTTP 503"):
        later.page("other")
    public.status = None
    assert later.page("other")["files"]


def test_an_old_page_is_asked_for_again_and_sent_only_if_it_changed(plain, tmp_path):
    mirror = mirror_of(plain, tmp_path, page_seconds=0)
    for _again in range(2):
        assert len(mirror.page("thing")["files"]) == 2
    assert [headers.get("If-None-Match") for _path, headers in plain.asked] == [None, '"2"']
    plain.files["thing-2.0.tar.gz"] = b"new"
    assert len(mirror.page("thing")["files"]) == 3


def test_what_is_not_there_is_not_there(plain, tmp_path):
    mirror = mirror_of(plain, tmp_path)
    for ask in (
        lambda: mirror.page("absent"),
        lambda: mirror.file("absent", "a-1.tar.gz"),
        lambda: mirror.file("thing", "thing-7.tar.gz"),
        lambda: mirror.file("thing", "../../../etc/passwd"),
    ):
        with pytest.raises(UpstreamNotFound):
            ask()


def test_a_file_with_another_hash_is_neither_completed_nor_kept(plain, tmp_path):
    plain.lie = True
    mirror = mirror_of(plain, tmp_path)
    received = []
    with pytest.raises(UpstreamUnavailable, match="another hash"):
        for part in mirror.file("thing", "thing-1.0.tar.gz")[1]:
            received.append(part)
    until_idle(mirror)
    assert sum(map(len, received)) < len(BIG)
    assert not [path for path in (tmp_path / "files").rglob("*") if path.is_file()]


def test_an_interrupted_download_is_repeated(plain, tmp_path):
    plain.cut = True
    mirror = mirror_of(plain, tmp_path)
    with pytest.raises(UpstreamUnavailable):
        fetch(mirror, "thing", "thing-1.0.tar.gz")
    until_idle(mirror)
    plain.cut = False
    assert fetch(mirror, "thing", "thing-1.0.tar.gz") == BIG


def test_two_who_ask_at_once_share_a_download_and_get_bytes_before_its_end(plain, tmp_path):
    plain.hold = threading.Event()
    mirror = mirror_of(plain, tmp_path)
    streams = [mirror.file("thing", "thing-1.0.tar.gz") for _number in range(2)]
    firsts = [next(parts) for _size, parts in streams]
    assert [size for size, _parts in streams] == [len(BIG)] * 2 and all(firsts)
    plain.hold.set()
    assert [first + b"".join(parts) for first, (_size, parts) in zip(firsts, streams)] == [BIG, BIG]
    assert plain.paths().count("/files/thing-1.0.tar.gz") == 1


def test_a_download_goes_on_when_nobody_waits_any_more(plain, tmp_path):
    plain.hold = threading.Event()
    mirror = mirror_of(plain, tmp_path)
    parts = mirror.file("thing", "thing-1.0.tar.gz")[1]
    next(parts)
    parts.close()
    plain.hold.set()
    until_idle(mirror)
    plain.status = 503
    assert fetch(mirror, "thing", "thing-1.0.tar.gz") == BIG


def stored_names(folder):
    # unlike rglob, walk takes it that directories go meanwhile
    return sorted(name for _folder, _folders, names in os.walk(folder) for name in names)


def until(what, wanted):
    """Room is made after whoever asked has got the answer."""
    for _try in range(100):
        if what() == wanted:
            break
        time.sleep(0.05)
    assert what() == wanted


def aged(folder, seconds):
    """Let all that is there be older."""
    for path in Path(folder).rglob("*"):
        if path.is_file():
            os.utime(path, (path.stat().st_mtime - seconds,) * 2)


def test_the_files_not_asked_for_longest_make_room(tmp_path):
    half = BIG[: len(BIG) // 2]
    with stand_in(
        {"thing-1.0.tar.gz": half, "other-1.0.tar.gz": half, "third-1.0.tar.gz": half}
    ) as plain:
        mirror = mirror_of(plain, tmp_path, max_bytes=int(len(half) * 2.5))
        for name in ("thing", "other"):
            fetch(mirror, name, name + "-1.0.tar.gz")
            until_idle(mirror)
            aged(tmp_path, 100)
        fetch(mirror, "thing", "thing-1.0.tar.gz")  # used again
        aged(tmp_path, 100)
        fetch(mirror, "third", "third-1.0.tar.gz")
        until(lambda: stored_names(tmp_path / "files"), ["thing-1.0.tar.gz", "third-1.0.tar.gz"])
        # nothing is left of the one that went, and it can come again
        until(
            lambda: sorted(path.name for path in (tmp_path / "files").iterdir()), ["thing", "third"]
        )
        assert fetch(mirror, "other", "other-1.0.tar.gz") == half


def test_pages_count_too_however_many_names_are_asked_for(tmp_path):
    names = ["n%03d" % number for number in range(100)]
    with stand_in({"%s-1.0.tar.gz" % name: b"x" for name in ["thing", *names]}) as plain:
        mirror = mirror_of(plain, tmp_path, max_bytes=20 * 4096)
        fetch(mirror, "thing", "thing-1.0.tar.gz")
        until_idle(mirror)
        for name in names:
            aged(tmp_path, 10)
            mirror.page("thing")  # in use, so it stays
            assert mirror.page(name)["files"]
            assert len(stored_names(tmp_path)) <= 20
        stored = stored_names(tmp_path / "pages")
        assert "thing.json" in stored and "n099.json" in stored and "n000.json" not in stored
        assert not stored_names(tmp_path / "files"), (
            "what nobody asked for was kept before what somebody did"
        )
        # what was removed is asked for again
        assert mirror.page("n000")["files"]


def test_a_limit_that_was_lowered_holds_from_the_start(plain, tmp_path):
    mirror = mirror_of(plain, tmp_path)
    fetch(mirror, "thing", "thing-1.0.tar.gz")
    until_idle(mirror)
    mirror_of(plain, tmp_path, max_bytes=CHUNK)
    assert not stored_names(tmp_path / "files")


def test_pages_and_files_are_whole_while_room_is_made(plain, tmp_path):
    """Many ask at once where there is hardly any room."""
    mirror = mirror_of(plain, tmp_path, page_seconds=0, max_bytes=4096)
    wrong = []

    def ask(name, filename):
        for _again in range(40):
            try:
                if fetch(mirror, name, filename) != FILES[filename]:
                    wrong.append(filename)
            except Exception as error:  # pylint: disable=broad-except
                wrong.append(repr(error))

    threads = [
        threading.Thread(target=ask, args=(filename.split("-")[0], filename))
        for filename in [*FILES] * 2
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until_idle(mirror)
    assert not wrong, wrong[:5]


def test_what_a_killed_process_left_is_removed(plain, tmp_path):
    (tmp_path / "files/thing").mkdir(parents=True)
    (tmp_path / "files/thing/.partial-x").touch()
    mirror_of(plain, tmp_path)
    assert not list((tmp_path / "files").rglob(".partial-*"))


def test_the_login_of_the_upstream_is_for_the_upstream_alone(tmp_path):
    with stand_in(dict(FILES), login="me:canary-9c") as locked, stand_in(dict(FILES)) as elsewhere:
        with pytest.raises(UpstreamUnavailable, match="HTTP 401"):
            mirror_of(locked, tmp_path / "without").page("thing")
        upstream = Upstream({"url": locked.url, "username": "me", "password": "canary-9c"})
        assert Mirror(upstream, str(tmp_path / "with"), 600, 10**9).page("thing")["files"]
        upstream.open(elsewhere.url + "thing/").close()
        assert "Authorization" not in elsewhere.asked[0][1]


def test_a_proxy_is_used_unless_the_host_is_excepted(plain, tmp_path):
    with stand_in({}) as proxy:
        settings = {"proxies": {"http": proxy.url.replace("/simple/", "")}}
        proxy.status = 404
        with pytest.raises(UpstreamNotFound):
            Upstream({"url": "http://public.example.org/simple/", **settings}).open(
                "http://public.example.org/simple/thing/"
            )
        assert proxy.paths() == ["http://public.example.org/simple/thing/"]
        settings["proxies"]["no"] = "127.0.0.1"
        assert mirror_of(plain, tmp_path, **settings).page("thing")["files"]
    assert plain.paths() == ["/simple/thing/"]


@pytest.mark.parametrize(
    "accept,wanted",
    [
        (
            "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, "
            "text/html; q=0.01",
            True,
        ),
        (
            "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, "
            "text/html;q=0.01",
            True,
        ),
        ("text/html", False),
        ("*/*", False),
        ("", False),
        (None, False),
        ("text/html, application/vnd.pypi.simple.v1+json;q=0.5", False),
        ("application/vnd.pypi.simple.v1+json;q=x", False),
    ],
)
def test_pip_and_uv_get_json_and_browsers_html(accept, wanted):
    assert simple_page.wants_json(accept) == wanted
