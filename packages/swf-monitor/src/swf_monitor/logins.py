# SPDX-License-Identifier: GPL-3.0-or-later
"""The issued logins: a file has their API tokens and namespaces, and each is a service user of its
own."""

import json
import logging
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction
from rest_framework.authtoken.models import Token
from swf_common_lib.namespace import RULE, valid_namespace

from swf_monitor.provision import API_USER

logger = logging.getLogger(__name__)

#: Its members are the users that this module makes and deletes.
GROUP = "issued logins"
#: Each of them is also a member of the group of its namespace.
NAMESPACE_GROUP = "namespace "
TOKEN = re.compile(r"[0-9a-f]{40}")


class LoginsError(ValueError):
    """The file with the logins cannot be used. The message is one line without a secret."""


@dataclass(frozen=True)
class Login:
    """An issued login: its API token, and the namespace that it may change."""

    token: str
    namespace: str


class Issued:
    """The users of the issued logins, which follow a file while the monitor serves.

    Args:
        path: The file, a JSON list of objects with login, token and namespace; None for no file.
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
                logins = read(self._path) if version else {}
            except LoginsError as error:
                logger.error("the issued logins did not change: %s", error)
            else:
                apply(logins)
            self._applied = version


def _version(path: Path) -> tuple[int, int, int] | None:
    """A value that differs for each content of a file that is replaced; None without a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def read(path: Path) -> dict[str, Login]:
    """The logins of a file, by name.

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
    found: dict[str, Login] = {}
    for number, item in enumerate(items):
        given = item if isinstance(item, dict) else {}
        name, token, namespace = (given.get(key) for key in ("login", "token", "namespace"))
        if not (isinstance(name, str) and name and isinstance(token, str)):
            raise LoginsError(f"item {number} of {path} needs login and token, each a text")
        if not TOKEN.fullmatch(token):
            raise LoginsError(f"the token of {name} in {path} must be 40 hexadecimal characters")
        if not (isinstance(namespace, str) and valid_namespace(namespace)):
            raise LoginsError(f"the namespace of {name} in {path} must be {RULE}")
        if name == API_USER or name in found:
            raise LoginsError(f"{path} has the login {name}, which exists already")
        found[name] = Login(token, namespace)
    if len({login.token for login in found.values()}) < len(found):
        raise LoginsError(f"{path} has one token twice")
    return found


def apply(logins: dict[str, Login]) -> None:
    """Make these the only issued logins, each with one token and one namespace. Users that were made
    otherwise stay as they are."""
    user_model = get_user_model()
    with transaction.atomic():
        group, _created = Group.objects.get_or_create(name=GROUP)
        removed = user_model.objects.filter(groups=group).exclude(username__in=logins)
        for user in removed:
            logger.info("login revoked", extra={"login": user.get_username()})
        # with their tokens
        removed.delete()
        for name, login in logins.items():
            user, created = user_model.objects.get_or_create(username=name)
            if created:
                user.set_unusable_password()
                user.save()
            elif not user.groups.filter(pk=group.pk).exists():
                logger.error("there is another user of this name", extra={"login": name})
                continue
            own, _created = Group.objects.get_or_create(name=NAMESPACE_GROUP + login.namespace)
            user.groups.set([group, own])
            if not Token.objects.filter(user=user, key=login.token).exists():
                Token.objects.filter(user=user).delete()
                Token.objects.create(user=user, key=login.token)
                logger.info("login issued", extra={"login": name})
        Group.objects.filter(name__startswith=NAMESPACE_GROUP, user=None).delete()


def namespace_of(user: Any) -> str | None:
    """The namespace that an issued login may change, "" for none; None for any other user, who may
    change all namespaces."""
    if user.get_username() == API_USER:
        return None
    groups = set(user.groups.values_list("name", flat=True))
    if GROUP not in groups:
        return None
    own = [name for name in groups if name.startswith(NAMESPACE_GROUP)]
    return own[0].removeprefix(NAMESPACE_GROUP) if own else ""


issued = Issued(settings.LOGINS_FILE)
