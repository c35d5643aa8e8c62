# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments that a task passes by the name of a variable.

A callback plugin sees the arguments of every task, even with no_log, so they must not contain a
secret. The option files_of, for example, holds the name of the variable with the value of the
option files. The action reads the variable on the controller.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.text import not_text

SUFFIX = "_of"
CREDENTIALS = ("token", "password", "git_token")


def resolved(
    arguments: Mapping[str, Any], options: Iterable[str], task_vars: dict[str, Any], templar: Any
) -> dict[str, Any]:
    """The arguments of a task, with each OPTION_of replaced by OPTION and the value of the variable
    that it names.

    :param options: the options that a task may pass by name. A list of names stands for lists that
        are joined; an empty list for an option that is not set.
    :returns: a new dict. The dict of the task is not changed: callback plugins see it after the
        run.
    :raises AnsibleActionFail: a variable does not exist, an option is set twice, or a credential
        is not text. A module would convert a number to text without a warning.
    """
    found = dict(arguments)
    for option in options:
        names = found.pop(option + SUFFIX, None)
        if not names:
            continue
        if option in found:
            raise AnsibleActionFail(
                "%s and %s exclude each other. Fix: remove one of them" % (option, option + SUFFIX)
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


def unusable(option: str, value: Any) -> Iterator[str]:
    """Problems of credentials of an option, or of its items, that are not text."""
    if option in CREDENTIALS and value is not None:
        yield from filter(None, [not_text(option, value)])
    for item in value if isinstance(value, list) else ():
        for name in CREDENTIALS if isinstance(item, dict) else ():
            if item.get(name) is not None:
                what = "the %s of %s in %s" % (name, item.get("name") or "an item", option)
                yield from filter(None, [not_text(what, item[name])])


def value_of(option: str, name: str, task_vars: dict[str, Any], templar: Any) -> Any:
    if name not in task_vars:
        raise AnsibleActionFail(
            "%s names the variable %s, which is not defined. Fix: correct the name" % (option, name)
        )
    return templar.template(task_vars[name])


class ActionWithNames(ActionBase):
    """The action of a module that only reads the variables which the task names."""

    TRANSFERS_FILES = False
    #: the options that a task may pass by the name of a variable
    NAMED: tuple[str, ...] = ()

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        super().run(tmp, task_vars)
        return self._execute_module(
            module_name=self._task.action,
            task_vars=task_vars,
            module_args=resolved(self._task.args, self.NAMED, task_vars or {}, self._templar),
        )
