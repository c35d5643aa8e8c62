# SPDX-License-Identifier: GPL-3.0-or-later
"""A release without packages, for instances that run other programs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

# now, because a test may take the rights of a user who cannot follow the links
REAL_PYTHON = os.path.realpath(sys.executable)


def stand_in_release(root: Path, name: str, python: str = sys.executable, **record: Any) -> Path:
    """Create it below the root of an instance.

    :param record: for release.json.
    """
    release = root / "releases" / name
    for folder in ("bin", "lib/python3/site-packages"):
        (release / folder).mkdir(parents=True)
    (release / "bin/python").symlink_to(python)
    about = {
        "id": name,
        "python": "%d.%d.%d" % sys.version_info[:3],
        "packages": {},
        "executable": REAL_PYTHON,
        "built_at": "2026-01-01T00:00:00Z",
    }
    (release / "release.json").write_text(json.dumps({**about, **record}))
    return release
