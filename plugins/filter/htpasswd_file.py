# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.bnlnpps.swf_testbed.plugins.filter.htpasswd_entry import htpasswd_entry

RIGHTS = ("read", "upload")


def htpasswd_file(users):
    """The accounts of the package index: lines of htpasswd_entry with the rights behind them."""
    names = [user.get("name") for user in users]
    for name in names:
        if names.count(name) > 1:
            raise AnsibleFilterError("htpasswd_file: two users are called %s" % name)
    lines = []
    for user in users:
        rights = user.get("rights") or []
        if not rights or set(rights) - set(RIGHTS):
            raise AnsibleFilterError("htpasswd_file: the rights of %s must be a list with some of: %s" % (
                user.get("name"), ", ".join(RIGHTS)))
        lines.append("%s:%s\n" % (htpasswd_entry(user.get("token"), user.get("name")), ",".join(sorted(set(rights)))))
    return "".join(lines)


class FilterModule:
    def filters(self):
        return {"htpasswd_file": htpasswd_file}
