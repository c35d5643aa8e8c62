# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest: what an installation created on a host, and what an uninstall does with each part
of it.

One file for each instance, ``manifest.json`` in its config_dir, and one for each service in
:data:`SERVICES`. An uninstall removes what is listed, often as root, so only root (in user scope
the login) may be able to write the file.
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
# never the directory of an instance: the name of one has no dot
SERVICES = "/etc/bnlnpps.swf_testbed"
SERVICE_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
PATHS = ("directory", "file", "link", "unit", "lines")
NAMES = ("account", "group", "package", "firewall", "database", "database_role")
# empty: a directory goes when nothing is left in it; data: only with the data; never: it stays, for
# the reason of the entry
UNINSTALL = ("always", "empty", "data", "never")
KEYS = {"kind", "path", "name", "uninstall", "role", "reason", "real"}


class ManifestError(Exception):
    """The manifest cannot be used; the message has cause, evidence and fix."""


def entry(kind: str, what: str, uninstall: str = "always", **more: Any) -> dict[str, Any]:
    """One entry. ``more`` can be ``role``, ``reason`` and, for lines in a file of others, the
    ``name`` they are marked with."""
    return dict(
        {"kind": kind, "path" if kind in PATHS else "name": what, "uninstall": uninstall}, **more
    )


def key(item: dict[str, Any]) -> tuple[str, str]:
    """Two entries with the same key are about the same thing."""
    if item["kind"] == "lines":
        return "lines", item["path"]
    return ("path", item["path"]) if item["kind"] in PATHS else (item["kind"], item["name"])


def told(item: dict[str, Any]) -> str:
    """An entry as a few words."""
    words = (
        item["path"]
        if item["kind"] in PATHS
        else "%s %s" % (item["kind"].replace("_", " "), item["name"])
    )
    return "lines in " + words if item["kind"] == "lines" else words


def shape_problem(item: Any) -> str | None:
    """What keeps an entry from being one; None if it is one."""
    if not isinstance(item, dict) or item.get("kind") not in PATHS + NAMES:
        return "its kind is not known"
    if set(item) - KEYS or not all(isinstance(value, str) for value in item.values()):
        return "it has other keys than %s, or a value that is not text" % ", ".join(sorted(KEYS))
    if item.get("uninstall") not in UNINSTALL or (
        item["uninstall"] == "empty" and item["kind"] != "directory"
    ):
        return "what uninstall does with it is not one of %s" % ", ".join(UNINSTALL)
    what = item.get("path" if item["kind"] in PATHS else "name", "")
    if not what or not what.isprintable():
        return "its path or name is empty or has control characters"
    if item["kind"] in PATHS and (
        not os.path.isabs(what) or os.path.normpath(what) != what or what.startswith("//")
    ):
        return "its path is not absolute and plain"
    if item["kind"] in NAMES and (what.startswith("-") or "/" in what):
        return "its name is not plain"
    return None


def service_name(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(SERVICE_NAME, value):
        raise InstanceNameError(
            "%r is not the name of a service. Evidence: its manifest is a file of that name. Fix: "
            "use 1 to "
            "64 letters, digits, hyphens and underscores" % (value,)
        )
    return value


def subject_of(options: dict[str, Any]) -> dict[str, str]:
    """What a manifest is for: {"instance" and "scope"} or {"service"}.

    :raises InstanceNameError:
    """
    if options.get("service"):
        return {"service": service_name(options["service"])}
    return {
        "instance": instance_name(options.get("instance")),
        "scope": options.get("scope") or "user",
    }


def path_of(subject: dict[str, Any], services: str | None = None) -> str:
    """Where the manifest of an instance or a service is."""
    if "service" in subject:
        return os.path.join(services or SERVICES, subject["service"] + ".json")
    return os.path.join(
        layout(subject["instance"], subject["scope"], environment_of_login())["config_dir"], FILE
    )


def read(path: str, subject: dict[str, Any]) -> dict[str, Any] | None:
    """The manifest, or None where there is none.

    :raises ManifestError: somebody else could have written it, or it is not one of this instance
        that this version understands.
    """
    try:
        text = trusted_text(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refused(
            path, "cannot be read", error.strerror, "see that this login may read it"
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
            "its format is %d, and this version knows %d" % (found["format"], FORMAT),
            "use that version (%s)" % found.get("collection"),
        )
    wrong = [name for name, value in subject.items() if found.get(name) != value]
    if wrong:
        raise refused(
            path,
            "is for something else",
            ", ".join("%s is %r" % (name, found.get(name)) for name in wrong),
            REWRITE,
        )
    lists = [found.get(name, []) for name in ("entries", "users")]
    if not all(isinstance(part, list) for part in lists) or not all(
        isinstance(user, str) for user in lists[1]
    ):
        raise refused(
            path, "is not a manifest", "entries and users are not lists of the right kind", REWRITE
        )
    problems = [
        "%s: %s" % (json.dumps(item), shape_problem(item))
        for item in lists[0]
        if shape_problem(item)
    ]
    if problems:
        raise refused(path, "lists what cannot be listed", "; ".join(problems), REWRITE)
    return dict(found, entries=lists[0], users=lists[1])


REWRITE = (
    "look at the file and correct it, or move it away and write it anew: ansible-playbook "
    "playbooks/uninstall.yml "
    "-e swf_testbed_uninstall_write_manifest=true"
)


def refused(path: str, cause: str, evidence: object, fix: str) -> ManifestError:
    return ManifestError("the manifest %s %s. Evidence: %s. Fix: %s" % (path, cause, evidence, fix))


def trusted_text(path: str) -> str:
    """The text of a file that only this login, or root, can have written.

    :raises ManifestError, OSError:
    """
    mine = (0, os.geteuid())
    for place, kind in ((os.path.dirname(path), stat.S_ISDIR), (path, stat.S_ISREG)):
        # the directory of a login may be a link that it made; the file itself is none
        status = os.stat(place) if kind is stat.S_ISDIR else os.lstat(place)
        if not kind(status.st_mode):
            raise refused(path, "is not a plain file", "%s is something else" % place, REWRITE)
        if status.st_uid not in mine or status.st_mode & 0o022:
            raise refused(
                path,
                "could have been written by others",
                "%s has owner %d and mode %04o"
                % (place, status.st_uid, stat.S_IMODE(status.st_mode)),
                "look at what it lists; if that is right: chown and chmod go-w %s, so that only "
                "this login writes it" % place,
            )
        if kind is stat.S_ISREG and status.st_size > MAX_BYTES:
            raise refused(path, "is not a manifest", "it has %d bytes" % status.st_size, REWRITE)
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()


def merged(
    found: dict[str, Any], entries: list[dict[str, Any]], users: Iterable[str] = ()
) -> dict[str, Any]:
    """The manifest with more entries. What earlier runs recorded stays: a later run may not manage
    it any more."""
    after = {key(item): item for item in found["entries"]}
    after.update((key(item), item) for item in entries)
    return dict(
        found,
        entries=[after[name] for name in sorted(after)],
        users=sorted({*found["users"], *users}),
    )


def write(path: str, manifest: dict[str, Any]) -> None:
    """Write the manifest, whole or not at all. The directory is made for its owner alone: whoever
    needs it wider says so later.

    :raises OSError:
    """
    if not os.path.isdir(os.path.dirname(path)):
        os.makedirs(
            os.path.dirname(path), mode=0o755 if os.path.dirname(path) == SERVICES else 0o700
        )
    with replacing(path, 0o600 if manifest.get("scope") == "user" else 0o644) as stream:
        json.dump(manifest, stream, indent=1, sort_keys=True)
        stream.write("\n")
