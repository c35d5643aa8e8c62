# SPDX-License-Identifier: GPL-3.0-or-later
"""The issued logins: a file has their API tokens, and each is a service user of its own."""

import json
import logging
import re
import threading
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction
from rest_framework.authtoken.models import Token

from swf_monitor.provision import API_USER

logger = logging.getLogger(__name__)

#: Its members are the users that this module makes and deletes.
GROUP = "issued logins"
TOKEN = re.compile(r"[0-9a-f]{40}")


class LoginsError(ValueError):
    """The file with the logins cannot be used. The message is one line without a secret."""


class Issued:
    """The users of the issued logins, which follow a file while the monitor serves.

    Args:
        path: The file, a JSON list of objects with login and token; None for no file.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._applied: tuple[int, int, int] | None = (0, 0, 0)
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Make the users those of the file, if it has changed. A file that cannot be used changes
        nothing.

        Raises:
            swf_monitor.database.UNAVAILABLE: the database does not answer. The next call repeats it.
        """
        if self._path is None or _version(self._path) == self._applied:
            return
        with self._lock:
            version = _version(self._path)
            if version == self._applied:
                return
            try:
                tokens = read(self._path) if version else {}
            except LoginsError as error:
                logger.error("the issued logins stay as they were: %s", error)
            else:
                apply(tokens)
            self._applied = version


def _version(path: Path) -> tuple[int, int, int] | None:
    """A value that differs for each content of a file that is replaced; None without a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def read(path: Path) -> dict[str, str]:
    """{login: token} of a file.

    Raises:
        LoginsError: it cannot be read, or is not such a file.
    """
    try:
        items = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LoginsError(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise LoginsError(f"{path} is not JSON") from None
    if not isinstance(items, list):
        raise LoginsError(f"{path} is not a list")
    found: dict[str, str] = {}
    for number, item in enumerate(items):
        login, token = (
            (item.get("login"), item.get("token")) if isinstance(item, dict) else ("", "")
        )
        if not isinstance(login, str) or not login or not isinstance(token, str):
            raise LoginsError(f"item {number} of {path} needs login and token, each a text")
        if not TOKEN.fullmatch(token):
            raise LoginsError(f"the token of {login} in {path} must be 40 hexadecimal characters")
        if login == API_USER or login in found:
            raise LoginsError(f"{path} has the login {login}, which exists already")
        found[login] = token
    if len(set(found.values())) < len(found):
        raise LoginsError(f"{path} has one token twice")
    return found


def apply(tokens: dict[str, str]) -> None:
    """Make these the only issued logins, each with one token. Users that were made otherwise stay
    as they are."""
    user_model = get_user_model()
    with transaction.atomic():
        group, _created = Group.objects.get_or_create(name=GROUP)
        removed = user_model.objects.filter(groups=group).exclude(username__in=tokens)
        for user in removed:
            logger.info("login revoked", extra={"login": user.get_username()})
        # with their tokens
        removed.delete()
        for login, token in tokens.items():
            user, created = user_model.objects.get_or_create(username=login)
            if created:
                user.set_unusable_password()
                user.save()
                user.groups.add(group)
            elif not user.groups.filter(pk=group.pk).exists():
                logger.error("there is another user of this name", extra={"login": login})
                continue
            if not Token.objects.filter(user=user, key=token).exists():
                Token.objects.filter(user=user).delete()
                Token.objects.create(user=user, key=token)
                logger.info("login issued", extra={"login": login})


issued = Issued(settings.LOGINS_FILE)
