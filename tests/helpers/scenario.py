# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks of a molecule scenario, as a user runs them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = dict(
    os.environ,
    ANSIBLE_FORCE_COLOR="0",
    ANSIBLE_NOCOLOR="1",
    ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default",
    ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"),
)


def command(inventory: Path, *arguments: str) -> list[str]:
    return ["ansible-playbook", "-i", str(inventory), *arguments]


def play(inventory: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run a playbook.

    :param arguments: of ansible-playbook, with the playbook's path below the root.
    """
    return subprocess.run(
        command(inventory, *arguments),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env=ENVIRONMENT,
    )
