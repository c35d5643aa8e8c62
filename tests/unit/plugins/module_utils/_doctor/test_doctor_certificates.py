# SPDX-License-Identifier: GPL-3.0-or-later
"""What certificates say, read without cryptography, against certificates that cryptography made."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.certificate_der import (
    from_der,
    from_pem,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.certificates import (
    file_problems,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._certificates import end_of
from helpers.certificates import Ca


@pytest.fixture(name="ca", scope="module")
def certificate_authority(tmp_path_factory):
    return Ca(tmp_path_factory.mktemp("ca"))


def test_dates_and_names_are_those_of_the_certificate(ca):
    path, _key = ca.issued(
        "all", names=("Broker.Example.org", "192.0.2.1", "2001:db8::1", "*.example.org")
    )
    with open(path, encoding="ascii") as stream:
        text = stream.read()
    (mine,) = from_pem("a line before\n" + text)
    theirs = x509.load_pem_x509_certificate(text.encode())
    assert (
        mine.ends == end_of(theirs)
        and mine.begins < datetime.datetime.now(datetime.timezone.utc) < mine.ends
    )
    assert mine.names == ["broker.example.org", "192.0.2.1", "2001:db8::1", "*.example.org"]


@pytest.mark.parametrize(
    "name,covered",
    [
        ("broker.example.org", True),
        ("BROKER.example.org", True),
        ("a.example.org", True),
        ("a.b.example.org", False),
        ("example.org", False),
        ("192.0.2.1", True),
        ("192.0.2.2", False),
        ("[2001:db8::1]", True),
    ],
)
def test_names_are_compared_as_clients_do(ca, name, covered):
    path, _key = ca.issued(
        "all", names=("broker.example.org", "192.0.2.1", "2001:db8::1", "*.example.org")
    )
    with open(path, encoding="ascii") as stream:
        assert from_pem(stream.read())[0].covers(name) == covered


def test_a_year_after_2050_is_read(ca):
    """It is written in another form."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(ca.certificate.subject)
        .issuer_name(ca.certificate.subject)
    )
    builder = (
        builder.public_key(ca.key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.datetime(2020, 1, 1))
    )
    late = builder.not_valid_after(datetime.datetime(2060, 2, 3)).sign(ca.key, hashes.SHA256())
    found = from_der(late.public_bytes(Encoding.DER))
    assert (found.ends.year, found.ends.month, found.names) == (2060, 2, [])


def test_damaged_ones_are_refused(ca):
    data = ca.certificate.public_bytes(Encoding.DER)
    for cut in range(0, len(data) - 1, 7):
        with pytest.raises(ValueError):
            from_der(data[:cut])
    with pytest.raises(ValueError):
        from_pem("no certificate")


def causes(found):
    return [
        (item["severity"], item["cause"].replace(item["cause"][: item["cause"].index(")") + 2], ""))
        for item in found
    ]


def test_a_good_file_has_no_finding(ca):
    certificate, key = ca.issued("good")
    assert file_problems("the certificate", certificate, 30, ["127.0.0.1", "localhost"], key) == []


@pytest.mark.parametrize(
    "days,severity,text", [(-2, "fatal", "has expired"), (12.5, "warning", "expires in 12 days")]
)
def test_the_end_is_seen(ca, days, severity, text):
    certificate, key = ca.issued("ending", days=days)
    assert causes(file_problems("the certificate", certificate, 30, [], key)) == [(severity, text)]


def test_a_missing_name_another_key_and_no_file_are_seen(ca):
    certificate, _key = ca.issued("one")
    _certificate, other = ca.issued("two")
    found = file_problems("the certificate", certificate, 30, ["broker.example.org"], other)
    assert [text.split(" ")[:2] for _severity, text in causes(found)] == [
        ["does", "not"],
        ["does", "not"],
    ]
    assert "values mismatch" in found[1]["evidence"]
    (missing,) = file_problems("the certificate", str(ca.folder / "none.pem"), 30)
    assert missing["severity"] == "fatal" and missing["evidence"] == "No such file or directory"
