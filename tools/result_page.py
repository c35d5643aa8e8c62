# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes results into the table of a page of docs/testing. Rows without a new result stay."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def commit() -> str:
    """The commit that is checked out, and whether the checkout has changes outside of the pages of
    results."""
    changes = git("status", "--porcelain", "--", ".", ":!docs/testing")
    return (git("rev-parse", "--short=8", "HEAD") or "unknown") + (
        ", with changes" if changes else ""
    )


def git(*command: str) -> str:
    return subprocess.run(
        ["git", *command], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()


def replaced(text: str, rows: Iterable[Sequence[object]]) -> str:
    """The page with these rows: each is a list of cells, and the first cell identifies the row."""
    lines = text.rstrip("\n").split("\n")
    for cells in rows:
        line = "| %s |" % " | ".join(
            str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells
        )
        place = next(
            (number for number, old in enumerate(lines) if old.startswith("| %s |" % cells[0])),
            None,
        )
        if place is not None:
            lines[place] = line
        else:
            last = max(
                (number for number, old in enumerate(lines) if old.startswith("|")),
                default=len(lines) - 1,
            )
            lines.insert(last + 1, line)
    return "\n".join(lines) + "\n"


def write(page: Path, rows: Iterable[Sequence[object]]) -> None:
    page.write_text(replaced(page.read_text(encoding="utf-8"), rows), encoding="utf-8")
