# SPDX-License-Identifier: GPL-3.0-or-later
"""How the unit's failures are counted. A stand-in answers for systemd; molecule/release has the
real one."""

from __future__ import annotations

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.modules import supervisor_daemon


class Systemd:
    """The restart counter of systemd, which goes on after somebody stopped a unit that systemd was
    about to restart."""

    def __init__(self, restarts):
        self.restarts = restarts

    def properties(self, _unit, _scope):
        return {
            "LoadState": "loaded",
            "ActiveState": "activating",
            "UnitFileState": "enabled",
            "NeedDaemonReload": "no",
            "NRestarts": str(self.restarts),
        }

    def systemctl(self, _scope, *_arguments):
        return ""


@pytest.mark.parametrize("before", [0, 3])
def test_only_what_ended_since_the_start_is_a_failure(monkeypatch, before):
    systemd = Systemd(before)
    for name in ("properties", "systemctl"):
        monkeypatch.setattr(supervisor_daemon.systemd, name, getattr(systemd, name))
    unit = supervisor_daemon.Unit("swf-testbed.service", "system")
    unit.stop()
    unit.start()
    assert not unit.fails()
    systemd.restarts += 1
    assert unit.fails()
