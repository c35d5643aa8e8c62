# SPDX-License-Identifier: GPL-3.0-or-later
"""`swf-monitor setup`: the tables, and the API user, whose token the agents have."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypedDict

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from rest_framework.authtoken.models import Token
from swf_common_lib.exclusive import LockHeld, exclusive

from swf_monitor.database import is_sqlite, pending_migrations

API_USER = "swf-api"
# Any number, as long as all monitors use the same one.
ADVISORY_LOCK = 0x5357_464D
HOLDER = """SELECT pid, usename, client_addr, date_trunc('second', backend_start)
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND classid = %s AND objid = %s"""
# Seconds to wait for another setup; migrations of a large database take minutes.
PATIENCE = 600
POLL_SECONDS = 0.2


class Outcome(TypedDict):
    """The changes that setup made, or with `check` would make."""

    changed: bool
    migrations: list[str]


def set_up(token: str, *, check: bool = False) -> Outcome:
    """Bring the database to the state that this version needs.

    Args:
        token: The API token, 40 hexadecimal digits. It replaces a former one.
        check: Change nothing; only report the changes.

    Raises:
        OSError: SQLite's directory cannot be made or written.
        swf_common_lib.exclusive.LockHeld: another setup does not end.
        swf_monitor.database.UNAVAILABLE: the database does not answer.
    """
    if check:
        migrations = pending_migrations()
        return {"changed": bool(migrations) or not _has_token(token), "migrations": migrations}
    with _exclusive_setup():
        migrations = pending_migrations()
        if migrations:
            call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
        return {"changed": _set_token(token) or bool(migrations), "migrations": migrations}


@contextmanager
def _exclusive_setup() -> Iterator[None]:
    """Let one setup run at a time, of all processes on all hosts."""
    if not is_sqlite():
        with connection.cursor() as cursor:
            _take_advisory_lock(cursor)
            try:
                yield
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [ADVISORY_LOCK])
        return
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
    with exclusive(str(settings.DATA_DIR / ".setup.lock"), PATIENCE):
        # The file holds the API token. SQLite gives its -wal and -shm files the same mode.
        os.close(os.open(settings.SQLITE_FILE, os.O_CREAT | os.O_RDWR, 0o600))
        with connection.cursor() as cursor:
            # takes effect only in a new, empty file
            cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")
            cursor.execute("PRAGMA journal_mode=WAL")
        yield


def _take_advisory_lock(cursor: CursorWrapper) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [ADVISORY_LOCK])
        if cursor.fetchone()[0]:
            return
        if time.monotonic() > deadline:
            cursor.execute(HOLDER, [ADVISORY_LOCK >> 32, ADVISORY_LOCK & 0xFFFF_FFFF])
            pid, user, host, since = cursor.fetchone() or ("unknown", "unknown", None, "unknown")
            raise LockHeld(
                f"another setup of this database (server process {pid}, user {user}, "
                f"from {host or 'its own host'}, since {since}) has not ended within {PATIENCE} s. "
                f"Wait for it; if it hangs, terminate it: SELECT pg_terminate_backend({pid})"
            )
        time.sleep(POLL_SECONDS)


def _has_token(token: str) -> bool:
    return Token.objects.filter(key=token, user__username=API_USER, user__is_active=True).exists()


def _set_token(token: str) -> bool:
    """Make `token` the only one of the API user; return whether that changed anything."""
    if _has_token(token):
        return False
    with transaction.atomic():
        user, _created = get_user_model().objects.get_or_create(username=API_USER)
        user.is_active = True
        user.set_unusable_password()
        user.save()
        # The key is the primary key, so a new token is a new row.
        Token.objects.filter(user=user).delete()
        Token.objects.create(user=user, key=token)
    return True
