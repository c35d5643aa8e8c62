# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the variables of roles against their argument specifications, without running the roles."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import yaml
from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

ROLES = Path(__file__).resolve().parents[2] / "roles"


def problems(role, task_vars, templar):
    """What keeps a role from being used, as far as the controller can tell; no secret is in it."""
    yield from missing_collections(role)
    yield from unusable_variables(role, task_vars, templar)


def unusable_variables(role, task_vars, templar):
    """What is wrong with the variables that somebody set. Defaults are the collection's own, and tested with it."""
    with open(ROLES / role / "meta/argument_specs.yml", encoding="utf-8") as stream:
        options = yaml.safe_load(stream)["argument_specs"]["main"]["options"]
    with open(ROLES / role / "defaults/main.yml", encoding="utf-8") as stream:
        defaults = yaml.safe_load(stream)
    given = {}
    for name in sorted(options.keys() & task_vars.keys()):
        if task_vars[name] == defaults[name]:
            # nobody set it; to work it out could make a secret that this inventory has no use for
            continue
        try:
            given[name] = templar.template(task_vars[name])
        except AnsibleUndefinedVariable:
            # made of a default of a role that comes later: that role checks it
            continue
        except AnsibleError as error:
            yield "%s cannot be worked out: %s" % (name, error)
    # a variable that is not given has its default, so none is required here
    spec = {name: dict(option, required=False, default=None) for name, option in options.items()}
    secrets = {text for name, option in options.items() for text in secret_texts(option, given.get(name))}
    for problem in ArgumentSpecValidator(spec).validate(given).error_messages:
        for secret in secrets:
            problem = problem.replace(secret, "***")
        yield "%s (role %s; ansible-doc -t role bnlnpps.swf_testbed.%s)" % (problem, role, role)


def missing_collections(role):
    """The collections of others that a role's meta/main.yml names, and that this controller does not have."""
    with open(ROLES / role / "meta/main.yml", encoding="utf-8") as stream:
        wanted = yaml.safe_load(stream).get("collections") or []
    for name in wanted:
        if not is_there(name):
            yield "role %s needs the collection %s, which is not on the controller. Run: ansible-galaxy collection install %s" % (
                role, name, name)


def is_there(collection):
    try:
        return importlib.util.find_spec("ansible_collections." + collection) is not None
    except ModuleNotFoundError:
        # nothing of its namespace is
        return False


def secret_texts(option, value):
    """The values that a message must not quote, also those inside of lists and dicts."""
    if option.get("no_log"):
        return {str(value)} if value else set()
    inner, found = option.get("options") or {}, set()
    for item in (value if isinstance(value, list) else [value]):
        if isinstance(item, dict):
            found |= {text for name, below in inner.items() for text in secret_texts(below, item.get(name))}
    return found
