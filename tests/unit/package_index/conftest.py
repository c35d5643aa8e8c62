# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets these tests import the index's own files, and the helpers of the plugins' tests."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "roles/package_index/files"), str(ROOT / "tests/unit/plugins")]
