# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host knows of where its secrets came from: keyed digests of them, and who changed it last.

One file for each role that places secrets, beside its manifest and for its owner alone. A digest is
an HMAC with a random key, which is in the file, too: it says whether a controller has the same
secret, and nothing of the secret to those who see the digest alone. The controller compares
(plugin_utils/_provenance_check.py); here the record is kept.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import replacing
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest import listing

FOLDER = "provenance"
# what a module gets from its action
ARGUMENT = {
    "provenance": {
        "type": "dict",
        "options": {
            "controller": {"type": "str", "required": True},
            "login": {"type": "str", "required": True},
            "directory": {"type": "str", "required": True},
            "time": {"type": "str", "required": True},
            "collection": {"type": "str", "required": True},
            "key": {"type": "str", "no_log": True},
            "secrets": {"type": "dict", "no_log": False},
        },
    }
}
WHO = ("controller", "login", "directory", "time", "collection")
# digests of former secrets that are remembered: a controller that would bring one back has missed a
# change
REMEMBERED = 10


def path_of(manifest: dict[str, Any]) -> str:
    """Where the record of a role is.

    :param manifest: the option of that name, of a module.
    """
    folder = os.path.join(os.path.dirname(listing.path_of(listing.subject_of(manifest))), FOLDER)
    return os.path.join(
        folder, (manifest.get("service") or manifest.get("role") or "role") + ".json"
    )


def entries(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """What the record adds to the manifest."""
    path = path_of(manifest)
    if manifest.get("service"):
        return [
            listing.entry("file", path),
            listing.entry("directory", os.path.dirname(path), "empty"),
        ]
    return [listing.entry("directory", os.path.dirname(path), "always")]


def read(path: str) -> dict[str, Any] | None:
    """A record; None where there is none.

    :raises OSError:
    :raises ValueError: the file is none, or others could have written it.
    """
    try:
        status = os.lstat(path)
        if (
            not stat.S_ISREG(status.st_mode)
            or status.st_uid not in (0, os.geteuid())
            or status.st_mode & 0o077
        ):
            raise ValueError("%s is not a file for its owner alone" % path)
        with open(path, encoding="utf-8") as stream:
            found = json.load(stream)
    except FileNotFoundError:
        return None
    if not isinstance(found, dict) or not all(
        isinstance(found.get(name), dict) for name in ("secrets", "former", "changed_by")
    ):
        raise ValueError("%s is not a record of secrets" % path)
    return found


def all_of(config_dir: str, services: Iterable[str] = ()) -> list[dict[str, Any]]:
    """The records of an instance and of services on this host.

    :raises OSError, ValueError:
    """
    folder = os.path.join(config_dir, FOLDER)
    paths = (
        [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
        if os.path.isdir(folder)
        else []
    )
    paths += [
        os.path.join(listing.SERVICES, FOLDER, listing.service_name(name) + ".json")
        for name in services
    ]
    return [found for found in map(read, paths) if found]


def write(path: str, told: dict[str, Any]) -> None:
    """Note a change.

    :param told: the argument ``provenance`` of the module. Without secrets, only who changed
        something is noted, of a host that has a record.
    :raises OSError, ValueError:
    """
    before = read(path)
    after = dict(before or {"key": None, "secrets": {}, "former": {}})
    if told["secrets"] is not None:
        same_key = after["key"] == told["key"]
        after.update(
            key=told["key"],
            secrets=told["secrets"],
            former=former(after, told["secrets"]) if same_key else {},
        )
    elif not before:
        return
    after["changed_by"] = {name: told[name] for name in WHO}
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with replacing(path) as stream:
        json.dump(after, stream, indent=1, sort_keys=True)


def former(record: dict[str, Any], secrets: dict[str, str]) -> dict[str, list[str]]:
    """{name: digests of what a secret was before, the latest first}."""
    found = {}
    for name, digest in secrets.items():
        known = [record["secrets"].get(name), *record["former"].get(name, [])]
        found[name] = list(dict.fromkeys(item for item in known if item and item != digest))[
            :REMEMBERED
        ]
    return found
