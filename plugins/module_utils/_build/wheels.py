# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds packages from source folders, on the controller."""

from __future__ import annotations

import glob
import importlib.util
import os
import shutil
import sys
from collections.abc import Sequence

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    InstallError,
    call,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    normalised,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.host_index import resolved

#: files that make a directory a project
PROJECTS = ("pyproject.toml", "setup.py")


def build(
    folder: str,
    formats: Sequence[str],
    outdir: str,
    label: str | None = None,
    **more: str | None,
) -> dict[str, str]:
    """Build the package of a folder in isolation; returns {format: path}.

    :param formats: ``wheel``, ``sdist`` or both. A wheel is then built from the sdist, which checks
        that the sdist is complete.
    :param outdir: a new directory for these files.
    :param label: name of the folder in a message.
    :param more: variables for the environment of the build.
    :raises InstallError:
    """
    doing = "build %s" % (label or folder)
    if not any(os.path.exists(os.path.join(folder, name)) for name in PROJECTS):
        raise InstallError(doing, "there is no %s in it" % " and no ".join(PROJECTS))
    # a build runs in a separate directory, and takes its build tools from the index of the local
    # configuration of pip
    folder, outdir = os.path.abspath(folder), os.path.abspath(outdir)
    try:
        tools = resolved(normalised([{"name": "pypi"}]))[0]
    except ValueError as error:
        raise InstallError(doing, str(error)) from error
    os.makedirs(outdir)
    command = [sys.executable, "-m", "build", "--outdir", outdir]
    if len(formats) == 1:
        command.append("--" + formats[0])
    if importlib.util.find_spec("uv") or shutil.which("uv"):
        command += ["--installer", "uv"]
    call(doing, [*command, folder], tools, **more)
    built = {
        "wheel": glob.glob(os.path.join(outdir, "*.whl")),
        "sdist": glob.glob(os.path.join(outdir, "*.tar.gz")),
    }
    return {name: paths[0] for name, paths in built.items() if paths}
