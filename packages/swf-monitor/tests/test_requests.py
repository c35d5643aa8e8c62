# SPDX-License-Identifier: GPL-3.0-or-later
"""The REST API understands a request as a whole, or refuses it; and it describes itself."""

import itertools
import uuid
from typing import Any

import pytest
from conftest import Api

CHECKSUM = "sha256:" + "0" * 64
numbers = itertools.count(1)


def stf(api: Api, run_id: int) -> str:
    name = f"strict.{next(numbers):06d}.stf"
    body = {
        "filename": name,
        "run_id": run_id,
        "path": "/data",
        "size_bytes": 1,
        "checksum": CHECKSUM,
        "sequence": 1,
    }
    assert api.post("/api/stf-files/", body).status == 201
    return name


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("runs/?stauts=ended", "status"),
        ("stf-files/?filter=all", ""),
        ("stf-files/?run=1", "run_id"),
        ("messages/?type=stf_gen", "msg_type"),
        ("systemagents/?host=a", "hostname"),
        ("namespaces/?names=a", "name"),
        ("set-aside-messages/?limits=3", "limit"),
        ("runs/1/?status=ended", ""),
        ("backlog/?x=1", ""),
        ("health/?namespac=a", "namespace"),
        ("summary/?format=json", ""),
    ],
)
def test_an_unknown_parameter_is_refused(api: Api, path: str, nearest: str) -> None:
    answer = api.get(f"/api/{path}")
    assert answer.status == 400
    (texts,) = answer.json.values()
    assert texts[0].startswith("Unknown parameter.")
    assert f"Did you mean {nearest}?" in texts[0] if nearest else "Did you" not in texts[0]


@pytest.mark.parametrize(
    "query",
    [
        "status=registered,lost",
        "run_id=-1",
        "run_id=1.5",
        "registered_after=yesterday",
        "older_than=inf",
        "sampled=maybe",
        "ordering=checksum",
        "search=%00",
        "search=" + "x" * 256,
        "limit=1e3",
        "limit=%D9%A3",
        "offset=99999999999999999999999",
    ],
)
def test_a_wrong_value_is_refused(api: Api, query: str) -> None:
    answer = api.get(f"/api/stf-files/?{query}")
    assert answer.status == 400
    assert list(answer.json) == [query.partition("=")[0]]


def test_filters_and_order(api: Api) -> None:
    run_id = api.post("/api/runs/", {"namespace": "order"}).json["run_id"]
    names = [stf(api, run_id) for _ in range(3)]

    def found(query: str) -> list[str]:
        answer = api.get(f"/api/stf-files/?run_id={run_id}&{query}")
        assert answer.status == 200, answer.text
        return [row["filename"] for row in answer.json["results"]]

    assert found("") == found("ordering=-registered_at") == names[::-1]
    assert found("ordering=registered_at") == found("ordering=filename") == names
    assert found(f"search={names[1][:-3].upper()}") == [names[1]]
    assert found("namespace=order&limit=1") == names[2:]
    assert found("namespace=other") == []
    assert found("registered_before=2020-01-01T00:00:00Z") == []
    assert found("registered_after=2020-01-01") == names[::-1]
    page = api.get(f"/api/stf-files/?run_id={run_id}&limit=2").json
    assert page["count"] == 3
    following = page["next"].removeprefix(api.url)
    assert [row["filename"] for row in api.get(following).json["results"]] == names[:1]
    assert [row["run_id"] for row in api.get(f"/api/runs/?run_id={run_id}").json["results"]] == [
        run_id
    ]


def test_details_and_the_way_of_a_file(api: Api) -> None:
    run_id = api.post("/api/runs/", {}).json["run_id"]
    name = stf(api, run_id)
    frame = {"filename": f"{name}.tf", "stf_filename": name, "size_bytes": 1, "offset": 0}
    api.post("/api/tf-files/", frame)
    way = api.get(f"/api/stf-files/{name}/history/").json
    assert way["file"]["filename"] == name
    assert [step["name"] for step in way["steps"] if step["at"]] == ["registered", "sampled"]
    assert [row["filename"] for row in way["time_frames"]] == [f"{name}.tf"]
    api.patch(f"/api/stf-files/{name}/", {"status": "failed", "reason": "gone"})
    steps = api.get(f"/api/stf-files/{name}/history/").json["steps"]
    assert [step["note"] for step in steps if step["name"] == "failed"] == ["gone"]
    waiting = stf(api, run_id)
    backlog = api.get("/api/backlog/").json
    assert backlog["to_be_processed"]["files"] >= 1
    assert api.get(f"/api/stf-files/{waiting}/history/").json["steps"][3]["at"] is None
    beat = {"instance_name": f"one@host{name}", "agent_type": "data", "status": "OK"}
    api.post("/api/systemagents/heartbeat/", beat)
    assert api.get(f"/api/systemagents/one@host{name}/").json["agent_type"] == "data"
    for path in (
        "systemagents/nobody",
        "systemagents/%00",
        "stf-files/%00",
        "stf-files/no.stf/history",
        "stf-files/no%00.stf/history",
        f"messages/{uuid.UUID(int=0)}",
    ):
        assert api.get(f"/api/{path}/").status == 404, path
    for path in ("/files/%00/", "/agents/a%00/", f"/files/{name}/?namespace=%00"):
        assert api.get(path).status == 404, path


def test_deep_json_is_refused(api: Api) -> None:
    for depth in (101, 900, 100_000):
        for body in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
            for path in ("runs", "stf-files", "systemagents/heartbeat", "logs"):
                answer = api.request("POST", f"/api/{path}/", raw=body.encode())
                assert answer.status == 400, (path, depth)
                assert "nested" in answer.json["detail"]
    run = {"run_number": 900_000 + next(numbers), "run_conditions": {"a": [[[]]]}}
    assert api.post("/api/runs/", run).status == 201
    deep: Any = {}
    for _ in range(98):
        deep = {"a": deep}
    run = {"run_number": 900_000 + next(numbers), "run_conditions": deep}
    assert api.post("/api/runs/", run).status == 201
    assert api.get(f"/api/runs/{run['run_number']}/").json["metadata"] == deep


def test_a_form_creates_no_run(api: Api) -> None:
    before = api.get("/api/summary/").json["runs"]
    multipart = "multipart/form-data; boundary=x"
    for content_type, body in (
        ("application/x-www-form-urlencoded", b"namespace=evil"),
        ("application/x-www-form-urlencoded", b""),
        (multipart, b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n'),
        (multipart, b""),
        ("text/plain", b"{}"),
    ):
        answer = api.request("POST", "/api/runs/", raw=body, content_type=content_type)
        assert answer.status == 415, (content_type, body)
    assert api.request("POST", "/api/runs/").status == 400
    assert api.get("/api/summary/").json["runs"] == before
    assert api.post("/api/runs/", {}).status == 201


def test_a_browser_gets_a_page(api: Api) -> None:
    name = "<b>bold</b>"
    beat = {"instance_name": name, "agent_type": "data", "status": "OK"}
    api.post("/api/systemagents/heartbeat/", beat)
    for accept in ("text/html", "text/html,application/xhtml+xml,*/*;q=0.8"):
        answer = api.request("GET", "/api/systemagents/?limit=1", Accept=accept)
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "<pre" in answer.text
        assert name not in answer.text
    gone = api.request("DELETE", "/api/systemagents/nobody/", Accept="text/html")
    assert (gone.status, gone.text) == (204, "")
    refused = Api(api.url, None).request("GET", "/api/runs/", Accept="text/html")
    assert refused.status == 401
    assert "This address needs the header" in refused.text
    for accept in ("application/json", "*/*", "application/json;q=0.5"):
        answer = api.request("GET", "/api/summary/", Accept=accept)
        assert answer.headers["Content-Type"] == "application/json"
    assert api.request("GET", "/api/summary/", Accept="image/png").status == 406


def test_it_describes_itself(api: Api) -> None:
    stranger = Api(api.url, None)
    schema = stranger.request("GET", "/api/schema/", Accept="application/json").json
    assert schema["openapi"].startswith("3.")
    listed = schema["paths"]["/api/stf-files/"]["get"]
    assert {"limit", "offset", "status", "ordering"} <= {p["name"] for p in listed["parameters"]}
    assert stranger.request("GET", "/api/schema/", Accept="text/html").status == 200
    page = stranger.get("/api/docs/")
    assert page.status == 200
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js"):
        assert f"assets/{name}" in page.text
        assert len(stranger.get(f"/api/docs/assets/{name}").text) > 1000
    assert stranger.get("/api/docs/?script=").status == 200
    assert stranger.get("/api/docs/assets/../../../settings.py").status == 404
    assert stranger.get("/api/docs/assets/LICENSE").status == 404


def test_the_description_is_complete(django_site: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Each request has a body and a response in it: whatever has none is a warning."""
    from drf_spectacular.drainage import GENERATOR_STATS
    from drf_spectacular.generators import SchemaGenerator
    from drf_spectacular.validation import validate_schema

    GENERATOR_STATS.reset()
    schema = SchemaGenerator().get_schema(request=None, public=True)
    validate_schema(schema)
    assert not GENERATOR_STATS, capsys.readouterr().err
