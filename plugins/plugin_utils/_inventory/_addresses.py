# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host names, addresses and URLs, each checked on its own."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._certificates import DNS_NAME
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import (
    HIDDEN,
    Problem,
    problem,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values

PLAIN = "write a DNS name or an address, such as index.example.org, 192.0.2.10 or ::1"
#: hosts that clients connect to: the variable with the address on which the service listens
SERVICES = {
    "swf_testbed_index_host": "swf_testbed_package_index_listen",
    "swf_testbed_broker_host": "swf_testbed_broker_listen",
    "swf_testbed_database_host": "swf_testbed_database_listen",
    "swf_testbed_redis_host": "swf_testbed_redis_listen",
}
HOSTS = (
    *SERVICES,
    "swf_testbed_monitor_host",
    "swf_testbed_mcp_host",
    "swf_testbed_package_index_listen",
    "swf_testbed_broker_listen",
)
LISTS = (
    "swf_testbed_monitor_proxy_listen",
    "swf_testbed_database_listen",
    "swf_testbed_redis_listen",
    "swf_testbed_package_index_names",
    "swf_testbed_broker_names",
    "swf_testbed_database_names",
    "swf_testbed_redis_names",
    "swf_testbed_monitor_proxy_names",
)
URLS = (
    "swf_testbed_index_url",
    "swf_testbed_monitor_url",
    "swf_testbed_health_url",
    "swf_testbed_summary_url",
    "swf_testbed_status_health_url",
    "swf_testbed_status_summary_url",
    "swf_testbed_broker_archive_url",
)
#: these have a default
NOT_EMPTY = ("swf_testbed_index_url", "swf_testbed_monitor_url")
# the values of systemd's IPAddressAllow= that are not addresses
KEYWORDS = ("any", "localhost", "link-local", "multicast")


def wrong_addresses(values: Values) -> Iterator[Problem]:
    for name in HOSTS:
        if isinstance(values.given_value(name), str):
            yield from of_host(values, name)
    for name in LISTS:
        for where, item in values.given_items(name):
            # PostgreSQL writes * for all addresses
            if isinstance(item, str) and (name, item) != ("swf_testbed_database_listen", "*"):
                yield from refused(where, item, host_refusal(item), PLAIN)
    for name, keywords in (
        ("swf_testbed_database_clients", ()),
        ("swf_testbed_systemd_address_allow", KEYWORDS),
    ):
        for where, item in values.given_items(name):
            if isinstance(item, str) and item not in keywords:
                yield from refused(
                    where,
                    item,
                    network_refusal(item, not keywords),
                    "write an address or a network, such as 192.0.2.10 or 192.0.2.0/24",
                )
    for where, item in values.given_items("swf_testbed_monitor_trusted_proxies"):
        if isinstance(item, str) and not is_address(item):
            yield problem(where, item, "is not an address", "write an address, such as 192.0.2.10")
    for name in URLS:
        url = values.given_value(name)
        if isinstance(url, str):
            yield from of_url(name, url)


def is_address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def of_host(values: Values, name: str) -> Iterator[Problem]:
    host = values[name]
    if name == "swf_testbed_database_host" and (not host or host.startswith("/")):
        # SQLite, or the directory of a socket
        return
    if name == "swf_testbed_redis_host" and not host:
        return
    cause = host_refusal(host)
    yield from refused(name, host, cause, PLAIN)
    if not cause and name in SERVICES and host in ("0.0.0.0", "::"):
        yield problem(
            name,
            host,
            "stands for all addresses, and clients cannot connect to it",
            "write the address that clients use, and set %s to %s" % (SERVICES[name], host),
        )


def of_url(name: str, url: str) -> Iterator[Problem]:
    if not url and name not in NOT_EMPTY:
        return
    schemes: tuple[str, ...] = ("http", "https")
    form = "https://HOST or https://HOST:PORT, with an IPv6 address in brackets"
    if name == "swf_testbed_broker_archive_url":
        schemes, form = (*schemes, "file"), "https://HOST/apache-artemis-VERSION-bin.tar.gz"
    cause, hidden = url_refusal(url, schemes)
    yield from refused(name, HIDDEN if hidden else url, cause, "write it as " + form)
    if not cause and name in NOT_EMPTY:
        if url.endswith("/") or (name == "swf_testbed_index_url" and url.endswith("/simple")):
            yield problem(
                name,
                url,
                "ends with a part that the roles add",
                "write it without %s at the end"
                % ("/simple/" if "/simple" in url else "the slash"),
            )


def refused(name: str, value: object, cause: str | None, fix: str) -> Iterator[Problem]:
    if cause:
        yield problem(name, value, cause, fix)


def host_refusal(host: str) -> str | None:
    """Why this is neither a DNS name nor an address; None for a valid one."""
    if not host:
        return "is empty"
    if "://" in host:
        return "is a URL"
    if host.startswith("["):
        return "is in brackets, which only URLs have"
    try:
        if getattr(ipaddress.ip_address(host), "scope_id", None):
            return "has a zone index, which is valid on one host only"
        return None
    except ValueError:
        pass
    if re.fullmatch(r"[^:]*:[0-9]+", host):
        return "has a port, which has a separate variable"
    if (
        not DNS_NAME.fullmatch(host)
        or host.startswith("*")
        or len(host) > 253
        or any(len(label) > 63 for label in host.split("."))
    ):
        return "is neither a DNS name nor an address"
    if host.rpartition(".")[2].isdigit():
        return "looks like an address and is not valid"
    return None


def network_refusal(item: str, names: bool) -> str | None:
    """Why this is not an address or network (or DNS name); None for a valid one."""
    try:
        ipaddress.ip_network(item)
        return None
    except ValueError as error:
        if "/" in item or not names:
            return (
                "is not a network: %s" % str(error).rstrip(".")
                if "host bits" in str(error)
                else "is neither an address nor a network"
            )
    return host_refusal(item.lstrip(".") or item)


def url_refusal(url: str, schemes: tuple[str, ...]) -> tuple[str | None, bool]:
    """(why this is not a valid URL or None, whether it may contain a secret)."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is not a URL, or its port is not valid", "@" in url
    if parts.username is not None:
        return "contains credentials, and URLs appear in logs", True
    if any(letter.isspace() or not letter.isprintable() for letter in url):
        return "contains a space or a line break", False
    if parts.scheme not in schemes:
        return "does not begin with %s" % " or ".join(scheme + "://" for scheme in schemes), False
    if parts.scheme == "file":
        return (None if parts.path.startswith("/") else "has no absolute path"), False
    if not host or port == 0:
        return "has no host, or its port is 0", False
    if parts.query or parts.fragment:
        return "has a query or a fragment", False
    cause = host_refusal(host)
    return (cause and "has a host that " + cause), False


def is_loopback(host: str) -> bool:
    """Whether only programs on the same machine can reach this address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def port_of(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)
