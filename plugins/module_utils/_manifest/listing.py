# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest: the items that an installation created on a host, and how an uninstall treats them.

Each instance has a file ``manifest.json`` in its config_dir, and each service one in
:data:`SERVICES`. An uninstall removes the listed items, often as root, so only root (in user scope
the login) may have write permission for the file.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import replacing
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.instance_name import (
    InstanceNameError,
    instance_name,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import (
    environment_of_login,
    layout,
)

FILE = "manifest.json"
FORMAT = 1
MAX_BYTES = 1 << 20
# never the directory of an instance, whose name has no dot
SERVICES = "/etc/bnlnpps.swf_testbed"
SERVICE_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
PATHS = ("directory", "file", "link", "unit", "lines")
NAMES = ("account", "group", "package", "firewall", "database", "database_role")
# empty: a directory is removed if it is empty; data: only with the data; never: it stays, for the
# reason of the entry
UNINSTALL = ("always", "empty", "data", "never")
KEYS = {"kind", "path", "name", "uninstall", "role", "reason", "real"}


class ManifestError(Exception):
    """The manifest cannot be used; the message has cause, evidence and fix."""


def entry(kind: str, target: str, uninstall: str = "always", **more: Any) -> dict[str, Any]:
    """One entry. ``more`` can be ``role``, ``reason`` and, for lines in a shared file, the ``name``
    that marks them."""
    return dict(
        {"kind": kind, "path" if kind in PATHS else "name": target, "uninstall": uninstall}, **more
    )


def key(item: dict[str, Any]) -> tuple[str, str]:
    """Two entries with the same key describe the same item."""
    if item["kind"] == "lines":
        return "lines", item["path"]
    return ("path", item["path"]) if item["kind"] in PATHS else (item["kind"], item["name"])


def label(item: dict[str, Any]) -> str:
    """An entry in messages."""
    words = (
        item["path"]
        if item["kind"] in PATHS
        else "%s %s" % (item["kind"].replace("_", " "), item["name"])
    )
    return "lines in " + words if item["kind"] == "lines" else words


def shape_problem(item: Any) -> str | None:
    """Why an entry is not valid; None if it is."""
    if not isinstance(item, dict) or item.get("kind") not in PATHS + NAMES:
        return "its kind is unknown"
    if set(item) - KEYS or not all(isinstance(value, str) for value in item.values()):
        return "it has other keys than %s, or a value that is not text" % ", ".join(sorted(KEYS))
    if item.get("uninstall") not in UNINSTALL or (
        item["uninstall"] == "empty" and item["kind"] != "directory"
    ):
        return "its value of uninstall is not one of %s" % ", ".join(UNINSTALL)
    target = item.get("path" if item["kind"] in PATHS else "name", "")
    if not target or not target.isprintable():
        return "its path or name is empty or has control characters"
    if item["kind"] in PATHS and (
        not os.path.isabs(target) or os.path.normpath(target) != target or target.startswith("//")
    ):
        return "its path is not absolute and normalized"
    if item["kind"] in NAMES and (target.startswith("-") or "/" in target):
        return "its name begins with - or contains /"
    return None


def service_name(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(SERVICE_NAME, value):
        raise InstanceNameError(
            "%r is not the name of a service. Evidence: its manifest is a file of that name. Fix: "
            "use 1 to 64 letters, digits, hyphens and underscores" % (value,)
        )
    return value


def subject_of(options: dict[str, Any]) -> dict[str, str]:
    """The subject of a manifest: {"instance" and "scope"} or {"service"}.

    :raises InstanceNameError:
    """
    if options.get("service"):
        return {"service": service_name(options["service"])}
    return {
        "instance": instance_name(options.get("instance")),
        "scope": options.get("scope") or "user",
    }


def path_of(subject: dict[str, Any], services: str | None = None) -> str:
    """The path of the manifest of an instance or a service."""
    if "service" in subject:
        return os.path.join(services or SERVICES, subject["service"] + ".json")
    return os.path.join(
        layout(subject["instance"], subject["scope"], environment_of_login())["config_dir"], FILE
    )


def read(path: str, subject: dict[str, Any]) -> dict[str, Any] | None:
    """The manifest, or None if there is none.

    :raises ManifestError: others have write permission for it, or it is not a manifest of this
        instance that this version can read.
    """
    try:
        text = trusted_text(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refused(
            path, "cannot be read", error.strerror, "give this login read permission"
        ) from None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise refused(path, "is not JSON", error, REWRITE) from None
    if (
        not isinstance(found, dict)
        or not isinstance(found.get("format"), int)
        or isinstance(found["format"], bool)
    ):
        raise refused(
            path, "is not a manifest of bnlnpps.swf_testbed", "it has no format number", REWRITE
        )
    if found["format"] > FORMAT:
        raise refused(
            path,
            "was written by a newer version of the collection",
            "its format is %d, and this version reads %d" % (found["format"], FORMAT),
            "use that version (%s)" % found.get("collection"),
        )
    wrong = [name for name, value in subject.items() if found.get(name) != value]
    if wrong:
        raise refused(
            path,
            "belongs to something else",
            ", ".join("%s is %r" % (name, found.get(name)) for name in wrong),
            REWRITE,
        )
    lists = [found.get(name, []) for name in ("entries", "users")]
    if not all(isinstance(part, list) for part in lists) or not all(
        isinstance(user, str) for user in lists[1]
    ):
        raise refused(
            path, "is not a manifest", "entries or users is not a list of the right type", REWRITE
        )
    problems = [
        "%s: %s" % (json.dumps(item), shape_problem(item))
        for item in lists[0]
        if shape_problem(item)
    ]
    if problems:
        raise refused(path, "has entries that are not valid", "; ".join(problems), REWRITE)
    return dict(found, entries=lists[0], users=lists[1])


REWRITE = (
    "correct the file, or move it away and write a new one: ansible-playbook "
    "playbooks/uninstall.yml -e swf_testbed_uninstall_write_manifest=true"
)


def refused(path: str, cause: str, evidence: object, fix: str) -> ManifestError:
    return ManifestError("the manifest %s %s. Evidence: %s. Fix: %s" % (path, cause, evidence, fix))


def trusted_text(path: str) -> str:
    """The text of a file that only this login and root can write.

    :raises ManifestError, OSError:
    """
    mine = (0, os.geteuid())
    for place, is_type in ((os.path.dirname(path), stat.S_ISDIR), (path, stat.S_ISREG)):
        # the directory of a login may be a symbolic link, the file must not
        status = os.stat(place) if is_type is stat.S_ISDIR else os.lstat(place)
        if not is_type(status.st_mode):
            raise refused(path, "is not a plain file", "%s is something else" % place, REWRITE)
        if status.st_uid not in mine or status.st_mode & 0o022:
            raise refused(
                path,
                "is writable by others",
                "%s has owner %d and mode %04o"
                % (place, status.st_uid, stat.S_IMODE(status.st_mode)),
                "check its entries; if they are correct: chown and chmod go-w %s, so that only this "
                "login can write it" % place,
            )
        if is_type is stat.S_ISREG and status.st_size > MAX_BYTES:
            raise refused(path, "is not a manifest", "it has %d bytes" % status.st_size, REWRITE)
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()


def merged(
    found: dict[str, Any], entries: list[dict[str, Any]], users: Iterable[str] = ()
) -> dict[str, Any]:
    """The manifest with more entries. Entries of earlier runs stay, even if a later run does not
    manage these items."""
    after = {key(item): item for item in found["entries"]}
    after.update((key(item), item) for item in entries)
    return dict(
        found,
        entries=[after[name] for name in sorted(after)],
        users=sorted({*found["users"], *users}),
    )


def write(path: str, manifest: dict[str, Any]) -> None:
    """Write the manifest in one step. A new directory is accessible only to its owner: wider modes
    are set later.

    :raises OSError:
    """
    if not os.path.isdir(os.path.dirname(path)):
        os.makedirs(
            os.path.dirname(path), mode=0o755 if os.path.dirname(path) == SERVICES else 0o700
        )
    with replacing(path, 0o600 if manifest.get("scope") == "user" else 0o644) as stream:
        json.dump(manifest, stream, indent=1, sort_keys=True)
        stream.write("\n")
