# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a package on an index and their content, over the simple API (PEP 503)."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urljoin, urlsplit

from ansible.module_utils.urls import ConnectionError as UrlConnectionError
from ansible.module_utils.urls import SSLValidationError, open_url

try:
    from packaging.utils import (
        InvalidSdistFilename,
        InvalidWheelFilename,
        parse_sdist_filename,
        parse_wheel_filename,
    )
except ImportError:
    parse_wheel_filename = None  # type: ignore[assignment]

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.names import canonical
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.page import links
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.pip_upstream import (
    PipNotFoundError,
    upstream_of_pip,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.project import (
    PublishError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.target import TRUSTED

REDIRECTS = (301, 302, 303, 307, 308)


class IndexUnavailableError(PublishError):
    """The index is unavailable."""


class Index:
    """A normalised index of swf_testbed_pip_indexes. ``wait`` is the number of seconds to retry
    while it is unavailable."""

    def __init__(self, entry: Mapping[str, Any], wait: float = 0) -> None:
        self.entry, self.wait = entry, wait
        keys = ("url", "username", "token", "ca_cert")
        url, username, token, self.ca_cert = (entry[key] for key in keys)
        if entry["preset"] in TRUSTED:
            # PyPI needs no login to read, and its tokens are only for uploads
            username = token = None
        if not url:
            url, username, token, self.ca_cert = public_index()
        self.url = url.rstrip("/")
        login = {"url_username": username, "url_password": token, "force_basic_auth": True}
        self.login = login if username else {}

    def files(self, package: str) -> dict[str, tuple[str, str | None]]:
        """{file name: (URL, sha256 or None)} of a package, empty if the index does not have it.

        :raises IndexUnavailableError:
        :raises PublishError: it returned an error.
        """
        url = "%s/%s/" % (self.url, canonical(package))
        deadline = time.monotonic() + self.wait
        while True:
            try:
                page = self.open(url).read().decode("utf-8", "replace")
            except HTTPError as error:
                if error.code in REDIRECTS or error.code == 404:
                    # a redirect leads to an upstream fallback: this index does not have it
                    return {}
                raise PublishError(self.error_text(error.code, package)) from error
            except SSLValidationError as error:
                raise PublishError(
                    "the controller does not trust the TLS certificate of the index %s. Evidence: "
                    "it is that of %s. Fix: set ca_cert of the index to the CA's certificate, or "
                    "add it to the controller's trust store" % (self.entry["name"], self.url)
                ) from error
            except (URLError, UrlConnectionError, socket.timeout, OSError) as error:
                if time.monotonic() > deadline:
                    raise IndexUnavailableError(
                        "the index %s is unavailable. Evidence: %s: %s. Fix: check its url in "
                        "swf_testbed_pip_indexes, and whether it runs: ansible-playbook "
                        "playbooks/status.yml"
                        % (self.entry["name"], self.url, getattr(error, "reason", error))
                    ) from error
                time.sleep(0.2)
            else:
                return links(page, url)

    def error_text(self, code: int, package: str) -> str:
        if code in (401, 403):
            return (
                "the index %s rejected the credentials, or the user lacks read permission. "
                "Evidence: %s, user %r, HTTP %d. Fix: check username and token of the index in "
                "swf_testbed_pip_indexes (for the index of this collection: swf_testbed_index_user "
                "and swf_testbed_index_token)"
                % (self.entry["name"], self.url, self.entry["username"], code)
            )
        return (
            "the index %s returned an error. Evidence: %s: HTTP %d for %s. Fix: look at its log"
            % (self.entry["name"], self.url, code, package)
        )

    def open(self, url: str, login: bool = True) -> Any:
        options = dict(self.login if login else {}, follow_redirects="none", use_netrc=False)
        return open_url(url, timeout=20, ca_path=self.ca_cert, **options)

    def download(self, url: str, path: str) -> None:
        """Download a file. Redirects are followed, and the login is sent only to the index's own
        host.

        :raises PublishError:
        """
        for _hop in range(5):
            own = urlsplit(url)[:2] == urlsplit(self.url)[:2]
            try:
                with open(path, "wb") as stream:
                    stream.write(self.open(url, login=own).read())
                return
            except HTTPError as error:
                if error.code not in REDIRECTS:
                    raise PublishError(
                        self.error_text(error.code, os.path.basename(path))
                    ) from error
                url = urljoin(url, error.headers["Location"])
            except (
                URLError,
                UrlConnectionError,
                SSLValidationError,
                socket.timeout,
                OSError,
            ) as error:
                raise PublishError(
                    "cannot download %s from the index %s. Evidence: %s. Fix: check the network "
                    "and the index"
                    % (os.path.basename(path), self.entry["name"], getattr(error, "reason", error))
                ) from error
        raise PublishError(
            "the index %s redirects %s without end. Fix: look at its log"
            % (self.entry["name"], os.path.basename(path))
        )


def public_index() -> tuple[str, str | None, str | None, str | None]:
    """(url, user, password, CA file) of the index of this machine's pip: PyPI, or a mirror."""
    try:
        found = upstream_of_pip(sys.executable)
    except PipNotFoundError as error:
        raise PublishError(
            "the address of PyPI is unknown. Evidence: the controller's Python has no pip. Fix: "
            "run: %s -m ensurepip" % (sys.executable)
        ) from error
    return found["url"], found.get("username"), found.get("password"), found.get("ca_file")


def parsed(file: str) -> tuple[str, str, str] | None:
    """(``wheel`` or ``sdist``, canonical name, normalised version) of a file name, or None."""
    for format_name, parse in (("wheel", parse_wheel_filename), ("sdist", parse_sdist_filename)):
        try:
            found = parse(file)
        except (InvalidWheelFilename, InvalidSdistFilename):
            continue
        return format_name, str(found[0]), str(found[1])
    return None
