# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller's half of preflight: checks the variables of many roles in one go, before the host is asked anything.

Ansible checks a role's variables in a task of its own when the role starts: by then earlier roles have changed the host, and
each such task costs a task.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import yaml
from ansible.errors import AnsibleActionFail, AnsibleError, AnsibleUndefinedVariable
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

ROLES = Path(__file__).resolve().parents[2] / "roles"


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        arguments = dict(self._task.args)
        problems = [problem for role in arguments.pop("specs", None) or [] for problem in self._problems(role, task_vars)]
        if problems:
            raise AnsibleActionFail("this inventory cannot be used yet, and nothing was changed:\n" + "\n".join(
                "%d. %s" % pair for pair in enumerate(problems, 1)))
        return self._execute_module(
            module_name="bnlnpps.swf_testbed.preflight", module_args=arguments, task_vars=task_vars)

    def _problems(self, role, task_vars):
        yield from missing_collections(role)
        yield from self._unusable_variables(role, task_vars)

    def _unusable_variables(self, role, task_vars):
        """What is wrong with the variables that somebody set. Defaults are the collection's own, and tested with it."""
        with open(ROLES / role / "meta/argument_specs.yml", encoding="utf-8") as stream:
            options = yaml.safe_load(stream)["argument_specs"]["main"]["options"]
        given = {}
        for name in sorted(options.keys() & task_vars.keys()):
            if task_vars[name] == options[name].get("default"):
                # nobody set it; to work it out could make a secret that this inventory has no use for
                continue
            try:
                given[name] = self._templar.template(task_vars[name])
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
