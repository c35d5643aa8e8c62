# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of instances, and that no path is derived from anything else."""

from __future__ import annotations

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.instance_name import (
    InstanceNameError,
    instance_name,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import layout

WRONG = [
    "",
    ".",
    "..",
    "a/b",
    "../x",
    "/etc",
    "-x",
    "a;b",
    "ünï",
    "a b",
    "A",
    "a.b",
    "a_b",
    "a\n",
    "a" * 33,
    "$(id)",
    "٣",
    None,
    7,
    True,
]


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("scope", ["user", "system"])
def test_no_path_is_derived_from_another_name(name, scope):
    with pytest.raises(InstanceNameError, match="Fix: "):
        layout(name, scope, {"HOME": "/home/me"})


@pytest.mark.parametrize("name", ["a", "0", "swf-testbed", "a" * 32, "7-up"])
def test_a_name(name):
    assert instance_name(name) == name
