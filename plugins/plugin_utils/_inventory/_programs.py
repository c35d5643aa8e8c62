# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of supervisord: names, commands, environments and times."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import quoting
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _stack
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._files import RELATIVE
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import (
    HIDDEN,
    Problem,
    problem,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import (
    Values,
    whole,
)

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
RESERVED = ("supervisord", "all")
EXTRA = _stack.EXTRA
ENVIRONMENT = "swf_testbed_environment"
#: least value of the numbers
LEAST = {"priority": 0, "startsecs": 0, "startretries": 0, "stopwaitsecs": 1}
MOST = 2**31 - 1


def wrong_programs(values: Values) -> Iterator[Problem]:
    stack = _stack.of_values(values)
    seen: dict[str, str] = {name: "a component of the stack" for name in stack.names()}
    seen.update({item["name"]: "a service of the instance" for item in stack.private})
    for place, program in enumerate(values.entries(EXTRA)):
        if not isinstance(program, dict):
            continue
        where = "%s[%d]" % (EXTRA, place)
        name = program.get("name")
        if isinstance(name, str):
            if name in seen:
                yield problem(
                    where + ".name",
                    name,
                    "is the name of another program, %s" % seen[name],
                    "choose another name",
                )
            seen.setdefault(name, where)
        yield from of_program(where, program, values)
    if values.given(ENVIRONMENT) and isinstance(values.get(ENVIRONMENT), dict):
        yield from of_environment(ENVIRONMENT, values[ENVIRONMENT])


def of_program(where: str, program: dict[str, Any], values: Values) -> Iterator[Problem]:
    name, command, directory = (program.get(key) for key in ("name", "command", "directory"))
    if isinstance(name, str):
        if name in RESERVED:
            yield problem(
                where + ".name",
                name,
                "is reserved by supervisord",
                "choose another name",
            )
        elif not NAME.fullmatch(name) or len(name) > 64:
            yield problem(
                where + ".name",
                name,
                "is not a valid name of a program, a section and a log file",
                "use up to 64 letters, digits and _.-, the first a letter, a digit or _",
            )
    if isinstance(command, str):
        yield from of_command(where + ".command", command)
    if isinstance(directory, str) and not directory.startswith("/"):
        yield problem(where + ".directory", directory, *RELATIVE)
    elif isinstance(directory, str):
        yield from unwritable(where + ".directory", directory)
    if isinstance(program.get("environment"), dict):
        yield from of_environment(where + ".environment", program["environment"])
    for key, least in LEAST.items():
        number = whole(program.get(key))
        if number is not None and not least <= number <= MOST:
            yield problem(
                "%s.%s" % (where, key),
                number,
                "is out of range",
                "write a whole number of %d or more" % least,
            )
    starts, timeout = whole(program.get("startsecs")), values.number("swf_testbed_wait_timeout")
    if starts is not None and timeout is not None and starts >= timeout:
        yield problem(
            where + ".startsecs",
            starts,
            "contradicts swf_testbed_wait_timeout, which is %d: the program could not start before the "
            "timeout" % timeout,
            "make swf_testbed_wait_timeout greater, or startsecs smaller",
        )


def of_command(where: str, command: str) -> Iterator[Problem]:
    if not command.strip():
        yield problem(where, command, "is empty", "write the command line")
        return
    try:
        words = shlex.split(command)
    except ValueError as error:
        yield problem(
            where,
            HIDDEN,
            "cannot be split into words: %s" % str(error).lower(),
            "close the quote, or write a backslash before it",
        )
        return
    if "\n" in command or "\r" in command:
        yield problem(
            where, HIDDEN, "contains a line break", 'write it on one line, or after "command: >-"'
        )
        return
    yield from unwritable(where, command)
    if not command.startswith("/") and "/" in words[0]:
        yield problem(
            where,
            words[0],
            "begins with a relative path",
            "write the absolute path, or the name of a program of the release",
        )


def unwritable(where: str, text: str) -> Iterator[Problem]:
    try:
        quoting.escape(text)
    except ValueError as error:
        # a command line may contain a secret although it should not
        yield problem(
            where, HIDDEN, "cannot be written into supervisord.conf: %s" % error, "remove it"
        )


def of_environment(where: str, environment: dict[Any, Any]) -> Iterator[Problem]:
    for name, value in environment.items():
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            # a number is written unchanged; the form of other types depends on the program
            yield Problem(
                "%s.%s" % (where, name),
                "is neither text nor a number",
                "it is %s" % ("null" if value is None else type(value).__name__),
                "quote it, in the form that the program reads",
            )
            continue
        try:
            quoting.environment({str(name): str(value)})
        except ValueError as error:
            # an environment may contain a secret although it should not
            yield problem(
                "%s.%s" % (where, name),
                HIDDEN,
                "cannot be written into supervisord.conf: %s"
                % (str(error).rpartition("cannot be written: ")[2]),
                "change it, or write it to a file that the program reads",
            )
