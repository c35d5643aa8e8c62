# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor in the configuration of a host, by its role and not by its name."""

from __future__ import annotations

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.monitor_database import (
    configured,
    database_of,
)

CONF = """
[swf-testbed]
release = /opt/x
{monitor}

[program:monitor]
environment = DB_HOST="decoy"

[program:watcher]
environment = DB_HOST="db",DB_NAME="swf",SWF_MONITOR_URL="http://m"
"""


@pytest.mark.parametrize(
    "line,database",
    [("monitor = watcher", "postgresql://db:5432/swf"), ("", "postgresql://decoy:5432/swfdb")],
)
def test_the_configuration_names_the_monitor(tmp_path, line, database):
    """One of an earlier release does not; there its name was the rule."""
    path = tmp_path / "supervisord.conf"
    path.write_text(CONF.replace("{monitor}", line))
    assert database_of(str(path)) == {"monitor_database": database, "monitor_url": "http://m"}
    assert configured(str(path))[1]["release"] == "/opt/x"


def test_a_program_of_that_name_is_the_monitor_only_of_an_earlier_release(tmp_path):
    path = tmp_path / "supervisord.conf"
    text = '[program:monitor]\nenvironment=DB_HOST="db"\n'
    path.write_text(text)
    assert database_of(str(path))["monitor_database"] == "postgresql://db:5432/swfdb"
    path.write_text("[swf-testbed]\nlistens =\n\n" + text)
    assert database_of(str(path))["monitor_database"] == ""
