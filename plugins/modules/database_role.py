#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_role
short_description: Create the PostgreSQL role that owns a database, and restore its former password
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - The role may log in, and has no other privileges.
  - The module sends a SCRAM-SHA-256 verifier to the server, never the password, and the server does
    not log the statement.
  - Before the password changes, the module saves the verifier of the former one in O(known_good).
    O(state=restored) restores it, which does not require the former password.
  - The module connects with C(psql) to the socket of the server.
options:
  name:
    description: Name of the role.
    type: str
    required: true
  password:
    description: The password. Required with O(state=present). Callback plugins see its value, unlike
      that of O(password_of).
    type: str
  password_of:
    description: Name of the variable that contains the value of O(password). Mutually exclusive
      with O(password).
    type: str
  state:
    description:
      - V(present) creates the role, or sets its password and attributes.
      - V(restored) restores the password that O(known_good) contains. It does nothing if the
        directory does not exist, or if the role did not exist when the directory was created.
    type: str
    choices: [present, restored]
    default: present
  known_good:
    description:
      - Directory for the former verifier, which only its owner can read. An existing directory is
        from before a change that was never verified, and is not changed.
        M(bnlnpps.swf_testbed.known_good_files) removes it.
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
    description: Login of the administrator of the server, under which C(psql) runs. Empty for the
      login of the module.
    type: str
    default: postgres
attributes:
  check_mode:
    support: full
    description: Predicts the changes.
  diff_mode:
    support: none
    description: The password is a secret.
  action:
    support: full
    description: Has a corresponding action plugin, which reads the variable that O(password_of)
      names.
"""

EXAMPLES = r"""
- name: Create the role
  bnlnpps.swf_testbed.database_role:
    name: app
    password_of: app_database_password
    known_good: /etc/postgresql/15/main/app-role.known-good

- name: Restore its former password
  bnlnpps.swf_testbed.database_role:
    name: app
    state: restored
    known_good: /etc/postgresql/15/main/app-role.known-good
"""

RETURN = r"""
changes:
  description: The changes, in check mode the predicted ones. Of V(role), V(attributes) and
    V(password).
  returned: always
  type: list
  elements: str
  sample: [password]
known_good:
  description: The directory with the former verifier. The present password is not verified until
    this directory is removed.
  returned: if it exists
  type: str
  sample: /etc/postgresql/15/main/app-role.known-good
restorable:
  description: Whether there is a password to restore. A role that was created since had none.
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

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import (
    read,
    replacing,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.scram import (
    is_of,
    verifier,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.sql import (
    identifier,
    literal,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold

FILE = "role.json"
PSQL = (
    "psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --set=VERBOSITY=terse "
    "--no-password --dbname postgres"
).split()
ATTRIBUTES = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
# the server logs none of this, not even as a failed statement
QUIET = "SET log_statement = 'none'; SET log_min_error_statement = 'panic'; SET log_min_duration_statement = -1;\n"
LOOK = """SELECT json_build_object('verifier', rolpassword, 'plain', rolcanlogin AND NOT (rolsuper OR rolcreatedb OR rolcreaterole
    OR rolreplication OR rolbypassrls)) FROM pg_authid WHERE rolname = %s;
"""


class DatabaseError(Exception):
    """The output of psql, which contains no secret."""


def query(options: dict[str, Any], sql: str) -> str:
    """The output of psql for statements, which it reads from its standard input.

    :raises DatabaseError:
    """
    command = PSQL + ["--host", options["socket"], "--port", str(options["port"])]
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
        # the text of a timeout contains the command, but not its input
        raise DatabaseError(
            "psql cannot be run as %s: %s" % (options["run_as"] or "this login", error)
        ) from None
    if done.returncode != 0:
        raise DatabaseError(done.stderr.strip() or "psql exited %d" % done.returncode)
    return done.stdout.strip()


def save(folder: str, former: str | None) -> None:
    """Save a verifier (None: there was no role), unless one is saved already.

    :raises OSError:
    """
    if os.path.isdir(folder):
        return
    scratch = folder + ".new"
    shutil.rmtree(scratch, ignore_errors=True)
    os.mkdir(scratch, 0o700)
    with replacing(os.path.join(scratch, FILE)) as stream:
        json.dump({"verifier": former}, stream)
    os.rename(scratch, folder)


def former_in(folder: str) -> str | None:
    """The saved verifier; None if there is none."""
    text = read(os.path.join(folder, FILE))
    return json.loads(text)["verifier"] if text else None


def snapshot(folder: str) -> dict[str, Any]:
    """The results known_good and restorable."""
    if not folder or not os.path.isdir(folder):
        return {}
    return {"known_good": folder, "restorable": former_in(folder) is not None}


def present(options: dict[str, Any], check: bool) -> list[str]:
    """Make the necessary changes, in check mode only predict them."""
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
            save(options["known_good"], role and role["verifier"])
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
    """Restore the password, if the role has another one than the saved one."""
    former = former_in(options["known_good"])
    found = query(options, LOOK % literal(options["name"])) if former else ""
    if not former or not found or json.loads(found)["verifier"] == former:
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
            msg="The role %s cannot be made %s. Evidence: %s. Fix: check that PostgreSQL runs with "
            "its socket in %s and port %d, then run the same command again"
            % (options["name"], options["state"], error, options["socket"], options["port"]),
            **snapshot(options["known_good"]),
        )
    module.exit_json(changed=bool(changes), changes=changes, **snapshot(options["known_good"]))


if __name__ == "__main__":
    main()
