# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of pip on this host: its index with the login, the proxy, the certificates."""

from __future__ import annotations

import netrc
import os
import shutil
import subprocess
import sys
import urllib.request
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.clean_environment import (
    admitted,
    clean_environment,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import captured
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.pip_conf import (
    files_in,
    settings_in_files,
)

# prints pip's own address of PyPI
DEFAULT = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
SECONDS = 60


class PipNotFoundError(Exception):
    """No usable pip is on this host."""


def environment_of_pip() -> dict[str, str]:
    """The environment in which pip reports its settings, from variables and files."""
    own = dict({"PIP_CONFIG_FILE": None}, **admitted("PIP_.+", "XDG_CONFIG_.+"))
    return clean_environment(**dict(own, PIP_NO_INPUT="1", PIP_DISABLE_PIP_VERSION_CHECK="1"))


def output(python: str, *arguments: str, **more: str) -> str | None:
    """The output of a Python in the environment of pip, with more variables; None if it fails or is
    missing."""
    try:
        # in a directory without modules: python -m first searches the working directory
        environment = {**environment_of_pip(), **more}
        done = captured([python, *arguments], cwd="/", timeout=SECONDS, env=environment)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def asked_of_pip(preferred: str | None = None) -> tuple[str, list[str], dict[str, str]]:
    """The Python whose pip answered, the files that this pip reads, and its settings as {option:
    value}.

    :param preferred: a Python whose pip is asked first.
    :raises PipNotFoundError: no Python of this host has a pip that can read its configuration.
    """
    for python in dict.fromkeys(
        filter(
            None,
            (
                preferred,
                sys.executable,
                shutil.which("python3"),
                shutil.which("python3", path=os.defpath),
            ),
        )
    ):
        text = output(python, "-m", "pip", "config", "debug")
        if text is not None:
            files = files_in(text)
            try:
                return python, files, settings_in_files(files, environment_of_pip())
            except ValueError as error:
                raise PipNotFoundError(str(error)) from None
    raise PipNotFoundError("no pip on this host can report its index")


def settings_of_pip(preferred: str | None = None) -> dict[str, str]:
    """{option: value} of this host's pip; ``index-url`` has pip's default if it is unset.

    Parameters and errors as of :func:`asked_of_pip`.
    """
    python, _files, settings = asked_of_pip(preferred)
    url = settings.get("index-url") or (output(python, "-c", DEFAULT) or "").strip()
    if not url:
        raise PipNotFoundError("the pip of %s does not report its index" % python)
    return {**settings, "index-url": url}


def address_and_login(url: str) -> tuple[str, tuple[str, str] | None]:
    """(address, (user name, password) or None) of pip's index.

    A login in the URL is split off, because only the address may be shown. Without one, netrc is
    searched, as in pip.
    """
    parts = urlsplit(url)
    address = urlunsplit(
        (parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/") + "/", "", "")
    )
    if parts.username:
        return address, (unquote(parts.username), unquote(parts.password or ""))
    return address, login_of(parts.hostname or "")


def upstream_of_pip(preferred: str | None = None) -> dict[str, Any]:
    """pip's index and its connection: ``url``, and if set ``username``, ``password``, ``proxies``
    (as in urllib), ``ca_file``. Parameters and errors as of :func:`settings_of_pip`.
    """
    settings = settings_of_pip(preferred)
    url, login = address_and_login(settings["index-url"])
    result: dict[str, Any] = {"url": url}
    if login:
        result.update(username=login[0], password=login[1])
    proxies = urllib.request.getproxies()
    if settings.get("proxy"):
        proxies = {"http": settings["proxy"], "https": settings["proxy"]}
    result["proxies"] = {
        scheme: value
        for scheme, value in sorted(proxies.items())
        if scheme in ("http", "https", "all", "no")
    }
    for scheme in ("http", "https"):
        # urllib has no proxy for all schemes, curl and pip do
        if "all" in result["proxies"]:
            result["proxies"].setdefault(scheme, result["proxies"]["all"])
    result["proxies"].pop("all", None)
    ca_file = (
        settings.get("cert")
        or os.environ.get("REQUESTS_CA_BUNDLE")
        or os.environ.get("SSL_CERT_FILE")
    )
    if ca_file:
        result["ca_file"] = ca_file
    return result


def login_of(host: str) -> tuple[str, str] | None:
    """The login of the netrc file for a host, or None. Like pip, it ignores a default entry."""
    try:
        # with its path: without one, Python rejects a file that others can read, and pip does not
        found = netrc.netrc(os.environ.get("NETRC") or os.path.expanduser("~/.netrc")).hosts.get(
            host
        )
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return None
    return (found[0], found[2]) if found else None
