# SPDX-License-Identifier: GPL-3.0-or-later
"""Claims of namespaces, their data directories, and who may change runs and files."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import TOKEN, Answer, Api, Site

FILE = {
    "path": "/data",
    "size_bytes": 1,
    "checksum": "sha256:" + "0" * 64,
    "sequence": 1,
}


def claim(api: Api, name: str, owner: str, **other: str) -> Answer:
    body = {"name": name, "owner": owner, "agent": f"data@{owner}", **other}
    return api.post("/api/namespaces/claim/", body)


def beat(api: Api, namespace: str, **other: Any) -> Answer:
    body = {
        "instance_name": f"data@{namespace}",
        "agent_type": "data",
        "status": "OK",
        "namespace": namespace,
    }
    return api.post("/api/systemagents/heartbeat/", body | other)


def test_a_claim_is_confirmed_by_its_owner_and_refused_to_others(api: Api) -> None:
    first = claim(api, "claimed", "one").json
    assert claim(api, "claimed", "one").json["namespace_id"] == first["namespace_id"]
    refused = claim(api, "claimed", "two")
    assert refused.status == 409
    detail = refused.json["detail"]
    assert detail.startswith(
        "The namespace claimed belongs to another testbed. Evidence: its owner is one since "
    )
    assert (
        "s ago by data@one; this testbed is two. Fix: set another swf_testbed_namespace" in detail
    )
    assert "(SWF_NAMESPACE_TAKE_OVER) to one" in detail
    assert claim(api, "claimed", "two", take_over_from="three").status == 409

    second = claim(api, "claimed", "two", take_over_from="one").json
    assert second["owner"] == "two"
    assert second["namespace_id"] != first["namespace_id"]
    # the same variable does not take it back
    assert claim(api, "claimed", "one", take_over_from="one").status == 409


def test_one_of_several_claimants_gets_the_namespace(api: Api) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: claim(api, "contested", f"owner-{n}"), range(8)))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 7


@pytest.mark.parametrize("name", ["", "a.b", "A", "-a", "a/b", "a#", "n" * 101])
def test_a_name_that_cannot_be_a_word_of_an_address_is_refused(api: Api, name: str) -> None:
    answer = claim(api, name, "one")
    assert answer.status == 400
    assert "name" in answer.json


def test_a_heartbeat_confirms_the_claim_or_ends_the_agent(api: Api) -> None:
    row = claim(api, "beating", "one").json
    mine = {"namespace_owner": "one", "namespace_id": row["namespace_id"]}
    assert beat(api, "beating", **mine).status == 200
    assert beat(api, "beating").status == 200, "an agent of the public testbed has no owner"
    refused = beat(api, "beating", namespace_owner="two", namespace_id="")
    assert refused.status == 409
    assert "its owner is one" in refused.json["detail"]
    other = beat(api, "beating", namespace_owner="one", namespace_id="0" * 32)
    assert other.status == 409
    assert other.json["detail"].endswith("another id for it. Fix: restart the agent")
    # an agent without work claims what nobody has
    assert beat(api, "fresh", namespace_owner="one").status == 200
    assert claim(api, "fresh", "two").status == 409


def test_a_namespace_has_one_data_directory(api: Api) -> None:
    claim(api, "data", "one")
    body = {"owner": "one", "data_id": "a", "place": "host:/data"}
    assert api.post("/api/namespaces/data/data/", body).json["data_id"] == "a"
    second = api.post("/api/namespaces/data/data/", body | {"data_id": "b", "place": "x:/other"})
    assert (second.json["data_id"], second.json["data_place"]) == ("a", "host:/data")
    assert api.post("/api/namespaces/data/data/", body | {"owner": "two"}).status == 409


def test_a_namespace_is_released_by_its_owner_when_its_agents_have_stopped(api: Api) -> None:
    row = claim(api, "released", "one").json
    mine = {"namespace_owner": "one", "namespace_id": row["namespace_id"]}
    beat(api, "released", **mine)
    path = "/api/namespaces/released/?owner="
    refused = api.request("DELETE", path + "one")
    assert refused.status == 409
    assert "data@released sent heartbeats" in refused.json["detail"]
    assert api.request("DELETE", "/api/systemagents/data@released/").status == 204
    assert api.request("DELETE", path + "two").status == 409
    assert api.request("DELETE", path + "one").status == 204
    assert api.request("DELETE", path + "one").status == 204
    assert claim(api, "released", "two").status == 200


def test_runs_and_files_are_changed_in_their_namespace_alone(api: Api) -> None:
    run_id = api.post("/api/runs/", {"namespace": "mine"}).json["run_id"]
    name = f"swf.{run_id:06d}.000001.stf"
    other, mine = {"SWF-Namespace": "other"}, {"SWF-Namespace": "mine"}
    file = {"filename": name, "run_id": run_id, **FILE}
    refused = api.request("POST", "/api/stf-files/", file, **other)
    assert refused.status == 409
    assert "belongs to the namespace mine, not to other" in refused.json["detail"]
    assert api.request("POST", "/api/stf-files/", file, **mine).status == 201
    failed = {"status": "failed", "reason": "not here"}
    assert api.request("PATCH", f"/api/stf-files/{name}/", failed, **other).status == 409
    frame = {"filename": "x.tf", "stf_filename": name, "size_bytes": 1, "offset": 0}
    assert api.request("POST", "/api/tf-files/", frame, **other).status == 409
    assert api.request("PATCH", f"/api/runs/{run_id}/", {"status": "ended"}, **other).status == 409
    assert [
        row["filename"] for row in api.get("/api/stf-files/?namespace=mine").json["results"]
    ] == [name]
    assert api.get("/api/stf-files/?namespace=other").json["count"] == 0
    assert api.get("/api/runs/?namespace=mine&status=imminent").json["count"] == 1
    # agents of the public testbed, and of earlier versions, do not send their namespace
    assert api.patch(f"/api/stf-files/{name}/", failed).status == 200


def test_a_claim_expires(site: Site) -> None:
    _, api = site.serve("--setup", SWF_NAMESPACE_KEEP_DAYS="0")
    assert claim(api, "old", "one").status == 200
    assert claim(api, "old", "two").status == 200


def test_the_first_namespace_gets_the_runs_of_an_earlier_version(site: Site) -> None:
    """Its data agent then sends their unfinished files again; runs of the public testbed stay."""
    _, api = site.serve("--setup")
    former = api.post("/api/runs/", {}).json["run_id"]
    public = api.post("/api/state/next-run-number/", {}).json["run_number"]
    claim(api, "first", "one")
    later = api.post("/api/runs/", {}).json["run_id"]
    claim(api, "first", "one")
    claim(api, "second", "two")
    last = api.post("/api/runs/", {}).json["run_id"]
    claim(api, "first", "one")
    rows = {row["run_id"]: row["namespace"] for row in api.get("/api/runs/").json["results"]}
    assert rows == {former: "first", public: "", later: "first", last: ""}


def test_messages_that_were_set_aside_are_limited(database: None) -> None:
    from swf_monitor import namespaces
    from swf_monitor.models import SetAsideMessage

    for number in range(namespaces.SET_ASIDE_RETAINED + 5):
        namespaces.set_aside("mine", "data@here", "/queue/x", "malformed", f"{number}\0")
    rows = SetAsideMessage.objects.order_by("pk")
    assert rows.count() == namespaces.SET_ASIDE_RETAINED
    assert rows[0].body == "5\\0"
    assert namespaces.set_aside_state("mine")["set_aside"] == namespaces.SET_ASIDE_RETAINED
    assert namespaces.set_aside_state("other")["ok"]


def test_the_former_name_of_an_agent_does_not_count_as_dead(database: None) -> None:
    from datetime import timedelta

    from django.test import Client
    from django.utils import timezone

    from swf_monitor.models import SystemAgent

    former = {"agent_type": "data", "status": "OK", "hostname": "here"}
    old = timezone.now() - timedelta(minutes=5)
    for name in ("data@here", "data@there", "fastmon@here"):
        SystemAgent.objects.create(instance_name=name, last_heartbeat=old, **former)
    beat = former | {"instance_name": "data@one.me.here", "namespace": "n", "namespace_owner": "me"}
    answer = Client(headers={"Authorization": f"Token {TOKEN}"}).post(
        "/api/systemagents/heartbeat/", beat, content_type="application/json"
    )
    assert answer.status_code == 200
    left = set(SystemAgent.objects.values_list("instance_name", flat=True))
    assert left == {"data@one.me.here", "data@there", "fastmon@here"}
