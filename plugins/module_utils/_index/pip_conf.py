# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pip.conf, read with the parser that pip reads it with."""

from __future__ import annotations

import configparser
import os
import re

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import xdg

# pip names its files by kind; later kinds count more
KINDS = ("global", "user", "site", "env")
FILE = re.compile(r"^  (?P<path>/.*), exists: (True|False)$")


def options(text):
    """{(section, option): value} of a pip.conf. Options are spelled with dashes, as pip compares
    them.

    :raises ValueError: if pip could not read it either; the text names the line and quotes nothing.
    """
    try:
        parser = parsed(text)
    except ValueError as error:
        raise ValueError("pip cannot read it: %s. Correct it" % error) from None
    return {
        (section, option.replace("_", "-")): value
        for section in parser.sections()
        for option, value in parser.items(section)
    }


def sections_of(text):
    return parsed(text).sections()


def parsed(text):
    """
    :raises ValueError: naming the lines that cannot be read, and quoting nothing.
    """
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        numbers = [number for number, _line in getattr(error, "errors", ())] or [
            getattr(error, "lineno", None)
        ]
        where = ", ".join("line %s" % number for number in numbers if number)
        raise ValueError(type(error).__name__ + (where and ", " + where)) from None
    return parser


def usual_files(environment):
    """Where pip keeps its configuration on Linux, in the order in which later ones count more."""
    config = xdg(environment, "XDG_CONFIG_HOME", ".config")
    system = [
        os.path.join(path, "pip/pip.conf")
        for path in environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")
        if path
    ]
    own = environment.get("PIP_CONFIG_FILE")
    return [
        *system,
        "/etc/pip.conf",
        os.path.join(environment["HOME"], ".pip/pip.conf"),
        os.path.join(config, "pip/pip.conf"),
        *([own] if own else []),
    ]


def files_in(text):
    """The files that C(pip config debug) names, there or not, those that count more later."""
    kinds, kind = {}, None
    for line in text.splitlines():
        found = FILE.match(line)
        if found:
            kinds.setdefault(kind, []).append(found["path"])
        elif not line.startswith(" "):
            kind = line.rstrip(":")
    return [path for kind in KINDS for path in kinds.get(kind, ())]


def settings_in_files(files, environment):
    """{option: value} of C(pip install): [install] before [global], and variables before both.

    What C(pip config list) prints is no help: it has the values of all files, and not in the order
    in which they count.

    :param files: paths, there or not, those that count more later.
    :raises ValueError: for a file that pip could not read; the text begins with its path.
    """
    found = {}
    for path in files:
        try:
            with open(path, encoding="utf-8") as stream:
                found.update(options(stream.read()))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except ValueError as error:
            raise ValueError("%s: %s" % (path, error)) from None
    merged = {}
    for counting in ("global", "install"):
        # an empty value counts as none
        merged.update(
            (option, value)
            for (section, option), value in found.items()
            if section == counting and value
        )
    merged.update(
        (name[4:].lower().replace("_", "-"), value)
        for name, value in environment.items()
        if name.startswith("PIP_") and value
    )
    return merged


def is_true(value):
    return str(value or "").strip().lower() in ("y", "yes", "t", "true", "on", "1")
