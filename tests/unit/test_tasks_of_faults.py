# SPDX-License-Identifier: GPL-3.0-or-later
"""The injected faults, which run only at night, wait for tasks that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from faults.faults import CHANGE_OVER, KILLS

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"^ *(?:- )?name: \"?(.+?)\"?$", re.MULTILINE)


def task_names():
    for path in ROOT.glob("roles/*/tasks/*.yml"):
        for name in NAME.findall(path.read_text()):
            yield "%s : %s" % (path.parent.parent.name, name)


@pytest.mark.parametrize("text", sorted({text for text, _seconds in (*KILLS, CHANGE_OVER)}))
def test_a_role_has_the_task(text):
    # the only name in these tasks that a variable gives
    names = [
        re.sub(r"{{ instance_layout.instance }}", "swf-testbed", name) for name in task_names()
    ]
    assert any(text in name for name in names)
