#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_backup
short_description: Back up the database of the stack before a new release changes it
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Backs up a SQLite file with its backup interface, while programs write to it, or a PostgreSQL
    database with C(pg_dump), into a file of mode 0600.
  - C(pg_dump) is the oldest installed one that is not older than the server, so that C(pg_restore) of
    that version reads the file. It reads the password from a temporary file.
  - Run it on a host with a client of the database, after the release was built and before any of
    its steps and programs is started.
  - If O(config) has none of the O(services), there is no database yet, and nothing is done.
  - A rollback does not restore the backup, because records that are newer would be lost.
extends_documentation_fragment:
  - bnlnpps.swf_testbed.private_servers
options:
  release:
    description: Directory of the new release. Its name is part of the name of the backup.
    type: path
    required: true
  directory:
    description: Directory of the backups. It is created, with mode 0700.
    type: path
    required: true
  keep:
    description: Number of releases whose backups to keep, including the new one. Others are removed
      once the new one is complete. If a release was tried several times, its first and its last backup
      remain.
    type: int
    default: 5
  sqlite:
    description: Path of the SQLite file, if O(host) is not set. Without such a file, nothing is done.
    type: path
    default: ""
  host:
    description: Address of the PostgreSQL server, or the directory of its socket.
    type: str
    default: ""
  port:
    description: Port of the server.
    type: int
    default: 5432
  name:
    description: Name of the database.
    type: str
    default: ""
  login:
    description: Name of the role that owns the database.
    type: str
    default: ""
  password:
    description: Password of the role. Use O(password_of) in a playbook, since callback plugins see
      arguments of tasks.
    type: str
    default: ""
  password_of:
    description: Name of the variable with O(password).
    type: str
  ca_cert:
    description: The certificates of the CA of the server, as text. If it is set, the certificate of a
      server on another host is verified.
    type: str
    default: ""
  config:
    description: Path of the C(supervisord.conf) of the instance.
    type: path
    default: ""
  user:
    description: The user that runs the programs, if it is another one. It then owns the files.
    type: str
    default: ""
attributes:
  action:
    support: full
    description: Has a corresponding action plugin.
  check_mode:
    support: full
    description: Backs up nothing, and predicts a backup.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Back up a SQLite file before the new release changes it
  bnlnpps.swf_testbed.database_backup:
    release: "{{ swf_testbed_release.path }}"
    directory: /var/lib/swf-testbed/backups
    sqlite: /var/lib/swf-testbed/monitor/db.sqlite3
    user: swf-testbed

- name: Back up a PostgreSQL database
  bnlnpps.swf_testbed.database_backup:
    release: "{{ swf_testbed_release.path }}"
    directory: /var/lib/swf-testbed/backups
    host: db.lab.example
    name: swf_testbed
    login: swf_testbed
    password_of: swf_testbed_database_password
"""

RETURN = r"""
path:
  description: Path of the backup.
  returned: if there is one
  type: str
  sample: /var/lib/swf-testbed/backups/monitor-20260102T030405Z-0.2.0-3f2a9c1e.sqlite3
removed:
  description: Backups that were removed.
  returned: if there is a new backup
  type: list
  elements: str
  sample: [/var/lib/swf-testbed/backups/monitor-20250102T030405Z-0.1.0-77aa0e21.sqlite3]
"""

import contextlib
import os
import re
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import message
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.private_services import (
    all_pg_dump,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.monitor_runner import (
    MonitorError,
    Runner,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.private_servers import (
    OPTION,
    served,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_file import (
    ConfigError,
    ConfigFile,
)

SQLITE = """
import os, sqlite3, sys
source, target = sys.argv[1:]
os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
old, new = sqlite3.connect(source, timeout=30), sqlite3.connect(target)
old.backup(new)
if new.execute("PRAGMA integrity_check").fetchone() != ("ok",):
    raise SystemExit("the copy is damaged")
new.close()
"""
AGAIN = "remove the cause, then run the same command again"
CONNECT_SECONDS = "10"
# the time has a fixed width: names sort by age. Those of earlier versions have no release.
BACKUP = re.compile(r"monitor-\d{8}T\d{6}Z(?P<release>-.+)?\.(pgdump|sqlite3)")
PART = ".part"


def copy_sqlite(runner: Runner, options: Mapping[str, Any], target: str) -> None:
    python, source = os.path.join(options["release"], "bin", "python"), options["sqlite"]
    runner.run("copy %s" % source, [python, "-I", "-c", SQLITE, source, target])


def copy_postgresql(runner: Runner, options: Mapping[str, Any], target: str) -> None:
    """Dump with pg_dump, which reads the password from a temporary file."""
    password = options["password"].replace("\\", "\\\\").replace(":", "\\:")
    settings = {
        "PGHOST": options["host"],
        "PGPORT": str(options["port"]),
        "PGDATABASE": options["name"],
        "PGUSER": options["login"],
        "PGCONNECT_TIMEOUT": CONNECT_SECONDS,
    }
    with tempfile.TemporaryDirectory() as scratch:
        runner.directory(scratch)
        settings["PGPASSFILE"] = os.path.join(scratch, "pgpass")
        runner.file(settings["PGPASSFILE"], "*:*:*:*:%s\n" % password)
        if options["ca_cert"] and not options["host"].startswith("/"):
            settings.update(PGSSLMODE="verify-full", PGSSLROOTCERT=os.path.join(scratch, "ca.pem"))
            runner.file(settings["PGSSLROOTCERT"], options["ca_cert"])
        dump = pg_dump(runner, settings)
        runner.file(target, "")
        command = [dump, "--no-password", "--format=custom", "--file=" + target]
        runner.run("dump the database", command, **settings)


def pg_dump(runner: Runner, settings: Mapping[str, str]) -> str:
    """The oldest pg_dump that can read this server."""
    install = "Fix: install the client programs of the server's version (Debian: postgresql-client)"
    found = all_pg_dump()
    if not found:
        raise MonitorError("there is no pg_dump on this host. " + install)
    psql = os.path.join(os.path.dirname(found[-1][1]), "psql")
    command = [psql, "--no-password", "-AtXc", "SHOW server_version_num"]
    server = int(runner.run("ask the server for its version", command, **settings)) // 10000
    usable = [path for version, path in found if version >= server]
    if not usable:
        raise MonitorError(
            "the server is of version %d, and the newest pg_dump of this host, %s, of version %d. %s"
            % (server, found[-1][1], found[-1][0], install)
        )
    return usable[0]


def backed_up(module: AnsibleModule, runner: Runner) -> dict[str, Any]:
    options, folder = module.params, module.params["directory"]
    if options["keep"] < 1:
        raise MonitorError("keep is %d and must be at least 1" % options["keep"])
    services = []
    if options["services"]:
        conf = ConfigFile(options["config"], os.environ)
        services = [item for item in options["services"] if conf.has("program:" + item["name"])]
    elif not options["host"] and not os.path.exists(options["sqlite"]):
        module.warn("Nothing was backed up. Evidence: there is no database %s" % options["sqlite"])
        return {"changed": False}
    if options["services"] and not services:
        return {"changed": False}
    if module.check_mode:
        return {"changed": True}
    runner.directory(folder)
    name = "monitor-%s-%s.%s" % (
        time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
        os.path.basename(options["release"]),
        "pgdump" if options["host"] else "sqlite3",
    )
    target = os.path.join(folder, name)
    try:
        if options["host"]:
            with served(options["config"], services) if services else contextlib.nullcontext():
                copy_postgresql(runner, options, target + PART)
        else:
            copy_sqlite(runner, options, target + PART)
        os.rename(target + PART, target)
    except BaseException:
        if os.path.exists(target + PART):
            os.unlink(target + PART)
        raise
    return {"changed": True, "path": target, "removed": prune(folder, options["keep"])}


def prune(folder: str, keep: int) -> list[str]:
    """Remove backups and incomplete ones, but no other files; returns the paths of the backups."""
    names = sorted(os.listdir(folder), key=lambda name: name.split(".")[0])
    for name in names:
        if name.endswith(PART) and BACKUP.fullmatch(name[: -len(PART)]):
            os.unlink(os.path.join(folder, name))
    backups: dict[str, list[str]] = {}
    for name in names:
        found = BACKUP.fullmatch(name)
        if found:
            release = found["release"] or name
            backups[release] = [*backups.pop(release, []), name]
    others = list(backups.values())
    # later attempts may find tables that the first one has changed
    unneeded = [name for same in others[:-keep] for name in same]
    unneeded += [name for same in others[-keep:] for name in same[1:-1]]
    removed = [os.path.join(folder, name) for name in unneeded]
    for path in removed:
        os.unlink(path)
    return removed


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "release": {"type": "path", "required": True},
            "directory": {"type": "path", "required": True},
            "keep": {"type": "int", "default": 5},
            "sqlite": {"type": "path", "default": ""},
            "host": {"type": "str", "default": ""},
            "port": {"type": "int", "default": 5432},
            "name": {"type": "str", "default": ""},
            "login": {"type": "str", "default": ""},
            "password": {"type": "str", "default": "", "no_log": True},
            "password_of": {"type": "str", "no_log": False},
            "ca_cert": {"type": "str", "default": ""},
            "config": {"type": "path", "default": ""},
            "services": OPTION,
            "user": {"type": "str", "default": ""},
        },
        required_one_of=[("sqlite", "host")],
        supports_check_mode=True,
    )
    hold(module)
    try:
        runner = Runner({"environment": {}, "user": module.params["user"]})
        module.exit_json(**backed_up(module, runner))
    except (MonitorError, ConfigError, OSError, ValueError) as error:
        cause, fix = "The database was not backed up, and no program was changed", AGAIN
        evidence, _dot, better = str(error).partition(". Fix: ")
        module.fail_json(msg=message({"cause": cause, "evidence": evidence, "fix": better or fix}))


if __name__ == "__main__":
    main()
