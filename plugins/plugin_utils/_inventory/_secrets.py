# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets and user names. No value of a secret is in a message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import quoting
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _known
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import (
    HIDDEN,
    Problem,
    problem,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._shared_ca import (
    VARIABLE as LAB_CA,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._shared_ca import (
    problems as problems_of_ca,
)

MAKE_ONE = "openssl rand -hex 20"
#: secrets of services that may be there without one
OPTIONAL = ("swf_testbed_release_git_token",)
#: list of accounts: (key of the secret, variable that uses it)
ACCOUNTS = {"swf_testbed_broker_users": "password", "swf_testbed_package_index_users": "token"}
USERS = (
    "swf_testbed_index_user",
    "swf_testbed_broker_user",
    "swf_testbed_database_user",
    "swf_testbed_database_name",
)
LONGEST_NAME = 63


def wrong_secrets(values: Values) -> Iterator[Problem]:
    for name, option in sorted(_known.options().items()):
        if option.get("no_log") and values.given(name):
            yield from of_secret(name, values.get(name))
    if values.given(LAB_CA) and values.get(LAB_CA):
        for part, *texts in problems_of_ca(values[LAB_CA]):
            yield Problem(LAB_CA + part, *texts)
    for name, key in ACCOUNTS.items():
        if values.given(name):
            yield from of_accounts(name, key, values)
    for place, item in enumerate(
        values.entries("swf_testbed_secret_files")
        if values.given("swf_testbed_secret_files")
        else ()
    ):
        if isinstance(item, dict) and item.get("content") == "":
            yield Problem(
                "swf_testbed_secret_files[%d].content" % place,
                "is empty",
                "it has no characters",
                "write the secret",
            )


def of_secret(name: str, secret: Any, kind: str | None = None) -> Iterator[Problem]:
    """What is wrong with a secret.

    :param kind: name of the variable that has the same use, if it is another one.
    """
    kind = kind or name
    if not isinstance(secret, str):
        # the check of types says so
        return
    if not secret and name not in OPTIONAL:
        yield Problem(
            name,
            "is empty",
            "it has no characters",
            "remove the line, and one is generated; or make one: " + MAKE_ONE,
        )
    elif any(
        letter in "\n\r\0" or not (letter.isprintable() or letter == "\t") for letter in secret
    ):
        yield problem(
            name,
            HIDDEN,
            "has an end of line or a character that cannot be printed",
            'write it on one line. After "name: |" YAML keeps the end of the line, and after '
            '"name: |-" it does not',
        )
    elif kind.endswith("api_token") and not re.fullmatch("[0-9a-f]{40}", secret):
        yield Problem(
            name,
            "is not a token of the monitor",
            "it does not have the form of 40 hexadecimal digits in lower case",
            "make one: " + MAKE_ONE,
        )
    elif kind.endswith("index_token") and len(secret) < 32:
        yield Problem(
            name,
            "is too short",
            "it has %d characters and needs at least 32" % len(secret),
            "make one: " + MAKE_ONE,
        )
    elif kind.endswith("index_token") and any(letter.isspace() for letter in secret):
        yield problem(name, HIDDEN, "has a space in it", "make one without: " + MAKE_ONE)
    elif "broker" in kind and secret.startswith("ENC("):
        # the login modules of ActiveMQ would take it for one that they have to decrypt
        yield problem(
            name, HIDDEN, "starts with ENC(, which stands for an encrypted one", "choose another"
        )


def of_accounts(name: str, key: str, values: Values) -> Iterator[Problem]:
    accounts = [item for item in values.entries(name) if isinstance(item, dict)]
    if values.get(name) == []:
        yield problem(
            name, [], "has no user, and nobody could come in", "add one, or remove the line"
        )
    seen = set()
    for place, account in enumerate(accounts):
        where, user = "%s[%d]." % (name, place), account.get("name")
        if isinstance(user, str):
            yield from of_user(where + "name", user)
            if (
                name == "swf_testbed_broker_users"
                and user
                and ":" not in user
                and not re.fullmatch(r"[A-Za-z0-9_.@-]+", user)
            ):
                yield problem(
                    where + "name",
                    user,
                    "has characters that the broker's files do not take",
                    "use letters, digits and _.@-",
                )
            if user in seen:
                yield problem(
                    where + "name", user, "is there twice", "give each account a name of its own"
                )
            seen.add(user)
        yield from of_secret(
            where + key,
            account.get(key),
            kind="index_token" if key == "token" else "broker_password",
        )
        if account.get("rights") == []:
            yield problem(where + "rights", [], "has none", "write [read], or [read, upload]")
    if (
        name == "swf_testbed_package_index_users"
        and accounts
        and values.entries("swf_testbed_package_index_sources")
        and not any(has_right(account, "upload") for account in accounts)
    ):
        yield Problem(
            name,
            "has nobody who may publish swf_testbed_package_index_sources",
            "no account has the right upload",
            "give one of them rights: [read, upload]",
        )


def has_right(account: dict[str, Any], right: str) -> bool:
    rights = account.get("rights")
    return isinstance(rights, list) and right in rights


def wrong_users(values: Values) -> Iterator[Problem]:
    for name in USERS:
        if values.given(name) and isinstance(values.get(name), str):
            yield from of_user(name, values[name])
            if "database" in name and (
                len(values[name].encode()) > LONGEST_NAME or '"' in values[name]
            ):
                yield problem(
                    name,
                    values[name],
                    "is no name that PostgreSQL can have in its access rules",
                    "use up to %d letters, digits and _" % LONGEST_NAME,
                )


def of_user(name: str, user: str) -> Iterator[Problem]:
    if not user:
        yield problem(name, user, "is empty", "write a name")
    elif ":" in user:
        yield problem(
            name,
            user,
            "has a colon, which separates name and password in a login",
            "write a name without one",
        )
    elif any(letter.isspace() or not letter.isprintable() for letter in user):
        yield problem(
            name,
            user,
            "has a space, an end of line or a character that cannot be printed",
            "use letters, digits and _.@-",
        )
    else:
        try:
            quoting.environment({"USER": user})
        except ValueError as error:
            yield problem(
                name,
                user,
                "cannot be given to a program: %s" % str(error).rpartition(": ")[2],
                "use letters, digits and _.@-",
            )
