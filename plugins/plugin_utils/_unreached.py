# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a module could not run on a host, as a finding."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import finding

LONGEST = 300
# messages of ssh, sudo and Ansible: (pattern, check, cause, fix). The first match counts.
REASONS = (
    (
        r"Could not resolve hostname|Name or service not known",
        "login",
        "the name of this host does not resolve on the controller",
        "Set ansible_host of {host}, or fix the DNS of the controller: getent hosts {address}",
    ),
    (
        r"Host key verification failed|REMOTE HOST IDENTIFICATION",
        "login",
        "the ssh key of the host does not match the stored one",
        "If the host was reinstalled: ssh-keygen -R {address}; then log in once: ssh "
        "{login}{address}",
    ),
    (
        r"Permission denied|Authentication failed|Too many authentication failures",
        "login",
        "the host rejected the login",
        "Check ansible_user and its key: ssh {login}{address}",
    ),
    (
        r"Connection refused",
        "login",
        "no ssh server answers on this host",
        "Check ansible_port, and on the host: sudo systemctl status ssh",
    ),
    (
        r"timed out|No route to host|unreachable|Connection closed|Connection reset|lost "
        r"connection|Data could not be sent",
        "login",
        "this host cannot be reached",
        "Check that it is up (ping {address}) and that no firewall blocks: ssh {login}{address}",
    ),
    (
        r"[Mm]issing (sudo|become) password|password is required|[Ii]ncorrect (sudo|become) "
        r"password|not in the sudoers|"
        r"not allowed to (run|execute)",
        "root",
        "the login cannot become root",
        "Add --ask-become-pass (-K) to the command, or permit the login to use sudo",
    ),
    (
        r"sudo: .*not found|sudo: not found",
        "root",
        "sudo is not installed on this host",
        "As root: apt-get install sudo",
    ),
    (
        r"[Pp]ython\S*: (command )?not found|No such file or directory.*python|python\S*.*No such "
        r"file|interpreter.*not found|"
        r"No python interpreters found",
        "python",
        "this host has no Python that Ansible can use",
        "Run: ansible {host} -m raw -a 'apt-get install -y python3' --become; or set "
        "ansible_python_interpreter",
    ),
    (
        r"requires a minimum of Python|SyntaxError|ModuleNotFoundError: No module named 'ansible",
        "python",
        "the Python of this host is too old for Ansible",
        "Install a newer one and set ansible_python_interpreter to its path",
    ),
    (
        r"No space left on device|Disk quota exceeded|Read-only file system",
        "disk",
        "no file can be written on this host",
        "Check: ssh {login}{address} df -h",
    ),
)


def unreached(text: str, host: str, task_vars: dict[str, Any]) -> dict[str, Any]:
    """The finding for a host that could not be examined.

    :param text: the output of Ansible, ssh or the host.
    """
    text = re.sub(r"\s+", " ", text).strip()
    address = task_vars.get("ansible_host") or host
    login = "%s@" % task_vars["ansible_user"] if task_vars.get("ansible_user") else ""
    for pattern, check, cause, fix in REASONS:
        if re.search(pattern, text):
            return finding(
                check, cause, text[:LONGEST], fix.format(host=host, address=address, login=login)
            )
    return finding(
        "login",
        "this host could not be examined",
        text[:LONGEST],
        "Try: ansible %s -m ping -vvv" % host,
    )


def output_of(result: dict[str, Any]) -> str:
    """The output of a module that returned no result."""
    parts = [result.get("msg"), result.get("module_stderr"), result.get("module_stdout")]
    return " ".join(str(part) for part in parts if part)
