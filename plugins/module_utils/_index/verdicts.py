# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cause and fix of each verdict on an index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    GITHUB,
    PRESETS,
)

# verdict: (cause, fix). The first group is about a whole index, the second about a package on it.
OF_AN_INDEX = {
    "dns": (
        "the host name of the index {index} cannot be resolved",
        "Check the host name in the url of {index} in swf_testbed_pip_indexes, and this host's "
        "DNS: getent hosts {host}",
    ),
    "refused": (
        "nothing listens at the address of the index {index}",
        "Check host and port in the url of {index} in swf_testbed_pip_indexes, and whether the "
        "index runs: ansible-playbook playbooks/status.yml",
    ),
    "timeout": (
        "the index {index} does not answer in time",
        "Check the network, the firewall and the proxy settings (https_proxy, no_proxy) between "
        "this host and {host}",
    ),
    "tls_unknown_ca": (
        "this host does not trust the CA that issued the certificate of the index {index}",
        "Set ca_cert of {index} in swf_testbed_pip_indexes to the CA's certificate, or add it to "
        "the host's trust store (update-ca-certificates)",
    ),
    "tls_expired": (
        "the certificate of the index {index} is not valid at this time",
        "Check this host's clock (date). If it is right, renew the certificate on the index's host",
    ),
    "tls_hostname": (
        "the certificate of the index {index} is for another host name",
        "Use a name of the certificate in the url of {index}, or have the certificate issued for "
        "{host}",
    ),
    "tls_failed": (
        "the TLS handshake with the index {index} fails",
        "Look for the reason with: openssl s_client -connect {netloc}",
    ),
    "proxy": (
        "the proxy cannot reach the index {index}",
        "Fix http_proxy or https_proxy in this host's environment, or add {host} to no_proxy if it "
        "is reachable without a proxy",
    ),
    "auth_missing": (
        "the index {index} requires credentials (401/403), and none are set",
        "Set username and token of {index} in swf_testbed_pip_indexes{login}{placed}",
    ),
    "auth_wrong": (
        "the index {index} rejected the credentials (401/403)",
        "Check username and token of {index} in swf_testbed_pip_indexes{login}. The token may have "
        "expired: try a new one",
    ),
    "auth_forbidden": ("this login lacks read permission on the index {index}", "{permission_fix}"),
    "wrong_url": ("the url of the index {index} is not the address of a simple API", "{url_fix}"),
    "server_error": (
        "the index {index} returned an error",
        "Look at the log of the index, then try again",
    ),
    "github": (
        "the index {index} is GitHub Packages, which has no registry for Python packages",
        GITHUB,
    ),
    "unknown_default": (
        "the address of the index {index} is unknown on this host",
        "Set the url of {index} in swf_testbed_pip_indexes, or install pip for this host's Python",
    ),
}
OF_A_PACKAGE = {
    "not_found": (
        "the index {index} does not have {package}",
        "Publish it there (ansible-playbook playbooks/publish.yml), or correct its name; if "
        "another index has it, let that one claim it in packages",
    ),
    "forwarded": (
        "the index {index} does not have {package} and redirects to an upstream fallback, where "
        "anyone may publish that name",
        "{forward_fix}",
    ),
    "duplicate": (
        "{package} could come from more than one index: {indexes}",
        "Let exactly one of them claim it in packages",
    ),
    "no_index": (
        "no index of swf_testbed_pip_indexes serves {package}",
        "Add an index without packages, or let one claim it",
    ),
    "version_missing": (
        "the index {index} does not have the requested version of {package}",
        "Publish that version, or request one that the index has",
    ),
    "yanked": (
        "{package} on the index {index} is yanked",
        "Request another version, or publish a new one",
    ),
    "no_file": (
        "the index {index} has no wheel of {package} for this Python and platform",
        "Publish a wheel for it (python -m build), or use a Python that the wheels support: "
        "swf_testbed_python",
    ),
    "requires_python": (
        "{package} on the index {index} does not support this Python",
        "Use a Python that it supports (swf_testbed_python), or request an older version",
    ),
}
NOTES = {
    "ok": ("", ""),
    "anonymous": (
        "the index {index} is private, and anyone who can connect to it can read it",
        "If this is not intended, require a login{anonymous_how}",
    ),
}
TEXTS = {**OF_AN_INDEX, **OF_A_PACKAGE, **NOTES}
#: verdicts that do not prevent an installation
FINE = ("ok", "anonymous", "unknown_default")

LOGINS = {
    "gitlab": "a deploy token (scope read_package_registry) and its user name, or a personal "
    "access token (scope api)",
    "artifactory": "your user name and its identity token",
    "nexus": "a local user and its password, or both parts of a user token",
    "pypiserver": "a user of the index's htpasswd and its password (an index that the role "
    "package_index serves: swf_testbed_index_user and swf_testbed_index_token)",
    "pypi": "__token__ and an API token, pypi- included",
    "testpypi": "__token__ and an API token of TestPyPI, pypi- included: tokens of PyPI do not "
    "work there",
}
PERMISSIONS = {
    "gitlab": "Check the id of the project or group in the url, that the token's user is a member, "
    "and that the token has "
    "the scope read_package_registry (deploy token) or api: GitLab answers 404 otherwise",
    "artifactory": "Check the repository's name in the url, and give the user the permission Read "
    "on it",
    "nexus": "Give the user's role the privileges nx-repository-view-pypi-<repository>-read and "
    "-browse",
}
ANONYMOUS = {
    "pypiserver": ": --authenticate list,download,update",
    "devpi": ": devpi needs no login to read by design; put it behind a proxy with authentication, "
    "or install devpi-lockdown",
    "gitlab": ": make the project private",
    "nexus": ": switch off Anonymous Access in its security settings",
    "artifactory": ": switch off Allow Anonymous Access in its security settings",
}
FORWARDS = {
    "gitlab": "Publish the package there, and disable the upstream fallback of the group: "
    "Settings, Packages and registries, Forward PyPI package requests",
    "pypiserver": "Publish the package there, and start pypiserver with --disable-fallback",
}


def explained(verdict: str, evidence: str, index: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The finding: ``verdict``, ``ok``, ``evidence``, ``cause`` and ``fix``.

    :param index: ``name``, ``preset``, ``host``, ``netloc`` and ``placed`` (directory of the
        credentials) of the index.
    """
    preset, name = index["preset"], index["name"]
    example = PRESETS.get(preset, {}).get("example")
    values = {
        "index": name,
        "host": index.get("host") or "",
        "netloc": index.get("netloc") or "",
        "placed": ". The role pip_index then writes them to %s/netrc" % index["placed"]
        if index.get("placed")
        else "",
        "login": ": %s" % LOGINS[preset] if preset in LOGINS else "",
        "permission_fix": PERMISSIONS.get(
            preset, "Give the user of the token read permission on the index, or use another login"
        ),
        "url_fix": "Correct the url of %s in swf_testbed_pip_indexes%s"
        % (name, ". Example: %s" % example if example else ""),
        "forward_fix": FORWARDS.get(
            preset, "Publish the package there, and disable the upstream fallback of the index"
        ),
        "anonymous_how": ANONYMOUS.get(preset, ""),
    }
    cause, fix = TEXTS[verdict]
    values.update(more)
    return {
        "verdict": verdict,
        "ok": verdict in FINE,
        "evidence": evidence,
        "cause": cause.format(**values),
        "fix": fix.format(**values),
    }
