# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets and values with all that shells and configuration files give a meaning. Mixed into
Faults."""

from __future__ import annotations

import shlex
from pathlib import Path

from faults.first_runs import empty_testbed, remove, why
from helpers.leaks import Leaks

# each has quotes, a % that supervisord and ConfigParser expand, and what a shell would run
CANARY = "canary-%d-'x\"y`>%s`%%(x)s%%%%$(>%s)$HOME&;<|*"
VALUES = {
    "V_QUOTES": "it's",
    "V_DOUBLE": 'say "so" twice',
    "V_PERCENT": "100%% %(x)s %(ENV_HOME)s %d",
    "V_SHELL": "$(id) `id` $HOME ~ *",
    "V_LETTERS": "é ß 日本 😀",
    "V_BLANKS": "a  b\tc",
    "V_COMMENT": "a;b#c,d=e",
    "V_LINES": "one\ntwo",
    # documented: a variable whose value is empty is not set
    "V_EMPTY": "",
    "V_BACKSLASH": "C:\\new\\%n\\",
}
WORDS = ["it's", 'a "b" c', "%(x)s 100%", "$(id) `id` ~", "é 日本 😀", ""]
# the last thing is that the files get their names, so that they are whole
ECHO = """#!/bin/sh
cat /proc/$$/environ >"$0.environ.new"
printf '%s\\0' "$@" >"$0.words.new"
mv "$0.environ.new" "$0.environ"
mv "$0.words.new" "$0.words"
exec sleep 1000000
"""


class Canaries:
    def canaries(self):
        """No fault: a first run, with eight secrets that have quotes, %(x)s and $() in them, seen
        in no process"""
        testbed = empty_testbed()
        ran = testbed.home / "a-secret-was-run"
        secrets = [CANARY % (number, ran, ran) for number in range(8)]
        # the form of this one is fixed; no other test has its value, as all processes are searched
        secrets[0] = "face4567" * 5
        script = testbed.home / "echo"
        script.write_text(ECHO)
        script.chmod(0o755)
        testbed.change_inventory(settings_with(testbed, secrets, script))
        try:
            with Leaks(*secrets) as leaks:
                problem = first_run(testbed, leaks)
            leaks.disk(testbed.home)
            problem = problem or passed(script)
        finally:
            remove(testbed)
        print(
            "      %d secrets, %d samples of %d processes"
            % (len(secrets), leaks.samples, leaks.processes),
            flush=True,
        )
        if leaks.found:
            return "secrets are in: %s" % leaks.found[:5]
        return problem or ("a secret was run by a shell" if ran.exists() else None)


def settings_with(testbed, secrets, script):
    token, password, key, reader, publisher, database, extra, api = (*secrets[1:], secrets[0])
    # a token that a person makes has no blank in it; a password for the index must fit into netrc
    url = "http://127.0.0.1:%d/simple/" % testbed.ports["index"]
    return {
        "swf_testbed_api_token": api,
        "swf_testbed_broker_password": password,
        "swf_testbed_monitor_secret_key": key,
        "swf_testbed_index_token": token,
        "swf_testbed_database_password": database,
        "swf_testbed_package_index_users": [
            {"name": "swf", "token": token, "rights": ["read", "upload"]},
            {"name": "reader", "token": reader, "rights": ["read"]},
            {"name": "publisher", "token": publisher, "rights": ["read", "upload"]},
        ],
        "swf_testbed_pip_indexes": [
            {
                "name": "swf",
                "url": url,
                "username": "reader",
                "token": reader,
                "packages": ["swf-*"],
            },
            {"name": "pypi"},
        ],
        "swf_testbed_extra_components": [
            {"name": "echo", "command": shlex.join([str(script), *WORDS]), "environment": VALUES}
        ],
        "swf_testbed_release_git_token": extra,
    }


def first_run(testbed, leaks):
    """Everything that an administrator runs, at the verbosity at which Ansible shows most; what is
    wrong, or None."""
    testbed.extra["ANSIBLE_VERBOSITY"] = "4"
    problem = None
    for playbook in ("site.yml", "status.yml", "doctor.yml", "site.yml"):
        code, output = testbed.play(playbook)
        leaks.text("the output of %s" % playbook, output)
        if code:
            problem = problem or "%s failed: %s" % (playbook, why(output))
    # one program is no part of the release
    return problem or testbed.serves(settled=False)


def passed(script):
    """Whether the ten values and six arguments came through the inventory and supervisord as they
    were."""
    pairs = dict(
        item.split(b"=", 1)
        for item in Path("%s.environ" % script).read_bytes().split(b"\0")
        if item
    )
    wrong = [
        name
        for name, value in VALUES.items()
        if pairs.get(name.encode()) != (value.encode() or None)
    ]
    words = Path("%s.words" % script).read_bytes().split(b"\0")[:-1]
    if words != [word.encode() for word in WORDS]:
        wrong.append("arguments: %s" % words)
    return "changed on its way: %s" % ", ".join(wrong) if wrong else None
