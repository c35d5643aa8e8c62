# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS: versions, slow and hostile handshakes, a renewed certificate, files that cannot be used."""

from __future__ import annotations

import signal
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from conftest import BrokerProcess, StartBroker
from stomp_client import RawClient
from test_process import one_line, run

AUTHORITY = trustme.CA()


def write(
    folder: Path, name: str = "127.0.0.1", authority: trustme.CA = AUTHORITY
) -> trustme.LeafCert:
    issued = authority.issue_cert(name)
    (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    return issued


def files(folder: Path) -> dict[str, str]:
    return {
        "SWF_BROKER_TLS_CERT": str(folder / "cert.pem"),
        "SWF_BROKER_TLS_KEY": str(folder / "key.pem"),
    }


@pytest.fixture
def context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


@pytest.fixture
def broker(start_broker: StartBroker, tmp_path: Path) -> BrokerProcess:
    write(tmp_path)
    return start_broker(**files(tmp_path))


def test_messages_pass(broker: BrokerProcess, context: ssl.SSLContext) -> None:
    assert broker.wait_for("listening")["tls"] is True
    client = RawClient(broker.port, tls=context)
    client.subscribe("/queue/q", ack="auto")
    body = b"x" * 3_000_000
    client.send("SEND", {"destination": "/queue/q"}, body)
    assert client.read("MESSAGE").body == body
    assert broker.terminate() == 0


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_and_plain_clients_are_refused(
    broker: BrokerProcess, context: ssl.SSLContext
) -> None:
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert RawClient(broker.port, tls=context).socket.version() == "TLSv1.2"
    old = ssl.create_default_context()
    AUTHORITY.configure_trust(old)
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        RawClient(broker.port, tls=old)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert RawClient(broker.port, tls=old).socket.version() == "TLSv1.2"
    plain = RawClient(broker.port, "")
    plain.send("CONNECT", {"accept-version": "1.2", "host": "h"})
    assert plain.socket.recv(100)[:1] in (b"", b"\x15")  # closed, or a TLS alert


@pytest.fixture
def stalled(broker: BrokerProcess) -> Iterator[list[socket.socket]]:
    """Clients that are in the middle of their handshake, or have not begun it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="x")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()
    sockets = [socket.create_connection(("127.0.0.1", broker.port)) for _ in range(200)]
    for n, each in enumerate(sockets):
        each.sendall(hello[: n * len(hello) // 200])
    yield sockets
    for each in sockets:
        each.close()


def test_slow_handshakes_do_not_delay_others(
    broker: BrokerProcess, context: ssl.SSLContext, stalled: list[socket.socket]
) -> None:
    slowest = 0.0
    for n in range(20):
        start = time.monotonic()
        client = RawClient(broker.port, tls=context)
        client.put("/queue/q", str(n))
        client.close()
        slowest = max(slowest, time.monotonic() - start)
    print(f"\nconnection, login and confirmed message in at most {slowest * 1000:.0f} ms")
    assert slowest < 2
    start = time.monotonic()
    for each in stalled:
        each.settimeout(30)
        while each.recv(65536):
            pass
    assert time.monotonic() - start < 20, "a handshake has ten seconds"


def test_a_renewed_certificate_is_used_after_sighup(
    broker: BrokerProcess, context: ssl.SSLContext, tmp_path: Path
) -> None:
    first = RawClient(broker.port, tls=context)
    before = first.socket.getpeercert()["serialNumber"]
    write(tmp_path)
    assert RawClient(broker.port, tls=context).socket.getpeercert()["serialNumber"] == before
    broker.process.send_signal(signal.SIGHUP)
    broker.wait_for("certificate reloaded")
    after = RawClient(broker.port, tls=context).socket.getpeercert()["serialNumber"]
    assert after != before
    first.put("/queue/q", "the old connection lives")

    (tmp_path / "key.pem").write_text("half a k")
    broker.process.send_signal(signal.SIGHUP)
    line = broker.wait_for("the certificate did not change")
    assert "not a certificate and its key" in str(line["cause"])
    again = RawClient(broker.port, tls=context).socket.getpeercert()["serialNumber"]
    assert again == after


def test_without_a_server_name_the_renewed_certificate_is_used(
    broker: BrokerProcess, tmp_path: Path
) -> None:
    renewed = trustme.CA()
    write(tmp_path, authority=renewed)
    broker.process.send_signal(signal.SIGHUP)
    broker.wait_for("certificate reloaded")
    context = ssl.create_default_context()
    context.check_hostname = False
    renewed.configure_trust(context)
    RawClient(broker.port, tls=context, server_name=None)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda f: (f / "cert.pem").unlink(), "SWF_BROKER_TLS_CERT: cannot read"),
        (lambda f: (f / "key.pem").unlink(), "SWF_BROKER_TLS_KEY: cannot read"),
        (lambda f: (f / "key.pem").write_text("x"), "not a certificate and its key"),
        (lambda f: write(f) and write_key_of_another(f), "KEY_VALUES_MISMATCH"),
        (lambda f: encrypt(f / "key.pem"), "not a certificate and its key"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, change, cause: str) -> None:
    write(tmp_path)
    change(tmp_path)
    assert cause in one_line(run("--port", "0", **files(tmp_path)))


def write_key_of_another(folder: Path) -> None:
    AUTHORITY.issue_cert("other").private_key_pem.write_to_path(str(folder / "key.pem"))


def encrypt(path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(path.read_bytes(), None)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"canary"),
        )
    )
