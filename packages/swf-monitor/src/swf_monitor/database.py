# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of the database: whether it is reachable, and its pending migrations."""

import errno
import os
from collections.abc import Callable

from django.conf import settings
from django.db import DataError, Error, IntegrityError, connection
from django.db.migrations.executor import MigrationExecutor

# The database raises it while it is unavailable, locked, damaged or without its tables. All of that
# may be temporary.
UNAVAILABLE = Error
# These are permanent: the same row would be refused again. They are subclasses of UNAVAILABLE, so
# test for them first.
REFUSED = (DataError, IntegrityError)

# The value of `PRAGMA auto_vacuum` for a file that can shrink in steps.
INCREMENTAL = 2
# Pages (4 KiB) that one step releases, and below which a step is not worth it.
STEP_PAGES = 500
FREE_PAGES = 1000

NOT_SET_UP = "the database is not set up: run 'swf-monitor setup'"


def explain(error: Exception) -> str:
    """The cause in one line. Drivers include addresses and user names, never the password."""
    text = " ".join(str(error).split())
    if "no such table" in text or ("relation" in text and "does not exist" in text):
        return NOT_SET_UP
    if "unable to open database file" in text:
        missing = f"there is no readable {settings.SQLITE_FILE.name} in {settings.DATA_DIR}"
        return f"{NOT_SET_UP} ({missing})"
    return text[:300]


def is_sqlite() -> bool:
    return connection.vendor == "sqlite"


def write_problem() -> str:
    """Why SQLite's directory cannot be written, or "". Reads succeed even if the disk is full or
    read-only."""
    if not is_sqlite():
        return ""
    try:
        # A file without a name, which disappears when it is closed.
        handle = os.open(settings.DATA_DIR, os.O_TMPFILE | os.O_WRONLY, 0o600)
        try:
            os.write(handle, bytes(4096))
        finally:
            os.close(handle)
    except OSError as error:
        # not every file system supports such files
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            return ""
        return f"cannot write in {settings.DATA_DIR}: {error.strerror}"
    return ""


def release_space(pause: Callable[[], bool]) -> int:
    """Shrink SQLite's file by the deleted rows, in small steps; return the number of released
    pages.

    A quarter of the file may stay free: new rows use that space, so the file does not grow. A file
    that was created without auto_vacuum cannot shrink; its free space is used again.

    Args:
        pause: Called between two steps, so that others can write; true ends the work.

    Raises:
        UNAVAILABLE: the database does not answer.
    """
    if not is_sqlite():
        return 0
    with connection.cursor() as cursor:

        def pragma(text: str) -> int:
            rows = cursor.execute(f"PRAGMA {text}").fetchall()
            return int(rows[0][0]) if rows else 0

        if pragma("auto_vacuum") != INCREMENTAL:
            return 0
        before = pragma("page_count")
        while (free := pragma("freelist_count")) > FREE_PAGES and free > pragma("page_count") // 4:
            pragma(f"incremental_vacuum({STEP_PAGES})")
            if pause():
                break
        # moves the content of the journal into the file, and truncates the file
        pragma("wal_checkpoint(PASSIVE)")
        return before - pragma("page_count")


def reserve_run_number(number: int) -> None:
    """Let later runs have larger numbers. SQLite does this itself; PostgreSQL's sequence does not
    notice a key that was given.

    Raises:
        UNAVAILABLE: the database does not answer.
    """
    if not is_sqlite():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT setval(name, %s) FROM (SELECT pg_get_serial_sequence('swf_monitor_run', "
                "'run_id')::regclass AS name) AS sequence "
                "WHERE coalesce(pg_sequence_last_value(name), 0) < %s",
                [number, number],
            )


def pending_migrations() -> list[str]:
    """The migrations that are not applied, as "app.name", in order. It changes nothing.

    Raises:
        UNAVAILABLE: the database does not answer.
    """
    # connecting to a SQLite file that does not exist would create it
    absent = is_sqlite() and not settings.SQLITE_FILE.exists()
    executor = MigrationExecutor(None if absent else connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _backwards in plan]
