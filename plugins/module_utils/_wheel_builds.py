# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a wheel from a source folder, on the controller."""

from __future__ import annotations

import glob
import os
import sys
import tempfile

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._installers import InstallError, call


def wheel(folder, outdir):
    """Build a folder's wheel in isolation, and return its path in ``outdir``.

    :raises InstallError:
    """
    if not os.path.exists(os.path.join(folder, "pyproject.toml")):
        raise InstallError("build %s" % folder, "there is no pyproject.toml in it")
    with tempfile.TemporaryDirectory() as scratch:
        # the source stays clean, and may be read-only: the build sees a place of its own for what it writes
        call("build %s" % folder, [sys.executable, "-m", "build", "--wheel", "--installer", "uv", "--outdir", scratch, folder])
        built = glob.glob(os.path.join(scratch, "*.whl"))
        target = os.path.join(outdir, os.path.basename(built[0]))
        with open(built[0], "rb") as source, open(target, "wb") as stream:
            stream.write(source.read())
    return target
