# SPDX-License-Identifier: GPL-3.0-or-later
"""The logins of the broker: the one of the testbed, which may use every address, and those of a
file, each of which may use the addresses of its namespace."""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from swf_broker.routing import QUEUE_PREFIX, TOPIC_PREFIX

log = logging.getLogger(__name__)

_FIELDS = ("login", "password", "namespace")


class LoginsError(ValueError):
    """The file with the logins cannot be used. The message is one line without a secret."""


@dataclass(frozen=True)
class Login:
    """A user name with its password and its rights.

    :ivar namespace: of the addresses that it may use, which begin with `swf.NAMESPACE.`; None: of
        all
    """

    name: str
    password: str = field(repr=False)
    namespace: str | None = None

    def may_use(self, address: str) -> bool:
        if self.namespace is None:
            return True
        prefix = next((p for p in (QUEUE_PREFIX, TOPIC_PREFIX) if address.startswith(p)), "")
        return address.startswith(f"{prefix}swf.{self.namespace}.")

    def matches(self, user: str, password: str) -> bool:
        # Both are compared in constant time, so the time of a refusal reveals nothing.
        same_user = hmac.compare_digest(user.encode(), self.name.encode())
        return hmac.compare_digest(password.encode(), self.password.encode()) and same_user


class Logins:
    """The logins, which change with their file while the broker runs.

    :param own: the login of the testbed
    :param path: of the file with further logins, which need not exist
    """

    def __init__(self, own: Login, path: Path | None) -> None:
        self._own, self._path = own, path
        self._of_file: tuple[Login, ...] = ()
        self._version: tuple[int, int, int] | None = None
        self.refresh()

    def find(self, user: str, password: str) -> Login | None:
        """The login with this name and password, as the file is now."""
        self.refresh()
        found = [login for login in (self._own, *self._of_file) if login.matches(user, password)]
        return found[0] if found else None

    def __contains__(self, login: object) -> bool:
        return login == self._own or login in self._of_file

    def refresh(self) -> bool:
        """Read the file if it has changed; return whether it has. A file that cannot be used leaves
        the former logins as they are."""
        if self._path is None:
            return False
        version = _version(self._path)
        if version == self._version:
            return False
        self._version = version
        try:
            self._of_file = tuple(read(self._path, self._own.name)) if version else ()
        except LoginsError as error:
            log.error("the logins did not change: %s", error)
            return False
        log.info("logins read", extra={"logins": [login.name for login in self._of_file]})
        return True


def _version(path: Path) -> tuple[int, int, int] | None:
    """A value that differs for each content of a file that is replaced; None without a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def read(path: Path, own: str) -> Sequence[Login]:
    """The logins of a file: a JSON list of objects with login, password and namespace.

    :param own: the name of the login of the testbed, which the file must not contain
    """
    try:
        items = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LoginsError(f"cannot read {path}: {error.strerror}") from None
    except ValueError:  # includes wrong UTF-8
        raise LoginsError(f"{path} is not JSON") from None
    if not isinstance(items, list):
        raise LoginsError(f"{path} is not a list")
    found: dict[str, Login] = {}
    for number, item in enumerate(items):
        given = [item.get(name) for name in _FIELDS] if isinstance(item, dict) else []
        values = [value for value in given if isinstance(value, str) and value]
        if len(values) != len(_FIELDS):
            raise LoginsError(f"item {number} of {path} needs {', '.join(_FIELDS)}, each a text")
        login = Login(*values)
        if login.name == own or login.name in found:
            raise LoginsError(f"{path} has the login {login.name}, which exists already")
        found[login.name] = login
    return tuple(found.values())
