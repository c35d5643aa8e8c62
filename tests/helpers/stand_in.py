# SPDX-License-Identifier: GPL-3.0-or-later
"""Git repositories of the packages of the stand-in stack.

usage: python -m helpers.stand_in DIRECTORY

Makes them in a new directory, with sources.json, the value of swf_testbed_stack_sources.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "stand_in"
STACK = FOLDER / "stack.yml"


def git(folder: Path, *arguments: str) -> str:
    settings = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    done = subprocess.run(
        ["git", "-C", str(folder), *settings, *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


NAMES = ("stand-in-monitor", "stand-in-agent")


def make(folder: Path) -> None:
    for name in NAMES:
        shutil.copytree(FOLDER / name.removeprefix("stand-in-"), folder / name)
        git(folder / name, "init", "--quiet", "--initial-branch=main")
        commit(folder, name, {})


def commit(folder: Path, name: str, files: dict[str, str]) -> None:
    """Change files of a repository, and have the next run use this state."""
    for path, text in files.items():
        (folder / name / path).write_text(text)
    git(folder / name, "add", "--all")
    git(folder / name, "commit", "--quiet", "--allow-empty", "--message", "Change")
    write_sources(folder)


def write_sources(folder: Path) -> None:
    found = {
        name: {
            "repository": "file://%s" % (folder / name),
            "commit": git(folder / name, "rev-parse", "HEAD"),
        }
        for name in NAMES
        if (folder / name / ".git").is_dir()
    }
    (folder / "sources.json").write_text(json.dumps(found))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
