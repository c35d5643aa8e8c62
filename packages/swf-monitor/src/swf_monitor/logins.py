# SPDX-License-Identifier: GPL-3.0-or-later
"""The issued logins: a file has their API tokens and namespaces, and each is a service user of its
own."""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction
from rest_framework.authtoken.models import Token
from swf_common_lib.namespace import RULE, valid_namespace

from swf_monitor.followed_file import FileError, FollowedFile, read_list
from swf_monitor.provision import API_USER

logger = logging.getLogger(__name__)

#: Its members are the users that this module makes and deletes.
GROUP = "issued logins"
#: Each of them is also a member of the group of its namespace.
NAMESPACE_GROUP = "namespace "
TOKEN = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Login:
    """An issued login: its API token, and the namespace that it may change."""

    token: str
    namespace: str


def read(path: Path) -> dict[str, Login]:
    """The logins of a file, by name.

    Raises:
        FileError: it cannot be read, or is not such a file.
    """
    found: dict[str, Login] = {}
    for number, given in enumerate(read_list(path)):
        name, token, namespace = (given.get(key) for key in ("login", "token", "namespace"))
        if not (isinstance(name, str) and name and isinstance(token, str)):
            raise FileError(f"item {number} of {path} needs login and token, each a text")
        if not TOKEN.fullmatch(token):
            raise FileError(f"the token of {name} in {path} must be 40 hexadecimal characters")
        if not (isinstance(namespace, str) and valid_namespace(namespace)):
            raise FileError(f"the namespace of {name} in {path} must be {RULE}")
        if name == API_USER or name in found:
            raise FileError(f"{path} has the login {name}, which exists already")
        found[name] = Login(token, namespace)
    if len({login.token for login in found.values()}) < len(found):
        raise FileError(f"{path} has one token twice")
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


#: A JSON list of objects with login, token and namespace.
issued: FollowedFile[dict[str, Login]] = FollowedFile(
    settings.LOGINS_FILE, "issued logins", read, apply, {}
)
