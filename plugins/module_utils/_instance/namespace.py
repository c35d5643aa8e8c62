# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The namespace of an instance, and the release of its claim at the monitor."""

from __future__ import annotations

import os
import ssl
import urllib.parse
import urllib.request
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_file import (
    ConfigError,
    ConfigFile,
    key_value_pairs,
)

RELEASE_SECONDS = 5


def namespace_of(path: str) -> dict[str, str]:
    """The namespace in the configuration of a host, for the layout: {namespace, namespace_owner}.
    Empty if there is none, or one of an earlier version, which nobody claimed."""
    environment = _environment(path)
    names = {"namespace": "SWF_NAMESPACE", "namespace_owner": "SWF_NAMESPACE_OWNER"}
    found = {key: environment.get(name, "") for key, name in names.items()}
    return found if all(found.values()) else dict.fromkeys(names, "")


def with_namespace(url: str, path: str | None) -> str:
    """The address of the health page for the agents and messages of an instance alone: those of
    other testbeds at its monitor are not its problem.

    :param path: of the configuration of the instance, if there is one.
    """
    name = namespace_of(path)["namespace"] if path and "?" not in url else ""
    return "%s?namespace=%s" % (url, urllib.parse.quote(name, safe="")) if name else url


def release_namespace(places: dict[str, Any]) -> str:
    """Release the claim of a stopped instance; return the name of the namespace.

    :returns: "" if there was none to release: the monitor does not answer, perhaps because it was a
        part of the instance, or agents on other hosts use the namespace. The claim then expires.
    """
    environment = _environment(places["supervisord_conf"])
    name, owner = environment.get("SWF_NAMESPACE", ""), environment.get("SWF_NAMESPACE_OWNER", "")
    url = environment.get("SWF_MONITOR_URL", "")
    if not (name and owner and url.startswith(("http://", "https://"))):
        return ""
    address = "%s/api/namespaces/%s/?%s" % (
        url,
        urllib.parse.quote(name, safe=""),
        urllib.parse.urlencode({"owner": owner}),
    )
    try:
        with open(os.path.join(places["secrets_dir"], "api_token"), encoding="utf-8") as stream:
            token = stream.read().strip()
        context = ssl.create_default_context(cafile=environment.get("SWF_MONITOR_CA_CERTS") or None)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        request = urllib.request.Request(
            address, method="DELETE", headers={"Authorization": "Token " + token}
        )
        with opener.open(request, timeout=RELEASE_SECONDS):
            return name
    except (OSError, ValueError):
        return ""


def _environment(path: str) -> dict[str, str]:
    """That of the first program with a namespace; {} without one."""
    try:
        conf = ConfigFile(path, os.environ)
        for section in conf.sections("program:"):
            found = key_value_pairs(
                conf.expand(conf.raw(section, "environment", ""), {}, "environment")
            )
            if found.get("SWF_NAMESPACE"):
                return found
    except ConfigError:
        pass
    return {}
