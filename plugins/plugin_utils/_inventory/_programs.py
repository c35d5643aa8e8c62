# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that supervisord runs: names, commands, environment and times."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import quoting
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
PROGRAMS = ("swf_testbed_programs", "swf_testbed_extra_programs")
ENVIRONMENTS = ("swf_testbed_environment", "swf_testbed_monitor_environment")
#: least value of what is a number
LEAST = {"priority": 0, "startsecs": 0, "startretries": 0, "stopwaitsecs": 1}
MOST = 2**31 - 1


def wrong_programs(values: Values) -> Iterator[Problem]:
    seen = {}
    for variable in PROGRAMS:
        for place, program in enumerate(values.entries(variable)):
            if not isinstance(program, dict):
                continue
            where = "%s[%d]" % (variable, place)
            name = program.get("name")
            if isinstance(name, str):
                if name in seen:
                    yield problem(
                        where + ".name",
                        name,
                        "is the name of another program, %s" % seen[name],
                        "choose another",
                    )
                seen.setdefault(name, where)
            if values.given(variable):
                yield from of_program(where, program, values)
    for variable in ENVIRONMENTS:
        if values.given(variable) and isinstance(values.get(variable), dict):
            yield from of_environment(variable, values[variable])


def of_program(where: str, program: dict[str, Any], values: Values) -> Iterator[Problem]:
    name, command, directory = (program.get(key) for key in ("name", "command", "directory"))
    if isinstance(name, str):
        if name in RESERVED:
            yield problem(
                where + ".name",
                name,
                "is reserved: supervisord means something else by it",
                "choose another",
            )
        elif not NAME.fullmatch(name) or len(name) > 64:
            yield problem(
                where + ".name",
                name,
                "is no name of a program: it names a section and a log",
                "use up to 64 letters, digits and _.-, the first a letter, a digit or _",
            )
    if isinstance(command, str):
        yield from of_command(where + ".command", command)
    if isinstance(directory, str) and not directory.startswith("/"):
        yield problem(
            where + ".directory", directory, "is not an absolute path", "write the path from / on"
        )
    if isinstance(directory, str) and directory.startswith("/"):
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
                "write a whole number from %d on" % least,
            )
    starts, patience = whole(program.get("startsecs")), values.number("swf_testbed_wait_timeout")
    if starts is not None and patience is not None and starts >= patience:
        yield problem(
            where + ".startsecs",
            starts,
            "contradicts swf_testbed_wait_timeout, which is %d: the program would never count as "
            "started in time" % patience,
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
            "close the quote, or put a backslash before it",
        )
        return
    if "\n" in command or "\r" in command:
        yield problem(
            where, HIDDEN, "has an end of line", 'write it on one line, or after "command: >-"'
        )
        return
    yield from unwritable(where, command)
    if not command.startswith("/") and "/" in words[0]:
        yield problem(
            where,
            words[0],
            "begins with a relative path",
            "write the path from / on, or the name of a program of the release",
        )


def unwritable(where: str, text: str) -> Iterator[Problem]:
    try:
        quoting.escape(text)
    except ValueError as error:
        # a command line may hold a secret, against all advice
        yield problem(
            where, HIDDEN, "cannot be written into supervisord.conf: %s" % error, "write it without"
        )


def of_environment(where: str, environment: dict[Any, Any]) -> Iterator[Problem]:
    for name, value in environment.items():
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            # a number is written as it is; how a program wants to read the others cannot be guessed
            yield Problem(
                "%s.%s" % (where, name),
                "is neither text nor a number",
                "it is %s" % ("null" if value is None else type(value).__name__),
                "quote it, in the way that the program wants it",
            )
            continue
        try:
            quoting.environment({str(name): str(value)})
        except ValueError as error:
            # somebody may have put a secret there, against all advice
            yield problem(
                "%s.%s" % (where, name),
                HIDDEN,
                "cannot be written into supervisord.conf: %s"
                % (str(error).rpartition("cannot be written: ")[2]),
                "change it, or put it into a file that the program reads",
            )
