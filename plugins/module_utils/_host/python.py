# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python of a host, for the testbed's virtual environments."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    Finding,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import captured
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.distribution import (
    pairs,
    words_of,
)

# The Python of a virtual environment is a link, and a release outlives that environment: use the
# base Python. The real path means the same to uv, to venv, and in the next run.
PROBE = """
import importlib.util, json, os, sys
print(json.dumps({"path": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
                  "version": "%d.%d.%d" % sys.version_info[:3],
                  "venv": all(importlib.util.find_spec(i) for i in ("venv", "ensurepip"))}))
"""


DEFAULT = "python3"
# other Pythons of a distribution whose python3 is too old
NEWER = ("python3.13", "python3.12", "python3.11", "python3.10")


def release_of(path: str = "") -> str:
    """ID and ID_LIKE of the distribution in one string."""
    return " ".join(words_of(pairs(path)))


def candidates(wanted: str) -> list[str]:
    """The paths that match a name, in the order of PATH; a path matches itself."""
    wanted = os.path.expanduser(wanted)
    if os.path.dirname(wanted):
        return [os.path.abspath(wanted)]
    paths = [os.path.join(folder, wanted) for folder in os.get_exec_path()]
    return [path for path in paths if os.access(path, os.X_OK) and not os.path.isdir(path)]


def find_python(wanted: str) -> dict[str, Any] | None:
    """The answer of :data:`PROBE`, with the real path; None if no Python of that name or path runs.

    It is run and not only found: pyenv has shims on the path for versions that it cannot run. The
    next match on the path may be a Python.
    """
    for path in candidates(wanted):
        found = probe(path)
        if found:
            return found
    return None


def choose_python(wanted: str, minimum: str) -> dict[str, Any] | None:
    """The answer of :data:`PROBE` of the Python for releases.

    For the default name, whose Python is too old on some platforms (EL 9), another one of the host
    counts, too. The oldest that is new enough: a newer one that is installed later changes nothing.
    """
    found = find_python(wanted)
    if wanted != DEFAULT or (found and not is_older(found["version"], minimum)):
        return found
    others = filter(None, (find_python(name) for name in reversed(NEWER)))
    return next((item for item in others if not is_older(item["version"], minimum)), found)


def probe(path: str) -> dict[str, Any] | None:
    try:
        done = captured([path, "-I", "-c", PROBE])
        return json.loads(done.stdout) if done.returncode == 0 else None
    except (OSError, ValueError):
        return None


def resolved(wanted: str) -> str:
    """The real path of a Python, or the given name if none runs: its user reports the error."""
    found = find_python(wanted)
    return found["path"] if found else wanted


def python_problem(
    wanted: str, minimum: str, found: Mapping[str, Any] | None, distribution: str
) -> Finding | None:
    """The finding for a Python that is missing or too old, or None.

    :param found: the probe's answer, or None if no such Python runs.
    """
    redhat = any(word in distribution.split() for word in ("rhel", "fedora", "centos"))
    install = (
        "sudo dnf install python3.12" if redhat else "sudo apt-get install python3 python3-venv"
    )
    if found is None:
        return finding(
            "python",
            "no Python named %r runs on this host" % wanted,
            "searched in %s"
            % ("its path" if os.path.isabs(wanted) else os.environ.get("PATH", "")),
            "Install one (%s) or set swf_testbed_python to its path" % install,
        )
    if is_older(found["version"], minimum):
        newer = next(filter(None, (find_python(name) for name in NEWER)), None)
        if newer and not is_older(newer["version"], minimum):
            fix = "Set swf_testbed_python to %s, which is Python %s" % (
                newer["path"],
                newer["version"],
            )
        elif redhat:
            fix = (
                "Install one (%s; in system scope, swf_testbed_python_packages: [python3.12] does it)%s"
                % (
                    install,
                    "" if wanted == DEFAULT else " and set swf_testbed_python to python3.12",
                )
            )
        else:
            # the distribution's Python is the one that is too old
            fix = (
                "Install one (%s) and set swf_testbed_python to its path, or upgrade to a newer "
                "release of the distribution" % ("uv python install 3.12")
            )
        return finding(
            "python",
            "the Python of this host is too old",
            "%s is Python %s, and the packages need %s or newer"
            % (found["path"], found["version"], minimum),
            fix,
        )
    return None


def is_older(version: str, minimum: str) -> bool:
    return [int(part) for part in version.split(".")] < [int(part) for part in minimum.split(".")]


def venv_problem(found: Mapping[str, Any] | None, uv: str | None) -> Finding | None:
    """The finding for a missing `python -m venv`, or None. On Debian it is a separate package; uv
    does not need it."""
    if found is None or found["venv"] or uv:
        return None
    return finding(
        "python",
        "%s has no venv module" % found["path"],
        "neither the modules venv and ensurepip nor uv can be found",
        "Run: sudo apt-get install python%s-venv" % ".".join(found["version"].split(".")[:2]),
    )


def sqlite_problem(found: Mapping[str, Any] | None, minimum: str) -> Finding | None:
    """The finding for a Python without SQLite, or with one that is too old, or None."""
    if found is None or not minimum:
        return None
    code = "import sqlite3; print(sqlite3.sqlite_version)"
    try:
        version = captured([found["path"], "-I", "-c", code]).stdout.strip()
        old = is_older(version, minimum)
    except (OSError, ValueError):
        version, old = "", True
    if not old:
        return None
    return finding(
        "python",
        "the SQLite of %s is missing or too old" % found["path"],
        "it has %s, and the stack needs %s or newer"
        % ("SQLite %s" % version if version else "no working sqlite3", minimum),
        "Set swf_testbed_python to another Python, or swf_testbed_database_host to a host with "
        "PostgreSQL",
    )
