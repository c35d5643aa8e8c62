# SPDX-License-Identifier: GPL-3.0-or-later
"""A run goes by what its hosts answer in this run: not by a fact cache, and not by two names of one
machine. Nothing is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from helpers.ports import component_ports

ROOT = Path(__file__).resolve().parents[3]
PLAY = """
- name: Check the hosts
  hosts: all
  gather_facts: %(gather)s
  any_errors_fatal: true
  tasks:
    - name: Check the host
      ansible.builtin.import_role:
        name: bnlnpps.swf_testbed.preflight

- name: Use what was found
  hosts: all
  gather_facts: false
  tasks:
    - name: Check the host once a run
      ansible.builtin.import_role:
        name: bnlnpps.swf_testbed.preflight

    - name: Show the layout
      ansible.builtin.debug:
        msg: "root={{ swf_testbed_layout.root }}"
"""


class Controller:
    def __init__(self, folder):
        self.folder = folder
        (folder / "home").mkdir()
        self.hosts("one")

    def hosts(self, *names, **variables):
        local = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "swf_testbed_python": sys.executable,
            **component_ports(),
            **variables,
        }
        (self.folder / "hosts.yml").write_text(
            yaml.safe_dump({"all": {"hosts": {name: dict(local) for name in names}}})
        )

    def play(self, *arguments, gather="false", **environment):
        (self.folder / "play.yml").write_text(PLAY % {"gather": gather})
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("XDG_", "ANSIBLE_"))
        }
        inherited.update(
            HOME=str(self.folder / "home"),
            ANSIBLE_HOME=str(self.folder / "ansible"),
            ANSIBLE_NOCOLOR="1",
            ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".ansible/collections"),
            **environment,
        )
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                "-i",
                str(self.folder / "hosts.yml"),
                *arguments,
                str(self.folder / "play.yml"),
            ],
            cwd=self.folder,
            env=inherited,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=120,
        )
        return done.returncode, " ".join(done.stdout.split())


@pytest.fixture(name="controller")
def a_controller():
    # short, for the path of supervisord's socket
    folder = Path(tempfile.mkdtemp(prefix="swf-", dir="/tmp"))
    yield Controller(folder)
    shutil.rmtree(folder)


@pytest.mark.nightly
@pytest.mark.parametrize("gathering, gather", [("explicit", "false"), ("smart", "true")])
def test_a_cached_layout_is_not_used(controller, gathering, gather):
    cache = {
        "ANSIBLE_CACHE_PLUGIN": "jsonfile",
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(controller.folder / "cache"),
        "ANSIBLE_GATHERING": gathering,
    }
    code, output = controller.play(gather=gather, **cache)
    assert code == 0 and "root=%s/home/.local/share/swf-testbed" % controller.folder in output, (
        output
    )
    # it was asked once, and a second play of the same run goes by that answer
    checks = re.findall(r"Run preflight checks\] \*+ (\w+): \[one\]", output)
    assert checks == ["ok", "skipping"], output
    (cached,) = (controller.folder / "cache").iterdir()
    assert "swf_testbed_layout_swf_testbed" in cached.read_text(encoding="utf-8")

    code, output = controller.play(
        gather=gather, XDG_DATA_HOME=str(controller.folder / "moved"), **cache
    )
    assert code == 0 and "root=%s/moved/swf-testbed" % controller.folder in output, output


def test_a_host_whose_interpreter_ansible_finds_by_itself(controller):
    """Its path is one more fact, beside the layout."""
    controller.hosts("one", ansible_python_interpreter="auto_silent")
    # without the shims of pyenv, which Ansible finds and which then fail
    code, output = controller.play(PATH="/usr/bin:/bin")
    assert code == 0 and "root=%s/home/.local/share/swf-testbed" % controller.folder in output, (
        output
    )


def test_a_host_that_broke_since_the_last_run_is_refused_in_spite_of_its_cached_layout(controller):
    cache = {
        "ANSIBLE_CACHE_PLUGIN": "jsonfile",
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(controller.folder / "cache"),
    }
    assert controller.play(**cache)[0] == 0
    controller.hosts("one", swf_testbed_python="/no/such/python")
    code, output = controller.play(**cache)
    assert code != 0 and "no Python named '/no/such/python'" in output, output


def test_a_run_that_starts_in_the_middle_ends_with_the_reason(controller):
    cache = {
        "ANSIBLE_CACHE_PLUGIN": "jsonfile",
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(controller.folder / "cache"),
    }
    assert controller.play(**cache)[0] == 0
    code, output = controller.play("--start-at-task", "Show the layout", **cache)
    why = (
        "No preflight check ran for this instance in this run. Fix: run the playbook from its start"
    )
    assert code != 0 and why in output, output


def test_two_names_of_one_machine_are_refused(controller):
    controller.hosts("one", "two")
    code, output = controller.play()
    assert code != 0 and "are the same machine, and nothing was changed" in output, output
    assert "swf_testbed_instance" in output


def test_two_names_of_one_machine_with_an_instance_each_are_fine(controller):
    controller.hosts("one", "two", swf_testbed_instance="swf-{{ inventory_hostname }}")
    code, output = controller.play()
    assert (
        code == 0
        and "home/.local/share/swf-one" in output
        and "home/.local/share/swf-two" in output
    ), output


# Ansible itself refuses a controller's locale that is not UTF-8; make sets one. These are the
# locales of a host.
@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "xx_XX.ISO-8859-1"},
        {"LANG": "tlh_QX.UTF-8", "LC_CTYPE": "POSIX"},
    ],
)
def test_a_locale_of_a_host_makes_no_difference(controller, locale):
    python = controller.folder / "python"
    python.write_text(
        '#!/bin/sh\nunset LC_ALL LANG LC_CTYPE\n%s exec %s "$@"\n'
        % (" ".join("%s=%s" % pair for pair in locale.items()), sys.executable)
    )
    python.chmod(0o755)
    controller.hosts("one", ansible_python_interpreter=str(python))
    code, output = controller.play(XDG_DATA_HOME=str(controller.folder / "ü"), LC_ALL="C.UTF-8")
    assert code == 0 and "ü/swf-testbed" in output, output


def test_no_other_fact_of_ours_could_come_from_a_cache():
    """The layout and the distribution are the facts, and are marked with their run. Everything else is registered, and
    ends with the run."""
    made = [
        path
        for path in (ROOT / "plugins").rglob("*.py")
        if "ansible_facts" in path.read_text(encoding="utf-8")
        and path.relative_to(ROOT / "plugins").as_posix()
        not in (
            *("modules/preflight.py", "action/preflight.py"),
            # the layout that the host returned, marked in the same way
            *("module_utils/_state/question.py", "action/host_state.py"),
        )
    ]
    # an example in the documentation
    assert [path.name for path in made] == ["pip_config.py"]
    for path in [*(ROOT / "roles").rglob("*.yml"), *(ROOT / "playbooks").rglob("*.yml")]:
        for line in path.read_text(encoding="utf-8").splitlines():
            if "ansible_facts" in line:
                # those of several hosts, of which old ones are left out, have an attribute
                allowed = ("_fact]", "['swf_testbed_distribution']", "attribute='ansible_facts'")
                assert any(text in line for text in allowed), "%s: %s" % (path, line)
            if "attribute='ansible_facts'" in line:
                assert "select('bnlnpps.swf_testbed.of_this_run')" in path.read_text(
                    encoding="utf-8"
                )
            assert "cacheable" not in line
