# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab of the scenario lab, on this scenario's hosts, and what is asked of it after whatever was
done to it."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from fleet import PATIENCE, SCENARIO, Fleet

LAB_TESTS = SCENARIO.parent / "lab/tests"


def module_of(path):
    spec = importlib.util.spec_from_file_location("lab_" + path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


lab_conftest = module_of(LAB_TESTS / "conftest.py")
lab_conftest.INVENTORY = SCENARIO / "inventory"
disturbances = module_of(LAB_TESTS / "test_z_disturbances.py")

# its fixtures
the_lab = lab_conftest.the_lab
wait_until_fixture = lab_conftest.wait_until_fixture
healthy_and_going_on = lab_conftest.healthy_and_going_on


@pytest.fixture(name="fleet", scope="session")
def the_fleet(lab, tmp_path_factory):
    return Fleet(lab, tmp_path_factory.mktemp("wheels"))


@pytest.fixture(name="nothing_lost")
def every_file_comes_through(lab, goes_on, wait_until):
    """Call it: returns when the testbed is healthy, goes on, and every file that was written is
    through."""

    def wait():
        goes_on()
        disturbances.test_no_file_was_lost(lab, wait_until)

    return wait


@pytest.fixture(name="serves")
def hosts_run_what_they_should(fleet, wait_until):
    """Call it with {host: release}: returns when each host runs it, whole, and with the
    configuration that belongs to it."""

    def wait(releases):
        problems = {}

        def well():
            problems.clear()
            problems.update(fleet.problems(releases))
            return not problems

        wait_until(well, PATIENCE, lambda: problems)

    return wait
