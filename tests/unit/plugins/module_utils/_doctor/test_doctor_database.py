# SPDX-License-Identifier: GPL-3.0-or-later
"""What an external PostgreSQL does for the login of the programs: against a real one."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor import database
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service import sockets
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service.postgresql import (
    Connection,
    PostgresqlError,
)
from helpers.certificates import Ca
from helpers.postgresql_server import PASSWORD, running
from helpers.used_services import findings, texts

# the first line that fits decides
HBA = """
hostnossl all tls_only  all reject
host      all md5       all md5
host      all cleartext all password
host      all trusted   all trust
host      all forbidden all reject
local     all all       trust
host      all all       all scram-sha-256
"""
SETUP = """
CREATE ROLE scram LOGIN PASSWORD 'pässwörd-canary';
CREATE ROLE tls_only LOGIN PASSWORD 'canary';
CREATE ROLE cleartext LOGIN PASSWORD 'canary';
CREATE ROLE trusted LOGIN;
CREATE ROLE forbidden LOGIN PASSWORD 'canary';
CREATE ROLE reader LOGIN PASSWORD 'canary';
CREATE ROLE few LOGIN PASSWORD 'canary' CONNECTION LIMIT 4;
SET password_encryption = md5;
CREATE ROLE md5 LOGIN PASSWORD 'canary';
RESET password_encryption;
GRANT CREATE ON SCHEMA public TO PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CREATE ON SCHEMA public TO scram, tls_only, cleartext, trusted, few, md5;
"""


class Server:
    def __init__(self, folder, port, ca):
        self.folder, self.port, self.ca = folder, port, ca

    def session(self, user="swf", password=PASSWORD):
        return Connection(
            socket.create_connection(("127.0.0.1", self.port), 5), user, password, "postgres"
        )

    def texts(self, user="scram", password="canary", **more):
        item = {
            "protocol": "postgresql",
            "user": user,
            "password": password,
            "database": "postgres",
        }
        return texts(self.port, **{**item, **more})


@pytest.fixture(name="server", scope="module")
def a_server(tmp_path_factory):
    ca = Ca(tmp_path_factory.mktemp("ca"))
    certificate, key = ca.issued("server")
    options = (
        "ssl=on",
        "ssl_cert_file=server.pem",
        "ssl_key_file=server.key",
        "unix_socket_directories=FOLDER",
        "max_connections=20",
    )
    with running(*options, hba=HBA, files=(certificate, key)) as (folder, port):
        server = Server(folder, port, ca)
        session = server.session()
        session.query(SETUP)
        session.close()
        yield server


@pytest.mark.parametrize("user", ["md5", "cleartext", "trusted", "tls_only"])
@pytest.mark.parametrize("tls", ["off", "postgresql"])
def test_every_way_to_log_in(server, user, tls):
    assert server.texts(user, tls=tls, ca=server.ca.pem) == []


def test_scram_with_a_password_that_is_not_ascii(server):
    assert server.texts(password="pässwörd-canary") == []


def test_a_socket(server, monkeypatch):
    monkeypatch.setattr(database.os, "geteuid", lambda: 1000)
    assert server.texts(host=str(server.folder)) == []
    assert "does not exist" in server.texts("nobody", host=str(server.folder))[0]
    # the server may go by the user of the process, and root is not that of the programs
    monkeypatch.setattr(database.os, "geteuid", lambda: 0)
    assert server.texts("nobody", host=str(server.folder)) == []


def test_without_tls_a_role_that_needs_it_is_refused(server):
    with pytest.raises(PostgresqlError, match="rejects connection") as caught:
        server.session("tls_only", "canary")
    assert caught.value.code == "28000"


@pytest.mark.parametrize(
    "item, parts",
    [
        (
            {"password": "wrong"},
            ["password authentication failed", "swf_testbed_database_password"],
        ),
        ({"user": "nobody"}, ["password authentication failed", "swf_testbed_database_user"]),
        ({"user": "forbidden"}, ["pg_hba.conf rejects connection", "allow this host"]),
        (
            {"user": "trusted", "database": "no-such"},
            ['database "no-such" does not exist', 'CREATE DATABASE "no-such" OWNER "trusted"'],
        ),
    ],
)
def test_a_refused_login_has_its_reason_and_fix(server, item, parts):
    (text,) = server.texts(**item)
    assert text.startswith("PostgreSQL refuses the login of the programs. Evidence: 127.0.0.1:")
    assert all(part in text for part in parts) and "wrong" not in text, text


def test_a_ca_that_did_not_issue_the_certificate(server, tmp_path):
    (found,) = findings(
        server.port,
        protocol="postgresql",
        tls="postgresql",
        ca=Ca(tmp_path).pem,
        user="scram",
        password="canary",
        database="postgres",
    )
    assert "does not trust the CA" in found["cause"]


def test_a_role_that_may_not_create_tables(server):
    (text,) = server.texts("reader")
    assert "cannot create tables" in text and "permission denied for schema public" in text
    assert 'GRANT USAGE, CREATE ON SCHEMA public TO "reader"' in text


def test_a_check_leaves_no_table(server):
    assert server.texts(password="pässwörd-canary") == []
    session = server.session()
    tables = session.query("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'swf%'")
    session.close()
    assert tables == [["0"]]


def test_a_version_that_is_too_old(server):
    (text,) = server.texts("trusted", minimum="99.1")
    assert "PostgreSQL is too old for the stack" in text and "needs 99.1 or newer" in text
    assert server.texts("trusted", minimum="9.6") == []


def test_connections_of_the_server_and_of_a_role(server):
    (text,) = server.texts("few", connections=5)
    assert "open up to 5, and the connection limit of the role leaves 4" in text
    assert server.texts("few", connections=4) == []
    (text,) = server.texts("trusted", connections=18)
    assert "open up to 18, and max_connections leaves 17" in text
    with contextlib.ExitStack() as others:
        for _number in range(3):
            others.callback(server.session().close)
        (text,) = server.texts("trusted", connections=15)
        assert "max_connections leaves 14" in text
        # its own sessions are those of programs that a change replaces
        for _number in range(3):
            others.callback(server.session("trusted").close)
        assert server.texts("trusted", connections=14) == []


def test_all_problems_of_one_login_at_once(server):
    found = server.texts("reader", minimum="99", connections=1000)
    assert [text.split(".")[0] for text in found] == [
        "PostgreSQL is too old for the stack",
        "the programs cannot create tables in PostgreSQL",
        "PostgreSQL has too few connections for the stack",
    ]


def test_a_clock_that_differs(server, monkeypatch):
    now = time.time
    monkeypatch.setattr(database.time, "time", lambda: now() - 100)
    (found,) = findings(
        server.port, protocol="postgresql", user="trusted", password="", database="postgres"
    )
    assert found["severity"] == "warning" and "it is ahead by 100 s" in found["evidence"]


def test_a_server_that_does_not_know_the_password():
    """It accepts every password, to get at queries and data."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            client, _address = listener.accept()
            with client:
                client.recv(4096)
                client.sendall(b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0")
                nonce = client.recv(4096).partition(b"r=")[2]
                challenge = b"r=" + nonce + b"x,s=c2FsdA==,i=4096"
                client.sendall(
                    b"R" + (len(challenge) + 8).to_bytes(4, "big") + b"\0\0\0\x0b" + challenge
                )
                client.recv(4096)
                client.sendall(b"R\0\0\0\x0e\0\0\0\x0cv=AAAA")
                client.recv(4096)

        thread = threading.Thread(target=answer)
        thread.start()
        stream = sockets.connect("127.0.0.1", listener.getsockname()[1], 5)
        with pytest.raises(PostgresqlError, match="does not match the password"):
            Connection(stream, "swf", "canary", "swf")
        stream.close()
        thread.join()


def test_a_server_of_another_kind():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            for _number in range(2):
                client, _address = listener.accept()
                # the first connection only checks that something listens, and may end with a reset
                with client, contextlib.suppress(ConnectionError):
                    client.recv(4096)
                    client.sendall(b"N")
                    # closing before the login arrives would be a reset
                    client.recv(4096)

        thread = threading.Thread(target=answer)
        thread.start()
        (text,) = texts(
            listener.getsockname()[1], protocol="postgresql", user="a", password="b", database="c"
        )
        thread.join()
    assert "PostgreSQL refuses the login" in text and "closed the connection" in text
