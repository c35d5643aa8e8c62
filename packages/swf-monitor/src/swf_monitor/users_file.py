# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts of the file SWF_MONITOR_USERS_FILE, which has hashes of their passwords."""

import logging
import re
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.hashers import check_password
from django.db import transaction
from django.http import HttpRequest

from swf_monitor.followed_file import FileError, FollowedFile, read_list

logger = logging.getLogger(__name__)

#: Begins the password of an account of the file. Django would replace the hash at a login, for it
#: has its own number of iterations, and so end all logins of the account.
LISTED = "listed$"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._+-]{0,149}")
HASH = re.compile(r"pbkdf2_sha256\$[0-9]{6,8}\$[A-Za-z0-9]{8,40}\$[A-Za-z0-9+/]{43}=")


def read(path: Path) -> dict[str, str]:
    """The hash of the password of each account.

    Raises:
        FileError: the file cannot be used.
    """
    found: dict[str, str] = {}
    for number, item in enumerate(read_list(path)):
        name, hashed = item.get("name"), item.get("hash")
        if not (isinstance(name, str) and NAME.fullmatch(name)):
            raise FileError(f"item {number} of {path} needs a name of letters, digits and @._+-")
        if not (isinstance(hashed, str) and HASH.fullmatch(hashed)):
            raise FileError(f"the hash of {name} in {path} is not one of pbkdf2_sha256")
        if name in found:
            raise FileError(f"{path} has the name {name} twice")
        found[name] = hashed
    return found


def apply(hashes: dict[str, str]) -> None:
    """Make these the accounts of the file. An account of `swf-monitor createuser` with the same name
    becomes one of them; a service user does not. A new hash ends the logins."""
    users = get_user_model().objects
    with transaction.atomic():
        for user in users.filter(password__startswith=LISTED).exclude(username__in=hashes):
            logger.info("account deleted", extra={"user": user.get_username()})
            user.delete()
        for name, hashed in hashes.items():
            user = users.filter(username=name).first() or get_user_model()(username=name)
            if user.pk and not user.has_usable_password():
                logger.error("there is a service user of this name", extra={"user": name})
            elif user.password != LISTED + hashed:
                user.password = LISTED + hashed
                user.save()
                logger.info("account changed", extra={"user": name})


def is_listed(user: Any) -> bool:
    """Whether an account is one of the file."""
    return str(user.password).startswith(LISTED)


class Backend(ModelBackend):
    """Logs in the accounts of the file."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """The account with this name and password; None if there is none."""
        user = get_user_model().objects.filter(username=username, is_active=True).first()
        if user is None or password is None or not is_listed(user):
            return None
        return user if check_password(password, user.password.removeprefix(LISTED)) else None


#: A JSON list of objects with name and hash.
accounts_of_file: FollowedFile[dict[str, str]] = FollowedFile(
    settings.USERS_FILE, "accounts", read, apply, {}
)
