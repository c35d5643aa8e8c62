# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime user: its groups, and that no other instance has it."""

from __future__ import annotations

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.accounts import (
    local_groups,
    shared_user_problem,
)

OURS = "# Written by bnlnpps.swf_testbed; changes made here are overwritten.\n[Service]\nUser=%s\nGroup=x\n"


def test_groups_that_list_a_user(tmp_path):
    (tmp_path / "group").write_text(
        "root:x:0:\nswf-operators:x:10:anne,swf-testbed\nswf-data:x:11:swf-testbed\n"
        "other:x:12:swf-testbed-2,swf\n+:::\nbroken\n"
    )
    assert local_groups("swf-testbed", str(tmp_path / "group")) == ["swf-operators", "swf-data"]
    assert local_groups("swf-testbed", str(tmp_path / "absent")) == []


@pytest.mark.parametrize(
    "name,text,shared",
    [
        ("swf-testbed.service", OURS % "swf-testbed", False),
        ("swf-second.service", OURS % "swf-testbed", True),
        ("swf-second.service", OURS % "swf-testbed-2", False),
        # whatever an administrator runs as this user is the administrator's
        ("backup.service", "[Service]\nUser=swf-testbed\n", False),
        ("swf-second-boot.service", OURS.partition("User")[0], False),
    ],
)
def test_two_instances_have_two_users(tmp_path, name, text, shared):
    (tmp_path / name).write_text(text)
    (tmp_path / "dangling.service").symlink_to("nowhere")
    problem = shared_user_problem("swf-testbed", str(tmp_path / "swf-testbed.service"))
    assert bool(problem) == shared
    if shared:
        assert "swf-second.service has User=swf-testbed" in str(
            problem
        ) and "swf_testbed_user" in str(problem)
