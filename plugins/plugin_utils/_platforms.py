# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between platforms: one file per family of distributions in each role that has any,
vars/FAMILY.yml.

A file has one variable, ``__ROLE_platform``. Its key ``by_release`` has what differs between the
releases of a family, by the first number of their version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _data

BY_RELEASE = "by_release"


def path_of(role: str, family: str) -> Any:
    return _data.ROOT / "roles" / role / "vars" / (family + ".yml")


def families(role: str) -> list[str]:
    """The families that a role has data for; none if it is the same on all platforms."""
    return sorted(path.stem for path in path_of(role, "*").parent.glob("[A-Z]*.yml"))


def releases(role: str, family: str) -> list[str]:
    """The releases of a family that differ from the others, after an empty text for these."""
    (content,) = _data.read(path_of(role, family)).values()
    return ["", *content.get(BY_RELEASE, {})]


def data_of(role: str, platform: Mapping[str, Any]) -> dict[str, Any]:
    """The data of a role for a platform. It has no templates.

    :param platform: ``family`` and ``release``.
    :raises ValueError: the role has no data for the family.
    """
    path = path_of(role, platform["family"] or "none")
    if not path.exists():
        raise ValueError(
            "the role %s does not support the distribution of this host. Evidence: it is %s, and the "
            "role has data for the families %s. Fix: use a service of another host, or of others: "
            "docs/how-to/existing_services.md"
            % (role, platform.get("id") or "unknown", " and ".join(families(role)))
        )
    (content,) = _data.read(path).values()
    own = content.get(BY_RELEASE, {}).get(platform.get("release") or "", {})
    return {**{key: value for key, value in content.items() if key != BY_RELEASE}, **own}
