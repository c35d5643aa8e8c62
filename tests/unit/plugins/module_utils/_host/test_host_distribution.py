# SPDX-License-Identifier: GPL-3.0-or-later
"""The distribution of a host, from the files of real ones."""

from __future__ import annotations

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.distribution import (
    distribution,
    platform_of,
)


@pytest.mark.parametrize(
    "text, family, release, platform",
    [
        ('ID=debian\nVERSION_ID="12"\n', "Debian", "12", "debian 12"),
        ('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n', "Debian", "24", "ubuntu 24"),
        ('ID="almalinux"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.6"\n', "RedHat", "9", "el 9"),
        ('ID="rhel"\nID_LIKE="fedora"\nVERSION_ID="10.0"\n', "RedHat", "10", "el 10"),
        ("ID=fedora\nVERSION_ID=42\n", "RedHat", "42", "fedora 42"),
        ("ID=arch\n", "", "", "arch"),
    ],
)
def test_the_family_the_release_and_the_platform(tmp_path, text, family, release, platform):
    path = tmp_path / "os-release"
    path.write_text("# a comment\n" + text)
    found = distribution(str(path))
    assert (found["family"], found["release"]) == (family, release)
    assert platform_of(found) == platform


def test_a_host_without_the_file(tmp_path):
    assert distribution(str(tmp_path / "none")) == {"family": "", "release": "", "id": ""}
