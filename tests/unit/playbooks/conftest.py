# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets the tests of the playbooks import their helpers, and those of the plugins."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "plugins")]
