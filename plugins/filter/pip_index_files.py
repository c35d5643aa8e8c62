# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import is_flat
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    insecure_hosts,
    netrc,
    normalised,
)

HEADING = "# Written by bnlnpps.swf_testbed; changes made here are overwritten.\n"


def pip_index_files(
    indexes: list[dict[str, Any]], access_dir: str, check_mode: bool = False
) -> list[dict[str, Any]]:
    """The files of an access directory of the role pip_index, for the module config_files.

    :param check_mode: the lab CA may not exist yet.
    """
    try:
        found = normalised(indexes)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from None
    files = []
    for index in found:
        certificate = os.path.join(access_dir, index["name"] + ".pem")
        if index["ca_cert"]:
            files.append({"dest": certificate, "mode": "0644", "content": read(index, check_mode)})
        if index["url"]:
            files.append(
                {
                    "dest": os.path.join(access_dir, index["name"] + ".conf"),
                    "mode": "0644",
                    "content": configuration(index, certificate),
                }
            )
    return files + [
        {
            "dest": os.path.join(access_dir, "netrc"),
            "content": HEADING + netrc(found),
            "secret": True,
        }
    ]


def configuration(index: Mapping[str, Any], certificate: str) -> str:
    """A pip.conf with only one index: a name resolves there or nowhere."""
    lines = ["[global]", "no-input = true"]
    if index["preset"] == "directory" and is_flat(index["url"]):
        lines += ["no-index = true", "find-links = " + index["url"]]
    else:
        url = ("file://%s/" if index["preset"] == "directory" else "%s") % index["url"]
        lines += ["index-url = " + url, "extra-index-url = " + url]
    lines += ["trusted-host = " + host for host in insecure_hosts([index])]
    if index["ca_cert"]:
        lines.append("cert = " + certificate)
    return HEADING + "".join(line + "\n" for line in lines)


def read(index: Mapping[str, Any], check_mode: bool) -> str:
    if check_mode and not os.path.exists(os.path.expanduser(index["ca_cert"])):
        return "the CA certificate that %s will have\n" % index["ca_cert"]
    try:
        with open(os.path.expanduser(index["ca_cert"]), encoding="ascii") as stream:
            return stream.read()
    except (OSError, UnicodeDecodeError) as error:
        raise AnsibleFilterError(
            "swf_testbed_pip_indexes: cannot read ca_cert of %s on the controller. Evidence: %s. "
            "Fix: correct its path" % (index["name"], error)
        ) from None


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"pip_index_files": pip_index_files}
