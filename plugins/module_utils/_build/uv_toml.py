# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our indexes in a uv.toml that belongs to somebody else."""

from __future__ import annotations

import importlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    InstallError,
    call,
    find_uv,
    is_flat,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common import marked_block

# keys that name sources of packages, at the top and in the table pip
SOURCES = ("index", "index-url", "default-index", "extra-index-url", "find-links", "no-index")


class UvTomlError(ValueError):
    """The file cannot be read, or names indexes itself; the text says the fix."""


def index_lines(index: Mapping[str, Any], extra: Iterable[Mapping[str, Any]]) -> str:
    """One key with all indexes. uv asks the extra ones first, and takes a name from the first index
    that has it."""
    if index["preset"] == "directory" and is_flat(index["url"]):
        items = [{"url": index["url"], "format": "flat", "default": True}]
    else:
        items = [{"name": other["name"], "url": other["url"]} for other in extra]
        if index["url"]:
            url = ("file://%s/" if index["preset"] == "directory" else "%s") % index["url"]
            items.append({"name": index["name"], "url": url, "default": True})
    # JSON's strings and booleans are TOML's
    tables = [
        "    { %s },"
        % ", ".join("%s = %s" % (key, json.dumps(value)) for key, value in item.items())
        for item in items
    ]
    return "\n".join(["index = [", *tables, "]"]) if items else ""


def with_indexes(text: str, owner: str, lines: str) -> str:
    """The text with our indexes, as uv itself can read it.

    :raises UvTomlError, BlockError:
    """
    rest = marked_block.outside(text, owner)
    found = sources_in(rest, lines)
    if found:
        raise UvTomlError(
            "it sets %s, and not by this collection. Fix: remove that, or set "
            "swf_testbed_pip_index_scope to none and add the missing lines of these:\n%s\n"
            % (" and ".join(found), lines)
        )
    result = marked_block.set_block(text, owner, lines)
    if result != text:
        read_by_uv(result)
    return result


def sources_in(text: str, lines: str = "") -> list[str]:
    """The keys of a uv.toml that name sources of packages.

    :param lines: for a message, if the file cannot be read here.
    :raises UvTomlError:
    """
    if not any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines()):
        return []
    parser = toml_parser()
    if parser is None:
        raise UvTomlError(
            "this Python has no TOML parser (3.11 and pip have one). Fix: install pip (sudo apt-get "
            "install python3-pip), or set swf_testbed_pip_index_scope to none and add these lines "
            "before all tables:\n%s\n" % lines
        )
    try:
        content = parser.loads(text)
    except ValueError as error:
        raise UvTomlError(
            "it is not TOML, and uv cannot read it either: %s. Fix: correct it" % error
        ) from None
    tables = (
        ("", content),
        ("pip.", content.get("pip") if isinstance(content.get("pip"), dict) else {}),
    )
    return [prefix + key for prefix, table in tables for key in SOURCES if table.get(key)]


def toml_parser() -> Any:
    """A module with ``loads``: that of Python since 3.11, else the one in pip; None if there is
    neither."""
    for name in ("tomllib", "pip._vendor.tomli"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def read_by_uv(text: str) -> None:
    """Have the uv of this host read the text, if there is one.

    :raises UvTomlError:
    """
    uv = find_uv()
    if uv is None:
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "uv.toml")
        with open(path, "w", encoding="utf-8", newline="", errors="surrogateescape") as stream:
            stream.write(text)
        try:
            call("read the file", [uv, "cache", "dir"], UV_NO_CONFIG=None, UV_CONFIG_FILE=path)
        except InstallError as error:
            raise UvTomlError(
                "uv cannot read it: %s. Fix: correct it" % error.output.replace(path, "uv.toml")
            ) from None
