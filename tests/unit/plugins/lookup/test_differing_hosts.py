# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.lookup.differing_hosts import LookupModule

GROUPS = {"all": [], "testbed": [], "index": []}


@pytest.mark.parametrize(
    ("more", "pattern"),
    [
        ((), "index:testbed"),
        (("swf_testbed_differs",), "index:testbed"),
        (("swf_testbed_current", "swf_testbed_all_differ"), "index:testbed"),
        (("swf_testbed_current", "swf_testbed_differs"), "index:testbed:&swf_testbed_differs"),
        (("swf_testbed_current",), "all:!all"),
    ],
)
def test_only_the_hosts_that_differ_of_groups_that_exist(more, pattern):
    variables = {"groups": {**GROUPS, **dict.fromkeys(more, [])}}
    assert LookupModule().run(["index:redis:testbed:!agents"], variables) == [pattern]


def test_no_group_exists():
    variables = {"groups": {**GROUPS, "swf_testbed_current": [], "swf_testbed_differs": []}}
    assert LookupModule().run(["redis"], variables) == ["all:!all:&swf_testbed_differs"]
