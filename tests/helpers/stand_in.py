# SPDX-License-Identifier: GPL-3.0-or-later
"""Git repositories of the packages of the stand-in stack."""

from __future__ import annotations

import shutil
import subprocess
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


class Repository:
    """A git repository of one of the packages."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder / name
        shutil.copytree(FOLDER / name.removeprefix("stand-in-"), self.folder)
        git(self.folder, "init", "--quiet", "--initial-branch=main")
        self.commits = [self.commit()]

    def commit(self, **files: str) -> str:
        """Change files, and commit; returns the id."""
        for path, text in files.items():
            (self.folder / path.replace("__", "/")).write_text(text)
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--message", "Change")
        return git(self.folder, "rev-parse", "HEAD")


def sources(monitor: Repository, agent: Repository) -> dict[str, dict[str, str]]:
    """The value of swf_testbed_stack_sources, with the newest commits."""
    return {
        repository.folder.name: {
            "repository": "file://%s" % repository.folder,
            "commit": git(repository.folder, "rev-parse", "HEAD"),
        }
        for repository in (monitor, agent)
    }
