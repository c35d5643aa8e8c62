# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a package on an index, and which of them can be installed on this host."""

from __future__ import annotations

import platform
import re
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.names import canonical
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.versions import (
    allows,
    is_prerelease,
    newest_first,
    same,
)

SDIST = (".tar.gz", ".zip", ".tar.bz2", ".tgz")
LEGACY_GLIBC = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}


@dataclass
class File:
    """``tags`` are the tags of a wheel's name, such as ``py3-none-any``, and None for a source
    distribution."""

    filename: str
    version: str
    tags: str | None = None
    requires_python: str | None = None
    yanked: str | None = None


def file_of(
    filename: str, name: str, requires_python: str | None = None, yanked: str | None = None
) -> File | None:
    """The :class:`File` of a file name, or None if it is not a distribution of the package.

    :param yanked: None, or the reason (which may be empty).
    """
    if filename.endswith(".whl"):
        parts = filename[:-4].split("-")
        if len(parts) not in (5, 6) or canonical(parts[0]) != canonical(name):
            return None
        return File(filename, parts[1], "-".join(parts[-3:]), requires_python, yanked)
    ending = next((end for end in SDIST if filename.endswith(end)), None)
    if ending is None:
        return None
    stem = filename[: -len(ending)]
    # the name of a source distribution may have dashes, and so may its version: 1.0-1
    for match in re.finditer("-", stem):
        if canonical(stem[: match.start()]) == canonical(name):
            return File(filename, stem[match.end() :], None, requires_python, yanked)
    return None


def fits(tags: str, python: str) -> bool:
    """True if a wheel with these tags can be installed into a CPython of that version on this
    machine."""
    pythons, abis, platforms = (part.split(".") for part in tags.split("-"))
    major, minor = (int(part) for part in (python.split(".") + ["0"])[:2])
    return any(fits_platform(item) for item in platforms) and any(
        fits_python(tag, abi, major, minor) for tag in pythons for abi in abis
    )


def fits_python(tag: str, abi: str, major: int, minor: int) -> bool:
    match = re.match(r"^(py|cp)(\d)(\d*)$", tag)
    if not match or int(match[2]) != major:
        return False
    if match[1] == "cp" and abi != "abi3":
        return match[3] == str(minor) and abi in ("none", "cp%d%d" % (major, minor))
    return int(match[3] or 0) <= minor and abi in ("none", "abi3")


def fits_platform(tag: str) -> bool:
    if tag == "any":
        return True
    # linux_x86_64, macosx_11_0_arm64, win_amd64
    here = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    if tag == here:
        return True
    system, dummy, machine = here.partition("_")
    if system == "linux":
        return fits_linux(tag, machine, platform.libc_ver())
    # any macOS of this machine: its own version is not compared
    return (
        system == "macosx"
        and tag.startswith("macosx_")
        and tag.endswith((here.split("_", 3)[-1], "universal2"))
    )


def fits_linux(tag: str, machine: str, libc: tuple[str, str]) -> bool:
    """True for manylinux and musllinux tags that this C library can run.

    :param libc: as from :func:`platform.libc_ver`, which detects only glibc.
    """
    for legacy, version in LEGACY_GLIBC.items():
        tag = re.sub("^%s_" % legacy, "manylinux_%d_%d_" % version, tag)
    match = re.match(r"^(manylinux|musllinux)_(\d+)_(\d+)_(.+)$", tag)
    if not match or match[4] != machine:
        return False
    if libc[0] != "glibc":
        return match[1] == "musllinux"
    ours = tuple(int(part) for part in re.findall(r"\d+", libc[1])[:2])
    return match[1] == "manylinux" and (int(match[2]), int(match[3])) <= ours


def choose(
    files: Sequence[File], python: str, wanted: str | None = None
) -> tuple[str, str | None, str]:
    """The version that would be installed, as (verdict, version, evidence).

    :param files: list of :class:`File`.
    :param python: version of Python.
    :param wanted: the requested version, None for the newest.
    :returns: the verdict is ``ok``, ``version_missing``, ``yanked``, ``no_file`` or
        ``requires_python``; the version is None if there is none; if none can be installed, it is
        the one that the evidence is about.
    """
    versions = newest_first({file.version for file in files})
    if wanted:
        versions = [version for version in versions if same(version, wanted)]
        if not versions:
            return (
                "version_missing",
                None,
                "it has " + listed(newest_first({file.version for file in files})),
            )
    reasons = {
        version: unusable([file for file in files if file.version == version], python)
        for version in versions
    }
    # a pre-release is used only if there is nothing else
    usable = sorted(
        (version for version in versions if reasons[version] is None),
        key=lambda item: (is_prerelease(item),),
    )
    if usable:
        return "ok", usable[0], "HTTP 200"
    # the newest version that is not yanked says most
    found = [(reason[0], version, reason[1]) for version, reason in reasons.items() if reason]
    return next((item for item in found if item[0] != "yanked"), found[0])


def unusable(files: list[File], python: str) -> tuple[str, str] | None:
    """(verdict, evidence) if no file of one version can be installed, or None."""
    version = files[0].version
    there = [file for file in files if file.yanked is None]
    if not there:
        reason = next((file.yanked for file in files if file.yanked), None)
        return "yanked", "%s is yanked%s" % (version, " (%s)" % reason[:200] if reason else "")
    wheels = [file for file in there if file.tags]
    if not wheels:
        return (
            "no_file",
            "%s has only a source distribution (%s), and only wheels are installed"
            % (version, there[0].filename),
        )
    fitting = [file for file in wheels if fits(file.tags or "", python)]
    if not fitting:
        return "no_file", "the wheels of %s are for %s, and this is Python %s on %s" % (
            version,
            listed(sorted({file.tags or "" for file in wheels})),
            python,
            sysconfig.get_platform(),
        )
    if not any(allows(file.requires_python, python) for file in fitting):
        return "requires_python", "%s requires Python %s, and this is Python %s" % (
            version,
            fitting[0].requires_python,
            python,
        )
    return None


def listed(texts: Sequence[str], most: int = 8) -> str:
    """The texts in one line, with the number of those left out."""
    return ", ".join(texts[:most]) + (
        " and %d more" % (len(texts) - most) if len(texts) > most else ""
    )
