# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts results into the table of a page of docs/testing: rows that were not run again stay as they
are."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def today():
    return time.strftime("%Y-%m-%d", time.gmtime())


def commit():
    """The commit that is checked out, and whether it was run with changes. The pages of results are
    none."""
    changes = git("status", "--porcelain", "--", ".", ":!docs/testing")
    return (git("rev-parse", "--short=8", "HEAD") or "unknown") + (
        ", with changes" if changes else ""
    )


def git(*command):
    return subprocess.run(
        ["git", *command], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()


def replaced(text, rows):
    """The page with these rows: each a list of cells, the first of which says which row it is."""
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


def write(page, rows):
    page.write_text(replaced(page.read_text(encoding="utf-8"), rows), encoding="utf-8")
