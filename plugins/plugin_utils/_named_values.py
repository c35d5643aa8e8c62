# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments that a task names instead of carrying them.

A callback plugin sees the arguments of every task, also of one with no_log, so a secret must not be
among them. The option files_of holds the name of the variable that the option files has its value
from. The controller reads it when the action runs.
"""

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.text import not_text

SUFFIX = "_of"
CREDENTIALS = ("token", "password", "git_token")


def resolved(arguments, options, task_vars, templar):
    """The arguments of a task, each OPTION_of replaced by OPTION with the value of the variable
    that it names.

    :param options: the options that a task may give by name. A list of names stands for lists that
        are joined; an empty one, for an option that is not given.
    :returns: a new dict. The task's own stays as it is: what is in it after the run is what
        callback plugins see.
    :raises AnsibleActionFail: when a variable does not exist, an option is given twice, or a
        credential is not text. A module would convert a number to text without a warning.
    """
    found = dict(arguments)
    for option in options:
        names = found.pop(option + SUFFIX, None)
        if not names:
            continue
        if option in found:
            raise AnsibleActionFail(
                "%s and %s exclude each other. Fix: leave one of them out"
                % (option, option + SUFFIX)
            )
        several = isinstance(names, (list, tuple))
        values = [
            value_of(option + SUFFIX, name, task_vars, templar)
            for name in (names if several else [names])
        ]
        found[option] = [item for value in values for item in value] if several else values[0]
    problems = [text for option in options for text in unusable(option, found.get(option))]
    if problems:
        raise AnsibleActionFail("\n".join(problems))
    return found


def unusable(option, value):
    """The credentials of an option, or of its items, that are not text."""
    if option in CREDENTIALS and value is not None:
        yield from filter(None, [not_text(option, value)])
    for item in value if isinstance(value, list) else ():
        for name in CREDENTIALS if isinstance(item, dict) else ():
            if item.get(name) is not None:
                what = "the %s of %s in %s" % (name, item.get("name") or "an item", option)
                yield from filter(None, [not_text(what, item[name])])


def value_of(option, name, task_vars, templar):
    if name not in task_vars:
        raise AnsibleActionFail(
            "%s names the variable %s, which is not defined. Fix: correct the name" % (option, name)
        )
    return templar.template(task_vars[name])


class ActionWithNames(ActionBase):
    """The action of a module whose only need of the controller is that it reads the variables which
    the task names."""

    TRANSFERS_FILES = False
    #: the options that a task may give by the name of a variable
    NAMED: tuple[str, ...] = ()

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        return self._execute_module(
            module_name=self._task.action,
            task_vars=task_vars,
            module_args=resolved(self._task.args, self.NAMED, task_vars or {}, self._templar),
        )
