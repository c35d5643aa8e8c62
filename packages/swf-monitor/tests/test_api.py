# SPDX-License-Identifier: GPL-3.0-or-later
"""The REST API, over HTTP, on both databases."""

import contextlib
import itertools
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import Api

CHECKSUM = "sha256:" + "0" * 64
numbers = itertools.count(1)


@pytest.fixture
def run_id(api: Api) -> int:
    return api.post("/api/runs/", {}).json["run_id"]


def stf(run_id: int, **other: Any) -> dict[str, Any]:
    number = next(numbers)
    name = f"swf.{run_id:06d}.{number:06d}.stf"
    return {
        "filename": name,
        "run_id": run_id,
        "path": f"/data/{name}",
        "size_bytes": 65536,
        "checksum": CHECKSUM,
        "sequence": number,
        **other,
    }


def heartbeat(**other: Any) -> dict[str, Any]:
    return {"instance_name": "data@host", "agent_type": "data", "status": "OK", **other}


def test_heartbeat_is_an_upsert(api: Api) -> None:
    name = f"data@host{next(numbers)}"
    first = api.post(
        "/api/systemagents/heartbeat/",
        heartbeat(instance_name=name, hostname="host", pid=7, version="0.1"),
    )
    assert first.status == 200
    second = api.post(
        "/api/systemagents/heartbeat/",
        heartbeat(instance_name=name, status="WARNING", description="slow"),
    )
    listed = [
        agent
        for agent in api.get("/api/systemagents/").json["results"]
        if agent["instance_name"] == name
    ]
    assert len(listed) == 1
    assert (listed[0]["status"], listed[0]["description"]) == ("WARNING", "slow")
    assert (
        listed[0]["last_heartbeat"] == second.json["last_heartbeat"] > first.json["last_heartbeat"]
    )
    in_summary = [
        agent for agent in api.get("/api/summary/").json["agents"] if agent["instance_name"] == name
    ]
    assert set(in_summary[0]) == {
        "instance_name",
        "agent_type",
        "namespace",
        "status",
        "pid",
        "heartbeat_interval",
        "last_heartbeat",
        "seconds_since_heartbeat",
        "alive",
    }
    assert in_summary[0]["alive"]
    assert in_summary[0]["seconds_since_heartbeat"] < 30


def test_first_heartbeats_at_the_same_time(api: Api) -> None:
    name = f"many@host{next(numbers)}"
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda _: api.post("/api/systemagents/heartbeat/", heartbeat(instance_name=name)),
                range(16),
            )
        )
    assert {answer.status for answer in answers} == {200}


def test_run_goes_forward_only(api: Api) -> None:
    created = api.post("/api/runs/", {})
    assert created.status == 201
    address = f"/api/runs/{created.json['run_id']}/"
    assert api.get(address).json["status"] == "imminent"
    began, ended = "2026-01-02T03:04:05Z", "2026-01-02T03:05:05Z"
    assert (
        api.patch(address, {"status": "running", "started_at": began}).json["status"] == "running"
    )
    ending = api.patch(address, {"status": "ended", "ended_at": ended, "total_files": 20})
    assert ending.json["status"] == "ended"
    again = api.patch(address, {"status": "running", "started_at": began})
    assert again.status == 200
    assert again.json == ending.json == api.get(address).json
    # The clock was set back in the middle of a run, which ends normally.
    address = f"/api/runs/{api.post('/api/runs/', {}).json['run_id']}/"
    assert api.patch(address, {"status": "running", "started_at": ended}).status == 200
    ending = api.patch(address, {"status": "ended", "ended_at": began, "total_files": 1})
    assert (ending.status, ending.json["status"], ending.json["total_files"]) == (200, "ended", 1)
    assert api.get("/api/runs/").json["results"][0]["run_id"] >= created.json["run_id"]


def test_run_numbers_are_unique(api: Api) -> None:
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda _: api.post("/api/runs/", {}).json["run_id"], range(24)))
    assert len(set(numbers)) == 24


def test_file_is_registered_once(api: Api, run_id: int) -> None:
    body = stf(run_id)
    first, second = api.post("/api/stf-files/", body), api.post("/api/stf-files/", body)
    assert (first.status, second.status) == (201, 200)
    assert first.json == second.json
    assert first.json["status"] == "registered"
    assert api.get(f"/api/stf-files/?run_id={run_id}").json["count"] == 1


def test_file_registered_by_many_at_the_same_time(api: Api, run_id: int) -> None:
    body = stf(run_id)
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: api.post("/api/stf-files/", body).status, range(16)))
    assert sorted(statuses) == [200] * 15 + [201]


def test_same_name_for_another_file_is_refused(api: Api, run_id: int) -> None:
    body = stf(run_id)
    api.post("/api/stf-files/", body)
    answer = api.post("/api/stf-files/", body | {"checksum": "sha256:" + "1" * 64})
    assert answer.status == 409
    assert "another checksum" in answer.json["detail"]


@pytest.mark.parametrize(
    "end",
    [{"status": "processed", "processing_seconds": 0.5}, {"status": "failed", "reason": "gone"}],
)
def test_status_of_a_file_never_moves_back(api: Api, run_id: int, end: dict[str, Any]) -> None:
    body = stf(run_id)
    api.post("/api/stf-files/", body)
    address = f"/api/stf-files/{body['filename']}/"
    assert api.patch(address, {"status": "processing"}).json["status"] == "processing"
    ended = api.patch(address, end)
    assert ended.json["status"] == end["status"]
    later = (
        {"status": "registered"},
        {"status": "processing"},
        {"status": "processed"},
        {"status": "failed", "reason": "late"},
    )
    for change in later:
        answer = api.patch(address, change)
        assert answer.status == 200
        assert answer.json == ended.json
    assert api.post("/api/stf-files/", body).json == ended.json
    assert api.get(address).json == ended.json


def test_time_frames_mark_their_file_sampled(api: Api, run_id: int) -> None:
    body = stf(run_id)
    api.post("/api/stf-files/", body)
    address = f"/api/stf-files/{body['filename']}/"
    frame = {
        "filename": f"{body['filename']}.tf1",
        "stf_filename": body["filename"],
        "size_bytes": 10,
        "offset": 0,
    }
    before = api.get("/api/summary/").json
    first, second = api.post("/api/tf-files/", frame), api.post("/api/tf-files/", frame)
    assert (first.status, second.status) == (201, 200)
    assert first.json == second.json
    sampled_at = api.get(address).json["sampled_at"]
    assert sampled_at
    api.post("/api/tf-files/", frame | {"filename": f"{body['filename']}.tf2", "offset": 10})
    assert api.get(address).json["sampled_at"] == sampled_at
    after = api.get("/api/summary/").json
    assert after["tf"] == before["tf"] + 2
    assert after["stf"]["sampled"] == before["stf"]["sampled"] + 1
    assert api.post("/api/tf-files/", frame | {"offset": 99}).status == 409


def test_files_are_found_by_their_pending_step(api: Api, run_id: int) -> None:
    bodies = [stf(run_id) for _ in range(4)]
    for body in bodies:
        api.post("/api/stf-files/", body)
    names = [body["filename"] for body in bodies]
    api.patch(f"/api/stf-files/{names[1]}/", {"status": "processing"})
    api.patch(f"/api/stf-files/{names[2]}/", {"status": "processed"})
    api.post(
        "/api/tf-files/",
        {"filename": names[3] + ".tf", "stf_filename": names[3], "size_bytes": 1, "offset": 0},
    )

    def found(query: str) -> list[str]:
        return [
            row["filename"]
            for row in api.get(f"/api/stf-files/?run_id={run_id}&{query}").json["results"]
        ]

    assert found("") == names[::-1]
    assert found("status=processing") == [names[1]]
    assert found("status=registered,processing") == [names[3], names[1], names[0]]
    assert found("sampled=false") == [names[2], names[1], names[0]]
    assert found("sampled=true") == [names[3]]
    assert found("older_than=3600") == []
    assert found("limit=2") == [names[3], names[2]]
    assert found("limit=2&offset=3") == [names[0]]
    time.sleep(0.01)
    # The oldest file is first, so that a limit does not hide it.
    assert found("older_than=0&limit=2") == names[:2]


def test_summary_counts(api: Api, run_id: int) -> None:
    before = api.get("/api/summary/").json
    bodies = [stf(run_id) for _ in range(3)]
    for body in bodies:
        api.post("/api/stf-files/", body)
    api.patch(f"/api/stf-files/{bodies[0]['filename']}/", {"status": "processed"})
    api.patch(f"/api/stf-files/{bodies[1]['filename']}/", {"status": "failed", "reason": "gone"})
    after = api.get("/api/summary/").json
    assert set(after) == {"runs", "stf", "tf", "messages", "agents"}
    grown = {name: after["stf"][name] - before["stf"][name] for name in after["stf"]}
    assert grown == {
        "total": 3,
        "registered": 1,
        "processing": 0,
        "processed": 1,
        "failed": 1,
        "sampled": 0,
    }


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"filename": "../etc/passwd"}, "filename"),
        ({"filename": ""}, "filename"),
        ({"filename": "a" * 256}, "filename"),
        ({"run_id": 10**9}, "run_id"),
        ({"run_id": 10**30}, "run_id"),
        ({"run_id": "one"}, "run_id"),
        ({"size_bytes": -1}, "size_bytes"),
        ({"size_bytes": 2**63}, "size_bytes"),
        ({"checksum": "md5:0"}, "checksum"),
        ({"sequence": 2**31}, "sequence"),
        ({"path": None}, "path"),
        ({"path": "a\x00b"}, "path"),
        ({"path": "\ud800"}, "path"),
    ],
)
def test_wrong_file_is_refused(api: Api, run_id: int, change: dict[str, Any], field: str) -> None:
    answer = api.post("/api/stf-files/", stf(run_id) | change)
    assert answer.status == 400
    assert list(answer.json) == [field]


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/api/systemagents/heartbeat/", {}, "instance_name"),
        ("POST", "/api/systemagents/heartbeat/", heartbeat(status="fine"), "status"),
        ("POST", "/api/systemagents/heartbeat/", heartbeat(pid="x"), "pid"),
        ("POST", "/api/systemagents/heartbeat/", heartbeat(started_at="yesterday"), "started_at"),
        (
            "POST",
            "/api/systemagents/heartbeat/",
            heartbeat(instance_name="n" * 201),
            "instance_name",
        ),
        ("POST", "/api/tf-files/", {"filename": "f"}, "stf_filename"),
        (
            "POST",
            "/api/tf-files/",
            {"filename": "f", "stf_filename": "no", "size_bytes": 1, "offset": 0},
            "stf_filename",
        ),
        ("POST", "/api/stf-files/", [], "non_field_errors"),
        ("GET", "/api/stf-files/?status=done", None, "status"),
        ("GET", "/api/stf-files/?sampled=perhaps", None, "sampled"),
        ("GET", "/api/stf-files/?older_than=nan", None, "older_than"),
        ("GET", "/api/stf-files/?older_than=1e300", None, "older_than"),
        ("GET", "/api/stf-files/?run_id=99999999999999999999", None, "run_id"),
        ("GET", "/api/stf-files/?limit=0", None, "limit"),
        ("GET", "/api/messages/?limit=many", None, "limit"),
        ("GET", "/api/runs/?offset=-1", None, "offset"),
    ],
)
def test_the_answer_to_a_wrong_request_names_the_error(
    api: Api, method: str, path: str, body: Any, field: str
) -> None:
    answer = api.request(method, path, body)
    assert answer.status == 400
    assert field in answer.json


def test_wrong_changes_are_refused(api: Api, run_id: int) -> None:
    body = stf(run_id)
    api.post("/api/stf-files/", body)
    for change in (
        {},
        {"stauts": "failed"},
        {"status": "lost"},
        {"status": "failed"},
        {"status": "processed", "processing_seconds": -1},
    ):
        assert api.patch(f"/api/stf-files/{body['filename']}/", change).status == 400, change
    address = f"/api/runs/{run_id}/"
    for change in (
        {},
        {"status": "over"},
        {"total_files": -1},
        {"started_at": "2026-01-02T00:00:00Z", "ended_at": "2026-01-01T00:00:00Z"},
    ):
        assert api.patch(address, change).status == 400, change
    assert api.get(address).json["started_at"] is None


def test_a_body_that_is_not_json_is_refused(api: Api) -> None:
    assert api.request("POST", "/api/runs/", raw=b"{").status in (201, 400)
    assert api.request("POST", "/api/systemagents/heartbeat/", raw=b"{").status == 400
    assert api.request("POST", "/api/systemagents/heartbeat/", raw=b"\xff\xfe").status == 400


def test_unknown_things_are_404(api: Api) -> None:
    for path in (
        "/api/runs/999999999/",
        f"/api/runs/{10**30}/",
        "/api/stf-files/no.stf/",
        "/api/nothing/",
        "/api/runs",
    ):
        answer = api.get(path)
        assert answer.status == 404, path
        assert "detail" in answer.json
    assert api.patch("/api/stf-files/no.stf/", {"status": "processed"}).status == 404
    assert api.get("/nothing").status == 404


def test_everything_but_health_and_summary_needs_the_token(api: Api) -> None:
    for token in (None, "0" * 40):
        stranger = Api(api.url, token)
        for path in ("systemagents", "runs", "stf-files", "messages", "runs/1", "stf-files/a"):
            assert stranger.get(f"/api/{path}/").status == 401, path
        for path in ("systemagents/heartbeat", "runs", "stf-files", "tf-files"):
            assert stranger.post(f"/api/{path}/", {}).status == 401, path
        assert stranger.patch("/api/runs/1/", {}).status == 401
    stranger = Api(api.url, None)
    assert stranger.get("/api/summary/").status == 200
    assert stranger.get("/api/health/").status in (200, 503)
    assert stranger.get("/").status == 200


def test_headers_are_strict(api: Api) -> None:
    for path in ("/", "/api/summary/", "/api/nothing/", "/nothing"):
        headers = api.get(path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none';"), path
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cache-Control"] == "no-store"
        assert "Server" not in headers


def test_other_hosts_are_refused(api: Api) -> None:
    assert api.request("GET", "/api/summary/", Host="evil.example").status == 400


def test_large_bodies_are_refused_while_they_come(api: Api) -> None:
    address = urlsplit(api.url)
    heads = {
        "announced": b"Content-Length: 1000000000\r\n\r\n",
        "in chunks": b"Transfer-Encoding: chunked\r\n\r\n",
    }
    for case, head in heads.items():
        with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
            connection.sendall(b"POST /api/runs/ HTTP/1.1\r\nHost: 127.0.0.1\r\n" + head)
            answer = b""
            with contextlib.suppress(ConnectionError):
                for _ in range(40 if case == "in chunks" else 0):
                    connection.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            with contextlib.suppress(ConnectionError):
                answer = connection.recv(100)
            # A peer that is still sending may get a reset instead of the response.
            assert answer.startswith(b"HTTP/1.1 413") or (case == "in chunks" and not answer), case
    assert api.get("/api/summary/").status == 200
