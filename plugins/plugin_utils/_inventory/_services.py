# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services of a host in combination: ports, TLS, URLs, and the credentials of external
services."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _stack
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _variables
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._addresses import (
    is_loopback,
    port_of,
    url_refusal,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import (
    Problem,
    problem,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import (
    Values,
    whole,
)

ANY = ("0.0.0.0", "::", "*", "")


def wrong_ports(values: Values) -> Iterator[Problem]:
    for name in sorted(_variables.options()):
        if name.endswith("_port"):
            yield from of_port(name, values.given_value(name))
    for where, port in values.given_items("swf_testbed_firewall_ports"):
        yield from of_port(where, port)
    yield from same_ports(values)


def of_port(name: str, port: Any) -> Iterator[Problem]:
    number = whole(port)
    if number is not None and not 1 <= number <= 65535:
        yield problem(name, port, "is not a port number", "write a whole number from 1 to 65535")


def listeners(values: Values) -> Iterator[tuple[str, str, list[str], int]]:
    """(service, variable of the port, addresses, port) of the services that will listen here."""
    found = []
    if "index" in values.groups:
        found.append(
            (
                "the index",
                "swf_testbed_index_port",
                [values.text("swf_testbed_package_index_listen")],
            )
        )
    if "testbed" in values.groups:
        stack, here = _stack.of_values(values), _stack.components_here(values)
        found += [
            (
                "the program " + item["name"],
                item["variable"],
                [values.text(re.sub("_port$", "_host", item["variable"]))],
            )
            for item in stack.listeners()
            if item["name"] in here or item["name"] not in stack.names()
        ]
    if "broker" in values.groups:
        found.append(
            ("the broker", "swf_testbed_broker_port", [values.text("swf_testbed_broker_listen")])
        )
    if "database" in values.groups:
        found.append(
            (
                "PostgreSQL",
                "swf_testbed_database_port",
                values.entries("swf_testbed_database_listen"),
            )
        )
    if "redis" in values.groups:
        found.append(
            ("Redis", "swf_testbed_redis_port", values.entries("swf_testbed_redis_listen"))
        )
    if "monitor" in values.groups:
        variable = (
            "swf_testbed_monitor_proxy_port"
            if values.given("swf_testbed_monitor_proxy_port")
            else "swf_testbed_monitor_url"
        )
        found.append(
            ("the web server", variable, values.entries("swf_testbed_monitor_proxy_listen"))
        )
    for service, variable, addresses in found:
        port = values.number(
            "swf_testbed_monitor_proxy_port" if variable == "swf_testbed_monitor_url" else variable
        )
        if port is not None:
            yield (
                service,
                variable,
                ["127.0.0.1" if item == "localhost" else item for item in addresses],
                port,
            )


def same_ports(values: Values) -> Iterator[Problem]:
    found = list(listeners(values))
    for place, (service, variable, addresses, port) in enumerate(found):
        for other, other_variable, other_addresses, other_port in found[:place]:
            if port == other_port and overlap(addresses, other_addresses):
                yield Problem(
                    variable,
                    "is the port of two services on one host",
                    "%s (%s) and %s both listen on port %d"
                    % (other, other_variable, service, port),
                    "give one of them another port"
                    if variable != other_variable
                    else "run only one of them, for example without broker in "
                    "swf_testbed_components",
                )


def overlap(addresses: list[str], others: list[str]) -> bool:
    return bool(set(addresses) & set(others)) or any(item in ANY for item in [*addresses, *others])


def runs(values: Values, role: str) -> bool:
    """Whether the host runs a component of this role."""
    return role in _stack.roles_here(values)


def listens(values: Values, port: str) -> bool:
    """Whether the host runs a component that listens on the port of this variable."""
    if "testbed" not in values.groups:
        return False
    here = values.entries("swf_testbed_components")
    return any(
        item["variable"] == port and item["name"] in here
        for item in _stack.of_values(values).listeners()
    )


def without_tls(values: Values) -> Iterator[Problem]:
    """Services that would listen without TLS on other addresses than loopback, and TLS options of
    services without TLS."""
    exposed = [
        (
            "swf_testbed_broker_listen",
            "broker" in values.groups and not values.truth("swf_testbed_broker_tls"),
            "set swf_testbed_broker_tls to true, or swf_testbed_broker_listen to 127.0.0.1",
        ),
        (
            "swf_testbed_package_index_listen",
            "index" in values.groups and not values.truth("swf_testbed_index_tls"),
            "set swf_testbed_index_tls to true, or swf_testbed_package_index_listen to 127.0.0.1",
        ),
        (
            "swf_testbed_redis_listen",
            "redis" in values.groups and not values.truth("swf_testbed_redis_tls"),
            "set swf_testbed_redis_tls to true, or swf_testbed_redis_listen to [127.0.0.1]",
        ),
        (
            "swf_testbed_broker_host",
            runs(values, "broker"),
            "write 127.0.0.1. The broker of the testbed has no TLS: for other hosts, add a host to the "
            "group broker",
        ),
        (
            "swf_testbed_monitor_host",
            runs(values, "monitor"),
            "write 127.0.0.1, and add the host to the group monitor for a web server with TLS in front "
            "of it",
        ),
        (
            "swf_testbed_mcp_host",
            listens(values, "swf_testbed_mcp_port"),
            "write 127.0.0.1, and reach it through ssh -L or a web server with TLS",
        ),
    ]
    for name, without, fix in exposed:
        listen = values.get(name) if without else None
        for host in listen if isinstance(listen, list) else [listen]:
            if host and isinstance(host, str) and not is_loopback(host):
                yield problem(
                    name,
                    host,
                    "would accept connections without TLS, and secrets would be sent unencrypted",
                    fix,
                )
    if runs(values, "broker") and values.truth("swf_testbed_broker_tls"):
        yield problem(
            "swf_testbed_broker_tls",
            True,
            "requires TLS of the broker of the testbed, which has no TLS",
            "set it to false, or add a host to the group broker and remove broker from "
            "swf_testbed_components",
        )
    for prefix, switch in (
        ("swf_testbed_broker", "swf_testbed_broker_tls"),
        ("swf_testbed_redis", "swf_testbed_redis_tls"),
        ("swf_testbed_package_index", "swf_testbed_index_tls"),
    ):
        for name in (prefix + "_certificate", prefix + "_certificate_key"):
            if values.text(name) and not values.truth(switch):
                yield problem(
                    name,
                    values[name],
                    "is for TLS, and %s is false" % switch,
                    "set %s to true, or remove it" % switch,
                )
    if values.given_value("swf_testbed_index_ca_cert") and values.text(
        "swf_testbed_index_url"
    ).startswith("http:"):
        yield problem(
            "swf_testbed_index_ca_cert",
            values["swf_testbed_index_ca_cert"],
            "is for TLS, and swf_testbed_index_url is http",
            "set swf_testbed_index_tls to true, or remove it",
        )


def contradicting_urls(values: Values) -> Iterator[Problem]:
    """URLs of services on this host that do not match their address, and no web server in front
    explains it."""
    for program, there, proxied in (
        ("monitor", runs(values, "monitor"), bool(values.members("monitor"))),
        ("index", "index" in values.groups, False),
    ):
        name, host, port = (
            "swf_testbed_%s_%s" % (program, part) for part in ("url", "host", "port")
        )
        url = values.text(name)
        if not there or not values.given(name) or url_refusal(url, ("http", "https"))[0]:
            continue
        parts, number = urlsplit(url), values.number(port)
        local = is_loopback(parts.hostname or "") or parts.hostname == values.text(host)
        if program == "monitor" and proxied:
            if parts.scheme != "https" and "monitor" in values.groups:
                yield problem(
                    name,
                    url,
                    "is not https, and the web server of the group monitor serves only https",
                    "write https://%s" % parts.netloc,
                )
        elif local and number is not None and port_of(url) != number:
            yield problem(
                name,
                url,
                "contradicts %s, which is %d" % (port, number),
                "remove %s, or write port %d in it" % (name, number),
            )
        elif local and (parts.scheme == "https") != (
            program == "index" and values.truth("swf_testbed_index_tls")
        ):
            yield problem(
                name,
                url,
                "contradicts the protocol of the %s, which is %s"
                % (program, "http" if parts.scheme == "https" else "https"),
                "remove %s: its default fits" % name,
            )


def needs_index_token(values: Values) -> bool:
    """Whether the host needs the token of a private index that this controller does not serve."""
    generated = os.path.join(
        os.path.expanduser(values.text("swf_testbed_controller_dir")), "secrets", "index_token"
    )
    return (
        not values.given("swf_testbed_pip_indexes")
        and not values.text("swf_testbed_release_wheelhouse")
        and not os.path.exists(generated)
    )


def secrets_here(values: Values) -> list[str]:
    """The secrets that the programs of the host take."""
    return _stack.of_values(values).secrets(_stack.components_here(values))


def uses_redis(values: Values) -> bool:
    """Whether the host needs a password of a Redis that is not part of its URL."""
    here = secrets_here(values)
    return "redis_password" in here or (
        "redis_url" in here and not values.given("swf_testbed_redis_url")
    )


def wrong_probe_prefix(values: Values) -> Iterator[Problem]:
    """A beginning of scratch addresses that makes no names of their own."""
    name = "swf_testbed_broker_probe_prefix"
    value = values.given_value(name)
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*\.", value):
        yield problem(
            name,
            value,
            "is not the beginning of names",
            "write letters, digits, _, - and dots, with a dot at the end and without /queue/, such "
            "as swf.probe.",
        )


def external_services(values: Values) -> Iterator[Problem]:
    """External services without credentials in the inventory: they would reject the credentials
    that are generated here."""
    if "testbed" not in values.groups:
        return
    for group, host, secret, used in (
        (
            "database",
            "swf_testbed_database_host",
            "swf_testbed_database_password",
            "database_password" in secrets_here(values),
        ),
        ("redis", "swf_testbed_redis_host", "swf_testbed_redis_password", uses_redis(values)),
        (
            "broker",
            "swf_testbed_broker_host",
            "swf_testbed_broker_password",
            "broker_password" in secrets_here(values),
        ),
        ("index", "swf_testbed_index_host", "swf_testbed_index_token", needs_index_token(values)),
    ):
        address = values.text(host)
        if (
            not address
            or address.startswith("/")
            or values.members(group)
            or values.given(secret)
            or not used
        ):
            continue
        # a database on loopback is external, too: the testbed has none of its own
        if (
            group in ("database", "redis")
            or not is_loopback(address)
            and not (group == "broker" and runs(values, "broker"))
        ):
            yield problem(
                host,
                address,
                "is an external %s, and its credentials are not set" % group,
                "set %s%s, or add a host to the group %s"
                % (
                    secret,
                    "" if group == "redis" else " (and %s)" % re.sub("_[a-z]+$", "_user", secret),
                    group,
                ),
            )
