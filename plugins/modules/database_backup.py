#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_backup
short_description: Keep a copy of the monitor's database, if a release is going to change its tables
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Asks C(swf-monitor setup --check) of the release that is to come which migrations it would
    apply. If there are any, it copies the database into a file of mode 0600 first. If there are
    none it does nothing.
  - SQLite is copied by its backup interface while programs write to it, PostgreSQL by C(pg_dump).
  - Is to run on the monitor's host, after the release was built and before anything of it is
    started.
options:
  release:
    description: Directory of the release that is to come.
    type: path
    required: true
  directory:
    description: Directory of the copies. It is made, with mode 0700.
    type: path
    required: true
  keep:
    description: How many copies stay, the new one included. The oldest others are removed once it
      is whole.
    type: int
    default: 5
  environment:
    description: Environment of the monitor's programs. Secrets are named by their files in it, and
      are not in it.
    type: dict
    required: true
  user:
    description: The user that runs the monitor, where that is another one. Files then belong to it.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Copies nothing. It can tell whether it would only where the release is built
      already.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Keep the monitor's database, if the new release changes its tables
  bnlnpps.swf_testbed.database_backup:
    release: "{{ swf_testbed_release.path }}"
    directory: /var/lib/swf-testbed/backups
    environment: {SWF_MONITOR_DATA_DIR: /var/lib/swf-testbed/monitor}
    user: swf-testbed
"""

RETURN = r"""
migrations:
  description: The migrations that the release is going to apply.
  returned: when the release is built
  type: list
  elements: str
  sample: [swf_monitor.0002_site]
path:
  description: Path of the copy.
  returned: when there is one
  type: str
  sample: /var/lib/swf-testbed/backups/monitor-20260102T030405Z.sqlite3
removed:
  description: Older copies that were removed.
  returned: when there is a copy
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
    raise SystemExit("the copy is not whole")
new.close()
"""


# the time in it is of a fixed width: names are in the order of their age
COPY = re.compile(r"monitor-\d{8}T\d{6}Z\.(pgdump|sqlite3)")


def migrations(runner, release):
    """What the release is going to change in the database."""
    printed = runner.run(
        "ask the new release what it changes in the database",
        [os.path.join(release, "bin", "swf-monitor"), "setup", "--check"],
    )
    return json.loads(printed.strip().splitlines()[-1])["migrations"]


def copy_sqlite(runner, release, target):
    source = os.path.join(runner.environment["SWF_MONITOR_DATA_DIR"], "db.sqlite3")
    runner.run(
        "copy %s" % source,
        [os.path.join(release, "bin", "python"), "-I", "-c", SQLITE, source, target],
    )


def copy_postgresql(runner, target):
    """Dump with pg_dump, which reads the password from a file that is there for that long."""
    pg_dump = shutil.which("pg_dump", path="/usr/local/bin:/usr/bin:/bin")
    if not pg_dump:
        raise MonitorError(
            "there is no pg_dump on this host to copy the database with. Run: sudo apt-get install "
            "postgresql-client"
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


def kept(module, runner):
    release, folder = module.params["release"], module.params["directory"]
    if module.params["keep"] < 1:
        raise MonitorError(
            "swf_testbed_keep_database_backups is %d and must be at least 1: the copy itself"
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


def prune(folder, keep):
    """Remove the oldest copies, and what a copy that was interrupted left; nothing that is not
    ours. Paths of the copies."""
    for path in sorted(os.listdir(folder)):
        if COPY.fullmatch(path[: -len(".part")]) and path.endswith(".part"):
            os.unlink(os.path.join(folder, path))
    copies = sorted(
        (name for name in os.listdir(folder) if COPY.fullmatch(name)),
        key=lambda name: name.split(".")[0],
    )
    removed = [os.path.join(folder, name) for name in copies[:-keep]]
    for path in removed:
        os.unlink(path)
    return removed


def main():
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
        module.exit_json(**kept(module, Runner(module.params)))
    except (MonitorError, KeyError, OSError, ValueError) as error:
        module.fail_json(
            msg="the database was not copied, and nothing that runs was touched: %s" % error
        )


if __name__ == "__main__":
    main()
