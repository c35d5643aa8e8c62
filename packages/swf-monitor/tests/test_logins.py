# SPDX-License-Identifier: GPL-3.0-or-later
"""The API tokens of issued logins, in a file that changes while the monitor serves, and the namespace
that each login may change."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import TOKEN, Answer, Api, Program, Site

ALICE = {"login": "alice", "token": "a" * 40, "namespace": "alice"}
BOB = {"login": "bob", "token": "b" * 40, "namespace": "bob"}
# by the testbed that issues the logins
LAB = "lab"
FILE = {"path": "/data", "size_bytes": 1, "checksum": "sha256:" + "0" * 64, "sequence": 1}
SIZE = {"size_bytes": 1, "offset": 0}
HEARTBEAT = {"agent_type": "data", "status": "OK", "namespace": LAB}
SET_ASIDE = {"receiver": "x", "destination": "/queue/x", "reason": "malformed", "body": "x"}
# An issued login may send all of them, in its own namespace. {namespace}: of the object; {run} and
# {file}: of that namespace.
WRITING: dict[str, tuple[str, str, Any]] = {
    "claim": ("POST", "namespaces/claim/", {"name": "{namespace}", "owner": "me", "agent": "x"}),
    "data directory": (
        "POST",
        "namespaces/{namespace}/data/",
        {"owner": "me", "data_id": "x", "place": "here:/data"},
    ),
    "heartbeat": (
        "POST",
        "systemagents/heartbeat/",
        {
            "instance_name": "new@{namespace}",
            "agent_type": "data",
            "status": "EXITED",
            "namespace": "{namespace}",
        },
    ),
    "heartbeat of an agent": (
        "POST",
        "systemagents/heartbeat/",
        {**HEARTBEAT, "namespace": "", "instance_name": "data@{namespace}"},
    ),
    "end of an agent": ("DELETE", "systemagents/data@{namespace}/", None),
    "run": ("POST", "runs/", {"namespace": "{namespace}"}),
    "run with a number": ("POST", "runs/", {"run_number": "{run}"}),
    "change of a run": ("PATCH", "runs/{run}/", {"status": "running"}),
    "file": ("POST", "stf-files/", {**FILE, "filename": "new-{namespace}", "run_id": "{run}"}),
    "public file": ("POST", "stf-files/", {"stf_filename": "public-{namespace}", "run": "{run}"}),
    "change of a file": ("PATCH", "stf-files/{file}/", {"status": "failed", "reason": "not here"}),
    "time frame": (
        "POST",
        "tf-files/",
        {"filename": "tf-{namespace}", "stf_filename": "{file}", "size_bytes": 1, "offset": 0},
    ),
    "public time frame": (
        "POST",
        "fastmon-files/",
        {"stf_file": "{file}", "tf_filename": "fast-{namespace}", "file_size_bytes": 1},
    ),
    "message set aside": ("POST", "set-aside-messages/", {**SET_ASIDE, "namespace": "{namespace}"}),
    "public namespace": ("POST", "namespaces/ensure/", {"name": "{namespace}", "owner": "me"}),
    "release": ("DELETE", "namespaces/{namespace}/?owner=me", None),
}
# They belong to no namespace, or to that of the login.
WITHOUT_NAMESPACE: dict[str, tuple[str, str, Any]] = {
    "number of an agent": ("POST", "state/next-agent-id/", None),
    "number of a run": ("POST", "state/next-run-number/", None),
    "subscriber": ("POST", "subscribers/", {"subscriber_name": "x"}),
    "log record": (
        "POST",
        "logs/",
        {"app_name": "x", "instance_name": "x", "level": 20, "message": "x"},
    ),
}


def write(path: Path, *logins: object) -> None:
    """Replace the file, as a deployment does."""
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps(logins))
    scratch.rename(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logins.json"


@pytest.fixture
def served(site: Site, path: Path) -> tuple[Program, Api]:
    site.set_up()
    return site.serve(SWF_API_LOGINS_FILE=str(path))


@pytest.fixture
def api(served: tuple[Program, Api]) -> Api:
    return served[1]


def status(api: Api, login: dict[str, str]) -> int:
    return Api(api.url, login["token"]).get("/api/runs/").status


def test_a_login_is_issued_and_revoked_while_the_monitor_serves(api: Api, path: Path) -> None:
    assert status(api, ALICE) == 401
    write(path, ALICE, BOB)
    assert (status(api, ALICE), status(api, BOB)) == (200, 200)
    write(path, BOB)
    assert (status(api, ALICE), status(api, BOB)) == (401, 200)
    changed = {**BOB, "token": "c" * 40}
    write(path, changed)
    assert (status(api, BOB), status(api, changed)) == (401, 200)
    path.unlink()
    assert status(api, changed) == 401
    assert api.get("/api/runs/").status == 200


def test_a_restart_changes_nothing(site: Site, served: Any, path: Path) -> None:
    program, api = served
    write(path, ALICE)
    assert status(api, ALICE) == 200
    assert program.stop() == 0
    # setup sets the token of the testbed alone
    site.set_up()
    _program, again = site.serve(SWF_API_LOGINS_FILE=str(path))
    assert status(again, ALICE) == 200
    assert again.get("/api/runs/").status == 200


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "{}",
        '["alice"]',
        '[{"login": "alice"}]',
        json.dumps([{**ALICE, "token": "short"}]),
        json.dumps([ALICE, ALICE]),
        json.dumps([ALICE, {**BOB, "token": ALICE["token"]}]),
        json.dumps([{**ALICE, "login": "swf-api"}]),
        json.dumps([{"login": "alice", "token": ALICE["token"]}]),
        json.dumps([{**ALICE, "namespace": "Not.One"}]),
    ],
)
def test_a_wrong_file_changes_nothing(served: Any, path: Path, content: str) -> None:
    program, api = served
    write(path, ALICE)
    assert status(api, ALICE) == 200
    path.write_text(content)
    assert status(api, ALICE) == 200
    assert Api(api.url, TOKEN).get("/api/runs/").status == 200
    assert "the issued logins did not change" in program.output
    assert ALICE["token"] not in program.output


def filled(value: Any, names: dict[str, Any]) -> Any:
    """A value of the table with the names of the objects."""
    if isinstance(value, dict):
        return {key: filled(item, names) for key, item in value.items()}
    if value == "{run}":
        return names["run"]
    return value.format(**names) if isinstance(value, str) else value


class Records:
    """A namespace with an agent, a run and a file, by the token of the testbed or of its login."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.namespace = namespace
        for path, body in (
            ("namespaces/claim/", {"name": namespace, "owner": "me", "agent": "x"}),
            (
                "systemagents/heartbeat/",
                {**HEARTBEAT, "namespace": namespace, "instance_name": f"data@{namespace}"},
            ),
        ):
            assert api.post(f"/api/{path}", body).status == 200
        self.run = api.post("/api/runs/", {"namespace": namespace}).json["run_id"]
        self.file = f"file-{namespace}"
        body = {**FILE, "filename": self.file, "run_id": self.run}
        assert api.post("/api/stf-files/", body).status == 201

    def send(self, api: Api, request: tuple[str, str, Any], **headers: str) -> Answer:
        method, path, body = request
        names = vars(self)
        return api.request(method, f"/api/{path.format(**names)}", filled(body, names), **headers)


def everything(api: Api) -> Any:
    """All records of the monitor."""
    lists = ("systemagents", "namespaces", "runs", "stf-files", "set-aside-messages")
    return {name: api.get(f"/api/{name}/?limit=1000").json for name in lists}


def test_a_login_changes_its_own_namespace_alone(api: Api, path: Path) -> None:
    write(path, ALICE)
    alice = Api(api.url, ALICE["token"])
    lab, own = Records(api, LAB), Records(alice, "alice")
    public = api.post("/api/runs/", {"run_number": 4711}).json["run_id"]
    before = everything(api)
    for name, request in WRITING.items():
        for headers in ({}, {"SWF-Namespace": "alice"}, {"SWF-Namespace": LAB}):
            refused = lab.send(alice, request, **headers)
            assert refused.status == 403, (name, refused.text)
            detail = refused.json["detail"]
            assert detail.startswith("The login alice may not change the namespace lab. Evidence: ")
            assert "Fix: set swf_testbed_namespace (SWF_NAMESPACE) to alice" in detail
    for request in (*WRITING.values(), *WITHOUT_NAMESPACE.values()):
        assert own.send(alice, request, **{"SWF-Namespace": LAB}).status == 403
    refused = alice.patch(f"/api/runs/{public}/", {"status": "ended"})
    assert refused.status == 403
    assert "may not change records without a namespace" in refused.json["detail"]
    assert everything(api) == before
    # reading stays as it is
    assert everything(alice) == before
    assert alice.request("GET", "/api/runs/", **{"SWF-Namespace": LAB}).status == 200
    for name, request in (*WRITING.items(), *WITHOUT_NAMESPACE.items()):
        answer = own.send(alice, request, **{"SWF-Namespace": "alice"})
        assert answer.status in (200, 201, 204), (name, answer.text)


def test_a_login_does_not_take_the_names_of_files_of_others(api: Api, path: Path) -> None:
    """Not before their runs exist, either: the name has the number that the monitor gives to a run."""
    write(path, ALICE)
    alice = Api(api.url, ALICE["token"])
    own = Records(alice, "alice")
    for number in (own.run + 1, own.run + 1000):
        stf, tf = f"swf.{number:06d}.000001.stf", f"swf.{number}.000001_tf_001.tf"
        for request, field in (
            (("stf-files/", {**FILE, "filename": stf, "run_id": own.run}), "filename"),
            (("stf-files/", {"stf_filename": stf, "run": own.run}), "stf_filename"),
            (
                ("tf-files/", {"filename": tf, "stf_filename": own.file, **SIZE}),
                "filename",
            ),
            (
                ("fastmon-files/", {"tf_filename": tf, "stf_file": own.file, "file_size_bytes": 1}),
                "tf_filename",
            ),
        ):
            answer = alice.post(f"/api/{request[0]}", request[1])
            assert answer.status == 400, answer.text
            assert f"Has the number of run {number}, and the file is of run {own.run}." in str(
                answer.json[field]
            )
    lab = api.post("/api/runs/", {"namespace": LAB}).json["run_id"]
    file = {**FILE, "filename": f"swf.{lab:06d}.000001.stf", "run_id": lab}
    assert api.post("/api/stf-files/", file).status == 201


def test_the_testbed_changes_every_namespace(api: Api, path: Path) -> None:
    write(path, ALICE)
    own = Records(Api(api.url, ALICE["token"]), "alice")
    for name, request in (*WRITING.items(), *WITHOUT_NAMESPACE.items()):
        answer = own.send(api, request)
        assert answer.status in (200, 201, 204), (name, answer.text)


def test_new_records_of_a_login_are_in_its_namespace(api: Api, path: Path) -> None:
    write(path, ALICE)
    former = api.post("/api/runs/", {}).json["run_id"]
    alice = Api(api.url, ALICE["token"])
    alice.post("/api/runs/", {})
    alice.post("/api/runs/", {"run_number": 4711})
    alice.post("/api/state/next-run-number/", None)
    beat = {"instance_name": "x", "agent_type": "data", "status": "OK", "namespace_owner": "me"}
    assert alice.post("/api/systemagents/heartbeat/", beat).json["namespace"] == "alice"
    # the first claim does not give the login the runs of others
    claim = {"name": "alice", "owner": "me", "agent": "x"}
    assert alice.post("/api/namespaces/claim/", claim).status == 200
    rows = {row["run_id"]: row["namespace"] for row in api.get("/api/runs/").json["results"]}
    assert rows.pop(former) == ""
    assert list(rows.values()) == ["alice"] * 3


def test_a_login_gets_another_namespace(api: Api, path: Path) -> None:
    write(path, ALICE)
    alice = Api(api.url, ALICE["token"])
    assert alice.post("/api/runs/", {"namespace": "alice"}).status == 201
    write(path, {**ALICE, "namespace": "other"})
    assert alice.post("/api/runs/", {"namespace": "alice"}).status == 403
    assert alice.post("/api/runs/", {"namespace": "other"}).status == 201


def test_a_login_of_a_version_without_namespaces_changes_nothing(database: None) -> None:
    from django.contrib.auth import get_user_model
    from django.contrib.auth.models import Group
    from django.test import Client
    from rest_framework.authtoken.models import Token

    from swf_monitor.logins import GROUP

    user = get_user_model().objects.create(username="carol")
    user.groups.add(Group.objects.get_or_create(name=GROUP)[0])
    Token.objects.create(user=user, key="c" * 40)
    client = Client(headers={"Authorization": f"Token {'c' * 40}"})
    for request in ({}, {"namespace": "carol"}):
        answer = client.post("/api/runs/", request, content_type="application/json")
        assert answer.status_code == 403
        assert "that of the login is unknown. Fix: the operator" in answer.json()["detail"]
    user.delete()


def test_the_table_has_each_writing_request(database: None) -> None:
    """A new one must refuse other namespaces, too."""
    from swf_monitor.api.urls import urlpatterns

    names = {"namespace": "n", "run": 1, "file": "f"}
    sent = {
        (method, pattern.callback)
        for method, path, _body in (*WRITING.values(), *WITHOUT_NAMESPACE.values())
        for pattern in urlpatterns
        if pattern.resolve(path.partition("?")[0].format(**names))
        and method.lower() in dir(pattern.callback.view_class)
    }
    writing = {
        (method.upper(), pattern.callback)
        for pattern in urlpatterns
        for method in ("post", "put", "patch", "delete")
        if hasattr(pattern.callback.view_class, method)
    }
    assert writing - sent == set()
