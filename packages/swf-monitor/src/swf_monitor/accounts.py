# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts of the people who read the pages. Service users, which have tokens, are no accounts."""

from typing import Any, TypedDict

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from swf_monitor.provision import API_USER
from swf_monitor.users_file import is_listed


class AccountError(ValueError):
    """The account cannot be created or deleted. The message is one line without a secret."""


class Outcome(TypedDict):
    """What a command has changed."""

    changed: bool
    user: str


def create_user(name: str, password: str) -> Outcome:
    """Create an account, or change its password. Either ends the logins of a former password.

    Raises:
        AccountError: the name or the password is not valid, or it is the name of a service user or
            of an account of SWF_MONITOR_USERS_FILE.
        swf_monitor.database.UNAVAILABLE: the database does not answer.
    """
    with transaction.atomic():
        user = get_user_model().objects.filter(username=name).first()
        if name == API_USER or (user and not user.has_usable_password()):
            raise AccountError(
                f"{name} is a service user. Evidence: it has a token and no password. "
                "Fix: use another name"
            )
        _refuse_listed(user)
        user = user or get_user_model()(username=name)
        if user.pk and user.check_password(password):
            return {"changed": False, "user": name}
        try:
            user.clean_fields(exclude=["password"])
            validate_password(password, user)
        except ValidationError as error:
            raise AccountError(" ".join(error.messages)) from None
        user.set_password(password)
        user.save()
    return {"changed": True, "user": name}


def delete_user(name: str) -> Outcome:
    """Delete an account, which ends its logins.

    Raises:
        AccountError: it is the name of a service user, or of an account of SWF_MONITOR_USERS_FILE.
        swf_monitor.database.UNAVAILABLE: the database does not answer.
    """
    user = get_user_model().objects.filter(username=name).first()
    if user is None:
        return {"changed": False, "user": name}
    if not user.has_usable_password():
        raise AccountError(
            f"{name} is a service user. Evidence: it has a token and no password. "
            "Fix: remove it from the issued logins"
        )
    _refuse_listed(user)
    user.delete()
    return {"changed": True, "user": name}


def _refuse_listed(user: Any) -> None:
    if settings.USERS_FILE and user and is_listed(user):
        raise AccountError(
            f"{user.get_username()} is an account of a file, which would undo the change. Evidence: "
            f"SWF_MONITOR_USERS_FILE is {settings.USERS_FILE}. Fix: change swf_testbed_monitor_users "
            "in the inventory"
        )
