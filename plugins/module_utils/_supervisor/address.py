# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoint where supervisord listens, from the options of a module."""

from __future__ import annotations

import os
import typing as t
from urllib.parse import urlsplit

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_file import (
    ConfigError,
    ConfigFile,
    ConfigMissing,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    SupervisorError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.rpc import Endpoint


def endpoint_from(params: t.Mapping[str, t.Any]) -> Endpoint:
    """The endpoint in the options C(socket), C(url) or C(config).

    :raises SupervisorError: the address is malformed, or the configuration has none.
    """
    common = {
        "timeout": params["timeout"],
        "validate_certs": params["validate_certs"],
        "ca_cert": params["ca_cert"],
        "client_cert": params["client_cert"],
        "client_key": params["client_key"],
    }
    username, password = params["username"], params["password"]
    if params["socket"]:
        address = "unix://" + os.path.abspath(params["socket"])
    elif params["url"]:
        address = params["url"]
    else:
        address, file_username, file_password = _from_config(params["config"])
        if username is None:
            username, password = file_username, file_password
            if password is not None and password.startswith("{SHA}"):
                raise SupervisorError(
                    "unauthorized",
                    "%s has only a hash of supervisord's password. Fix: give 'username' and "
                    "'password'." % params["config"],
                )
    scheme, path, host, port = _parse(address)
    return Endpoint(scheme, path, host, port, username=username, password=password, **common)


def local_endpoint(config: str) -> Endpoint:
    """The endpoint in a configuration of this host.

    :raises SupervisorError: there is none.
    """
    address, username, password = _from_config(config)
    scheme, path, host, port = _parse(address)
    return Endpoint(scheme, path, host, port, username=username, password=password)


def _parse(address: str) -> tuple[str, str, str, int]:
    def bad(why: str) -> SupervisorError:
        return SupervisorError(
            "bad_address",
            "The URL of supervisord is unusable. Evidence: %s. Fix: give http://host:port, "
            "https://host:port or host:port." % why,
        )

    if address.startswith("unix://"):
        return "unix", address[len("unix://") :], "localhost", 0
    if "://" not in address:
        address = "http://" + address
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise bad(str(error)) from None
    if parts.scheme not in ("http", "https"):
        raise bad("its scheme is %r" % parts.scheme)
    if parts.username is not None or parts.password is not None:
        raise bad("it has a login, which logs would show; use the options username and password")
    if not parts.hostname:
        raise bad("it has no host")
    if parts.query or parts.fragment:
        raise bad("it has a query or a fragment")
    path = parts.path.rstrip("/")
    if not path.endswith("/RPC2"):
        path += "/RPC2"
    return parts.scheme, path, parts.hostname, port or (443 if parts.scheme == "https" else 80)


def _from_config(path: str) -> tuple[str, str | None, str | None]:
    """Address, username and password: of [supervisorctl] if that has an address, else of a server
    section."""
    try:
        conf = ConfigFile(path, os.environ)
        servers = _servers(conf)
        if conf.has("supervisorctl") and conf.raw("supervisorctl", "serverurl"):
            address = conf.get("supervisorctl", "serverurl").strip()
            if address.startswith("unix://"):
                address = "unix://" + _absolute(address[len("unix://") :], conf)
            username = conf.get("supervisorctl", "username")
            password = conf.get("supervisorctl", "password")
            if username is None:
                for server, name, word in servers:
                    if server == address:
                        username, password = name, word
        elif servers:
            address, username, password = servers[0]
        else:
            raise SupervisorError(
                "no_server",
                "supervisord cannot be reached. Evidence: %s has no [unix_http_server], no "
                "[inet_http_server] and no serverurl in [supervisorctl]. Fix: add a "
                "[unix_http_server] section." % path,
            )
    except ConfigMissing:
        raise SupervisorError(
            "config_missing",
            "There is no supervisord configuration %s. Fix: write it, or correct 'config'." % path,
        ) from None
    except ConfigError as error:
        raise SupervisorError(
            "config_invalid", "supervisord's configuration is unusable. Evidence: %s" % error
        ) from None
    return address, username, password


def _servers(conf: ConfigFile) -> list[tuple[str, str | None, str | None]]:
    found = []
    for section in conf.sections("unix_http_server"):
        path = conf.get(section, "file")
        if path:
            login = conf.get(section, "username"), conf.get(section, "password")
            found.append(("unix://" + _absolute(path.strip(), conf), *login))
    for section in conf.sections("inet_http_server"):
        host, _colon, port = (conf.get(section, "port") or "").strip().rpartition(":")
        if port:
            if host in ("", "*", "0.0.0.0"):
                host = "127.0.0.1"
            found.append(
                (
                    "http://%s:%s" % (host, port),
                    conf.get(section, "username"),
                    conf.get(section, "password"),
                )
            )
    return found


def _absolute(path: str, conf: ConfigFile) -> str:
    """A relative path is relative to supervisord's working directory. That is unknown here: use the
    directory of the file."""
    return os.path.normpath(os.path.join(conf.here, os.path.expanduser(path)))
