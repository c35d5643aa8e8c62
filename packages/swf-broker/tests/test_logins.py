# SPDX-License-Identifier: GPL-3.0-or-later
"""Further logins: their rights, and a file that changes while the broker runs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import BrokerProcess, StartBroker
from stomp_client import RawClient
from test_process import one_line, run

OWN = {"SWF_BROKER_USER": "swf", "SWF_BROKER_PASSWORD": "own"}
ALICE = {"login": "alice", "password": "for alice", "namespace": "alice"}
BOB = {"login": "bob", "password": "for bob", "namespace": "bob"}

Write = Callable[..., None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logins.json"


@pytest.fixture
def write(path: Path) -> Write:
    """Replaces the file, as a deployment does."""

    def replace(*logins: object) -> None:
        scratch = path.with_suffix(".new")
        scratch.write_text(json.dumps(logins))
        scratch.rename(path)

    return replace


@pytest.fixture
def broker(start_broker: StartBroker, path: Path, write: Write) -> BrokerProcess:
    write(ALICE, BOB)
    return start_broker(SWF_BROKER_LOGINS_FILE=str(path), **OWN)


def client_of(broker: BrokerProcess, login: dict[str, str]) -> RawClient:
    return RawClient(broker.port, login=login["login"], passcode=login["password"])


def own_client(broker: BrokerProcess) -> RawClient:
    return RawClient(broker.port, login="swf", passcode="own")


@pytest.mark.parametrize(
    "address", ["/queue/swf.alice.data", "/topic/swf.alice.data", "swf.alice.data"]
)
def test_a_login_uses_the_addresses_of_its_namespace(broker: BrokerProcess, address: str) -> None:
    reader, sender = client_of(broker, ALICE), client_of(broker, ALICE)
    reader.subscribe(address, ack="auto", receipt="there")
    reader.read("RECEIPT")
    sender.send("SEND", {"destination": address}, b"hello")
    assert reader.message() == "hello"


@pytest.mark.parametrize(
    "address",
    [
        "/queue/swf.bob.data",
        "/topic/swf.bob.data",
        "/queue/swf.data",
        "/queue/swf.alice",
        "/queue/swf.alicex.data",
        "/queue//queue/swf.alice.data",
        "/queue//topic/swf.alice.data",
        "/queue/DLQ",
        "swf.bob.data",
    ],
)
@pytest.mark.parametrize("command", ["SEND", "SUBSCRIBE"])
def test_and_no_others(broker: BrokerProcess, command: str, address: str) -> None:
    client = client_of(broker, ALICE)
    client.send(command, {"id": "1", "destination": address})
    assert client.refused_because() == (
        f"the login alice may not use {address}: it may use the addresses that begin with swf.alice."
    )


def test_a_transaction_is_refused_as_a_whole(broker: BrokerProcess) -> None:
    client = client_of(broker, ALICE)
    client.send("BEGIN", {"transaction": "t"})
    for address in ("/queue/swf.alice.data", "/queue/swf.bob.data"):
        client.send("SEND", {"destination": address, "transaction": "t"}, b"x")
    client.send("COMMIT", {"transaction": "t"})
    assert "may not use /queue/swf.bob.data" in client.refused_because()
    reader = client_of(broker, ALICE)
    reader.subscribe("/queue/swf.alice.data")
    assert reader.nothing_comes()


def test_the_login_of_the_testbed_uses_all_addresses(broker: BrokerProcess) -> None:
    client_of(broker, ALICE).put("/queue/swf.alice.data", "hers")
    client = own_client(broker)
    client.subscribe("/queue/swf.alice.data", ack="auto")
    assert client.message() == "hers"


@pytest.mark.parametrize(
    ("login", "password"), [("alice", "for bob"), ("alice", ""), ("carol", "for alice"), ("", "")]
)
def test_a_wrong_login_is_refused(broker: BrokerProcess, login: str, password: str) -> None:
    client = RawClient(broker.port, version="")
    client.send("CONNECT", {"accept-version": "1.2", "login": login, "passcode": password})
    assert client.refused_because() == "login refused: wrong user or password"


def test_a_removed_login_is_disconnected_and_refused(broker: BrokerProcess, write: Write) -> None:
    alice, bob, own = client_of(broker, ALICE), client_of(broker, BOB), own_client(broker)
    write(BOB)
    assert alice.refused_because() == "the login is no longer valid"
    again = RawClient(broker.port, version="")
    again.send("CONNECT", {"accept-version": "1.2", "login": "alice", "passcode": "for alice"})
    assert again.refused_because() == "login refused: wrong user or password"
    # the others notice nothing
    for client, address in ((bob, "/queue/swf.bob.data"), (own, "/queue/swf.data")):
        client.put(address, "x")
    write(ALICE, BOB)
    client_of(broker, ALICE).put("/queue/swf.alice.data", "x")


def test_a_new_password_ends_the_sessions_of_the_former(
    broker: BrokerProcess, write: Write
) -> None:
    client = client_of(broker, ALICE)
    changed = {**ALICE, "password": "another"}
    write(changed, BOB)
    assert client.refused_because() == "the login is no longer valid"
    client_of(broker, changed)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("{", "is not JSON"),
        ("{}", "is not a list"),
        ('[{"login": "alice"}]', "item 0 of"),
        ('["alice"]', "item 0 of"),
        (json.dumps([ALICE, ALICE]), "has the login alice, which exists already"),
        (json.dumps([{**ALICE, "login": "swf"}]), "has the login swf, which exists already"),
    ],
)
def test_a_wrong_file_changes_nothing(
    broker: BrokerProcess, path: Path, content: str, cause: str
) -> None:
    path.write_text(content)
    client_of(broker, ALICE).put("/queue/swf.alice.data", "x")
    deadline = time.monotonic() + 20
    found: list[str] = []
    # the log arrives on another way than the answers
    while not found and time.monotonic() < deadline:
        lines = [str(line["message"]) for line in list(broker.lines)]
        found = [line for line in lines if line.startswith("the logins did not change")]
        time.sleep(0.02)
    assert len(found) == 1
    assert cause in found[0]
    assert "for alice" not in str(broker.lines)


def test_the_file_need_not_exist(start_broker: StartBroker, path: Path, write: Write) -> None:
    broker = start_broker(SWF_BROKER_LOGINS_FILE=str(path), **OWN)
    own_client(broker).put("/queue/swf.data", "x")
    write(ALICE)
    alice = client_of(broker, ALICE)
    path.unlink()
    assert alice.refused_because() == "the login is no longer valid"


def test_a_file_without_a_password_is_refused(path: Path) -> None:
    assert "SWF_BROKER_PASSWORD(_FILE) is not" in one_line(run(SWF_BROKER_LOGINS_FILE=str(path)))
