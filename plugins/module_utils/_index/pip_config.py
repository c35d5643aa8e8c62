# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits files that belong to other owners: single options of an ini file, and a marked block in
other text files.

Everything else in the file stays byte for byte. A record lists the settings, so that exactly these
can be removed again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common import ini_text
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import replacing
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.marked_block import (
    outside,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.pip_conf import options


def set_option(text: str, section: str, option: str, value: str | None) -> str:
    """The text of an ini file with one option set, or removed if the value is None.

    A missing section is added at the beginning of the file, because a last line may have no end.
    """
    lines = ini_text.lines_of(text)
    end_of_line = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    new = [] if value is None else ["%s = %s%s" % (option, value, end_of_line)]
    sections = ini_text.sections(lines)
    if section not in sections:
        return "".join(["[%s]%s" % (section, end_of_line), *new]) + text if new else text
    matches = (
        found
        for found in ini_text.options(lines)
        if (found.section, found.name.replace("_", "-")) == (section, option)
    )
    there = next(matches, None)
    start = sections[section][0] + 1
    first, last = (there.first, there.last) if there else (start, start)
    if last == len(lines) and not lines[-1].endswith("\n"):
        # the last line has no end: move the line end together with it
        lines[first - 1] = lines[first - 1].rstrip("\r\n") + (end_of_line if new else "")
        new = [line.rstrip("\r\n") for line in new]
    lines[first:last] = new
    return "".join(lines)


def with_options(text: str, wanted: Mapping[str, str]) -> str:
    """The text with those of these options in [global] that are not set yet.

    :raises ValueError: pip would then read existing lines differently: an indented line continues
        the option before it.
    """
    there, result = options(text), text
    new = {
        ("global", option): value
        for option, value in wanted.items()
        if ("global", option) not in there
    }
    for (section, option), value in reversed(list(new.items())):
        result = set_option(result, section, option, value)
    if options(result) != {**there, **new}:
        raise ValueError(
            "options in it are indented, and pip would read them as part of the option before "
            "them. Fix: remove the spaces before them"
        )
    return result


def without_section(text: str, section: str) -> str:
    """The text without the heading of a section that has no options. Comments stay."""
    lines = ini_text.lines_of(text)
    start, end = ini_text.sections(lines).get(section, (0, 0))
    if any(
        line.strip() and not line.lstrip().startswith(("#", ";")) for line in lines[start + 1 : end]
    ):
        return text
    del lines[start : min(start + 1, end)]
    return "".join(lines)


class Files:
    """Texts of files, read once and written at the end. Bytes that are not UTF-8 are in them as
    surrogates."""

    def __init__(self) -> None:
        self.before: dict[str, str] = {}
        self.after: dict[str, str] = {}
        #: files that this collection creates, to be removed once they are empty
        self.created: set[str] = set()

    def read(self, path: str) -> str:
        if path not in self.before:
            try:
                with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
                    self.before[path] = stream.read()
            except FileNotFoundError:
                self.before[path] = ""
                self.created.add(path)
            self.after[path] = self.before[path]
        return self.after[path]

    def change(self, path: str, text: str) -> None:
        self.read(path)
        self.after[path] = text

    def changed(self) -> list[str]:
        return [path for path in self.after if self.after[path] != self.before[path]]

    def write(self) -> None:
        for path in self.changed():
            if not self.after[path] and path in self.created:
                os.unlink(path)
                continue
            os.makedirs(os.path.dirname(path), exist_ok=True)
            secret = os.path.basename(path) in (".netrc", ".pypirc")
            mode = os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o644
            with replacing(path, 0o600 if secret else mode) as stream:
                stream.buffer.write(self.after[path].encode("utf-8", "surrogateescape"))


def undo(files: Files, previous: Mapping[str, Any], owner: str) -> None:
    """Remove the settings of an earlier run, where they still have the recorded value.

    :raises ValueError: a file cannot be parsed any more; the text begins with its path.
    """
    if previous.get("before"):
        # a run was interrupted between its record and its files
        undo(files, previous["before"], owner)
    paths = [previous[key] for key in ("pip_conf", "uv_toml", "netrc") if previous.get(key)]
    files.created.update(previous.get("created", paths))
    for path in paths:
        try:
            text = files.read(path)
            ini = path == previous.get("pip_conf")
            files.change(path, without_options(text, previous) if ini else outside(text, owner))
        except ValueError as error:
            raise ValueError("%s: %s" % (path, error)) from None


def without_options(text: str, previous: Mapping[str, Any]) -> str:
    for option, value in previous["options"].items():
        if options(text).get(("global", option)) == value:
            text = set_option(text, "global", option, None)
    return without_section(text, "global") if previous.get("section", True) else text


def read_record(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except (OSError, ValueError):
        return {}


def write_record(path: str, record: Mapping[str, Any]) -> None:
    if record:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with replacing(path) as stream:
            json.dump(record, stream, indent=1, sort_keys=True)
    elif os.path.exists(path):
        os.unlink(path)
