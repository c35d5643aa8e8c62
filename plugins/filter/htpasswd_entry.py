# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import hashlib

from ansible.errors import AnsibleFilterError

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.text import not_text


def htpasswd_entry(token, username):
    """A line of an htpasswd file in the {SHA} scheme."""
    problem = not_text("the user name", username) or not_text("the token of %s" % username, token)
    if problem:
        raise AnsibleFilterError("htpasswd_entry: " + problem)
    # readers end a name at the first colon, drop spaces at its ends, and take a line that begins with # for a comment
    if not username or ":" in username or not username.isprintable() or username != username.strip() or username[0] == "#":
        raise AnsibleFilterError("htpasswd_entry: %r cannot be a user name" % username)
    if len(token) < 32:
        raise AnsibleFilterError(
            "htpasswd_entry: the token has %d characters and needs at least 32 random ones, because the index checks it on "
            "every request and so with a fast hash. Make one with: openssl rand -hex 20" % len(token))
    digest = base64.b64encode(hashlib.sha1(token.encode()).digest()).decode()
    return "%s:{SHA}%s" % (username, digest)


class FilterModule:
    def filters(self):
        return {"htpasswd_entry": htpasswd_entry}
