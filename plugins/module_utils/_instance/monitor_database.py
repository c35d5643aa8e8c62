# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which database a monitor uses, and how many rows of its history are in it."""

from __future__ import annotations

import json
import os
import tempfile

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.monitor_runner import (
    MonitorError,
    Runner,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_file import (
    ConfigError,
    ConfigFile,
    ConfigMissing,
    key_value_pairs,
)

SECTION = "program:monitor"
#: what a monitor remembers that would be lost: {table: what is in it}
TABLES = {
    "swf_monitor_run": "runs",
    "swf_monitor_stffile": "STF files",
    "swf_monitor_tffile": "TF files",
    "swf_monitor_message": "messages",
}
# The settings and drivers of a release know how to reach its database. No table of another version
# is assumed to exist.
COUNT = """
import json, os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "swf_monitor.settings"
rows = {}
try:
    import django
    django.setup()
    from django.conf import settings
    from django.db import connection
    # to connect to a SQLite file that does not exist would make it
    if connection.vendor != "sqlite" or os.path.exists(settings.DATABASES["default"]["NAME"]):
        with connection.cursor() as cursor:
            there = connection.introspection.table_names(cursor)
            for table in sys.argv[1:]:
                if table in there:
                    cursor.execute('SELECT COUNT(*) FROM "%s"' % table)
                    rows[table] = cursor.fetchone()[0]
except Exception as error:
    raise SystemExit(" ".join(str(error).split()))
print(json.dumps(rows))
"""


def address(environment):
    """The database of a monitor with this environment, in one word; "" for no monitor."""
    if environment.get("DB_HOST"):
        port, name = environment.get("DB_PORT", 5432), environment.get("DB_NAME", "swfdb")
        return "postgresql://%s:%s/%s" % (environment["DB_HOST"], port, name)
    folder = environment.get("SWF_MONITOR_DATA_DIR")
    return "sqlite:%s" % os.path.join(folder, "db.sqlite3") if folder else ""


def connection(environment):
    """What commands need to reach it: {host, port, name, user}, or {path}."""
    if environment.get("DB_HOST"):
        return {
            "host": environment["DB_HOST"],
            "port": int(environment.get("DB_PORT", 5432)),
            "name": environment.get("DB_NAME", "swfdb"),
            "user": environment.get("DB_USER", "admin"),
        }
    return (
        {"path": os.path.join(environment["SWF_MONITOR_DATA_DIR"], "db.sqlite3")}
        if address(environment)
        else {}
    )


def configured(path):
    """(environment of the monitor, section of our own) in a supervisord.conf. The first is {}
    without a monitor.

    :raises ConfigError:
    """
    conf = ConfigFile(path, os.environ)
    own = {name: conf.raw("swf-testbed", name, "") for name in ("release", "secrets")}
    return key_value_pairs(
        conf.expand(conf.raw(SECTION, "environment", ""), {}, "environment")
    ), own


def known_from(path):
    """What a host's configuration says of the testbed's monitor, for the layout: {monitor_database,
    monitor_url}."""
    try:
        environment, _own = configured(path)
        found = ConfigFile(path, os.environ)
        urls = [
            key_value_pairs(
                found.expand(found.raw(name, "environment", ""), {}, "environment")
            ).get("SWF_MONITOR_URL", "")
            for name in found.sections("program:")
        ]
    except ConfigMissing:
        return {"monitor_database": "", "monitor_url": ""}
    except ConfigError:
        # it counts as a database that cannot be asked
        return {"monitor_database": "unknown:" + path, "monitor_url": ""}
    return {"monitor_database": address(environment), "monitor_url": next(filter(None, urls), "")}


def count(release, environment, user, password, ca_cert):
    """{what: rows} of the history in a database.

    :param environment: of the monitor. The secrets that it names are replaced by those given here.
    :raises MonitorError: it cannot be asked.
    """
    python = os.path.join(release, "bin", "python")
    if not os.path.exists(python):
        raise MonitorError("there is no %s" % python)
    # not used, and settings are not read without one
    environment = dict(environment, SECRET_KEY="unused", SWF_LOG_LEVEL="ERROR")
    for name in ("SECRET_KEY_FILE", "DB_PASSWORD_FILE"):
        environment.pop(name, None)
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in (("DB_PASSWORD_FILE", password), ("PGSSLROOTCERT", ca_cert)):
            if text:
                environment[name] = os.path.join(scratch, name)
        runner = Runner({"environment": environment, "user": user})
        runner.directory(scratch)
        for name, text in (("DB_PASSWORD_FILE", password), ("PGSSLROOTCERT", ca_cert)):
            if text:
                runner.file(environment[name], text)
        printed = runner.run("ask the database", [python, "-I", "-c", COUNT, *TABLES])
    rows = json.loads(printed.strip().splitlines()[-1])
    return {TABLES[table]: number for table, number in rows.items() if number}


def password_of(environment, own):
    """The password with which a monitor was configured. That of a unit's credentials is gone while
    the unit is stopped."""
    path = environment.get("DB_PASSWORD_FILE", "")
    for place in filter(
        None, (path, path and os.path.join(own["secrets"], os.path.basename(path)))
    ):
        try:
            with open(place, encoding="utf-8") as stream:
                return stream.read().rstrip("\r\n")
        except OSError:
            continue
    return ""
