# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that release_build and wheelhouse share: the requirements of a release, its lock, and
its parts from git and from sdists."""

from __future__ import annotations

from typing import Any

#: for ``argument_spec``
OPTIONS: dict[str, Any] = {
    "requirements": {"type": "list", "elements": "str", "default": []},
    "requirement_files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "source": {"type": "str", "required": True},
            "path": {"type": "str", "required": True},
        },
    },
    "constraints": {"type": "list", "elements": "str", "default": []},
    "constraints_file": {"type": "path"},
    "build_from_source": {"type": "list", "elements": "str", "default": []},
    "lock_file": {"type": "path", "required": True},
    "locks_dir": {"type": "path"},
    "keep_locks": {"type": "int", "default": 50},
    "min_python": {"type": "str", "default": "3.10"},
    "lock_pythons": {"type": "list", "elements": "str", "default": []},
    "lock_architectures": {"type": "list", "elements": "str", "default": []},
    "repositories": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str"},
            "url": {"type": "str", "required": True},
            "commit": {"type": "str", "required": True},
            "subdirectory": {"type": "str"},
            "install": {"type": "list", "elements": "str", "choices": ["wheel", "tree"]},
        },
    },
    "git_username": {"type": "str"},
    "git_token": {"type": "str", "no_log": True},
    "git_ca_cert": {"type": "path"},
    "wheels_dir": {"type": "path"},
}
