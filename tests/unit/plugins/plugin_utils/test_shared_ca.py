# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's CA as a variable: what is refused, and what is placed in a directory that has none, the
same or another one."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _lab_ca, _shared_ca
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._certificates import (
    CertificateError,
    general_name,
)
from helpers.certificates import Ca

NAMES = ["broker.example.org"]


def issue(directory, service="broker", days=397, renew_days=90):
    return _lab_ca.LabCa(str(directory)).issued(service, NAMES, days, renew_days)


@pytest.fixture(name="team")
def a_controller_with_a_ca(tmp_path):
    """The directory of the controller that exports."""
    directory = tmp_path / "team"
    issue(directory)
    issue(directory, "package-index")
    return directory


def given_by(directory):
    return _shared_ca.of_directory(str(directory))


def names(done):
    return [os.path.basename(file.path) for file in done.files]


def contents(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in Path(directory).rglob("*")
        if path.is_file()
    }


def test_it_is_placed_byte_for_byte_where_there_is_none(team, tmp_path):
    other = tmp_path / "other"
    done = _shared_ca.place(given_by(team), str(other), check_mode=False)
    assert contents(other) == contents(team)
    modes = {
        name: stat.S_IMODE((other / name).stat().st_mode) for name in ("secrets", *contents(team))
    }
    assert modes == {
        "secrets": 0o700,
        "secrets/.lab-ca.lock": 0o600,
        "secrets/lab-ca.key": 0o600,
        "ca/ca.pem": 0o644,
        "secrets/tls-broker.pem": 0o600,
        "secrets/tls-package-index.pem": 0o600,
    }
    assert len(done.files) == 4 and not done.later
    # the lookup of the other controller takes it as its own
    assert issue(other) == issue(team)
    # and there is nothing left to do
    assert not _shared_ca.place(given_by(team), str(other), check_mode=False).files


def test_check_mode_writes_nothing(team, tmp_path):
    assert (
        len(_shared_ca.place(given_by(team), str(tmp_path / "other"), check_mode=True).files) == 4
    )
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("missing", ["ca/ca.pem", "secrets/lab-ca.key", "secrets/tls-broker.pem"])
def test_the_file_that_is_missing_is_placed(team, missing):
    """As after a run that was interrupted between two of them."""
    before, given = contents(team), given_by(team)
    (team / missing).unlink()
    assert [file.path for file in _shared_ca.place(given, str(team), check_mode=False).files] == [
        str(team / missing)
    ]
    assert contents(team) == before


def test_the_certificate_that_ends_later_stays(team, tmp_path):
    other = tmp_path / "other"
    early, place = given_by(team), _shared_ca.place
    place(early, str(other), check_mode=False)
    (team / "secrets/tls-broker.pem").unlink()
    renewed = issue(team, days=500)
    # renewed here, and not yet exported
    assert place(early, str(team), check_mode=False) == _shared_ca.Difference(
        [],
        [],
        (_shared_ca.fingerprint(_shared_ca._certificate(early["certificate"])),) * 2,
        ["broker"],
    )
    assert issue(team) == renewed
    # exported, and placed on the other controller
    assert names(place(given_by(team), str(other), check_mode=False)) == ["tls-broker.pem"]
    assert issue(other) == renewed


def test_a_ca_that_was_renewed_with_its_key_is_the_same_ca(team, tmp_path):
    other, given = tmp_path / "other", given_by(team)
    _shared_ca.place(given, str(other), check_mode=False)
    # it ends before the one that the team has
    authority = _lab_ca.load_pem_private_key(given["key"].encode(), None)
    days, _lab_ca.CA_DAYS = _lab_ca.CA_DAYS, 3000
    try:
        (other / "ca/ca.pem").write_text(_lab_ca.pem_of(_lab_ca.self_signed(authority)))
    finally:
        _lab_ca.CA_DAYS = days
    assert names(_shared_ca.place(given, str(other), check_mode=False)) == ["ca.pem"]
    assert (other / "ca/ca.pem").read_text() == given["certificate"]


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("gone", [None, "ca/ca.pem", "secrets/lab-ca.key"])
def test_another_ca_is_refused_before_anything_is_written(team, tmp_path, gone, check_mode):
    other = tmp_path / "other"
    issue(other)
    command = ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", other / "ca/ca.pem"]
    shown = subprocess.check_output(command, text=True)
    if gone:
        (other / gone).unlink()
    before = contents(other)
    with pytest.raises(
        CertificateError, match="another CA than the one in swf_testbed_lab_ca.*Evidence: .*Fix: "
    ) as refused:
        _shared_ca.place(given_by(team), str(other), check_mode)
    assert contents(other) == before
    assert gone == "ca/ca.pem" or shown.strip().rpartition("=")[2] in str(refused.value)
    assert "move %s and %s away" % (other / "ca", other / "secrets/lab-ca.key") in str(
        refused.value
    )
    # what it says works
    for path in (other / "ca", other / "secrets/lab-ca.key"):
        if path.exists():
            path.rename(str(path) + ".away")
    _shared_ca.place(given_by(team), str(other), check_mode=False)
    assert issue(other) == issue(team)


def test_what_is_of_a_former_ca_is_not_exported(team, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    issue(elsewhere, "monitor")
    (team / "secrets/tls-monitor.pem").write_bytes(
        (elsewhere / "secrets/tls-monitor.pem").read_bytes()
    )
    (team / "secrets/tls-database.pem").write_text("damaged")
    assert sorted(given_by(team)["issued"]) == ["broker", "package-index"]


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda team: (team / "ca/ca.pem").unlink(), "ca.pem does not exist. Fix: run site.yml"),
        (
            lambda team: (team / "secrets/lab-ca.key").unlink(),
            "lab-ca.key does not exist. Fix: restore it",
        ),
        (lambda team: (team / "secrets/lab-ca.key").write_text("x"), "its key is damaged"),
    ],
)
def test_an_incomplete_ca_is_not_exported(team, damage, message):
    damage(team)
    with pytest.raises(CertificateError, match=message):
        given_by(team)


def test_without_a_ca_there_is_nothing_to_export(tmp_path):
    assert given_by(tmp_path / "none") is None and not (tmp_path / "none").exists()


def own(tmp_path):
    (tmp_path / "own").mkdir()
    return Ca(tmp_path / "own")


@pytest.mark.parametrize(
    "change, part, cause",
    [
        (lambda given, _other: given.pop("key"), ".key", "is missing"),
        (lambda given, _other: given.update(certificate=None), ".certificate", "is missing"),
        (lambda given, _other: given.update(certificate="PEM"), ".certificate", "is damaged"),
        (lambda given, _other: given.update(key=given["certificate"]), ".key", "is damaged"),
        (
            lambda given, other: given.update(key=_lab_ca.pem_of_key(other.key)),
            ".key",
            "belongs to another certificate",
        ),
        (
            lambda given, _other: given["issued"].update(broker="PEM"),
            ".issued.broker",
            "is damaged",
        ),
        (
            lambda given, _other: given["issued"].update(broker=["x"]),
            ".issued.broker",
            "is not text",
        ),
        (
            lambda given, _other: given["issued"].update({"../x": given["issued"]["broker"]}),
            ".issued",
            "has a key that is not the name",
        ),
        (
            lambda given, other: given["issued"].update(
                broker=_lab_ca.pem_of_key(other.key) + other.pem
            ),
            ".issued.broker",
            "was issued by another CA",
        ),
        (
            lambda given, other: given["issued"].update(
                broker=_lab_ca.pem_of_key(other.key)
                + _lab_ca.issue([general_name("x")], 9, other.certificate, other.key)["certificate"]
            ),
            ".issued.broker",
            "do not belong together",
        ),
    ],
)
def test_what_cannot_be_used_is_named(team, tmp_path, change, part, cause):
    given = given_by(team)
    change(given, own(tmp_path))
    (wrong,) = _shared_ca.problems(given)
    assert wrong.part == part and cause in wrong.cause
    with pytest.raises(CertificateError, match="swf_testbed_lab_ca" + part):
        _shared_ca.place(given, str(tmp_path / "other"), check_mode=False)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    "given",
    ["x", ["x"], {"certificate": 7, "key": 7}, {"certificate": ["x"], "key": "x", "issued": []}],
)
def test_a_value_of_another_type_is_refused(given, tmp_path):
    """The check of types says more, where a playbook has it."""
    with pytest.raises(CertificateError, match="swf_testbed_lab_ca"):
        _shared_ca.place(given, str(tmp_path / "other"), check_mode=False)
    assert not (tmp_path / "other").exists()
