# SPDX-License-Identifier: GPL-3.0-or-later
"""What ansible-doc says of the options of a module is what the module takes."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule

ROOT = Path(__file__).resolve().parents[4]
COLLECTION = "bnlnpps.swf_testbed."
FILES = sorted((ROOT / "plugins/modules").glob("*.py"))
MODULES = [path.stem for path in FILES]
# the others are all action: nothing runs on a host
RUNNING = [path.stem for path in FILES if "def main(" in path.read_text()]


class Made(Exception):
    """Carries the argument spec with which a module would have gone on."""


@pytest.fixture(name="pages", scope="module")
def pages_of_ansible_doc(tmp_path_factory):
    """{module: its documentation}, the fragments in it."""
    home = tmp_path_factory.mktemp("home")
    environment = dict(
        os.environ,
        ANSIBLE_HOME=str(home),
        ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".ansible/collections"),
    )
    text = subprocess.check_output(
        [
            str(Path(sys.executable).parent / "ansible-doc"),
            "-j",
            *(COLLECTION + name for name in MODULES),
        ],
        env=environment,
        cwd=home,
    )
    return {name.rpartition(".")[2]: page["doc"] for name, page in json.loads(text).items()}


def compare(documented, accepted):
    assert sorted(documented) == sorted(accepted)
    for name, option in accepted.items():
        page = documented[name]
        for key, unset in (
            ("type", "str"),
            ("elements", None),
            ("default", None),
            ("required", False),
        ):
            assert page.get(key, unset) == option.get(key, unset), (name, key)
        assert sorted(page.get("choices", [])) == sorted(option.get("choices", [])), name
        assert sorted(page.get("aliases", [])) == sorted(option.get("aliases", [])), name
        compare(page.get("suboptions", {}), option.get("options", {}))


@pytest.mark.parametrize("name", RUNNING)
def test_documented_options_are_those_that_are_taken(pages, name, monkeypatch):
    def make(_self, argument_spec, **_rules):
        raise Made(argument_spec)

    monkeypatch.setattr(AnsibleModule, "__init__", make)
    with pytest.raises(Made) as made:
        importlib.import_module(
            "ansible_collections.%splugins.modules.%s" % (COLLECTION, name)
        ).main()
    compare(pages[name]["options"], made.value.args[0])


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_promises_of_check_and_diff_mode_is_documented(pages, name):
    for mode in ("check_mode", "diff_mode"):
        assert pages[name]["attributes"][mode]["support"] in ("full", "partial", "none")


#: keys of a result that Ansible reads itself: a module that returns one of them for another purpose
#: makes its host fail, skip or count as lost
RESERVED = {"failed", "unreachable", "skipped", "exception", "ansible_facts", "results", "warnings"}


@pytest.mark.parametrize("name", MODULES)
def test_no_result_has_a_name_that_ansible_reads(name):
    module = importlib.import_module(
        "ansible_collections." + COLLECTION + "plugins.modules." + name
    )
    returned = yaml.safe_load(getattr(module, "RETURN", "") or "") or {}
    # facts are meant as facts, and results of a loop are not made by a module
    assert not (returned.keys() & RESERVED) - {"ansible_facts"}
