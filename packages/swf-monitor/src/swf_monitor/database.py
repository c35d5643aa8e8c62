# SPDX-License-Identifier: GPL-3.0-or-later
"""How the database is: reachable or not and why, and which migrations it still needs."""

from django.conf import settings
from django.db import DataError, Error, IntegrityError, connection
from django.db.migrations.executor import MigrationExecutor

# What the database raises while it is away, locked, damaged, or without its tables. All of it can pass.
UNAVAILABLE = Error
# Except for these: the same row would be refused again. They are a kind of UNAVAILABLE: test for them first.
REFUSED = (DataError, IntegrityError)

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
