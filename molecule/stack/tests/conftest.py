# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in stack of an unprivileged user, and the playbooks that a person runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.stand_in_site import Login


@pytest.fixture(scope="session")
def site():
    return Login(Path(__file__).resolve().parents[1])
