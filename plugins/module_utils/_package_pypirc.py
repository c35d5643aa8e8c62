# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections of a .pypirc that stand for indexes of pip_indexes; those of somebody else stay as they are."""

from __future__ import annotations

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils import _ini_text
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package_target import HEADING, refusal, section, section_name


def with_indexes(text, entries):
    """The text with one section per index that takes uploads, and without those of earlier runs.

    :param entries: normalised indexes.
    """
    entries = [entry for entry in entries if refusal(entry) is None]
    names = list(dict.fromkeys(section_name(entry) for entry in entries))
    lines = text.splitlines()
    ours = {name for name, (start, end) in _ini_text.sections(lines).items() if name in names or HEADING in lines[start:end]}
    if not names and not ours:
        return text
    listed = [word for option in _ini_text.options(lines) if (option.section, option.name) == ("distutils", "index-servers")
              for word in option.words if word not in ours]
    if not listed and "distutils" not in _ini_text.sections(lines):
        # without the list, twine knows these two; with it, what is not listed is not known
        listed = [name for name in ("pypi", "testpypi") if name in _ini_text.sections(lines) and name not in ours]
    lines = listing(without_sections(lines, ours), listed + names)
    kept = "\n".join(lines).rstrip("\n")
    return "\n\n".join(([kept] if kept else []) + [section(entry).rstrip("\n") for entry in entries]) + "\n"


def without_sections(lines, names):
    ranges = _ini_text.sections(lines)
    return _ini_text.without_lines(lines, {number for name in names for number in range(*ranges[name])})


def listing(lines, names):
    """The lines with these index-servers. A list that names them already stays as it is."""
    found = next((option for option in _ini_text.options(lines)
                  if (option.section, option.name) == ("distutils", "index-servers")), None)
    if found and found.words == names:
        return lines
    new = ["index-servers ="] + ["    " + name for name in names]
    if found:
        return lines[:found.first] + (new if names else []) + lines[found.last:]
    if "distutils" in _ini_text.sections(lines):
        start = _ini_text.sections(lines)["distutils"][0] + 1
        return lines[:start] + new + lines[start:]
    return ["[distutils]", *new, ""] + lines
