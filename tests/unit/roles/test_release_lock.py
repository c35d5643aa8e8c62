# SPDX-License-Identifier: GPL-3.0-or-later
"""The name of the lock: what goes into a lock makes another one, and nothing has to be removed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.import_role:
        name: bnlnpps.swf_testbed.release
        rolespec_validate: false
      tags: never
    - ansible.builtin.debug:
        msg: "{{ swf_testbed_release_lock_file | basename }}"
"""
COMMIT = "0123456789abcdef0123456789abcdef01234567"
STACK = {
    "title": "A test",
    "requires": {"python": "3.10"},
    "sources": [{"name": "x", "repository": "https://example.org/x.git", "commit": COMMIT}],
    "components": [{"name": "a", "role": "agent", "package": "x", "command": "x"}],
}
MINE = {"name": "mine", "command": "mine"}


def extra(**more):
    return {"swf_testbed_extra_components": [{**MINE, **more}]}


def stack(folder, name, **distributions):
    path = folder / (name + ".yml")
    requires = distributions.pop("requires", STACK["requires"])
    path.write_text(yaml.safe_dump({**STACK, "requires": requires, "distributions": distributions}))
    return {"swf_testbed_stack": str(path)}


def test_what_goes_into_a_lock_makes_another_one(root, tmp_path):
    limits = tmp_path / "constraints.txt"
    limits.write_text("public-thing<2\n")
    repository = {"url": "https://example.org/mine.git", "commit": COMMIT}
    mine = stack(tmp_path, "plain")
    hosts = {
        "usual": {},
        "package": extra(package="mine"),
        "version": extra(package="mine==1.2"),
        "repository": extra(repository=repository),
        "commit": extra(repository={**repository, "commit": COMMIT[::-1]}),
        "requirements": {"swf_testbed_release_requirements": ["swf-testbed"]},
        "limits": {"swf_testbed_release_constraints_file": str(limits)},
        "stack": mine,
        "source": {**mine, "swf_testbed_stack_sources": {"x": {"commit": COMMIT[::-1]}}},
        "python": stack(tmp_path, "python", requires={"python": "3.11"}),
        "pythons": {"swf_testbed_release_lock_pythons": ["3.11"]},
        "architectures": {"swf_testbed_release_lock_architectures": ["x86_64"]},
        "built": stack(tmp_path, "built", build_from_source=["y"]),
        "limited": stack(tmp_path, "limited", constraints=["y<1"]),
        "files": stack(
            tmp_path, "files", requirement_files=[{"source": "x", "path": "requirements.txt"}]
        ),
        # only the components of an inventory have a command: it is no part of the environment
        "command": extra(command="other"),
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    (tmp_path / "play.yml").write_text(PLAY)
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            *("-i", "hosts.yml", "-c", "local", "play.yml"),
            *("-e", "role_path=%s" % (root / "roles/release")),
        ],
        cwd=tmp_path,
        env=dict(
            os.environ,
            ANSIBLE_COLLECTIONS_PATH=str(root / ".ansible/collections"),
            ANSIBLE_HOME=str(tmp_path / "ansible"),
            ANSIBLE_NOCOLOR="1",
        ),
        text=True,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
    )
    found = dict(re.findall(r'ok: \[(\w+)\] => \{\s*"msg": "(.*)"', done.stdout))
    assert found.keys() == hosts.keys(), done.stdout
    assert found.pop("command") == found["usual"]
    assert re.fullmatch(r"swf-testbed-0\.1\.0-[0-9a-f]{8}\.txt", found["usual"])
    assert len(set(found.values())) == len(found), found
