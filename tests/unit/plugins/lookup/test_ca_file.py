# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of a variable, as a file on the controller."""

from __future__ import annotations

from ansible_collections.bnlnpps.swf_testbed.plugins.lookup.ca_file import written

CA = "-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----"


def test_the_same_certificates_have_the_same_file(tmp_path):
    path = written(CA, str(tmp_path), False)
    with open(path, encoding="ascii") as stream:
        assert stream.read() == CA + "\n"
    before = (tmp_path / "ca").stat().st_mtime_ns
    # a text of YAML may end with a line break
    assert written(CA + "\n", str(tmp_path), False) == path
    assert (tmp_path / "ca").stat().st_mtime_ns == before
    assert written(CA.replace("QQ", "Qg"), str(tmp_path), False) != path
    assert len(list((tmp_path / "ca").iterdir())) == 2


def test_check_mode_writes_nothing(tmp_path):
    path = written(CA, str(tmp_path), True)
    assert list(tmp_path.iterdir()) == []
    assert path == written(CA, str(tmp_path), False)
