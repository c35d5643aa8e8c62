# SPDX-License-Identifier: GPL-3.0-or-later
"""The role _instance is called with exactly its typed arguments. Ansible does not validate them in a
run (rolespec_validate): that would be one more task in each play."""

from __future__ import annotations

import pytest

from helpers import reach

SPEC = reach.load(reach.ROOT / "roles/_instance/meta/argument_specs.yml")["argument_specs"]
CALLS = [
    (path, task)
    for path, task in reach.all_tasks()
    if task.get("ansible.builtin.import_role", {}).get("name") == "bnlnpps.swf_testbed._instance"
]


def test_two_roles_use_it():
    assert {path.parts[1] for path, _task in CALLS} == {"package_index", "testbed"}


@pytest.mark.parametrize(
    "path,task", [pytest.param(*call, id="%s: %s" % (call[0], call[1]["name"])) for call in CALLS]
)
def test_a_call_has_the_arguments_of_the_spec(path, task):
    entry = SPEC[task["ansible.builtin.import_role"]["tasks_from"]]
    assert task["vars"].keys() == entry["options"].keys()


def test_every_argument_is_read():
    texts = "".join(
        path.read_text()
        for path in (reach.ROOT / "roles/_instance").rglob("*")
        if path.is_file() and path.parent.name in ("tasks", "vars", "templates")
    )
    for entry in SPEC.values():
        for name in entry["options"]:
            assert name in texts, name
