# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a package, and compare it with the files of an index."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterable

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build import wheels
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    InstallError,
    call,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.layout import importable
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.project import (
    Problem,
    Project,
    PublishError,
)

# differs between versions of a build tool, for the same package
BY_THE_TOOL = re.compile(r"(\.dist-info/(RECORD|WHEEL)|\.egg-info/.*|/setup\.cfg)$")
METADATA = re.compile(r"(\.dist-info/METADATA|/PKG-INFO)$")
EVIDENCE_LINES = 12


def build(project: Project, formats: list[str], outdir: str) -> dict[str, str]:
    """As :func:`wheels.build`.

    :raises PublishError: with the end of the output.
    """
    try:
        return wheels.build(project.folder, formats, outdir, project.label)
    except InstallError as error:
        evidence = "\n".join("  " + text for text in error.output.splitlines()[-EVIDENCE_LINES:])
        raise PublishError(
            "cannot build %s.\nEvidence:\n%s\nFix: correct the errors in the output, then run again"
            % (project.label, evidence)
        ) from error


def metadata_problem(project: Project, files: Iterable[str]) -> Problem | None:
    """The finding of twine on the metadata of built files, or None."""
    try:
        call("check", [sys.executable, "-m", "twine", "check", "--strict", *files])
    except InstallError as error:
        lines = [
            text.strip()
            for text in error.output.splitlines()
            if text.strip() and "PASSED" not in text
        ]
        return (
            project.file,
            "twine rejects the metadata of the built package: %s" % " ".join(lines[-4:]),
            "Correct it in pyproject.toml or in the readme",
        )
    return None


def missing_packages(project: Project, wheel: str) -> Problem | None:
    """A finding if packages under src/ are missing in the wheel, or None. Build tools accept an
    empty wheel."""
    with zipfile.ZipFile(wheel) as archive:
        there = {name.partition("/")[0] for name in archive.namelist()}
    left_out = [
        item for item in importable(os.path.join(project.folder, "src")) if item not in there
    ]
    if left_out:
        return (
            project.file,
            "the built wheel lacks %s of src/" % ", ".join(left_out),
            "Correct the list of packages of the build tool, for hatchling "
            "[tool.hatch.build.targets.wheel] packages",
        )
    return None


def sha256(path: str) -> str:
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def difference(ours: str, theirs: str) -> str | None:
    """The first member in which two builds of one version differ, or None.

    Differences between versions of a build tool are ignored: packages are the same if they install
    the same.
    """
    left, right = members(ours), members(theirs)
    return next(
        (name for name in sorted(left.keys() | right.keys()) if left.get(name) != right.get(name)),
        None,
    )


def members(path: str) -> dict[str, str]:
    """{name: hash} of a wheel or sdist."""
    found = {}
    if path.endswith(".whl"):
        with zipfile.ZipFile(path) as archive:
            content = [
                (item.filename, archive.read(item))
                for item in archive.infolist()
                if not item.is_dir()
            ]
    else:
        with tarfile.open(path) as archive:
            content = [
                (item.name, stream.read())
                for item, stream in ((item, archive.extractfile(item)) for item in archive)
                if stream and item.isfile()
            ]
    for name, data in content:
        if METADATA.search(name):
            data = re.sub(rb"^(Metadata-Version|Dynamic): .*\n", b"", data, flags=re.MULTILINE)
        if not BY_THE_TOOL.search(name):
            found[name] = hashlib.sha256(data).hexdigest()
    return found
