# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets the tests of the plugins import their helper run_module."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
