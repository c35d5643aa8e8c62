# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads every file of a lock for given Pythons and architectures, on the controller, for
air-gapped hosts."""

from __future__ import annotations

import glob
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    caches_in,
    call,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.host_index import resolved
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.lock import by_index

#: name of the index that stands for an archive of wheels
INDEX = "wheelhouse"
MARKER = re.compile(r"\s*;\s*(?P<marker>.*?)\s*(?P<end>\\?)$")
OLDEST_GLIBC = 5


def applies(marker: str, python: str, architecture: str) -> bool:
    """Whether a requirement with this marker is for CPython of that version on Linux."""
    from packaging.markers import Marker

    return Marker(marker).evaluate(
        {
            "python_version": python,
            "python_full_version": python + ".0",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "sys_platform": "linux",
            "platform_system": "Linux",
            "os_name": "posix",
            "platform_machine": architecture,
        }
    )


def for_host(requirements: str, python: str, architecture: str) -> str:
    """The requirements that a Python on a host needs, without markers: pip would evaluate them for its own
    Python."""
    lines, wanted = [], True
    for line in requirements.splitlines():
        if not line[:1].isspace():
            match = MARKER.search(line)
            wanted = match is None or applies(match["marker"], python, architecture)
            line = line if match is None else line[: match.start()] + " " + match["end"]
        if wanted:
            lines.append(line)
    return "\n".join(lines) + "\n"


def platforms(architecture: str, glibc: str) -> list[str]:
    """The platform tags of packages for a host with this C library, or a newer one; the newest
    first."""
    newest = int(glibc.split(".")[1])
    tags = [
        "manylinux_2_%d_%s" % (minor, architecture) for minor in range(newest, OLDEST_GLIBC - 1, -1)
    ]
    return [
        *tags,
        *(
            "%s_%s" % (name, architecture)
            for name in ("manylinux2014", "manylinux2010", "manylinux1", "linux")
        ),
    ]


def collect(
    locks: Iterable[tuple[str | None, list[dict[str, Any]]]],
    pythons: Sequence[str],
    architectures: Sequence[str],
    glibc: str,
    target: str,
    access_dir: str,
) -> list[str]:
    """Download the files of the locks into a directory; returns their names.

    :param locks: texts of locks, each with its normalised indexes.
    :raises InstallError, ValueError, OSError:
    """
    # most files are the same for all Pythons
    with tempfile.TemporaryDirectory() as cache:
        for text, bound in locks:
            for index, requirements in by_index(text or "", resolved(bound)):
                for python in pythons:
                    for architecture in architectures:
                        fetch(
                            index,
                            for_host(requirements, python, architecture),
                            python,
                            platforms(architecture, glibc),
                            target,
                            access_dir,
                            caches_in(cache),
                        )
    return sorted(
        os.path.basename(path) for path in glob.glob(os.path.join(glob.escape(target), "*.whl"))
    )


def fetch(
    index: Mapping[str, Any],
    requirements: str,
    python: str,
    tags: Iterable[str],
    target: str,
    access_dir: str,
    caches: Mapping[str, str],
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "requirements.txt")
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(requirements)
        options = "--quiet --no-deps --require-hashes --only-binary :all: --implementation cp"
        command = [sys.executable, "-m", "pip", "download", *options.split(), "--dest", target]
        command += ["--python-version", python, "-r", path]
        for tag in tags:
            command += ["--platform", tag]
        call(
            "download the files for Python %s from index %s" % (python, index["name"]),
            command,
            index,
            access_dir,
            **caches,
        )
