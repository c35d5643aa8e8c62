# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs commands of `swf-testbed`, each in a process that is forked from one with all imports.

Each line of standard input is a request in JSON: arguments, cwd, environment, stdout and stderr
(paths). The answer is the exit status. A hundred starts of the interpreter would take most of the
tests' time.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys

from swf_testbed_cli.main import main


def child(request: dict) -> None:
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for number, path in ((0, os.devnull), (1, request["stdout"]), (2, request["stderr"])):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), number)
    sys.argv = ["swf-testbed", *request["arguments"]]
    main()


# the first command imports more modules, so run one here
sys.argv = ["swf-testbed", "status", "--config", "/nowhere"]
with contextlib.suppress(SystemExit), contextlib.redirect_stderr(io.StringIO()):
    main()

for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        child(json.loads(line))
        sys.exit(0)
    _, status = os.waitpid(pid, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
