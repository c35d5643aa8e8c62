# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets the tests import the checkout as ansible_collections.bnlnpps.swf_testbed, also where nothing was set up."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

if not any((Path(entry) / "ansible_collections/bnlnpps/swf_testbed").exists() for entry in sys.path if entry):
    sys.path.insert(0, str(ROOT / ".ansible" / "collections"))


@pytest.fixture(scope="session")
def root():
    """The checkout."""
    return ROOT
