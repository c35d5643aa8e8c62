# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, ports and TLS, against real sockets and a real TLS server."""

from __future__ import annotations

import socket

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.reach import reach
from helpers.certificates import Ca, tls_server
from helpers.ports import free_port


@pytest.fixture(name="ca", scope="module")
def certificate_authority(tmp_path_factory):
    return Ca(tmp_path_factory.mktemp("ca"))


def ask(port, host="127.0.0.1", tls="off", ca="", provider="broker"):
    return reach(
        {
            "name": "broker",
            "host": host,
            "port": port,
            "tls": tls,
            "ca": ca,
            "provider": provider,
            "variable": "swf_testbed_broker_host",
        },
        5,
        30,
    )


def test_a_server_that_listens_is_fine():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert ask(server.getsockname()[1]) == []


def test_a_closed_port_names_who_should_have_answered():
    (found,) = ask(free_port())
    assert (
        found["cause"] == "nothing listens at the address of the broker"
        and "Connection refused" in found["evidence"]
    )
    assert (found["severity"], found["provider"]) == ("fatal", "broker")
    # a service of somebody else's is not installed by us
    assert ask(free_port(), provider="")[0]["provider"] is None


def test_a_name_that_does_not_resolve():
    (found,) = ask(1, host="no-such-host.invalid")
    assert found["check"] == "name" and "getent hosts no-such-host.invalid" in found["fix"]
    assert "swf_testbed_broker_host" in found["fix"] and found["provider"] is None


def test_an_address_without_a_way():
    # a broadcast address: the kernel says no at once
    (found,) = ask(61613, host="255.255.255.255")
    assert found["cause"] == "this host cannot reach the broker" and found["provider"] is None


def test_sockets_of_postgresql(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / ".s.PGSQL.5432"))
        server.listen()
        assert ask(5432, host=str(tmp_path)) == []
    (found,) = ask(5433, host=str(tmp_path))
    assert ".s.PGSQL.5433" in found["evidence"]


@pytest.mark.parametrize("tls", ["on", "postgresql"])
def test_a_good_certificate(ca, tls):
    with tls_server(*ca.issued("good"), before=tls if tls != "on" else None) as port:
        assert ask(port, tls=tls, ca=ca.pem) == []


@pytest.mark.parametrize("tls", ["on", "postgresql"])
def test_an_expired_certificate_tells_when_it_ended(ca, tls):
    with tls_server(*ca.issued("expired", days=-3), before=tls if tls != "on" else None) as port:
        (found,) = ask(port, tls=tls, ca=ca.pem)
    assert (
        found["severity"] == "fatal"
        and "has expired" in found["cause"]
        and "it ended on 20" in found["evidence"]
    )


def test_one_that_ends_soon_is_a_warning(ca):
    with tls_server(*ca.issued("soon", days=10.5)) as port:
        (found,) = ask(port, tls="on", ca=ca.pem)
    assert found["severity"] == "warning" and "expires in 10 days" in found["cause"]


def test_one_for_another_name(ca):
    with tls_server(*ca.issued("other", names=("broker.example.org",))) as port:
        (found,) = ask(port, tls="on", ca=ca.pem)
    assert "does not cover the name" in found["cause"] and "broker.example.org" in found["evidence"]


def test_an_unknown_ca(ca):
    with tls_server(*ca.issued("unknown")) as port:
        (found,) = ask(port, tls="on")
    assert "does not trust the CA" in found["cause"] and "swf_testbed_ca_cert" in found["fix"]
    assert "the certificate expires on" in found["evidence"]


def test_a_server_without_tls(ca):
    with tls_server(*ca.issued("good"), before="refuse") as port:
        (found,) = ask(port, tls="postgresql", ca=ca.pem)
    assert found["cause"] == "the broker does not offer TLS"
    with socket.create_server(("127.0.0.1", 0)) as server:
        # it takes the connection and never answers
        (found,) = reach(
            {
                "name": "broker",
                "host": "127.0.0.1",
                "port": server.getsockname()[1],
                "tls": "on",
                "ca": ca.pem,
                "provider": "",
                "variable": "x",
            },
            1,
            30,
        )
    assert found["check"] == "tls" and "timed out" in found["evidence"]


def test_a_ca_that_is_none(ca):
    with tls_server(*ca.issued("good")) as port:
        (found,) = ask(port, tls="on", ca="nonsense")
    assert found["cause"] == "the CA of the broker cannot be used"
