# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.project import (
    PublishError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.target import (
    TRUSTED,
    target,
)


def upload_target(indexes: list[dict[str, Any]], name: str = "") -> dict[str, Any]:
    """The data that a workflow needs to upload to one of the indexes, without the token."""
    try:
        entry = target(indexes, name, needs_token=False)
    except PublishError as error:
        raise AnsibleFilterError("upload_target: %s" % error) from error
    trusted = entry["preset"] in TRUSTED
    if not trusted and not entry["username"]:
        raise AnsibleFilterError(
            "upload_target: the index %s has no username and token in swf_testbed_pip_indexes, and "
            "the workflow needs the user name of the token. Fix: set both" % entry["name"]
        )
    return {
        "name": entry["name"],
        "upload_url": entry["upload_url"],
        "username": entry["username"],
        "trusted": trusted,
    }


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"upload_target": upload_target}
