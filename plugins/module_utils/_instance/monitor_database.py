# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database of a monitor, and the number of rows of its history."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from typing import Any

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

# the program with the role monitor, in a configuration of an earlier release, which does not name it
MONITOR = "monitor"
#: tables whose rows would be lost: {table: name of its rows}
TABLES = {
    "swf_monitor_run": "runs",
    "swf_monitor_stffile": "STF files",
    "swf_monitor_tffile": "TF files",
    "swf_monitor_message": "messages",
}
# Runs with the settings and drivers of a release. The database may be of another version: a table
# may not exist.
COUNT = """
import json, os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "swf_monitor.settings"
rows = {}
try:
    import django
    django.setup()
    from django.conf import settings
    from django.db import connection
    # a connection would create a SQLite file that does not exist
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


def address(environment: Mapping[str, str]) -> str:
    """The database of a monitor with this environment, as one word; "" without a monitor."""
    if environment.get("DB_HOST"):
        port, name = environment.get("DB_PORT", 5432), environment.get("DB_NAME", "swfdb")
        return "postgresql://%s:%s/%s" % (environment["DB_HOST"], port, name)
    folder = environment.get("SWF_MONITOR_DATA_DIR")
    return "sqlite:%s" % os.path.join(folder, "db.sqlite3") if folder else ""


def connection(environment: Mapping[str, str]) -> dict[str, Any]:
    """The arguments of commands that connect to it: {host, port, name, user}, or {path}."""
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


def configured(path: str) -> tuple[dict[str, str], dict[str, str]]:
    """(environment of the monitor, our own section) in a supervisord.conf. The first is {} without
    a monitor.

    :raises ConfigError: the configuration is unusable.
    """
    conf = ConfigFile(path, os.environ)
    own = {name: conf.raw("swf-testbed", name, "") for name in ("release", "secrets")}
    former = "" if conf.raw("swf-testbed", "listens") is not None else MONITOR
    section = "program:" + conf.raw("swf-testbed", "monitor", former)
    return key_value_pairs(
        conf.expand(conf.raw(section, "environment", ""), {}, "environment")
    ), own


def database_of(path: str) -> dict[str, str]:
    """The testbed's monitor in the configuration of a host, for the layout: {monitor_database,
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
        # it counts as a database that does not answer
        return {"monitor_database": "unknown:" + path, "monitor_url": ""}
    return {"monitor_database": address(environment), "monitor_url": next(filter(None, urls), "")}


def count(
    release: str, environment: Mapping[str, str], user: str, password: str, ca_cert: str
) -> dict[str, int]:
    """{name of the rows: their number} of the history in a database.

    :param environment: of the monitor; the secrets given here replace those that it names.
    :raises MonitorError: the query failed.
    """
    python = os.path.join(release, "bin", "python")
    if not os.path.exists(python):
        raise MonitorError("there is no %s" % python)
    # Django refuses to start without a key; this one is not used
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


def password_of(environment: Mapping[str, str], own: Mapping[str, str]) -> str:
    """The configured database password of a monitor; "" without one. The credentials of a unit do
    not exist while it is stopped, so their source is read then."""
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
