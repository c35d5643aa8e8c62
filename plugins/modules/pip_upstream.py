#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pip_upstream
short_description: Record the index in the pip configuration of a host
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Reads pip's settings (its files and the environment of the task) for its index, its proxy and
    its certificates, takes the login from the URL or the netrc file, and writes them as JSON to a
    file that only its owner can read.
  - The mirror of the role P(bnlnpps.swf_testbed.package_index#role) uses it as its upstream. The
    default of pip is PyPI.
  - A login never leaves the host, and no result contains it.
options:
  dest:
    description: Path of the file. Its directory must exist.
    type: path
    required: true
  python:
    description: A Python with pip. Other Pythons of the host are tried after it.
    type: path
  group:
    description: A group that can also read the file. Empty for none.
    type: str
    default: ""
  own_url:
    description:
      - Address of the index that the mirror belongs to. A mirror of itself is an error.
      - If pip has been configured for this index since an earlier run, the record of that run
        remains.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: Reports whether the file would change.
  diff_mode:
    support: full
    description: Shows the address, and for other settings only that they changed.
"""

EXAMPLES = r"""
- name: Record the upstream of the mirror
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
  description: Changes whenever the file is written. It is not derived from the content, which may
    include a password.
  returned: success
  type: str
  sample: "1790000000123456789"
"""

import grp
import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import replacing
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.pip_upstream import (
    PipNotFoundError,
    upstream_of_pip,
)

PORTS = {"http": 80, "https": 443}


def place(url: str) -> tuple[str | None, int | None]:
    parts = urlsplit(url)
    return parts.hostname, parts.port or PORTS.get(parts.scheme)


def refusal(found: Mapping[str, Any], own_url: str) -> str | None:
    """The error message if the mirror cannot use this upstream, or None."""
    if urlsplit(found["url"]).scheme not in PORTS or not urlsplit(found["url"]).hostname:
        return (
            "the mirror needs an http or https index as its upstream. Evidence: pip on this host "
            "uses %s. Fix: set another one: pip config set global.index-url URL" % found["url"]
        )
    if place(found["url"]) == place(own_url):
        return (
            "the mirror cannot use itself as its upstream. Evidence: pip on this host uses %s, "
            "which is this index. Fix: remove that for the login of the index (pip config unset "
            "global.index-url), or set the index to mirror" % found["url"]
        )
    return None


def read(path: str, group: str) -> str | None:
    """The text of the file; None if it is missing, others can read it, or the group cannot."""
    try:
        with open(path, encoding="utf-8") as stream:
            status = os.fstat(stream.fileno())
            wrong = status.st_mode & 0o077 != (0o040 if group else 0) or (
                group and status.st_gid != gid(group)
            )
            return None if wrong else stream.read()
    except FileNotFoundError:
        return None


def recorded(options: Mapping[str, Any]) -> dict[str, str] | None:
    """The record of an earlier run, in the format of the module's result; None if there is none."""
    text = read(options["dest"], options["group"])
    url = address_in(text).strip()
    return {"url": url, "version": str(os.stat(options["dest"]).st_mtime_ns)} if url else None


def gid(group: str) -> int | None:
    """The id of a group, or None if it does not exist yet."""
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def write(path: str, text: str, group: str) -> None:
    with replacing(path, 0o640 if group else 0o600) as stream:
        if group:
            os.fchown(stream.fileno(), -1, grp.getgrnam(group).gr_gid)
        stream.write(text)


def address_in(text: str | None) -> str:
    try:
        return "%s\n" % json.loads(text or "{}").get("url", "")
    except ValueError:
        return ""


def main() -> None:
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
    except PipNotFoundError as error:
        if module.check_mode:
            module.exit_json(changed=True, url="", version="", msg="%s yet" % error)
        module.fail_json(
            msg="%s. Fix: sudo apt-get install python3-pip, or python3 -m ensurepip" % error
        )
    record = recorded(options)
    if record and place(found["url"]) == place(options["own_url"]):
        # the login has been configured for this index since: the mirror continues with the recorded
        # upstream
        module.exit_json(changed=False, **record)
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
        module.fail_json(
            msg="cannot write %s. Evidence: %s. Fix: check that its directory exists "
            "and is writable" % (options["dest"], error.strerror)
        )
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
