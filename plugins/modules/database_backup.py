#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_backup
short_description: Back up the database of the monitor before a release changes its tables
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Asks C(swf-monitor setup --check) of the new release for its migrations. If there are any, the
    database is backed up into a file of mode 0600. If there are none, nothing is done.
  - SQLite is copied with its backup interface while programs write to it, PostgreSQL with
    C(pg_dump).
  - Run it on the host of the monitor, after the release was built and before any of its programs is
    started.
options:
  release:
    description: Directory of the new release.
    type: path
    required: true
  directory:
    description: Directory of the backups. It is created, with mode 0700.
    type: path
    required: true
  keep:
    description: Number of backups to keep, including the new one. Older ones are removed once it is
      complete.
    type: int
    default: 5
  environment:
    description: Environment of the programs of the monitor. It contains paths of files with secrets,
      and no secrets.
    type: dict
    required: true
  user:
    description: The user that runs the monitor, if it is another one. It then owns the files.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Backs up nothing. It predicts a backup only if the release is built already.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Back up the database of the monitor before the new release changes its tables
  bnlnpps.swf_testbed.database_backup:
    release: "{{ swf_testbed_release.path }}"
    directory: /var/lib/swf-testbed/backups
    environment: {SWF_MONITOR_DATA_DIR: /var/lib/swf-testbed/monitor}
    user: swf-testbed
"""

RETURN = r"""
migrations:
  description: The migrations that the release will apply.
  returned: if the release is built
  type: list
  elements: str
  sample: [swf_monitor.0002_site]
path:
  description: Path of the backup.
  returned: if there is one
  type: str
  sample: /var/lib/swf-testbed/backups/monitor-20260102T030405Z.sqlite3
removed:
  description: Older backups that were removed.
  returned: if there is a new backup
  type: list
  elements: str
  sample: [/var/lib/swf-testbed/backups/monitor-20250102T030405Z.sqlite3]
"""

import json
import os
import re
import shutil
import tempfile
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.monitor_runner import (
    MonitorError,
    Runner,
)

SQLITE = """
import os, sqlite3, sys
source, target = sys.argv[1:]
os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
if not os.path.exists(source):
    raise SystemExit("there is no " + source)
old, new = sqlite3.connect(source, timeout=30), sqlite3.connect(target)
old.backup(new)
if new.execute("PRAGMA integrity_check").fetchone() != ("ok",):
    raise SystemExit("the copy is damaged")
new.close()
"""


# the time in it has a fixed width: names sort by age
BACKUP = re.compile(r"monitor-\d{8}T\d{6}Z\.(pgdump|sqlite3)")


def migrations(runner: Runner, release: str) -> list[str]:
    """The migrations that the release will apply."""
    printed = runner.run(
        "ask the new release for its migrations",
        [os.path.join(release, "bin", "swf-monitor"), "setup", "--check"],
    )
    return json.loads(printed.strip().splitlines()[-1])["migrations"]


def copy_sqlite(runner: Runner, release: str, target: str) -> None:
    source = os.path.join(runner.environment["SWF_MONITOR_DATA_DIR"], "db.sqlite3")
    runner.run(
        "copy %s" % source,
        [os.path.join(release, "bin", "python"), "-I", "-c", SQLITE, source, target],
    )


def copy_postgresql(runner: Runner, target: str) -> None:
    """Dump with pg_dump, which reads the password from a temporary file."""
    pg_dump = shutil.which("pg_dump", path="/usr/local/bin:/usr/bin:/bin")
    if not pg_dump:
        raise MonitorError(
            "there is no pg_dump on this host. Fix: sudo apt-get install postgresql-client"
        )
    settings = runner.environment
    with open(settings["DB_PASSWORD_FILE"], encoding="utf-8") as stream:
        password = stream.read().strip()
    names = {
        "PGHOST": settings["DB_HOST"],
        "PGPORT": settings.get("DB_PORT", "5432"),
        "PGDATABASE": settings["DB_NAME"],
        "PGUSER": settings["DB_USER"],
    }
    if settings.get("DB_SSLMODE"):
        names["PGSSLMODE"] = settings["DB_SSLMODE"]
    with tempfile.TemporaryDirectory() as scratch:
        if runner.account:
            os.chown(scratch, runner.account.pw_uid, runner.account.pw_gid)
        path = os.path.join(scratch, "pgpass")
        runner.file(path, "*:*:*:*:%s\n" % password.replace("\\", "\\\\").replace(":", "\\:"))
        runner.file(target, "")
        command = [pg_dump, "--no-password", "--format=custom", "--file=" + target]
        runner.run("dump the database", command, PGPASSFILE=path, **names)


def backed_up(module: AnsibleModule, runner: Runner) -> dict[str, Any]:
    release, folder = module.params["release"], module.params["directory"]
    if module.params["keep"] < 1:
        raise MonitorError(
            "swf_testbed_keep_database_backups is %d and must be at least 1, for the new backup"
            % module.params["keep"]
        )
    if not os.path.exists(os.path.join(release, "bin", "swf-monitor")):
        if module.check_mode:
            return {"changed": False}
        raise MonitorError("there is no swf-monitor in %s" % release)
    found = migrations(runner, release)
    if not found or module.check_mode:
        return {"changed": bool(found), "migrations": found}
    runner.directory(folder)
    postgresql = bool(runner.environment.get("DB_HOST"))
    name = "monitor-%s.%s" % (
        time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
        "pgdump" if postgresql else "sqlite3",
    )
    target = os.path.join(folder, name)
    try:
        if postgresql:
            copy_postgresql(runner, target + ".part")
        else:
            copy_sqlite(runner, release, target + ".part")
        os.rename(target + ".part", target)
    except BaseException:
        if os.path.exists(target + ".part"):
            os.unlink(target + ".part")
        raise
    return {
        "changed": True,
        "migrations": found,
        "path": target,
        "removed": prune(folder, module.params["keep"]),
    }


def prune(folder: str, keep: int) -> list[str]:
    """Remove the oldest backups, and incomplete ones, but no other files; returns the paths of the
    backups."""
    for path in sorted(os.listdir(folder)):
        if BACKUP.fullmatch(path[: -len(".part")]) and path.endswith(".part"):
            os.unlink(os.path.join(folder, path))
    backups = sorted(
        (name for name in os.listdir(folder) if BACKUP.fullmatch(name)),
        key=lambda name: name.split(".")[0],
    )
    removed = [os.path.join(folder, name) for name in backups[:-keep]]
    for path in removed:
        os.unlink(path)
    return removed


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "release": {"type": "path", "required": True},
            "directory": {"type": "path", "required": True},
            "environment": {"type": "dict", "required": True},
            "user": {"type": "str", "default": ""},
            "keep": {"type": "int", "default": 5},
        },
        supports_check_mode=True,
    )
    hold(module)
    try:
        module.exit_json(**backed_up(module, Runner(module.params)))
    except (MonitorError, KeyError, OSError, ValueError) as error:
        module.fail_json(
            msg="The database was not backed up, and no program was changed. Evidence: %s" % error
        )


if __name__ == "__main__":
    main()
