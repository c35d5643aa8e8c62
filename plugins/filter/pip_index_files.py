# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from urllib.parse import urlsplit

from ansible.errors import AnsibleFilterError

HEADING = "# Written by bnlnpps.swf_testbed; changes made here are overwritten.\n"


def check(index):
    """Refuse what would put a credential where others can read it, or break a file."""
    name, url = index["name"], index.get("url")
    if not url:
        if index.get("username") or index.get("token"):
            raise AnsibleFilterError("pip_indexes: %s has credentials and no url to send them to" % name)
        return
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise AnsibleFilterError(
            "pip_indexes: the url of %s has credentials in it, and URLs end up in logs. Put them into username and token." % name)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AnsibleFilterError("pip_indexes: %r is not an http or https URL for the index %s" % (url, name))
    if bool(index.get("username")) != bool(index.get("token")):
        raise AnsibleFilterError("pip_indexes: %s needs both username and token, or neither" % name)
    for key in ("username", "token"):
        if any(letter.isspace() for letter in index.get(key) or ""):
            raise AnsibleFilterError("pip_indexes: the %s of %s has a space or an end of line in it" % (key, name))


def pip_index_files(indexes, config_dir):
    """The files of the role pip_index, as config_files takes them."""
    logins = {}
    files = []
    for index in indexes:
        check(index)
        if not index.get("url"):
            continue
        host = urlsplit(index["url"]).hostname
        if index.get("username"):
            login = (index["username"], index["token"])
            if logins.setdefault(host, login) != login:
                raise AnsibleFilterError(
                    "pip_indexes: two indexes on %s have different credentials, and netrc knows one login per host" % host)
        files.append({
            "dest": "%s/pip/%s.conf" % (config_dir, index["name"]), "mode": "0644",
            # one index and no other: a name resolves here or nowhere
            "content": HEADING + "[global]\nno-input = true\nindex-url = %s\nextra-index-url = %s\n" % (
                index["url"], index["url"]),
        })
    entries = "".join("machine %s login %s password %s\n" % (host, *login) for host, login in sorted(logins.items()))
    return files + [{"dest": config_dir + "/netrc", "content": HEADING + entries, "secret": True}]


class FilterModule:
    def filters(self):
        return {"pip_index_files": pip_index_files}
