# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wheels of distributions of which an index has no wheel: built once on the controller. All hosts get
the same file."""

from __future__ import annotations

import glob
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.git_wheels import (
    EPOCH,
    for_all_hosts,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    InstallError,
    call,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.names import canonical

# the first time that a zip archive can have: a later build of the same files makes the same wheel
LONG_AGO = "315532800"


def build(
    name: str,
    requirements: Iterable[str],
    constraints: str,
    index: Mapping[str, Any],
    access_dir: str,
    outdir: str,
) -> None:
    """Build the wheel of the newest suitable version.

    :param requirements: for this distribution, as pip reads them.
    :param constraints: text of a file of constraints.
    :param index: the resolved index that serves the name. The build tools come from there, too, as
        wheels.
    :raises InstallError:
    """
    doing = "build %s, which distributions.build_from_source of the stack names" % name
    if not importlib.util.find_spec("pip"):
        raise InstallError(
            doing,
            "%s: No module named pip" % sys.executable,
        )
    with tempfile.TemporaryDirectory() as scratch:
        limits = os.path.join(scratch, "constraints.txt")
        with open(limits, "w", encoding="utf-8") as stream:
            stream.write(constraints)
        # without --use-pep517, an old pip builds with the packages in its own environment
        options = [
            "--quiet",
            "--no-deps",
            "--use-pep517",
            "--only-binary",
            ":all:",
            "--no-binary",
            canonical(name),
        ]
        command = [sys.executable, "-m", "pip", "wheel", *options, "--constraint", limits]
        call(
            doing,
            [*command, "--wheel-dir", scratch, *(list(requirements) or [name])],
            index,
            access_dir,
            **{EPOCH: LONG_AGO},
        )
        (made,) = glob.glob(os.path.join(glob.escape(scratch), "*.whl"))
        for_all_hosts(made, doing)
        os.rename(made, os.path.join(outdir, os.path.basename(made)))
