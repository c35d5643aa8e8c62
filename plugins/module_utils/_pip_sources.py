# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From where a pip would install, by all files and variables that it reads."""

from __future__ import annotations

import configparser
import os
import re

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host_index import is_true, usual_files
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._pip_upstream import output

# options that name places that packages come from. In [global] they count for all commands, in a command's section for that
# command, and there they count more
SOURCES = ("index-url", "pypi-url", "extra-index-url", "find-links", "no-index")
# pip names its files by kind; later kinds count more
KINDS = ("global", "user", "site", "env")
FILE = re.compile(r"^  (?P<path>/.*), exists: (True|False)$")


def options(text):
    """{(section, option): value} of a pip.conf. Options are spelled with dashes, as pip compares them.

    :raises ValueError: if pip could not read it either; the text names the line and quotes nothing.
    """
    parser = parsed(text)
    return {(section, option.replace("_", "-")): value
            for section in parser.sections() for option, value in parser.items(section)}


def sections_of(text):
    return parsed(text).sections()


def parsed(text):
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        numbers = [number for number, _line in getattr(error, "errors", ())] or [getattr(error, "lineno", None)]
        where = ", ".join("line %s" % number for number in numbers if number)
        raise ValueError("pip cannot read it: %s%s. Correct it" % (type(error).__name__, where and ", " + where)) from None
    return parser


def files_of_pip(python, environment):
    """The files that a pip reads, there or not, those that count more later."""
    kinds, kind = {}, None
    for line in (python and output(python, "-m", "pip", "config", "debug") or "").splitlines():
        found = FILE.match(line)
        if found:
            kinds.setdefault(kind, []).append(found["path"])
        elif not line.startswith(" "):
            kind = line.rstrip(":")
    return [path for kind in KINDS for path in kinds.get(kind, ())] or usual_files(environment)


def others(files, read, target, wanted):
    """What pip would take packages from in addition to, or instead of, what we set.

    :param files: paths, those that count more later.
    :param read: function that returns the text of a file.
    :param target: path of the file that has our options.
    :param wanted: our options of the section global.
    :returns: list of (path, section, option, value).
    :raises ValueError: a file that pip cannot read; the text begins with its path.
    """
    merged = {}
    for path in files if target in files else [*files, target]:
        try:
            found = options(read(path))
        except ValueError as error:
            raise ValueError("%s: %s" % (path, error)) from None
        merged.update((key, (path, value)) for key, value in found.items() if key[1] in SOURCES)
    ours = {option: value.split() for option, value in wanted.items()}
    return [(path, section, option, value) for (section, option), (path, value) in sorted(merged.items())
            if value.split() and value.split() != ours.get(option) and (option != "no-index" or is_true(value))]


def variables():
    """The names of the variables of this process with which pip or uv take packages from elsewhere, or read other files."""
    return sorted(name for name, value in os.environ.items() if value and re.fullmatch(
        r"PIP_(CONFIG_FILE|ISOLATED|%s)|UV_(CONFIG_FILE|NO_CONFIG|INDEX|INDEX_URL|DEFAULT_INDEX|EXTRA_INDEX_URL|FIND_LINKS|"
        "NO_INDEX)" % "|".join(
            option.replace("-", "_").upper() for option in SOURCES), name))
