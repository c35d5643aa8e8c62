#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_cluster
short_description: Create a PostgreSQL cluster for one login, with a role and its database
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Creates the data directory of a PostgreSQL server that a process manager of the login runs, and
    in it a role and a database that this role owns.
  - The cluster accepts connections by its Unix socket only, without a password. So the socket must
    be in a directory that only the login can enter.
  - The directory appears when it is complete. If the module is interrupted, the next call starts
    from the beginning.
  - An existing cluster is never initialized again, replaced or removed. The module only creates a
    missing role and a missing database in it, whether its server runs or not.
  - PostgreSQL does not run as root, and neither does this module.
options:
  directory:
    description: Data directory of the cluster. Its parent must exist.
    type: path
    required: true
  binaries:
    description: Directory of the programs of the server, as the module
      P(bnlnpps.swf_testbed.preflight#module) finds it.
    type: path
    required: true
  name:
    description: Name of the database.
    type: str
    required: true
  owner:
    description: Name of the role that owns the database. It may log in, and has no other
      privileges.
    type: str
    required: true
attributes:
  check_mode:
    support: partial
    description: Predicts the creation of the cluster, and of the role and the database if the
      server runs.
    details: It does not look into a cluster whose server is stopped.
  diff_mode:
    support: none
    description: There is no text to compare.
"""

EXAMPLES = r"""
- name: Create a cluster
  bnlnpps.swf_testbed.database_cluster:
    directory: ~/.local/state/app/postgresql
    binaries: /usr/lib/postgresql/15/bin
    name: app
    owner: app
"""

RETURN = r"""
changes:
  description: The items that were created, in check mode those that would be. Of V(cluster),
    V(role) and V(database).
  returned: always
  type: list
  elements: str
  sample: [cluster, role, database]
version:
  description: The version of the server.
  returned: always
  type: str
  sample: "15.18"
"""

import json
import os
import re
import shutil
import subprocess
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.sql import (
    identifier,
    literal,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.private_services import (
    major_of,
    postgresql_in,
)

SUPERUSER = "postgres"
LOOK = (
    "SELECT json_build_object('role', EXISTS (SELECT FROM pg_roles WHERE rolname = {owner}), "
    "'database', EXISTS (SELECT FROM pg_database WHERE datname = {name}))"
)
CREATE = {
    "role": "CREATE ROLE {owner} LOGIN",
    "database": "CREATE DATABASE {name} OWNER {owner} TEMPLATE template0 ENCODING 'UTF8'",
}
ANSWER = re.compile(r'= "(\{.*\})"')
SECONDS = 300
#: seconds until a server that starts or stops accepts connections, or does not exist any more
PATIENCE = 60
# lines of postmaster.pid
PORT = 3
SOCKET = 4
# results of pg_isready
ACCEPTS = 0
REJECTS = 1


class ClusterError(Exception):
    """The cluster cannot be created or used.

    :ivar fix: how to correct it.
    """

    def __init__(self, evidence: str, fix: str = "Correct that, then run the same command again"):
        super().__init__(evidence)
        self.fix = fix


class Cluster:
    """A data directory and the programs of its server."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.directory, self.binaries = options["directory"], options["binaries"]
        if "\n" in options["name"] + options["owner"]:
            raise ClusterError("the names contain a line break", "Choose other names")
        self.literals = {key: literal(options[key]) for key in ("name", "owner")}
        self.identifiers = {key: identifier(options[key]) for key in ("name", "owner")}

    def run(self, command: str, *arguments: str, **options: Any) -> str:
        """The output of a program of the server.

        :raises ClusterError:
        """
        try:
            done = subprocess.run(
                [os.path.join(self.binaries, command), *arguments],
                check=False,
                text=True,
                errors="replace",
                capture_output=True,
                cwd="/",
                timeout=SECONDS,
                # initdb looks up the time zone; variables of the login (PGDATA) are not for this
                env={
                    "PATH": "/usr/local/bin:/usr/bin:/bin",
                    "LANG": "C.UTF-8",
                    "PGCLIENTENCODING": "UTF8",
                },
                **options,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise ClusterError("%s cannot be run: %s" % (command, error)) from None
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if re.search("ERROR|FATAL", line)]
            text = " ".join((lines or done.stderr.split("\n"))[-5:]).strip()
            raise ClusterError("%s: %s" % (command, text or "exited %d" % done.returncode))
        return done.stdout

    def create(self) -> None:
        """Create the cluster elsewhere, and then move it to its place."""
        scratch = self.directory + ".new"
        # of an interrupted call; no server has used it
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            self.run(
                "initdb",
                "--pgdata=" + scratch,
                "--username=" + SUPERUSER,
                "--auth-local=trust",
                "--auth-host=reject",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                stdin=subprocess.DEVNULL,
            )
            self.offline(scratch, *(CREATE[item].format(**self.identifiers) for item in CREATE))
            os.rename(scratch, self.directory)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise

    def offline(self, directory: str, *statements: str) -> str:
        """The output of statements in a cluster without a server. The process ends with this
        one."""
        return self.run(
            "postgres",
            "--single",
            "-D",
            directory,
            "-c",
            "exit_on_error=true",
            SUPERUSER,
            input="".join(statement + ";\n" for statement in statements),
        )

    def server(self) -> list[str] | None:
        """The arguments to connect to the running server, None if none runs."""
        try:
            with open(os.path.join(self.directory, "postmaster.pid"), encoding="utf-8") as stream:
                lines = stream.read().split("\n")
            address = ["--host", lines[SOCKET], "--port", lines[PORT]]
        except (FileNotFoundError, IndexError):
            return None
        deadline = time.monotonic() + PATIENCE
        while True:
            state = self.ready(address)
            if state != REJECTS or time.monotonic() > deadline:
                # after a crash the file remains
                return address if state == ACCEPTS else None
            time.sleep(0.2)

    def ready(self, address: list[str]) -> int:
        program = os.path.join(self.binaries, "pg_isready")
        return subprocess.call(
            [program, "--quiet", "--timeout=5", *address], stdin=subprocess.DEVNULL, cwd="/"
        )

    def online(self, address: list[str], statement: str) -> str:
        return self.run(
            "psql",
            *("--no-psqlrc --quiet --tuples-only --no-align --no-password").split(),
            "--set=ON_ERROR_STOP=1",
            "--username=" + SUPERUSER,
            "--dbname=" + SUPERUSER,
            *address,
            input=statement + ";\n",
        )

    def complete(self, check: bool) -> list[str]:
        """Create what an existing cluster lacks, in check mode only predict it."""
        address, look = self.server(), LOOK.format(**self.literals)
        if address:
            found = json.loads(self.online(address, look))
        elif check:
            return []
        else:
            found = json.loads(ANSWER.findall(self.offline(self.directory, look))[-1])
        missing = [item for item in CREATE if not found[item]]
        for statement in [] if check else [CREATE[item] for item in missing]:
            text = statement.format(**self.identifiers)
            if address:
                self.online(address, text)
            else:
                self.offline(self.directory, text)
        return missing


def converged(cluster: Cluster, check: bool) -> dict[str, Any]:
    """The result of the module.

    :raises ClusterError:
    """
    if os.geteuid() == 0:
        raise ClusterError(
            "PostgreSQL does not run as root, and this module runs as root",
            "Use another login, or a server elsewhere",
        )
    programs = postgresql_in(cluster.binaries)
    if not programs:
        raise ClusterError(
            "there is no PostgreSQL server in %s" % cluster.binaries, "Install it there"
        )
    major = major_of(cluster.directory)
    if major is None:
        if os.path.isdir(cluster.directory) and os.listdir(cluster.directory):
            raise ClusterError(
                "%s has other files, and no PG_VERSION" % cluster.directory,
                "Look at them, and move them away",
            )
        if not check:
            cluster.create()
        changes = ["cluster", *CREATE]
    elif major != programs.version[0]:
        raise ClusterError(
            "%s is of version %d, and the server in %s of version %d"
            % (cluster.directory, major, cluster.binaries, programs.version[0]),
            "Use the programs of version %d" % major,
        )
    else:
        changes = cluster.complete(check)
    return {
        "changed": bool(changes),
        "changes": changes,
        "version": "%d.%d" % programs.version,
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "binaries": {"type": "path", "required": True},
            "name": {"type": "str", "required": True},
            "owner": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    hold(module)
    try:
        module.exit_json(**converged(Cluster(module.params), module.check_mode))
    except (ClusterError, OSError, ValueError) as error:
        module.fail_json(
            msg="The database cluster cannot be created or used. Evidence: %s. Fix: %s"
            % (error, getattr(error, "fix", "Correct that, then run the same command again"))
        )


if __name__ == "__main__":
    main()
