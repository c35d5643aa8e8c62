# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file with which one developer uses a shared testbed, and what the administrators of external
services have to do for it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ansible.errors import AnsibleError

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _stack
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._addresses import (
    is_loopback,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._issued_logins import (
    LOGIN,
    RESERVED,
)

HEAD = (
    "# The access of one developer to a shared testbed, written by make issue-credentials.\n"
    "# docs/how-to/own_agents.md of the collection describes its use.\n"
)
NAMESPACE = "swf_testbed_namespace"
TOKEN_COMMAND = """python manage.py shell -c '
    from getpass import getpass
    from django.contrib.auth import get_user_model
    from rest_framework.authtoken.models import Token
    user, _ = get_user_model().objects.get_or_create(username="%s")
    Token.objects.filter(user=user).delete()
    Token.objects.create(user=user, key=getpass("swf_testbed_api_token: "))'"""
REVOKE_COMMAND = """python manage.py shell -c '
    from django.contrib.auth import get_user_model
    get_user_model().objects.filter(username="%s").delete()'"""
PERMISSIONS = (
    "createNonDurableQueue",
    "deleteNonDurableQueue",
    "createDurableQueue",
    "deleteDurableQueue",
    "createAddress",
    "deleteAddress",
    "consume",
    "browse",
    "send",
)


class Lab:
    """The shared testbed, as the inventory of its operator describes it.

    :param hosts: the variables of all hosts of the play.
    """

    def __init__(self, hosts: Sequence[Values]) -> None:
        self.hosts, self.values = hosts, hosts[0]

    def has(self, role: str) -> bool:
        """Whether a host of the inventory runs a component of this role, or the service."""
        return bool(self.values.members(role)) or any(
            role in _stack.roles_here(values) for values in self.hosts
        )

    def refusal(self, login: str) -> str | None:
        """The reason why this name cannot be issued, or None."""
        if not LOGIN.fullmatch(login):
            return (
                "the login is not a usable name, and nothing was changed. Evidence: it is %r. Fix: "
                "use at most 32 lowercase letters, digits, _ and -, the first a letter: "
                "-e login=NAME" % login
            )
        users = [
            str(item["name"])
            for item in self.values.entries("swf_testbed_broker_users")
            if isinstance(item, dict) and "name" in item
        ]
        in_use = {*RESERVED, *users, self.values.text("swf_testbed_broker_user")}
        own = [self.values.text(name) for name in (NAMESPACE, "swf_testbed_instance")]
        if login in in_use or any(login == name.partition(".")[0] for name in own):
            return (
                "the login %s cannot be issued, and nothing was changed. Evidence: it is a user, or "
                "the namespace, of the testbed itself. Fix: choose another name" % login
            )
        return None

    def credentials(self, issued: Mapping[str, str]) -> dict[str, Any]:
        """The variables for the inventory of the developer.

        :raises AnsibleError: the CA cannot be read.
        """
        values = self.values
        found: dict[str, Any] = {
            "swf_testbed_broker_host": values.text("swf_testbed_broker_host"),
            "swf_testbed_broker_port": values.number("swf_testbed_broker_port"),
            "swf_testbed_broker_tls": values.truth("swf_testbed_broker_tls"),
            "swf_testbed_broker_user": issued["login"],
            "swf_testbed_broker_password": issued["password"],
            # the login may not use other names
            "swf_testbed_broker_probe_prefix": "swf.%s.probe." % issued["namespace"],
            "swf_testbed_monitor_url": values.text("swf_testbed_monitor_url"),
            "swf_testbed_api_token": issued["token"],
            NAMESPACE: issued["namespace"],
        }
        found.update(self._index())
        path = values.text("swf_testbed_ca_cert")
        if path:
            found["swf_testbed_ca_text"] = self._ca(os.path.expanduser(path))
        return found

    def _index(self) -> dict[str, Any]:
        """The access to the private index of the lab: that of a user who may only read."""
        readers = [
            item
            for item in self.values.entries("swf_testbed_package_index_users")
            if isinstance(item, dict) and item.get("rights") == ["read"]
        ]
        if not self.values.members("index") or not readers:
            return {}
        return {
            "swf_testbed_index_url": self.values.text("swf_testbed_index_url"),
            "swf_testbed_index_user": readers[0]["name"],
            "swf_testbed_index_token": readers[0]["token"],
        }

    def _ca(self, path: str) -> str:
        try:
            with open(path, encoding="utf-8") as stream:
                return stream.read()
        except (OSError, UnicodeDecodeError) as error:
            raise AnsibleError(
                "the CA of the testbed cannot be read. Evidence: %s: %s. Fix: run site.yml first, "
                "which makes the lab's own CA; or correct swf_testbed_ca_cert"
                % (path, getattr(error, "strerror", None) or type(error).__name__)
            ) from None

    def loopback(self) -> str:
        """A line for addresses that other machines cannot use, or ""."""
        url = self.values.text("swf_testbed_monitor_url")
        local = [
            host
            for host in (self.values.text("swf_testbed_broker_host"), urlsplit(url).hostname or "")
            if is_loopback(host)
        ]
        return (
            "The file is usable on this machine only: the testbed listens on %s." % local[0]
            if local
            else ""
        )

    def instructions(self, login: str, path: str) -> Iterator[str]:
        """The steps of the administrators of external services for a new login."""
        if not self.has("broker"):
            yield BROKER % {
                "host": self.values.text("swf_testbed_broker_host"),
                "login": login,
                "path": path,
                "settings": "\n".join(
                    security_setting(address % login, login)
                    for address in ("swf.%s.#", "/queue/swf.%s.#", "/topic/swf.%s.#")
                ),
            }
        if not self.has("monitor"):
            yield MONITOR % {
                "url": self.values.text("swf_testbed_monitor_url"),
                "path": path,
                "command": TOKEN_COMMAND % login,
            }

    def revocation(self, login: str) -> Iterator[str]:
        """The same for a revoked login."""
        if not self.has("broker"):
            yield (
                "The broker %s is external. Its administrator removes the line of %s from "
                "artemis-users.properties and artemis-roles.properties, and the security-settings "
                "with its role from broker.xml."
                % (self.values.text("swf_testbed_broker_host"), login)
            )
        if not self.has("monitor"):
            yield "The monitor %s is external. Its administrator runs:\n%s" % (
                self.values.text("swf_testbed_monitor_url"),
                REVOKE_COMMAND % login,
            )


BROKER = """The broker %(host)s is external. Its administrator adds:
  to artemis-users.properties:  %(login)s = (swf_testbed_broker_password of ansible-vault view %(path)s)
  to artemis-roles.properties:  %(login)s = %(login)s
  to security-settings of broker.xml, where the role of the testbed itself retains its rights:
%(settings)s"""
MONITOR = """The monitor %(url)s is external. Its administrator runs this command, and enters
swf_testbed_api_token of ansible-vault view %(path)s:
%(command)s"""


def security_setting(address: str, role: str) -> str:
    """The rights of a role, in broker.xml. The testbed's own role is part of it: the most specific
    setting replaces the others."""
    rights = "\n".join(
        '      <permission type="%s" roles="testbed,%s"/>' % (name, role) for name in PERMISSIONS
    )
    return '    <security-setting match="%s">\n%s\n    </security-setting>' % (address, rights)
