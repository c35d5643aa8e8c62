# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.text import not_text

RIGHTS = ("read", "upload")
SALT_BYTES = 16


def _entry(token: Any, username: Any, salt_of: str) -> str:
    """The name and the hash of a user, in the {SSHA256} scheme: SHA-256 of the token and a salt,
    which follows it.

    An index verifies the password on every request, hundreds of times per installation. A slow hash
    protects short passwords against guessing; a long random token cannot be guessed, so a fast hash
    is sufficient. The salt follows from the host and the user, so that a second run does not change
    the file.
    """
    problem = not_text("the user name", username) or not_text("the token of %s" % username, token)
    if problem:
        raise AnsibleFilterError("htpasswd_file: " + problem)
    # readers end a name at the first colon, strip spaces at its ends, and treat a line that begins
    # with # as a comment
    if (
        not username
        or ":" in username
        or not username.isprintable()
        or username != username.strip()
        or username[0] == "#"
    ):
        raise AnsibleFilterError(
            "htpasswd_file: %r is not a valid user name. Fix: use printable "
            "characters without a colon" % username
        )
    if len(token) < 32:
        raise AnsibleFilterError(
            "htpasswd_file: the token is too short. Evidence: it has %d characters, and needs at "
            "least 32 random ones, because the index checks it on every request with a fast hash. "
            "Fix: create one with: openssl rand -hex 20" % len(token)
        )
    salt = hashlib.sha256(("%s:%s" % (salt_of, username)).encode()).digest()[:SALT_BYTES]
    digest = hashlib.sha256(token.encode() + salt).digest()
    return "%s:{SSHA256}%s" % (username, base64.b64encode(digest + salt).decode())


def htpasswd_file(users: list[Mapping[str, Any]], salt_of: str) -> str:
    """The accounts of the package index: a line per user, with the rights at its end.

    :param salt_of: what the salts are made from: the host of the index.
    """
    names = [user.get("name") for user in users]
    for name in names:
        if names.count(name) > 1:
            raise AnsibleFilterError(
                "htpasswd_file: two users have the name %s. Fix: rename one" % name
            )
    lines = []
    for user in users:
        rights = user.get("rights") or []
        if not rights or set(rights) - set(RIGHTS):
            raise AnsibleFilterError(
                "htpasswd_file: the rights of %s are invalid. Fix: set a list with some of: %s"
                % (user.get("name"), ", ".join(RIGHTS))
            )
        lines.append(
            "%s:%s\n"
            % (
                _entry(user.get("token"), user.get("name"), salt_of),
                ",".join(sorted(set(rights))),
            )
        )
    return "".join(lines)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"htpasswd_file": htpasswd_file}
