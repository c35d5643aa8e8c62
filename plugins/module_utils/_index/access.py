# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The access of a host to an index: login, CA, and pip's address for an index without a url."""

from __future__ import annotations

import netrc
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.pip_upstream import (
    PipNotFoundError,
    settings_of_pip,
)


class AccessError(Exception):
    """The directory of the credentials exists and cannot be used."""


class Access:
    """The files that the role pip_index placed: ``netrc``, and ``<name of the index>.pem``."""

    def __init__(self, folder: str | None = None) -> None:
        self.folder, self._netrc = folder, None
        path = os.path.join(folder, "netrc") if folder else None
        if path and os.path.exists(path):
            try:
                self._netrc = netrc.netrc(path)
            except OSError as error:
                raise AccessError(
                    "cannot read %s. Evidence: %s. Fix: run as its owner" % (path, error.strerror)
                ) from error
            except netrc.NetrcParseError as error:
                # the text of the error quotes the line, which may contain the password
                raise AccessError(
                    "%s is not a valid netrc file. Evidence: line %s. Fix: run the role pip_index, "
                    "which writes it again" % (path, error.lineno)
                ) from None

    def login(self, index: Mapping[str, Any]) -> tuple[str, str] | None:
        """(username, token) for an index, or None."""
        if index["token"]:
            return index["username"], index["token"]
        host = urlsplit(index["url"] or "").hostname
        found = (
            self._netrc.authenticators(host)
            if self._netrc and host and index["preset"] != "directory"
            else None
        )
        return (found[0], found[2]) if found and found[2] else None

    def ca_cert(self, index: Mapping[str, Any]) -> str | None:
        """Path of the CA certificates for an index, or None for the system's."""
        placed = os.path.join(self.folder, index["name"] + ".pem") if self.folder else None
        return placed if placed and os.path.exists(placed) else index["ca_cert"]


def without_login(url: str) -> tuple[str, tuple[str, str] | None]:
    """(address, (username, token) or None) of an address that may contain credentials."""
    parts = urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    username, dummy, token = userinfo.partition(":")
    login = (unquote(username), unquote(token)) if token else None
    return urlunsplit(parts._replace(netloc=host)), login


def address_of_pip() -> str | None:
    """The index that this host's pip uses, or None without pip."""
    if os.environ.get("PIP_INDEX_URL"):
        return os.environ["PIP_INDEX_URL"]
    try:
        return settings_of_pip()["index-url"]
    except PipNotFoundError:
        return None
