# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a program that takes secrets from its environment only. supervisord runs it.

usage: launch.py VARIABLE=FILE... -- COMMAND [ARGUMENT...]

Each VARIABLE gets the content of its FILE, without the line break at the end. The command replaces
this process, so that signals reach it. Root, the user of the program and the children of the program
can read the secrets in /proc.
"""

import os
import sys


def main(arguments: list) -> None:
    end = arguments.index("--")
    for pair in arguments[:end]:
        variable, _equals, path = pair.partition("=")
        try:
            with open(path, encoding="utf-8") as stream:
                os.environ[variable] = stream.read().rstrip("\n")
        except OSError as error:
            sys.exit(
                "The secret for %s cannot be read. Evidence: %s: %s. Fix: run site.yml, which "
                "places it" % (variable, path, error.strerror)
            )
    command = arguments[end + 1 :]
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit("%s cannot be started. Evidence: %s" % (command[0], error.strerror))


if __name__ == "__main__":
    main(sys.argv[1:])
