# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a PostgreSQL does for the login of the programs: rights, version, clock, connections."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    Finding,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.clock import different
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service.postgresql import (
    Connection,
    PostgresqlError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service.sockets import opened

#: fixes of a refused login, by SQLSTATE
FIXES = {
    "28P01": "Correct swf_testbed_database_user and swf_testbed_database_password",
    "28000": "Correct swf_testbed_database_user, or have the administrator of PostgreSQL create the "
    "role and allow this host in pg_hba.conf",
    "3D000": "Correct swf_testbed_database_name, or have the administrator of PostgreSQL create it: "
    'CREATE DATABASE "%(database)s" OWNER "%(user)s"',
    "53300": "Have the administrator of PostgreSQL raise max_connections, or the CONNECTION LIMIT of "
    "the role or the database",
}
OTHERWISE = "Ask the administrator of PostgreSQL; its log has the details"
RIGHTS = (
    'Have the administrator of PostgreSQL run in the database "%(database)s": '
    'GRANT USAGE, CREATE ON SCHEMA public TO "%(user)s"'
)
# what is left for a role: of the server, of the role, and of the database. Its own sessions are those
# of running programs, which a change replaces
LEFT = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
         - coalesce(current_setting('reserved_connections', true)::int, 0)
         - (SELECT count(*) FROM pg_stat_activity
            WHERE datid IS NOT NULL AND usename IS DISTINCT FROM current_user),
       (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
       (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())
         - (SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND usename IS DISTINCT FROM current_user)
"""
LIMITS = ("max_connections", "the connection limit of the role", "that of the database")


def examine(item: Mapping[str, Any], timeout: float, most: float) -> list[Finding]:
    """Findings of a server that can be reached.

    :param item: one of the option ``reach`` of the module host_check.
    :param most: seconds by which the clocks may differ.
    """
    if item["host"].startswith("/") and os.geteuid() == 0:
        # there, the server goes by the user of the process, which is another one for the programs
        return []
    try:
        session = Connection(
            opened(item, timeout), item["user"], item["password"], item["database"]
        )
    except PostgresqlError as error:
        return [refused(item, error)]
    except OSError as error:
        return [refused(item, PostgresqlError(str(error)))]
    found: list[Finding] = []
    checks: list[Callable[[], Iterator[Finding]]] = [
        lambda: version(item, session),
        lambda: rights(item, session),
        lambda: clock(session, most),
        lambda: connections(item, session),
    ]
    try:
        for check in checks:
            found += check()
    except (PostgresqlError, OSError) as error:
        found.append(
            finding(
                "database",
                "PostgreSQL does not answer a check",
                "%s: %s" % (place(item), error),
                OTHERWISE,
            )
        )
    finally:
        session.close()
    return found


def refused(item: Mapping[str, Any], error: PostgresqlError) -> Finding:
    return finding(
        "login",
        "PostgreSQL refuses the login of the programs",
        "%s: %s" % (place(item), error),
        FIXES.get(error.code, OTHERWISE) % item,
    )


def place(item: Mapping[str, Any]) -> str:
    return "%s:%d" % (item["host"], item["port"])


def version(item: Mapping[str, Any], session: Connection) -> Iterator[Finding]:
    ((text,),) = session.query("SHOW server_version")
    found = (text or "").split()[0]
    if item["minimum"] and numbers(found) < numbers(item["minimum"]):
        yield finding(
            "database",
            "PostgreSQL is too old for the stack",
            "%s has version %s, and the stack needs %s or newer"
            % (place(item), found, item["minimum"]),
            "Have it upgraded, or correct %s" % item["variable"],
        )


def numbers(text: str) -> list[int]:
    """The numbers of a version. A first part such as 17beta1 counts as 17."""
    digits = ("".join(char for char in part if char.isdigit()) for part in text.split("."))
    return [int(part or 0) for part in digits] if text[:1].isdigit() else []


def rights(item: Mapping[str, Any], session: Connection) -> Iterator[Finding]:
    table = "swf_check_%s" % os.urandom(4).hex()
    try:
        session.query("BEGIN; CREATE TABLE %s (id integer); DROP TABLE %s" % (table, table))
    except PostgresqlError as error:
        yield finding(
            "rights",
            "the programs cannot create tables in PostgreSQL",
            "%s: %s" % (place(item), error),
            RIGHTS % item,
        )
    finally:
        session.query("ROLLBACK")


def clock(session: Connection, most: float) -> Iterator[Finding]:
    sent = time.time()
    ((text,),) = session.query("SELECT extract(epoch FROM clock_timestamp())")
    yield from different("PostgreSQL", float(text or 0), sent, time.time(), most)


def connections(item: Mapping[str, Any], session: Connection) -> Iterator[Finding]:
    (row,) = session.query(LEFT)
    found = [(int(text), name) for text, name in zip(row, LIMITS) if text is not None]
    left, name = min(found)
    if left < item["connections"]:
        yield finding(
            "database",
            "PostgreSQL has too few connections for the stack",
            "the programs of this host open up to %d, and %s leaves %d"
            % (item["connections"], name, max(left, 0)),
            FIXES["53300"],
        )
