# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The secrets that this controller has for a host: from the inventory, or else from
swf_testbed_controller_dir.

Reading them generates no secret.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from typing import Any

from ansible.errors import AnsibleError

try:
    from cryptography import x509
except ImportError:
    # ansible-core depends on it; only ansible-test imports plugins without
    pass

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._certificates import public_bytes
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _variables
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._issued_logins import IssuedLogins
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._lab_ca import read

#: secrets that are text, each in the variable swf_testbed_NAME
TEXTS = (
    "index_token",
    "broker_password",
    "database_password",
    "redis_password",
    "monitor_secret_key",
    "api_token",
)
#: the key of their digests, in swf_testbed_digest_key
DIGEST_KEY = "digest_key"
#: the logins of developers, in swf_testbed_issued_logins. The secret of one is login-NAME
LOGINS = "issued_logins"
LOGIN = "login-"
#: the accounts of the monitor, in swf_testbed_monitor_users. The password of one is
#: monitor-user-NAME
USERS = "monitor_users"
USER = "monitor-user-"
#: CAs, which are identified by their public keys: {name: variable with the path of their file}
AUTHORITIES = {"ca": "swf_testbed_ca_cert", "index_ca": "swf_testbed_index_ca_cert"}
#: certificate and key of a service, issued by the lab CA: tls-SERVICE, the name of the file without
#: .pem
ISSUED = "tls-"
CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)


class HeldSecrets:
    """The secrets for one host.

    :param task_vars: of a task on the host.
    :param templar: of an action plugin.
    """

    def __init__(self, task_vars: dict[str, Any], templar: Any) -> None:
        values = Values(task_vars, templar)
        self.variable, self.is_set = values.get, values.is_set

    @property
    def directory(self) -> str:
        return os.path.expanduser(str(self.variable("swf_testbed_controller_dir")))

    def get(self, name: str) -> str | None:
        """A secret, or for a CA its public keys, as text; None if this controller does not have
        it.

        :raises AnsibleError: its file exists and cannot be read.
        """
        if name in (*TEXTS, DIGEST_KEY):
            found = self.variable("swf_testbed_" + name)
            return (
                found
                if isinstance(found, str) and found not in ("", _variables.GENERATED_LATER)
                else None
            )
        if name.startswith(LOGIN):
            login = self._logins().get(name[len(LOGIN) :])
            return json.dumps(login, sort_keys=True) if login else None
        if name.startswith(USER):
            return self._password(name[len(USER) :])
        if name in AUTHORITIES:
            path = self.variable(AUTHORITIES[name])
            return public_keys(text_of(os.path.expanduser(path))) if path else None
        return text_of(os.path.join(self.directory, "secrets", name + ".pem"))

    def _logins(self) -> dict[str, Any]:
        found = self.variable("swf_testbed_" + LOGINS)
        return {item["login"]: item for item in found} if isinstance(found, list) else {}

    def expanded(self, names: Iterable[str]) -> list[str]:
        """The names of secrets, with those of the single logins and accounts instead of the
        lists."""
        lists = {
            LOGINS: [LOGIN + name for name in self._logins()],
            USERS: [USER + name for name in self._users()],
        }
        return [item for name in names for item in lists.get(name, [name])]

    def _users(self) -> dict[str, Any]:
        found = self.variable("swf_testbed_" + USERS)
        return {item["name"]: item for item in found} if isinstance(found, list) else {}

    def _password(self, name: str) -> str | None:
        """The password of an account, given or generated; None if there is no such account."""
        user = self._users().get(name)
        if user is None or user.get("password") is not None:
            return user and str(user["password"])
        found = text_of(os.path.join(self.directory, "secrets", password_file(name)))
        return found and found.strip()

    def lost(self, name: str) -> bool:
        """Whether this controller would remove a login that it has not revoked, or generate another
        password for an account. A list in the inventory is all that there is of logins."""
        if name.startswith(USER):
            return name[len(USER) :] in self._users() and not self.get(name)
        if not name.startswith(LOGIN) or self.get(name) or self.is_set("swf_testbed_" + LOGINS):
            return False
        return IssuedLogins(self.directory).revoked(name[len(LOGIN) :]) is None


def password_file(name: str) -> str:
    """The name of the file with the generated password of an account of the monitor."""
    return "monitor_user_" + name


def label(name: str) -> str:
    """The name of a secret in messages."""
    if name.startswith(USER):
        return "the password of %s in swf_testbed_monitor_users" % name[len(USER) :]
    if name.startswith(LOGIN):
        return "the login %s of swf_testbed_issued_logins" % name[len(LOGIN) :]
    if name in AUTHORITIES:
        return "the CA in " + AUTHORITIES[name]
    return (
        "the certificate of " + name[len(ISSUED) :]
        if name.startswith(ISSUED)
        else "swf_testbed_" + name
    )


def text_of(path: str) -> str | None:
    try:
        return read(path)
    except OSError as error:
        raise AnsibleError(
            "cannot read %s on the controller. Evidence: %s. Fix: give this login read permission"
            % (path, error.strerror)
        ) from None


def public_keys(text: str | None) -> str | None:
    """The public keys of certificates in PEM, which do not change when they are renewed; None if
    there is none."""
    try:
        return (
            "\n".join(
                sorted(
                    public_bytes(x509.load_pem_x509_certificate(part.encode())).hex()
                    for part in CERTIFICATE.findall(text or "")
                )
            )
            or None
        )
    except ValueError:
        return None
