#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pip_upstream
short_description: Note which index the pip of a host is set up for
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Asks pip (C(pip config list), so its files and the environment of the task) for its index, its
    proxy and its certificates, takes the login from the URL or the netrc file, and writes all of it
    as JSON to a file that only its owner can read.
  - The role P(bnlnpps.swf_testbed.package_index#role) makes its mirror ask there. pip that is set
    up for nothing asks PyPI.
  - A login never leaves the host, it is in no result.
options:
  dest:
    description: Path of the file. Its directory must exist.
    type: path
    required: true
  python:
    description: A Python that has pip. Others of the host are tried after it.
    type: path
  group:
    description: A group that may read the file too. Empty for none.
    type: str
    default: ""
  own_url:
    description:
      - Address of the index that the mirror is part of. A mirror of itself is refused.
      - Where pip was set up for this index after a run, what that run noted is kept.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: Says whether the file would change.
  diff_mode:
    support: full
    description: Shows the address, and of the rest only that it changed.
"""

EXAMPLES = r"""
- name: Note the upstream of the mirror
  bnlnpps.swf_testbed.pip_upstream:
    dest: /home/index/.config/swf-index/upstream.json
    own_url: https://index.example.org:8004
"""

RETURN = r"""
url:
  description: The index, without a login.
  returned: success
  type: str
  sample: https://mirror.example.org/simple/
version:
  description: Changes whenever the file is written. It is not made from what is in the file, which
    may be a password.
  returned: success
  type: str
  sample: "1790000000123456789"
"""

import grp
import json
import os
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import replacing
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.pip_upstream import (
    NoPip,
    upstream_of_pip,
)

PORTS = {"http": 80, "https": 443}


def place(url):
    parts = urlsplit(url)
    return parts.hostname, parts.port or PORTS.get(parts.scheme)


def refusal(found, own_url):
    """Why the mirror cannot ask there, or None."""
    if urlsplit(found["url"]).scheme not in PORTS or not urlsplit(found["url"]).hostname:
        return (
            "pip on this host is set up for %s, and a mirror asks an http or https index. Set "
            "another one: pip config set global.index-url URL" % found["url"]
        )
    if place(found["url"]) == place(own_url):
        return (
            "pip on this host is set up for %s, which is this index itself. Take that out for the "
            "login of the index (pip "
            "config unset global.index-url), or name the index that it is a mirror of"
            % found["url"]
        )
    return None


def read(path, group):
    """The text of the file, None if it is not there, others can read it, or the group cannot."""
    try:
        with open(path, encoding="utf-8") as stream:
            status = os.fstat(stream.fileno())
            wrong = status.st_mode & 0o077 != (0o040 if group else 0) or (
                group and status.st_gid != gid(group)
            )
            return None if wrong else stream.read()
    except FileNotFoundError:
        return None


def kept(options):
    """What an earlier run noted, as the module returns it; None if there is nothing."""
    text = read(options["dest"], options["group"])
    url = address_in(text).strip()
    return {"url": url, "version": str(os.stat(options["dest"]).st_mtime_ns)} if url else None


def gid(group):
    """The number of a group, or None where it is not there yet."""
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def write(path, text, group):
    with replacing(path, 0o640 if group else 0o600) as stream:
        if group:
            os.fchown(stream.fileno(), -1, gid(group))
        stream.write(text)


def address_in(text):
    try:
        return "%s\n" % json.loads(text or "{}").get("url", "")
    except ValueError:
        return ""


def main():
    module = AnsibleModule(
        argument_spec={
            "dest": {"type": "path", "required": True},
            "python": {"type": "path"},
            "group": {"type": "str", "default": ""},
            "own_url": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    hold(module)
    options = module.params
    try:
        found = upstream_of_pip(options["python"])
    except NoPip as error:
        if module.check_mode:
            module.exit_json(changed=True, url="", version="", msg="%s yet" % error)
        module.fail_json(
            msg="%s. Install it: sudo apt-get install python3-pip, or python3 -m ensurepip" % error
        )
    noted = kept(options)
    if noted and place(found["url"]) == place(options["own_url"]):
        # the login was set up for this index since: what it was set up for before is what the
        # mirror goes on asking
        module.exit_json(changed=False, **noted)
    problem = refusal(found, options["own_url"])
    if problem:
        module.fail_json(msg=problem)
    text = json.dumps(found, sort_keys=True) + "\n"
    try:
        before = read(options["dest"], options["group"])
        if before != text and not module.check_mode:
            write(options["dest"], text, options["group"])
        version = (
            os.stat(options["dest"]).st_mtime_ns
            if before == text or not module.check_mode
            else "new"
        )
    except OSError as error:
        module.fail_json(msg="cannot write %s: %s" % (options["dest"], error.strerror))
    module.exit_json(
        changed=before != text,
        url=found["url"],
        version=str(version),
        diff={
            "before": address_in(before),
            "after": address_in(text),
            "before_header": options["dest"],
            "after_header": options["dest"],
        },
    )


if __name__ == "__main__":
    main()
