# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry point of `swf-testbed` and `testbed`, which runs the command without foreign packages
and libraries.

An experiment's software view overrides ours by PYTHONPATH and LD_LIBRARY_PATH. Python and the
linker have read them before the first line here, so the process restarts itself without them.
Before that, only the standard library may be imported.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

PYTHONS = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE")
LINKER = "LD_LIBRARY_PATH"


def main() -> None:
    """Run the command, in this process or in one that replaces it."""
    environment = clean(os.environ)
    if environment != dict(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606
    from swf_testbed_cli.main import main as command

    command()


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without foreign paths; those of this program's own installation stay."""
    pythons = () if _came_from(environment) else PYTHONS
    result = {name: value for name, value in environment.items() if name not in pythons}
    alone = {name: value for name, value in result.items() if name != LINKER}
    # a Python of the view does not start without the view's libraries
    return alone if alone == result or _starts(alone) else result


def _came_from(environment: Mapping[str, str]) -> bool:
    """Whether this package is installed below PYTHONPATH or PYTHONUSERBASE: then they are ours."""
    here = Path(__file__).resolve()
    named = [
        *environment.get("PYTHONPATH", "").split(os.pathsep),
        environment.get("PYTHONUSERBASE", ""),
    ]
    return any(Path(folder).resolve() in here.parents for folder in named if folder)


def _starts(environment: Mapping[str, str]) -> bool:
    try:
        return (
            subprocess.run(
                [sys.executable, "-I", "-c", ""], env=environment, check=False
            ).returncode
            == 0
        )
    except OSError:
        return False
