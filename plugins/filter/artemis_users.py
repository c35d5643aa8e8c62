# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The users of Artemis with hashed passwords."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.text import not_text

NAME = re.compile(r"[A-Za-z0-9_.@-]+")
# Artemis checks the password of each connection again every few seconds: 20,000 rounds take about
# 10 ms
ITERATIONS = 20000
# one block of the hash
LENGTH = 20


def artemis_users(users: Iterable[Mapping[str, Any]], key: Any) -> str:
    """Lines of the form name=ENC(iterations:salt:hash).

    The salt depends on a secret key and the name, so that a second run writes the same text.
    """
    if not isinstance(key, str) or not key:
        raise AnsibleFilterError("artemis_users: the key must be a text that is not empty")
    lines = []
    for user in users:
        name, password = user.get("name"), user.get("password")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise AnsibleFilterError(
                "artemis_users: %r is not a valid user name. Fix: use letters, digits and _.@-"
                % (name,)
            )
        problem = not_text("the password of %s" % name, password)
        if problem:
            raise AnsibleFilterError("artemis_users: " + problem)
        salt = hmac.new(key.encode(), b"broker:" + name.encode(), "sha256").digest()[:16]
        digest = hashlib.pbkdf2_hmac("sha1", str(password).encode(), salt, ITERATIONS, LENGTH)
        lines.append("%s=ENC(%d:%s:%s)\n" % (name, ITERATIONS, salt.hex(), digest.hex()))
    return "".join(lines)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"artemis_users": artemis_users}
