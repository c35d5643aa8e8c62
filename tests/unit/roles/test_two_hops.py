# SPDX-License-Identifier: GPL-3.0-or-later
"""From an inventory variable to the file on the host there are two hops: the default (or the stack
file), then the template. No variable in between has the same value under another name."""

from __future__ import annotations

import re

import pytest

from helpers import reach

ROOT = reach.ROOT
STACK = "stacks/reference.yml"
CONF = "roles/_instance/templates/supervisord.conf.j2"
UNIT = "roles/_instance/templates/instance.service.j2"
#: variable: (where its value goes from the default, the template)
WAYS = {
    "swf_testbed_monitor_port": (STACK, CONF),
    "swf_testbed_monitor_keep_days": (STACK, CONF),
    "swf_testbed_log_max_bytes": (None, CONF),
    "swf_testbed_systemd_limit_nofile": (None, UNIT),
    "swf_testbed_database_port": (None, "roles/database/templates/server.conf.j2"),
    "swf_testbed_monitor_proxy_port": (None, "roles/monitor_proxy/templates/nginx.conf.j2"),
}


def mentions(path, name):
    return re.search(r"(?<!\w)%s(?!\w)" % name, (ROOT / path).read_text()) is not None


@pytest.mark.parametrize("name", WAYS)
def test_the_value_goes_from_the_default_to_the_file_in_two_hops(name):
    stack, template = WAYS[name]
    defaults = [
        path for path in reach.files("roles/*/defaults/main.yml") if name in reach.load(path)
    ]
    assert len(defaults) == 1
    if stack:
        assert mentions(stack, name) and not mentions(template, name)
        # what the stack says of a program is what the template loops over
        assert mentions(template, "instance_programs")
    else:
        assert mentions(template, name)


@pytest.mark.parametrize("name", WAYS)
def test_no_other_variable_repeats_it(name):
    repeated = re.compile(r"\s*\{\{\s*%s\s*(\|\s*(int|string)\s*)?\}\}\s*" % name)
    for path in reach.files("roles/*/vars/main.yml"):
        for other, value in reach.load(path).items():
            assert not (isinstance(value, str) and repeated.fullmatch(value)), (path, other)
    for path, task in reach.all_tasks():
        for other, value in (task.get("vars") or {}).items():
            assert not (isinstance(value, str) and repeated.fullmatch(value)), (path, other)
