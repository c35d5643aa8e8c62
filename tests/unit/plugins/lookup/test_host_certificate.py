# SPDX-License-Identifier: GPL-3.0-or-later
"""What is issued is shown to a real TLS client and a real server."""

from __future__ import annotations

import concurrent.futures
import datetime
import os
import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest
from cryptography import x509

from ansible_collections.bnlnpps.swf_testbed.plugins.lookup import host_certificate
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _certificates, _lab_ca
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._certificates import (
    CertificateError,
)

NAMES = ["index.example.org", "127.0.0.1"]


def look_up(directory, names=None, check_mode=False, service="index", **options):
    defaults = {"days": 397, "renew_days": 90, "certificate": "", "key": ""}
    options = {**defaults, "names": names or NAMES, "directory": str(directory), **options}
    return host_certificate.obtain(
        [service], options, lambda path: Path(path).read_text(), check_mode
    )[0]


def files(folder):
    return {
        os.path.relpath(os.path.join(place, name), folder): stat.S_IMODE(
            os.stat(os.path.join(place, name)).st_mode
        )
        for place, _folders, names in os.walk(folder)
        for name in names
    }


def connect(pair, ca, name, folder):
    """What a client that trusts a CA says to a server with this certificate: None, or why it
    refuses."""
    (folder / "server.pem").write_text(pair["key"] + pair["certificate"])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem")
    client = ssl.create_default_context(cafile=str(ca))
    # what Python 3.13 asks for by itself
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            try:
                server.wrap_socket(listener.accept()[0], server_side=True).close()
            except OSError:
                pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            client.wrap_socket(
                socket.create_connection(listener.getsockname()), server_hostname=name
            ).close()
            return None
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        finally:
            thread.join(10)


def later(monkeypatch, days):
    """Let days pass."""
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    for module in (_certificates, _lab_ca):
        monkeypatch.setattr(module, "now", lambda: moment)


def test_clients_that_trust_the_ca_take_it_for_its_names_only(tmp_path):
    pair = look_up(tmp_path / "lab")
    ca = tmp_path / "lab/ca/ca.pem"
    assert [connect(pair, ca, name, tmp_path) for name in NAMES] == [None, None]
    assert "mismatch" in connect(pair, ca, "other.example.org", tmp_path)
    look_up(tmp_path / "another")
    assert connect(pair, tmp_path / "another/ca/ca.pem", NAMES[0], tmp_path)


def test_keys_are_for_their_owner_only(tmp_path):
    look_up(tmp_path)
    assert files(tmp_path) == {
        "ca/ca.pem": 0o644,
        "secrets/lab-ca.key": 0o600,
        "secrets/tls-index.pem": 0o600,
        "secrets/.lab-ca.lock": files(tmp_path)["secrets/.lab-ca.lock"],
    }
    assert stat.S_IMODE(os.stat(tmp_path / "secrets").st_mode) == 0o700


def test_what_was_issued_is_kept_until_it_is_not_right_any_more(tmp_path, monkeypatch):
    first = look_up(tmp_path)
    assert look_up(tmp_path) == first and look_up(tmp_path, names=NAMES[::-1]) == first
    assert look_up(tmp_path, service="broker") != first
    more = look_up(tmp_path, names=[*NAMES, "::1"])
    assert more["key"] != first["key"] and look_up(tmp_path, names=[*NAMES, "::1"]) == more
    later(monkeypatch, 397 - 91)
    assert look_up(tmp_path, names=[*NAMES, "::1"]) == more
    later(monkeypatch, 397 - 89)
    assert look_up(tmp_path, names=[*NAMES, "::1"]) != more


def test_damage_is_repaired(tmp_path):
    first = look_up(tmp_path)
    (tmp_path / "secrets/tls-index.pem").write_text(first["certificate"])
    assert look_up(tmp_path) != first


def test_the_ca_is_renewed_and_both_its_certificates_go_on(tmp_path, monkeypatch):
    look_up(tmp_path / "lab")
    old = (tmp_path / "lab/ca/ca.pem").read_bytes()
    later(monkeypatch, 3650 - 729)
    look_up(tmp_path / "lab")
    new = (tmp_path / "lab/ca/ca.pem").read_bytes()
    assert new != old
    old, new = map(x509.load_pem_x509_certificate, (old, new))
    assert new.subject == old.subject and new.public_key() == old.public_key()
    issued = x509.load_pem_x509_certificate(look_up(tmp_path / "lab")["certificate"].encode())
    issued.verify_directly_issued_by(old)
    assert issued.not_valid_after_utc <= new.not_valid_after_utc


def test_check_mode_writes_nothing_and_foretells_a_change(tmp_path):
    assert look_up(tmp_path / "lab", check_mode=True)["key"].startswith("-----BEGIN")
    assert not (tmp_path / "lab").exists()
    first = look_up(tmp_path / "lab")
    before = files(tmp_path)
    assert look_up(tmp_path / "lab", check_mode=True) == first
    assert look_up(tmp_path / "lab", names=["else.example.org"], check_mode=True) != first
    assert files(tmp_path) == before and look_up(tmp_path / "lab") == first


def test_runs_at_once_get_one_ca(tmp_path):
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        pairs = list(pool.map(look_up, [tmp_path] * 6))
    assert len({pair["certificate"] for pair in pairs}) == 1
    assert connect(pairs[0], tmp_path / "ca/ca.pem", NAMES[0], tmp_path) is None


def test_a_lost_or_foreign_key_of_the_ca_is_not_papered_over(tmp_path):
    look_up(tmp_path / "lab")
    key = tmp_path / "lab/secrets/lab-ca.key"
    text = key.read_text()
    key.unlink()
    with pytest.raises(CertificateError, match="has no key.*restore the key from a backup"):
        look_up(tmp_path / "lab")
    look_up(tmp_path / "other")
    key.write_text((tmp_path / "other/secrets/lab-ca.key").read_text())
    with pytest.raises(CertificateError, match="do not belong together"):
        look_up(tmp_path / "lab")
    key.write_text("no key")
    with pytest.raises(CertificateError, match="is damaged"):
        look_up(tmp_path / "lab")
    key.write_text(text)
    look_up(tmp_path / "lab")


@pytest.mark.parametrize(
    "options,message",
    [
        ({"names": ["http://host"]}, "neither a DNS name nor an address"),
        ({"names": ["a b"]}, "neither a DNS name nor an address"),
        ({"service": "../x"}, "is not a file name"),
        ({"days": 30}, "would be renewed by every run"),
        ({"certificate": "/x"}, "only one of certificate and key"),
    ],
)
def test_bad_input_is_refused_before_anything_is_made(tmp_path, options, message):
    with pytest.raises(CertificateError, match=message):
        look_up(tmp_path, **options)
    assert not (tmp_path / "secrets/tls-index.pem").exists()


@pytest.fixture(name="given")
def certificate_of_the_users_own(tmp_path):
    pair = look_up(tmp_path / "elsewhere", names=["index.example.org", "*.lab.example.org"])
    paths = {}
    for part, text in pair.items():
        (tmp_path / part).write_text(text)
        paths[part] = str(tmp_path / part)
    return dict(paths, text=pair)


def test_a_given_certificate_comes_back_as_it_is(tmp_path, given):
    found = look_up(
        tmp_path / "lab",
        names=["index.example.org", "a.lab.example.org"],
        certificate=given["certificate"],
        key=given["key"],
    )
    assert found == given["text"] and not (tmp_path / "lab").exists()


def test_a_given_certificate_that_clients_would_refuse_is_refused(tmp_path, given, monkeypatch):
    def refused(message, names=("index.example.org",), **changes):
        with pytest.raises(CertificateError, match=message):
            look_up(
                tmp_path,
                names=list(names),
                **{"certificate": given["certificate"], "key": given["key"], **changes},
            )

    refused("connect to other.example.org", ["other.example.org"])
    refused("connect to a.b.lab.example.org", ["a.b.lab.example.org"])
    refused("no certificate in PEM", certificate=given["key"])
    refused("no key in PEM", key=given["certificate"])
    (tmp_path / "foreign").write_text(look_up(tmp_path / "lab")["key"])
    refused("belongs to another key", key=str(tmp_path / "foreign"))
    later(monkeypatch, 400)
    refused("the certificate expired on")
