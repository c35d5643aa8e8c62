# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests of the plugins, roles and playbooks share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# tests search for tasks and hosts in the usual output, which ansible.cfg replaces
os.environ["ANSIBLE_STDOUT_CALLBACK"] = "ansible.builtin.default"


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
