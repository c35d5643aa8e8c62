# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-playbook of the tests' environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parents[1]


def environment(home: Path, **more: str) -> dict[str, str]:
    """The variables of this process, with another home: hosts are held in the home of the login."""
    plain = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "0"}
    return {**os.environ, **plain, "HOME": str(home), **more}


def play(
    *arguments: str,
    env: dict[str, str],
    cwd: Path = ROOT,
    run: Any = subprocess.run,
    **options: Any,
) -> tuple[int, str]:
    """(exit code, output and errors in one line).

    :param run: starts it, with the arguments of :func:`subprocess.run`.
    """
    done = run(
        [str(TOOLS / "bin/ansible-playbook"), *arguments],
        env=env,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **options,
    )
    return done.returncode, " ".join(done.stdout.split())
