# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of the provenance of the secrets on a host: keyed digests, and the last change.

Each role that places secrets has a file, next to its manifest and readable only by its owner. A
digest is an HMAC with a random key, which is also in the file: it shows whether a controller has the
same secret, and does not reveal the secret. The controller compares them
(plugin_utils/_provenance_check.py); this file stores them.
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
# the option that the action of a module sets
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
# number of digests of former secrets: a controller that would restore one is outdated
FORMER = 10


def path_of(manifest: dict[str, Any]) -> str:
    """The path of the record of a role.

    :param manifest: the option of that name, of a module.
    """
    folder = os.path.join(os.path.dirname(listing.path_of(listing.subject_of(manifest))), FOLDER)
    return os.path.join(
        folder, (manifest.get("service") or manifest.get("role") or "role") + ".json"
    )


def entries(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries of the record in the manifest."""
    path = path_of(manifest)
    if manifest.get("service"):
        return [
            listing.entry("file", path),
            listing.entry("directory", os.path.dirname(path), "empty"),
        ]
    return [listing.entry("directory", os.path.dirname(path), "always")]


def read(path: str) -> dict[str, Any] | None:
    """A record; None if there is none.

    :raises OSError:
    :raises ValueError: it is not a record, or others can write it.
    """
    try:
        status = os.lstat(path)
        if (
            not stat.S_ISREG(status.st_mode)
            or status.st_uid not in (0, os.geteuid())
            or status.st_mode & 0o077
        ):
            raise ValueError("%s is not a file that only its owner can access" % path)
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


def write(path: str, change: dict[str, Any]) -> None:
    """Record a change.

    :param change: the argument ``provenance`` of the module. Without secrets, only the author of
        the change is recorded, and only if there is a record.
    :raises OSError, ValueError:
    """
    before = read(path)
    after = dict(before or {"key": None, "secrets": {}, "former": {}})
    if change["secrets"] is not None:
        same_key = after["key"] == change["key"]
        after.update(
            key=change["key"],
            secrets=change["secrets"],
            former=former(after, change["secrets"]) if same_key else {},
        )
    elif not before:
        return
    after["changed_by"] = {name: change[name] for name in WHO}
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with replacing(path) as stream:
        json.dump(after, stream, indent=1, sort_keys=True)


def former(record: dict[str, Any], secrets: dict[str, str]) -> dict[str, list[str]]:
    """{name: digests of the former values of a secret, the latest first}. Also of removed ones."""
    found = {}
    for name in {**record["former"], **record["secrets"], **secrets}:
        digest = secrets.get(name)
        before = [record["secrets"].get(name), *record["former"].get(name, [])]
        found[name] = list(dict.fromkeys(item for item in before if item and item != digest))[
            :FORMER
        ]
    return found
