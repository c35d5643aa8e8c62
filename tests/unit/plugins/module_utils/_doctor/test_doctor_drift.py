# SPDX-License-Identifier: GPL-3.0-or-later
"""The findings for a configuration that the doctor cannot compare with the running programs."""

from __future__ import annotations

import sys

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.drift import not_compared
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_programs import (
    read_groups,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.daemon import Daemon
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    SupervisorError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.plan import refused


def test_of_a_configuration_that_supervisord_refuses():
    found = not_compared(refused("invalid integer 'x' in startsecs"))
    assert found["cause"] == "supervisord refuses the configuration on disk"
    assert found["evidence"].startswith("invalid integer 'x' in startsecs. Nothing was changed")
    assert found["fix"].startswith("Run: ") and found["fix"].endswith(", which writes it again")


def test_of_a_configuration_that_this_login_cannot_read_as_supervisord_does():
    with pytest.raises(SupervisorError) as failure:
        read_groups("/etc/supervisord.conf", Daemon(sys.maxsize))
    found = not_compared(failure.value)
    assert "were not compared with the configuration on disk" in found["cause"]
    assert found["evidence"].startswith("the process of supervisord (pid ")
    assert found["evidence"].endswith("is not visible to this user")
    assert "as the user of supervisord or as root" in found["fix"]
