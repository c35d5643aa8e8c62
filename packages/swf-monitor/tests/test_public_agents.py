# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent of the public testbed, request by request and message by message, with the real server,
listener and broker. docs/reference/compatibility.md has the facts; the code is our own."""

import html
import json
import queue
from collections.abc import Iterator
from datetime import datetime
from importlib.util import find_spec
from typing import Any

import pytest
import stomp
from conftest import TOKEN, Answer, Api, Site, Testbed, need, wait_until
from stomp.utils import Frame

need(find_spec("swf_testbed_cli"), "the testbed's broker is not installed: pip install swf-testbed")

TOPIC = "/topic/epictopic"
NAMESPACE = "tests"


def local_time() -> str:
    """A time as the agents of the public testbed send it, without a time zone."""
    return datetime.now().isoformat()


class PublicAgent(stomp.ConnectionListener):
    """The requests and messages of one agent."""

    def __init__(self, api: Api, port: int, agent_type: str = "DATA") -> None:
        self.api = api
        self.agent_type = agent_type
        self.received: queue.SimpleQueue[str] = queue.SimpleQueue()
        number = self.done(api.post("/api/state/next-agent-id/", None))["agent_id"]
        self.name = f"{agent_type.lower()}-agent-tester-{number}"
        self._connection = stomp.Connection11([("127.0.0.1", port)], heartbeats=(30000, 30000))
        self._connection.set_listener("", self)

    def done(self, answer: Answer) -> Any:
        assert answer.status in (200, 201), answer.text
        return answer.json

    def start(self) -> None:
        headers = {"client-id": self.name, "heart-beat": "30000,30000"}
        self._connection.connect("admin", "admin", wait=True, headers=headers)
        self._connection.subscribe(TOPIC, id=1, ack="auto")
        subscriber = {
            "subscriber_name": f"{self.name}-{TOPIC}",
            "description": f"{self.agent_type} agent subscribing to {TOPIC}",
            "is_active": True,
            "fraction": 1.0,
        }
        answer = self.done(self.api.post("/api/subscribers/", subscriber))
        assert answer["subscriber_name"] == subscriber["subscriber_name"]
        self.heartbeat("READY")

    def heartbeat(self, state: str, status: str = "OK") -> None:
        beat = {
            "instance_name": self.name,
            "agent_type": self.agent_type,
            "status": status,
            "description": f"{self.agent_type} agent. MQ: connected",
            "mq_connected": True,
            "pid": 4711,
            "hostname": "elsewhere",
            "operational_state": state,
            "namespace": NAMESPACE,
        }
        self.done(self.api.post("/api/systemagents/heartbeat/", beat))

    def send(self, msg_type: str, **fields: Any) -> None:
        body = {"msg_type": msg_type, "timestamp": local_time(), "simulation_tick": 3, **fields}
        self.send_body(json.dumps(body | {"sender": self.name, "namespace": NAMESPACE}))

    def send_body(self, text: str) -> None:
        self._connection.send(TOPIC, text)

    def on_message(self, frame: Frame) -> None:
        self.received.put(frame.body)

    def await_message(self, msg_type: str) -> dict[str, Any]:
        while (message := json.loads(self.received.get(timeout=30)))["msg_type"] != msg_type:
            pass
        return message

    def exit(self) -> None:
        self.heartbeat("EXITED", "EXITED")
        self._connection.disconnect()


def page(testbed: Testbed) -> str:
    return html.unescape(testbed.api.get("/").text)


def messages(testbed: Testbed, msg_type: str) -> list[dict[str, Any]]:
    return testbed.rows(f"messages/?msg_type={msg_type}")


@pytest.fixture(params=["sqlite", "postgresql"])
def either_testbed(request: pytest.FixtureRequest) -> Iterator[Testbed]:
    name = "site" if request.param == "sqlite" else "postgresql_site"
    return Testbed(request.getfixturevalue(name))


def test_a_public_agent_from_its_start_to_its_exit(either_testbed: Testbed) -> None:
    testbed = either_testbed
    agent = PublicAgent(testbed.api, testbed.port)
    agent.start()
    (row,) = testbed.rows("systemagents/")
    assert row["instance_name"] == agent.name == "data-agent-tester-1"
    assert (row["operational_state"], row["namespace"], row["hostname"], row["pid"]) == (
        "READY",
        NAMESPACE,
        "elsewhere",
        4711,
    )
    assert [agent["alive"] for agent in testbed.api.get("/api/summary/").json["agents"]] == [True]
    assert testbed.health()["status"] == "ok"
    shown = page(testbed)
    assert agent.name in shown
    assert f"DATA · {NAMESPACE} · ready" in shown
    assert "1 of 1 agents alive" in shown
    agent.exit()
    assert testbed.rows("systemagents/")[0]["status"] == "EXITED"
    # An agent that exited is not missing.
    assert testbed.api.get("/api/summary/").json["agents"] == []
    assert testbed.health()["status"] == "ok"
    wait_until(lambda: '<span class="chip plain">EXITED</span>' in page(testbed), "page with it")
    # Each start has a new name.
    assert PublicAgent(testbed.api, testbed.port).name == "data-agent-tester-2"


def test_a_run_of_the_public_workflow(either_testbed: Testbed) -> None:
    testbed = either_testbed
    api = testbed.api
    agent = PublicAgent(api, testbed.port)
    agent.start()
    number = agent.done(api.post("/api/state/next-run-number/", None))["run_number"]
    run_id, filename = str(number), f"swf.{number}.000001.stf"
    where = {"execution_id": "stf_datataking-tester-0001", "run_id": run_id}

    agent.send("run_imminent", state="beam", substate="not_ready", **where)
    assert agent.await_message("run_imminent")["run_id"] == run_id
    run = {"run_number": number, "start_time": local_time(), "run_conditions": {"beam": "on"}}
    monitor_run_id = agent.done(api.post("/api/runs/", run))["run_id"]
    stored = api.get(f"/api/runs/{monitor_run_id}/").json
    assert (stored["status"], stored["metadata"]) == ("running", {"beam": "on"})

    agent.send("start_run", state="run", substate="physics", **where)
    agent.send("stf_gen", filename=filename, sequence=1, **where)
    agent.await_message("stf_gen")
    wait_until(lambda: "1 pending" in page(testbed), "the announced file")
    stf = {
        "run": monitor_run_id,
        "stf_filename": filename,
        "file_size_bytes": None,
        "machine_state": "run",
        "status": "registered",
        "metadata": {"created_by": agent.name, "start": None, "sequence": 1},
    }
    file_id = agent.done(api.post("/api/stf-files/", stf))["file_id"]
    nothing = {"checksum": None, "size_bytes": None, "processed_by": agent.name}
    agent.send("stf_ready", filename=filename, **nothing, **where)
    change = {"status": "processed", "metadata": {"processed_by": agent.name}}
    agent.done(api.patch(f"/api/stf-files/{file_id}/", change))
    (file,) = testbed.rows("stf-files/")
    assert (file["status"], file["size_bytes"], file["sequence"]) == ("processed", None, 1)
    assert file["metadata"]["machine_state"] == "run"
    assert file["metadata"]["created_by"] == file["metadata"]["processed_by"] == agent.name

    sample = {
        "stf_file": filename,
        "tf_filename": f"swf.{number}.000001_tf_001.tf",
        "tf_first": 0,
        "tf_last": 20,
        "tf_count": 21,
        "file_size_bytes": 21,
        "status": "registered",
        "metadata": {"simulation": True},
    }
    frame = agent.done(api.post("/api/fastmon-files/", sample))
    assert frame["tf_file_id"]
    assert {name: frame[name] for name in sample if name != "metadata"} == {
        name: value for name, value in sample.items() if name != "metadata"
    }
    announced = {name: frame[name] for name in ("tf_filename", "tf_first", "tf_last", "tf_count")}
    agent.send("tf_file_registered", **announced, stf_filename=filename, **where)
    assert testbed.rows("stf-files/")[0]["sampled_at"]

    agent.send("end_run", total_stf_files=1, **where)
    agent.done(api.patch(f"/api/runs/{monitor_run_id}/", {"end_time": local_time()}))
    stored = wait_until(
        lambda: (run := testbed.rows("runs/")[0])["total_files"] is not None and run, "end_run"
    )
    assert (stored["run_id"], stored["status"], stored["total_files"]) == (number, "ended", 1)
    assert stored["started_at"] <= stored["ended_at"]
    types = [row["msg_type"] for row in testbed.rows("messages/")]
    assert types[::-1] == [
        "run_imminent",
        "start_run",
        "stf_gen",
        "stf_ready",
        "tf_file_registered",
        "end_run",
    ]
    for row in testbed.rows("messages/"):
        assert (row["sender"], row["namespace"], row["run_id"]) == (agent.name, NAMESPACE, number)
        assert row["body"]["run_id"] == run_id
    texts = (filename, "tf_file_registered", agent.name, "unknown")
    wait_until(lambda: all(text in page(testbed) for text in texts), "page with all of it")


def test_messages_alone_move_a_run(testbed: Testbed) -> None:
    """Without an agent that reports the run to the API."""
    agent = PublicAgent(testbed.api, testbed.port)
    agent.start()
    number = testbed.api.post("/api/state/next-run-number/", None).json["run_number"]
    ours = testbed.api.post("/api/runs/", {}).json["run_id"]

    def status(run_id: int) -> str:
        return testbed.api.get(f"/api/runs/{run_id}/").json["status"]

    assert status(number) == "imminent"
    for run_id in (number, ours):
        agent.send("start_run", run_id=str(run_id))
    wait_until(lambda: status(number) == "running", "start_run")
    for run_id in (number, ours):
        agent.send("end_run", run_id=str(run_id), total_stf_files=2)
    wait_until(lambda: status(number) == "ended", "end_run")
    wait_until(lambda: len(messages(testbed, "end_run")) == 2, "the last message")
    assert status(ours) == "imminent", "a run of the reference agents"


def test_a_malformed_message_is_counted_and_the_next_one_is_recorded(testbed: Testbed) -> None:
    agent = PublicAgent(testbed.api, testbed.port)
    agent.start()
    bad = [
        "no json",
        "[]",
        "{}",
        '{"msg_type": null}',
        '{"msg_type": ["end_run"]}',
        '{"msg_type": "end_run", "sender": {}}',
        '{"msg_type": "end_run", "namespace": "a\\u0000b"}',
        '{"msg_type": "end_run", "filename": NaN}',
    ]
    for text in bad:
        agent.send_body(text)
    odd = (
        {"run_id": "of-no-number"},
        {"run_id": None, "filename": None, "message_id": 7, "sent_at": "now"},
        {"run_id": 2**31, "total_stf_files": "many"},
    )
    for fields in odd:
        agent.send("end_run", **fields)
    wait_until(lambda: len(messages(testbed, "end_run")) == len(odd), "the valid messages")
    recorded = [row["run_id"] for row in messages(testbed, "end_run")]
    assert recorded[::-1] == [None, None, 2**31]
    refused = f"{len(bad)} messages refused"
    wait_until(lambda: refused in testbed.health()["listener"]["detail"], "word of them", 10)
    assert testbed.health()["status"] == "ok"
    assert testbed.listener.process.poll() is None


def test_the_topic_is_a_setting(site: Site) -> None:
    refused = site.command("listen", SWF_MONITOR_TOPIC="/queue/swf.data")
    assert (refused.returncode, refused.stderr) == (
        2,
        "swf-monitor: SWF_MONITOR_TOPIC must be a topic or 'none', not '/queue/swf.data'\n",
    )
    site.environment["SWF_MONITOR_TOPIC"] = "none"
    detail = Testbed(site).health()["listener"]["detail"]
    assert "subscribed to 1 namespace at" in detail


def test_run_numbers_of_a_daq_and_of_the_monitor_differ(api: Api) -> None:
    """On both databases: a number that was given is not allocated again."""
    first = api.post("/api/runs/", {}).json["run_id"]
    given = {"run_number": first + 1, "start_time": "2026-01-02T03:04:05Z"}
    created = api.post("/api/runs/", given)
    assert (created.status, created.json["started_at"]) == (201, "2026-01-02T03:04:05Z")
    assert api.post("/api/runs/", given).status == 200
    assert api.post("/api/runs/", {"run_number": first, "run_conditions": None}).status == 200
    assert api.post("/api/state/next-run-number/", None).json["run_number"] == first + 2


def test_an_agent_that_was_killed_is_replaced_by_the_next_one(database: None) -> None:
    from datetime import timedelta

    from django.test import Client
    from django.utils import timezone

    from swf_monitor.models import SystemAgent

    def post(name: str, **other: Any) -> None:
        beat = {"instance_name": name, "agent_type": "DATA", "status": "OK", "hostname": "h"}
        answer = Client().post(
            "/api/systemagents/heartbeat/",
            {**beat, "operational_state": "READY", **other},
            content_type="application/json",
            headers={"Authorization": f"Token {TOKEN}"},
        )
        assert answer.status_code == 200, answer.content

    ages = {"killed": 181, "slow": 170, "ours": 181}
    for name in ages:
        post(name)
    for name, seconds in ages.items():
        when = timezone.now() - timedelta(seconds=seconds)
        SystemAgent.objects.filter(instance_name=name).update(last_heartbeat=when)
    SystemAgent.objects.filter(instance_name="ours").update(operational_state="")
    agents = {row["instance_name"]: row for row in Client().get("/api/summary/").json()["agents"]}
    assert {name: row["alive"] for name, row in agents.items()} == {
        "killed": False,
        "slow": True,
        "ours": False,
    }
    post("other", agent_type="FASTMON")
    assert SystemAgent.objects.filter(status="EXITED").count() == 0
    post("next")
    exited = SystemAgent.objects.filter(status="EXITED").values_list("instance_name", flat=True)
    assert list(exited) == ["killed"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("systemagents/heartbeat", {"operational_state": "ASLEEP"}, "operational_state"),
        ("systemagents/heartbeat", {"status": "GONE"}, "status"),
        ("systemagents/heartbeat", {"namespace": "n" * 101}, "namespace"),
        ("runs", {"start_time": "2026-01-02T03:04:05"}, "run_number"),
        ("runs", {"run_number": "first"}, "run_number"),
        ("runs", {"run_number": 2**31}, "run_number"),
        ("runs", {"run_number": 1, "start_time": "yesterday"}, "start_time"),
        ("runs", {"run_number": 1, "run_conditions": [1]}, "run_conditions"),
        ("runs", {"run_number": 1, "run_conditions": {"a": "b\x00"}}, "run_conditions"),
        ("runs", {"run_number": 1, "run_conditions": {"a": "\ud800"}}, "run_conditions"),
        ("runs", {"run_number": 1, "run_conditions": {"a": "b" * 65536}}, "run_conditions"),
        (
            "runs",
            {"run_number": 1, "run_conditions": {"a": [[]] * 1000}},
            "run_conditions",
        ),
        ("stf-files", {"stf_filename": "a.stf", "run": 10**9}, "run"),
        ("stf-files", {"stf_filename": "../a", "run": 1}, "stf_filename"),
        ("stf-files", {"stf_filename": "a.stf", "run": 1, "status": "lost"}, "status"),
        (
            "stf-files",
            {"stf_filename": "a.stf", "run": 1, "file_size_bytes": -1},
            "file_size_bytes",
        ),
        ("fastmon-files", {"tf_filename": "a.tf", "stf_file": "no.stf"}, "file_size_bytes"),
        (
            "fastmon-files",
            {"tf_filename": "a.tf", "stf_file": "no.stf", "file_size_bytes": 1},
            "stf_file",
        ),
        ("subscribers", {}, "subscriber_name"),
        ("namespaces/ensure", {"name": "n"}, "owner"),
        ("logs", {"app_name": "a", "instance_name": "b", "message": ""}, "level"),
    ],
)
def test_the_answer_to_a_wrong_request_names_the_field(
    api: Api, path: str, body: dict[str, Any], field: str
) -> None:
    answer = api.post(f"/api/{path}/", body)
    assert answer.status == 400, answer.text
    assert field in answer.json


def test_every_request_needs_the_token(api: Api) -> None:
    stranger = Api(api.url, None)
    for path in (
        "state/next-agent-id",
        "state/next-run-number",
        "namespaces/ensure",
        "subscribers",
        "fastmon-files",
        "logs",
    ):
        assert stranger.post(f"/api/{path}/", {}).status == 401, path


def test_namespaces_and_log_records(site: Site) -> None:
    program, api = site.serve("--setup")
    namespace = api.post("/api/namespaces/ensure/", {"name": NAMESPACE, "owner": "me"}).json
    assert (namespace["status"], namespace["name"]) == ("success", NAMESPACE)
    record = {
        "app_name": "base_agent",
        "instance_name": "data-agent-tester-1",
        "timestamp": local_time(),
        "level": 30,
        "levelname": "WARNING",
        "message": "disk %s is\nslow",
        "module": "agent",
        "funcname": "run",
        "lineno": 7,
        "process": 4711,
        "thread": 2**40,
        "extra_data": {"run_id": "7"},
    }
    assert api.post("/api/logs/", record).status == 201
    (line,) = [line for line in program.lines if line.get("app_name") == "base_agent"]
    assert (line["level"], line["message"]) == ("WARNING", record["message"])
    assert (line["instance_name"], line["extra_data"]) == (record["instance_name"], {"run_id": "7"})


def test_an_earlier_monitor_works_with_the_new_tables(database: None) -> None:
    """After a rollback. It does not set the new columns."""
    from django.db import connection

    from swf_monitor.models import SystemAgent

    names = "instance_name, agent_type, status, hostname, version, description, last_heartbeat"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO swf_monitor_systemagent ({names}) "  # noqa: S608
            "VALUES ('data@host', 'data', 'OK', '', '', '', '2026-01-02 03:04:05')"
        )
    agent = SystemAgent.objects.get()
    assert (agent.namespace, agent.operational_state, agent.heartbeat_interval) == ("", "", 10.0)
