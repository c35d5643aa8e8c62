# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest of an instance that is older than manifests: the items that the roles created at that
time."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index import pip_config
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest.listing import (
    FILE,
    entry,
)

MARK = "# Written by bnlnpps.swf_testbed"
DIRECTORIES = {
    "root": ("releases", "tools", "cache", "app"),
    "config_dir": ("known_good", "logins", "pip", "secrets"),
    # the contents of a mirror can be downloaded again
    "state_dir": ("log", "run", "mirror"),
}
DATA = ("data", "broker", "monitor", "postgresql", "redis", "packages", "backups")
LINKS = ("current", "previous", ".current.new", ".previous.new")
FILES = {
    "root": (".lock",),
    "config_dir": (
        "supervisord.conf",
        "boot_rollback.sh",
        "rollback_steps.py",
        "rollback_steps.due",
        "launch.py",
        "pip-settings.json",
        "ca.pem",
        "index.json",
        "upstream.json",
        "steps.json",
        "health.json",
    ),
}


def is_ours(places: dict[str, Any]) -> bool:
    """Whether the roles installed an instance here. The names of the directories do not prove it."""
    return (
        written_by_us(places["supervisord_conf"])
        or written_by_us(places["unit_file"])
        or any(
            release_of_ours(path)
            for path in glob.glob(os.path.join(glob.escape(places["root"]), "*/*/release.json"))
        )
    )


def written_by_us(path: str) -> bool:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return MARK[2:] in stream.readline(200)
    except OSError:
        return False


def release_of_ours(path: str) -> bool:
    try:
        with open(path, encoding="utf-8") as stream:
            return {"lock_hash", "packages"} <= set(json.load(stream))
    except (OSError, ValueError, TypeError):
        return False


def entries_of(places: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries of an older installation; none if there is no installation."""
    if not is_ours(places):
        return []
    found = [entry("directory", places[place], "empty") for place in DIRECTORIES]
    found += [
        entry("directory", os.path.join(places[place], name))
        for place, names in DIRECTORIES.items()
        for name in names
    ]
    found += [entry("directory", os.path.join(places["state_dir"], name), "data") for name in DATA]
    found += [entry("link", os.path.join(places["root"], name)) for name in LINKS]
    found += [
        entry("file", os.path.join(places[place], name))
        for place, names in FILES.items()
        for name in names
    ]
    found += [entry("unit", places[name]) for name in ("unit_file", "boot_unit_file")]
    # in system scope they are outside of state_dir
    found += [entry("directory", places[place]) for place in ("log_dir", "run_dir")]
    record = pip_config.read_record(places["pip_config"])
    found += [
        entry("lines", record[name], name=places["instance"])
        for name in ("pip_conf", "uv_toml", "netrc")
        if isinstance(record.get(name), str)
    ]
    return [
        item
        for item in {item["path"]: item for item in found}.values()
        if os.path.lexists(item["path"])
    ]


def others_on_host(places: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """{name: manifest} of the other instances on the host that this login can read."""
    found = {}
    folder = os.path.dirname(places["config_dir"])
    for path in glob.glob(os.path.join(glob.escape(folder), "*", FILE)):
        name = os.path.basename(os.path.dirname(path))
        try:
            with open(path, encoding="utf-8") as stream:
                manifest = json.load(stream)
            if (
                name != places["instance"]
                and manifest.get("instance") == name
                and isinstance(manifest["entries"], list)
            ):
                found[name] = manifest
        except (OSError, ValueError, AttributeError, KeyError):
            continue
    return found
