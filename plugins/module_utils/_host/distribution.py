# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The distribution of a host, from os-release(5)."""

from __future__ import annotations

import platform
from collections.abc import Mapping

#: {word in ID or ID_LIKE: family, as in Ansible's fact os_family}
FAMILIES = {"debian": "Debian", "ubuntu": "Debian", "rhel": "RedHat", "fedora": "RedHat"}
PATHS = ("/etc/os-release", "/usr/lib/os-release")


def pairs(path: str = "") -> dict[str, str]:
    """The fields of os-release, empty without the file."""
    for place in [path] if path else PATHS:
        try:
            with open(place, encoding="utf-8", errors="replace") as stream:
                split = [line.strip().partition("=") for line in stream if "=" in line]
        except OSError:
            continue
        return {name: value.strip("\"'") for name, _equals, value in split}
    return {}


def words_of(fields: Mapping[str, str]) -> list[str]:
    """ID and the words of ID_LIKE."""
    return [*fields.get("ID", "").split(), *fields.get("ID_LIKE", "").split()]


def distribution(path: str = "") -> dict[str, str]:
    """{family, release, id}: the family that the roles have data for, empty for another one; the
    first number of the version; and the identifier of the distribution."""
    fields = pairs(path)
    words = words_of(fields)
    family = next((FAMILIES[word] for word in words if word in FAMILIES), "")
    return {
        "family": family,
        "release": fields.get("VERSION_ID", "").partition(".")[0],
        "id": fields.get("ID", ""),
    }


def platform_of(found: Mapping[str, str]) -> str:
    """What two hosts have in common whose distributions have the same libraries: the rebuilds of EL
    count as one distribution."""
    name = "el" if found["family"] == "RedHat" and found["id"] != "fedora" else found["id"]
    return ("%s %s" % (name or platform.system(), found["release"])).strip()
