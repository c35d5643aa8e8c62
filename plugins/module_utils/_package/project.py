# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source folder as its pyproject.toml describes it. For the controller: it needs packaging, and
tomli on Python 3.10."""

from __future__ import annotations

import importlib.util
import os
import re

try:
    import tomllib
except ImportError:
    try:
        import tomli as tomllib
    except ImportError:
        tomllib = None
try:
    from packaging.version import InvalidVersion, Version
except ImportError:
    Version = None

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.names import canonical

# user:password@ in a URL
CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")


class PublishError(Exception):
    """Why nothing (more) was published, and what to do."""


class Project:
    """One package's sources.

    ``folder`` is where they are, ``label`` what a message calls that place, ``table`` the content
    of pyproject.toml, or None where it cannot be read; ``problem`` says why, as a (cause, fix)
    pair.
    """

    def __init__(self, folder, label=None):
        self.folder, self.label = folder, label or folder
        self.table, self.problem = None, None
        path = os.path.join(folder, "pyproject.toml")
        try:
            with open(path, "rb") as stream:
                self.table = tomllib.load(stream)
        except FileNotFoundError:
            if os.path.isdir(folder):
                self.problem = (
                    "there is no such file",
                    "Add one: it says what the package is called, needs and is built with",
                )
            else:
                self.problem = (
                    "there is no folder %s" % folder,
                    "Mend the path in swf_testbed_publish_sources",
                )
        except OSError as error:
            self.problem = (
                "it cannot be read: %s" % error.strerror,
                "Make it readable for this login",
            )
        except ValueError as error:
            self.problem = ("it is not valid TOML: %s" % error, "Mend the line that is named")

    @property
    def file(self):
        """What a message calls pyproject.toml."""
        return self.named("pyproject.toml")

    def named(self, path):
        """What a message calls a file of the sources."""
        return os.path.join(self.label, path)

    def section(self, *names):
        """A table of pyproject.toml; empty where it is missing or no table."""
        found = self.table or {}
        for name in names:
            found = found.get(name)
            if not isinstance(found, dict):
                return {}
        return found

    @property
    def name(self):
        """Canonical name, or None."""
        name = self.section("project").get("name")
        return canonical(name) if isinstance(name, str) and name else None

    @property
    def version(self):
        """Normalised version; None where the build makes it, or it is not one."""
        return normal_version(self.section("project").get("version"))

    def dynamic(self, key):
        """Whether the build fills the key in."""
        listed = self.section("project").get("dynamic")
        return isinstance(listed, list) and key in listed


def normal_version(text):
    """A version as indexes compare it (PEP 440), or None for what is none."""
    try:
        return str(Version(text))
    except (InvalidVersion, TypeError):
        return None


def missing_libraries(*names):
    """What this Python lacks to build and upload, as one sentence with the fix, or None."""
    missing = [name for name in ("packaging", *names) if importlib.util.find_spec(name) is None]
    if tomllib is None:
        missing.append("tomli")
    if missing:
        return (
            "the Python that runs this module on the controller lacks %s. Install it beside "
            "ansible-core: python3 -m pip install build twine" % " and ".join(missing)
        )
    return None
