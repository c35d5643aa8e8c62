# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of a variable, as a file on the controller."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import lookup_loader

CA = "-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----"


def path_of(directory, text=CA, **variables):
    plugin = lookup_loader.get("bnlnpps.swf_testbed.ca_file", loader=DataLoader())
    (found,) = plugin.run([text], variables, directory=str(directory))
    return found


def test_the_same_certificates_have_the_same_file(tmp_path):
    path = path_of(tmp_path)
    with open(path, encoding="ascii") as stream:
        assert stream.read() == CA + "\n"
    written = (tmp_path / "ca").stat().st_mtime_ns
    # a text of YAML may end with a line break
    assert path_of(tmp_path, CA + "\n") == path
    assert (tmp_path / "ca").stat().st_mtime_ns == written
    assert path_of(tmp_path, CA.replace("QQ", "Qg")) != path
    assert len(list((tmp_path / "ca").iterdir())) == 2


def test_check_mode_writes_nothing(tmp_path):
    path = path_of(tmp_path, ansible_check_mode=True)
    assert path.startswith(str(tmp_path / "ca/"))
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "ca").write_text("")
    with pytest.raises(AnsibleError, match="Fix: check the directory"):
        path_of(tmp_path)
