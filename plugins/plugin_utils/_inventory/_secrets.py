# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets and user names. No message contains the value of a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import quoting
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _variables
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

GENERATE = "openssl rand -hex 20"
#: secrets that may be empty
OPTIONAL = ("swf_testbed_release_git_token",)
#: list of accounts: key of the secret
ACCOUNTS = {
    "swf_testbed_broker_users": "password",
    "swf_testbed_package_index_users": "token",
    "swf_testbed_monitor_users": "password",
}
#: the list may be empty, and a password may be missing
OF_THE_MONITOR = "swf_testbed_monitor_users"
#: as the monitor has it, and the name of a file
MONITOR_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._+-]{0,149}")
SHORTEST_PASSWORD = 12
USERS = (
    "swf_testbed_index_user",
    "swf_testbed_broker_user",
    "swf_testbed_database_user",
    "swf_testbed_database_name",
)
LONGEST_NAME = 63


def wrong_secrets(values: Values) -> Iterator[Problem]:
    for name, option in sorted(_variables.options().items()):
        if option.get("no_log") and values.given(name):
            yield from of_secret(name, values.get(name))
    if values.given(LAB_CA) and values.get(LAB_CA):
        for part, *texts in problems_of_ca(values[LAB_CA]):
            yield Problem(LAB_CA + part, *texts)
    for name, key in ACCOUNTS.items():
        if values.given(name):
            yield from of_accounts(name, key, values)
    for where, item in values.given_items("swf_testbed_secret_files"):
        if isinstance(item, dict) and item.get("content") == "":
            yield Problem(
                where + ".content", "is empty", "it has no characters", "write the secret"
            )


def of_secret(name: str, secret: Any, purpose: str | None = None) -> Iterator[Problem]:
    """The problem of a secret.

    :param purpose: name of the variable with the same purpose, if it is not this one.
    """
    purpose = purpose or name
    if not isinstance(secret, str):
        # the check of types reports it
        return
    if not secret and name not in OPTIONAL:
        yield Problem(
            name,
            "is empty",
            "it has no characters",
            "remove the line, and a secret is generated; or generate one: " + GENERATE,
        )
    elif any(
        letter in "\n\r\0" or not (letter.isprintable() or letter == "\t") for letter in secret
    ):
        yield problem(
            name,
            HIDDEN,
            "contains a line break or a character that cannot be printed",
            'write it on one line. YAML adds a line break to a text after "name: |", and none after '
            '"name: |-"',
        )
    elif purpose.endswith("api_token") and not re.fullmatch("[0-9a-f]{40}", secret):
        yield Problem(
            name,
            "is not a token of the monitor",
            "it does not consist of 40 lowercase hexadecimal digits",
            "generate one: " + GENERATE,
        )
    elif purpose.endswith("index_token") and len(secret) < 32:
        yield Problem(
            name,
            "is too short",
            "it has %d characters and needs at least 32" % len(secret),
            "generate one: " + GENERATE,
        )
    elif purpose.endswith("index_token") and any(letter.isspace() for letter in secret):
        yield problem(name, HIDDEN, "contains a space", "generate one without spaces: " + GENERATE)


def of_accounts(name: str, key: str, values: Values) -> Iterator[Problem]:
    accounts = [item for item in values.entries(name) if isinstance(item, dict)]
    if values.get(name) == [] and name != OF_THE_MONITOR:
        yield problem(
            name, [], "lists no user, and no user could log in", "add a user, or remove the line"
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
                    "has characters that the files of the broker cannot contain",
                    "use letters, digits and _.@-",
                )
            if user in seen:
                yield problem(
                    where + "name", user, "is listed twice", "give each account a different name"
                )
            seen.add(user)
        yield from of_secret(
            where + key,
            account.get(key),
            purpose="index_token" if key == "token" else "broker_password",
        )
        if name == OF_THE_MONITOR:
            yield from of_monitor_user(where, user, account.get(key))
        if account.get("rights") == []:
            yield problem(where + "rights", [], "is empty", "write [read], or [read, upload]")
    if (
        name == "swf_testbed_package_index_users"
        and accounts
        and values.entries("swf_testbed_package_index_sources")
        and not any(has_right(account, "upload") for account in accounts)
    ):
        yield Problem(
            name,
            "lists no user with permission to publish swf_testbed_package_index_sources",
            "no account has the right upload",
            "add rights: [read, upload] to one of them",
        )


def of_monitor_user(where: str, user: Any, password: Any) -> Iterator[Problem]:
    if isinstance(user, str) and user and not MONITOR_USER.fullmatch(user):
        yield problem(
            where + "name",
            user,
            "has characters that a name of the monitor cannot contain",
            "use letters, digits and @._+-, with a letter or a digit at the beginning",
        )
    if isinstance(password, str) and 0 < len(password) < SHORTEST_PASSWORD:
        yield Problem(
            where + "password",
            "is too short",
            "it has %d characters and needs at least %d" % (len(password), SHORTEST_PASSWORD),
            "write a longer one, or remove the line, and one is generated",
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
                    "is not a name that the access rules of PostgreSQL can contain",
                    "use up to %d letters, digits and _" % LONGEST_NAME,
                )


def of_user(name: str, user: str) -> Iterator[Problem]:
    if not user:
        yield problem(name, user, "is empty", "write a name")
    elif ":" in user:
        yield problem(
            name,
            user,
            "contains a colon, which separates name and password in a login",
            "write a name without one",
        )
    elif any(letter.isspace() or not letter.isprintable() for letter in user):
        yield problem(
            name,
            user,
            "contains a space, a line break or a character that cannot be printed",
            "use letters, digits and _.@-",
        )
    else:
        try:
            quoting.environment({"USER": user})
        except ValueError as error:
            yield problem(
                name,
                user,
                "cannot be passed to a program: %s" % str(error).rpartition(": ")[2],
                "use letters, digits and _.@-",
            )
