# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab of the scenario lab, on this scenario's hosts."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

SCENARIO = Path(__file__).absolute().parents[1]

spec = importlib.util.spec_from_file_location(
    "lab_conftest", SCENARIO.parent / "lab/tests/conftest.py"
)
lab_conftest = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = lab_conftest
spec.loader.exec_module(lab_conftest)
lab_conftest.INVENTORY = SCENARIO / "inventory"

# its fixtures
the_lab = lab_conftest.the_lab
wait_until_fixture = lab_conftest.wait_until_fixture
healthy_and_going_on = lab_conftest.healthy_and_going_on
