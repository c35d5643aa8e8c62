# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets the tests import the checkout as ansible_collections.bnlnpps.swf_testbed, also where nothing
was set up."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

if not any(
    (Path(entry) / "ansible_collections/bnlnpps/swf_testbed").exists()
    for entry in sys.path
    if entry
):
    sys.path.insert(0, str(ROOT / ".ansible" / "collections"))


@pytest.fixture(scope="session")
def root():
    """The checkout."""
    return ROOT


# What the list of invalid inputs came to, as the last line of its run.
REFUSALS = "test_invalid_input_is_refused_first"
outcomes = {}


def pytest_runtest_logreport(report):
    if REFUSALS in report.nodeid and (report.when == "call" or report.failed):
        outcomes[report.nodeid] = report.passed


def pytest_unconfigure(config):
    if outcomes and not hasattr(config, "workerinput"):
        print("refused first: %d of %d" % (sum(outcomes.values()), len(outcomes)))
