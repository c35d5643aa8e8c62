# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module of the collection as Ansible does: a process of its own, arguments as JSON, one
JSON answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

COLLECTIONS = Path(__file__).resolve().parents[2] / ".ansible" / "collections"
RUNNER = """
import sys
collections, name, drop_to = sys.argv[1:]
sys.argv[1:] = []  # Ansible would take them for its own
sys.path.insert(0, collections)
from importlib import import_module
import ansible.module_utils.basic as basic
basic._ANSIBLE_PROFILE = "legacy"  # ansible-core 2.19 and later want to be told
module = import_module("ansible_collections.bnlnpps.swf_testbed.plugins.modules." + name)
if drop_to:
    # not before: the Python of the tests may be in a home that the user must not enter
    import os
    os.setgroups([])
    os.setresgid(int(drop_to), int(drop_to), int(drop_to))
    os.setresuid(int(drop_to), int(drop_to), int(drop_to))
module.main()
"""


def regain():
    os.seteuid(0)
    os.setegid(0)


def run_module(name, arguments, check=False, diff=False, env=None, cwd=None, drop_to=None):
    """The answer of a module, ``failed`` and ``changed`` always in it.

    If this is root, or would be, the module runs as the user with the number ``drop_to``.

    Runs of their own process keep what a module does at exit (its temporary files) as it is on a
    host.
    """
    parameters = dict(
        arguments,
        _ansible_check_mode=check,
        _ansible_diff=diff,
        _ansible_remote_tmp="/tmp",
        _ansible_keep_remote_files=False,
    )
    drop = drop_to if os.getuid() == 0 else None
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(COLLECTIONS), name, str(drop or "")],
        cwd=cwd,
        env=env,
        text=True,
        preexec_fn=regain if drop else None,
        input=json.dumps({"ANSIBLE_MODULE_ARGS": parameters}),
        capture_output=True,
        check=False,
        timeout=300,
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise AssertionError("no answer: %s%s" % (done.stdout, done.stderr)) from None
    return dict({"failed": False, "changed": False}, **answer)
