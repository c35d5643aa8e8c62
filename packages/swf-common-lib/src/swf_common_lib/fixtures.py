# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of pytest for tests of agents: a broker per test, one monitor for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from swf_common_lib.testing import BrokerProgram, MonitorProgram


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProgram]:
    """A running broker."""
    program = BrokerProgram(tmp_path)
    program.start()
    yield program
    program.stop()


@pytest.fixture(scope="session")
def monitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MonitorProgram]:
    """A running monitor."""
    program = MonitorProgram(tmp_path_factory.mktemp("monitor"))
    program.start()
    yield program
    program.stop()
