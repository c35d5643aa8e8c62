# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits files that belong to somebody else: single options of an ini file, and a marked block of any other text file.

Everything else in the file, comments and order too, stays as it is. What was set is kept in a record, so that it can be taken
out again, and nothing else.
"""

from __future__ import annotations

import configparser
import json
import os

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils import _ini_text
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._replacing import replacing

BEGIN, END = "# BEGIN bnlnpps.swf_testbed %s", "# END bnlnpps.swf_testbed %s"


def options(text):
    """{(section, option): value} of a pip.conf. Options are spelled with dashes, as pip compares them.

    :raises ValueError: if pip could not read it either.
    """
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ValueError("pip cannot read it: %s" % error) from None
    return {(section, option.replace("_", "-")): value
            for section in parser.sections() for option, value in parser.items(section)}


def set_option(text, section, option, value):
    """The text of an ini file with one option set, or taken out where the value is None."""
    lines = text.splitlines()
    if section not in _ini_text.sections(lines):
        if value is None:
            return text
        gap = [""] if lines and lines[-1].strip() else []
        return as_text(lines + gap + ["[%s]" % section, "%s = %s" % (option, value)])
    there = next((found for found in _ini_text.options(lines)
                  if (found.section, found.name.replace("_", "-")) == (section, option)), None)
    start, _end = _ini_text.sections(lines)[section]
    first, last = (there.first, there.last) if there else (start + 1, start + 1)
    lines[first:last] = [] if value is None else ["%s = %s" % (option, value)]
    start, end = _ini_text.sections(lines)[section]
    if value is None and not any(line.strip() for line in lines[start + 1:end]):
        # a section that holds nothing any more
        del lines[start:end]
        while lines and not lines[-1].strip():
            lines.pop()
    return as_text(lines)


def block(text, owner):
    """The lines of the owner's block, or None if there is none."""
    lines = text.splitlines()
    begin, end = BEGIN % owner, END % owner
    if begin in lines and end in lines[lines.index(begin):]:
        return lines[lines.index(begin) + 1:lines.index(end)]
    return None


def outside(text, owner):
    """The text without the owner's block."""
    if block(text, owner) is None:
        return text
    lines = text.splitlines()
    del lines[lines.index(BEGIN % owner):lines.index(END % owner) + 1]
    return as_text(lines)


def set_block(text, owner, content):
    """The text with the owner's block at its end; without it where the content is empty."""
    rest = outside(text, owner)
    return rest + as_text([BEGIN % owner, *content.splitlines(), END % owner]) if content else rest


def as_text(lines):
    return "".join(line + "\n" for line in lines)


class Files:
    """Texts of files, read once and written at the end."""

    def __init__(self):
        self.before, self.after = {}, {}

    def read(self, path):
        if path not in self.before:
            try:
                with open(path, encoding="utf-8") as stream:
                    self.before[path] = stream.read()
            except FileNotFoundError:
                self.before[path] = ""
            self.after[path] = self.before[path]
        return self.after[path]

    def change(self, path, text):
        self.read(path)
        self.after[path] = text

    def changed(self):
        return [path for path in self.after if self.after[path] != self.before[path]]

    def write(self):
        for path in self.changed():
            if not self.after[path]:
                os.unlink(path)
                continue
            os.makedirs(os.path.dirname(path), exist_ok=True)
            secret = os.path.basename(path) in (".netrc", ".pypirc")
            mode = 0o600 if secret else (os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o644)
            with replacing(path, mode) as stream:
                stream.write(self.after[path])


def undo(files, previous, owner):
    """Take out what an earlier run set, and only where it still says what was set."""
    conf = previous.get("pip_conf")
    if conf:
        text = files.read(conf)
        for option, value in previous["options"].items():
            if options(text).get(("global", option)) == value:
                text = set_option(text, "global", option, None)
        files.change(conf, text)
    for path in filter(None, (previous.get("uv_toml"), previous.get("netrc"))):
        files.change(path, outside(files.read(path), owner))


def read_record(path):
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except (OSError, ValueError):
        return {}


def write_record(path, record):
    if record:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with replacing(path) as stream:
            json.dump(record, stream, indent=1, sort_keys=True)
    elif os.path.exists(path):
        os.unlink(path)
