# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source directory and its pyproject.toml. For the controller: it needs packaging, and tomli on
Python 3.10."""

from __future__ import annotations

import importlib.util
import os
import re
from typing import Any

try:
    import tomllib
except ImportError:
    try:
        import tomli as tomllib  # type: ignore[no-redef]
    except ImportError:
        tomllib = None  # type: ignore[assignment]
try:
    from packaging.version import InvalidVersion, Version
except ImportError:
    Version = None  # type: ignore[assignment,misc]

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.names import canonical

#: (file, cause, fix)
Problem = tuple[str, str, str]
# user:password@ in a URL
CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")


class PublishError(Exception):
    """Nothing (more) was published; the text has cause and fix."""


class Project:
    """One package's sources.

    ``folder`` is their directory, ``label`` its name in messages, ``table`` the content of
    pyproject.toml, or None if it cannot be read; ``problem`` is then a (cause, fix) pair.
    """

    def __init__(self, folder: str, label: str | None = None) -> None:
        self.folder, self.label = folder, label or folder
        self.table, self.problem = None, None
        path = os.path.join(folder, "pyproject.toml")
        try:
            with open(path, "rb") as stream:
                self.table = tomllib.load(stream)
        except FileNotFoundError:
            if os.path.isdir(folder):
                self.problem = (
                    "the file does not exist",
                    "Add one with the package's name, dependencies and build system",
                )
            else:
                self.problem = (
                    "there is no directory %s" % folder,
                    "Correct the path in swf_testbed_publish_sources",
                )
        except OSError as error:
            self.problem = (
                "it cannot be read: %s" % error.strerror,
                "Give this login permission to read it",
            )
        except ValueError as error:
            self.problem = ("it is not valid TOML: %s" % error, "Correct that line")

    @property
    def file(self) -> str:
        """The label of pyproject.toml in messages."""
        return self.named("pyproject.toml")

    def named(self, path: str) -> str:
        """The label of a file of the sources in messages."""
        return os.path.join(self.label, path)

    def section(self, *names: str) -> dict[str, Any]:
        """A table of pyproject.toml; empty if it is missing or not a table."""
        found = self.table or {}
        for name in names:
            found = found.get(name, {})
            if not isinstance(found, dict):
                return {}
        return found

    @property
    def name(self) -> str | None:
        """Canonical name, or None."""
        name = self.section("project").get("name")
        return canonical(name) if isinstance(name, str) and name else None

    @property
    def version(self) -> str | None:
        """Normalised version; None if the build sets it, or it is not valid."""
        return normal_version(self.section("project").get("version"))

    def dynamic(self, key: str) -> bool:
        """Whether the build sets the key."""
        listed = self.section("project").get("dynamic")
        return isinstance(listed, list) and key in listed


def normal_version(text: Any) -> str | None:
    """A version as indexes compare it (PEP 440), or None if it is not valid."""
    try:
        return str(Version(text))
    except (InvalidVersion, TypeError):
        return None


def missing_libraries(*names: str) -> str | None:
    """The error message for libraries that are missing to build and upload, or None."""
    missing = [name for name in ("packaging", *names) if importlib.util.find_spec(name) is None]
    if tomllib is None:
        missing.append("tomli")
    if missing:
        return (
            "libraries are missing on the controller. Evidence: the Python that runs this module "
            "lacks %s. Fix: install them for that Python: python3 -m pip install build twine"
            % " and ".join(missing)
        )
    return None
