# SPDX-License-Identifier: GPL-3.0-or-later
"""How the database is: reachable or not and why, and which migrations it still needs."""

import errno
import os
from collections.abc import Callable

from django.conf import settings
from django.db import DataError, Error, IntegrityError, connection
from django.db.migrations.executor import MigrationExecutor

# What the database raises while it is away, locked, damaged, or without its tables. All of it can
# pass.
UNAVAILABLE = Error
# Except for these: the same row would be refused again. They are a kind of UNAVAILABLE: test for
# them first.
REFUSED = (DataError, IntegrityError)

# What `PRAGMA auto_vacuum` says of a file that can be made smaller in steps.
INCREMENTAL = 2
# Pages (4 KiB) that one step gives back, and that are not worth it.
STEP_PAGES = 500
FREE_PAGES = 1000

NOT_SET_UP = "the database is not set up: run 'swf-monitor setup'"


def explain(error: Exception) -> str:
    """The cause in one line. Drivers put addresses and user names into it, never the password."""
    text = " ".join(str(error).split())
    if "no such table" in text or ("relation" in text and "does not exist" in text):
        return NOT_SET_UP
    if "unable to open database file" in text:
        return f"{NOT_SET_UP} (there is no readable {settings.SQLITE_FILE.name} in {settings.DATA_DIR})"
    return text[:300]


def is_sqlite() -> bool:
    return connection.vendor == "sqlite"


def write_problem() -> str:
    """Why SQLite's directory cannot be written, or "": to read works where a disk is full or
    read-only."""
    if not is_sqlite():
        return ""
    try:
        # A file without a name: nothing is left of it.
        handle = os.open(settings.DATA_DIR, os.O_TMPFILE | os.O_WRONLY, 0o600)
        try:
            os.write(handle, bytes(4096))
        finally:
            os.close(handle)
    except OSError as error:
        # Not every file system has such files.
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            return ""
        return f"nothing can be written in {settings.DATA_DIR}: {error.strerror}"
    return ""


def give_space_back(pause: Callable[[], bool]) -> int:
    """Make SQLite's file smaller by what was deleted, in small steps; returns how many pages went.

    A quarter of the file may be free: new rows take that place, without the file growing. A file
    that was made without auto_vacuum cannot be made smaller this way; its free space is used again.

    Args:
        pause: Called between two steps, so that others can write; ends it by returning true.

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
        # what was written goes from the journal into the file, which is cut to its size by that
        pragma("wal_checkpoint(PASSIVE)")
        return before - pragma("page_count")


def pending_migrations() -> list[str]:
    """The migrations that are not applied, as "app.name", in their order. Changes nothing.

    Raises:
        UNAVAILABLE: the database does not answer.
    """
    # To connect to a SQLite file that does not exist would make it.
    absent = is_sqlite() and not settings.SQLITE_FILE.exists()
    executor = MigrationExecutor(None if absent else connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _backwards in plan]
