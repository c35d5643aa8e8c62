#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_role
short_description: Make the PostgreSQL role that owns a database, and restore its former password
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - The role may log in, and is nothing more.
  - The server is sent a SCRAM-SHA-256 verifier, never the password, and its log does not get the
    statement.
  - Before the password changes, the verifier of the former one is kept in O(known_good), and
    O(state=restored) puts it back. So the former password works again, although nobody has to know
    it.
  - It talks to the server with C(psql), over its socket.
options:
  name:
    description: Name of the role.
    type: str
    required: true
  password:
    description: Its password. Required with O(state=present). Callback plugins see it, unlike
      O(password_of).
    type: str
  password_of:
    description: Name of the variable that O(password) has its value from. The two exclude each
      other.
    type: str
  state:
    description:
      - V(present) makes the role, or gives it the password and the attributes.
      - V(restored) gives it the password back that it had before O(known_good) was made. Without
        that directory, or if the role did not exist then, nothing is done.
    type: str
    choices: [present, restored]
    default: present
  known_good:
    description:
      - Directory for the former verifier, which only its owner can read. One that is there already
        is from before a change that was never proven, and is left as it is.
        M(bnlnpps.swf_testbed.known_good_files) drops it.
    type: path
  socket:
    description: Directory of the server's socket.
    type: path
    default: /var/run/postgresql
  port:
    description: Port of the server.
    type: int
    default: 5432
  run_as:
    description: Login of the server's administrator, which C(psql) is run as. Empty for the login
      that runs this module.
    type: str
    default: postgres
attributes:
  check_mode:
    support: full
    description: Predicts, and changes nothing.
  diff_mode:
    support: none
    description: The password is a secret.
  action:
    support: full
    description: Has a corresponding action plugin, which reads the variable that O(password_of)
      names.
"""

EXAMPLES = r"""
- name: Make the role
  bnlnpps.swf_testbed.database_role:
    name: app
    password_of: app_database_password
    known_good: /etc/postgresql/15/main/app-role.known-good

- name: Give it its former password back
  bnlnpps.swf_testbed.database_role:
    name: app
    state: restored
    known_good: /etc/postgresql/15/main/app-role.known-good
"""

RETURN = r"""
changes:
  description: What was changed, or would be. Of V(role), V(attributes) and V(password).
  returned: always
  type: list
  elements: str
  sample: [password]
known_good:
  description: The directory with the former verifier. The password in use is not proven until it is
    dropped.
  returned: when there is one
  type: str
  sample: /etc/postgresql/15/main/app-role.known-good
restorable:
  description: Whether there is a password to restore. A role that was made since had none.
  returned: with RV(known_good)
  type: bool
  sample: true
"""

import json
import os
import shutil
import subprocess
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import read
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.scram import (
    is_of,
    verifier,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold

FILE = "role.json"
ATTRIBUTES = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
# nothing of this is for the server's log, not even as the statement that failed
QUIET = "SET log_statement = 'none'; SET log_min_error_statement = 'panic'; SET log_min_duration_statement = -1;\n"
LOOK = """SELECT json_build_object('verifier', rolpassword, 'plain', rolcanlogin AND NOT (rolsuper OR rolcreatedb OR rolcreaterole
    OR rolreplication OR rolbypassrls)) FROM pg_authid WHERE rolname = %s;
"""


class DatabaseError(Exception):
    """What psql said; nothing secret is in it."""


def literal(text: str) -> str:
    return "'%s'" % text.replace("'", "''")


def identifier(text: str) -> str:
    return '"%s"' % text.replace('"', '""')


def query(options: dict[str, Any], sql: str) -> str:
    """What psql prints for statements, which it is given on its standard input.

    :raises DatabaseError:
    """
    command = [
        "psql",
        "--no-psqlrc",
        "--quiet",
        "--tuples-only",
        "--no-align",
        "--set=ON_ERROR_STOP=1",
        "--set=VERBOSITY=terse",
        "--no-password",
        "--host",
        options["socket"],
        "--port",
        str(options["port"]),
        "--dbname",
        "postgres",
    ]
    login = (
        {"user": options["run_as"], "group": options["run_as"], "extra_groups": []}
        if options["run_as"]
        else {}
    )
    try:
        done = subprocess.run(
            command,
            input="SET standard_conforming_strings = on;\n" + QUIET + sql,
            text=True,
            check=False,
            cwd="/",
            capture_output=True,
            timeout=60,
            env={
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "LANG": "C.UTF-8",
                "PGCLIENTENCODING": "UTF8",
            },
            **login,
        )
    except (OSError, ValueError, LookupError, subprocess.SubprocessError) as error:
        # the text of a time that ran out has the command, whose input is not in it
        raise DatabaseError(
            "psql cannot be run as %s: %s" % (options["run_as"] or "this login", error)
        ) from None
    if done.returncode != 0:
        raise DatabaseError(done.stderr.strip() or "psql exited %d" % done.returncode)
    return done.stdout.strip()


def keep(folder: str, former: str | None) -> None:
    """Keep a verifier (None: there was no role), unless one is kept already.

    :raises OSError:
    """
    if os.path.isdir(folder):
        return
    scratch = folder + ".new"
    shutil.rmtree(scratch, ignore_errors=True)
    os.mkdir(scratch, 0o700)
    with open(
        os.open(os.path.join(scratch, FILE), os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii"
    ) as stream:
        json.dump({"verifier": former}, stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(scratch, folder)


def former_in(folder: str) -> str | None:
    """The verifier that is kept; None if there is none."""
    text = read(os.path.join(folder, FILE))
    return json.loads(text)["verifier"] if text else None


def snapshot(folder: str) -> dict[str, Any]:
    """The snapshot's part of the result."""
    if not folder or not os.path.isdir(folder):
        return {}
    return {"known_good": folder, "restorable": former_in(folder) is not None}


def present(options: dict[str, Any], check: bool) -> list[str]:
    """The changes that are due, and are made unless this is a check."""
    name, found = identifier(options["name"]), query(options, LOOK % literal(options["name"]))
    role = json.loads(found) if found else None
    if role is None:
        changes = ["role"]
    else:
        changes = ["attributes"] * (not role["plain"]) + ["password"] * (
            not is_of(role["verifier"], options["password"])
        )
    if changes and not check:
        if options["known_good"] and changes != ["attributes"]:
            keep(options["known_good"], role and role["verifier"])
        secret = (
            ""
            if changes == ["attributes"]
            else " PASSWORD " + literal(verifier(options["password"]))
        )
        query(
            options,
            "%s ROLE %s WITH %s%s;\n" % ("ALTER" if role else "CREATE", name, ATTRIBUTES, secret),
        )
    return changes


def restored(options: dict[str, Any], check: bool) -> list[str]:
    """The password, where the role has another one than the one that is kept."""
    former = former_in(options["known_good"])
    found = query(options, LOOK % literal(options["name"])) if former else ""
    if not found or json.loads(found)["verifier"] == former:
        return []
    if not check:
        query(
            options, "ALTER ROLE %s PASSWORD %s;\n" % (identifier(options["name"]), literal(former))
        )
    return ["password"]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "password": {"type": "str", "no_log": True},
            "password_of": {"type": "str", "no_log": False},
            "state": {"type": "str", "choices": ["present", "restored"], "default": "present"},
            "known_good": {"type": "path"},
            "socket": {"type": "path", "default": "/var/run/postgresql"},
            "port": {"type": "int", "default": 5432},
            "run_as": {"type": "str", "default": "postgres"},
        },
        required_if=[("state", "present", ["password"]), ("state", "restored", ["known_good"])],
        supports_check_mode=True,
    )
    hold(module)
    options = module.params
    state = {"present": present, "restored": restored}[options["state"]]
    try:
        changes = state(options, module.check_mode)
    except (DatabaseError, OSError, ValueError) as error:
        module.fail_json(
            msg="The role %s cannot be made %s. Evidence: %s. Fix: see that PostgreSQL runs, with "
            "its socket in "
            "%s and port %d, then run the same again."
            % (options["name"], options["state"], error, options["socket"], options["port"]),
            **snapshot(options["known_good"]),
        )
    module.exit_json(changed=bool(changes), changes=changes, **snapshot(options["known_good"]))


if __name__ == "__main__":
    main()
