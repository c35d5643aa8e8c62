# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment of the programs that build and fetch packages: pip, uv, build, twine, git.

It starts empty and takes the variables of an allowlist. A setting of the login (``PIP_TARGET``,
``UV_EXCLUDE_NEWER``, ``PYTHONPATH``, ``LD_LIBRARY_PATH``, ``CFLAGS``, ...) would change the build,
and no list of forbidden names is ever complete. For the same reason pip and uv read no
configuration file of the login.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

#: the allowlist, with the reason for each entry
ADMITTED = (
    # to find programs, and the login's home: uv's cache, known_hosts of ssh, user packages of the
    # Python that runs Ansible
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    # how file names and output are encoded
    "LANG",
    "LC_.+",
    # directories with free space: a home or /tmp may be small or slow. They do not change the
    # build.
    "TMPDIR",
    "XDG_CACHE_HOME",
    "PIP_CACHE_DIR",
    "UV_CACHE_DIR",
    # proxies; programs differ in the case of the names that they read
    "(?i:(http|https|all|no)_proxy)",
    # trusted CAs: a lab or a proxy has its own
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)
#: variables for git in addition: the login's configuration, the keys, tickets and options of ssh,
#: and the CA of https
ADMITTED_FOR_GIT = (
    "XDG_CONFIG_HOME",
    "SSH_AUTH_SOCK",
    "KRB5CCNAME",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
)

LOOPBACK = ("localhost", "127.0.0.1", "::1")

#: pip and uv read no configuration file of the login or the host, do not prompt, download no
#: Python, and print plain text
SEALED = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_NO_INPUT": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "UV_NO_CONFIG": "1",
    "UV_NO_PROGRESS": "1",
    "UV_PYTHON_DOWNLOADS": "never",
    "UV_NO_ENV_FILE": "1",
    # certificates of the system, where a lab installs its own CA; uv renamed the setting
    "UV_SYSTEM_CERTS": "1",
    "UV_NATIVE_TLS": "1",
    # tokens come from files, never from the login's keyring
    "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    "NO_COLOR": "1",
}


def clean_environment(**more: Any) -> dict[str, str]:
    """The environment for a program that builds or fetches, as a new dictionary.

    :param more: variables to add or replace; None removes one.
    """
    return _with(_direct_loopback(admitted(*ADMITTED)), SEALED, more)


def environment_for_git(**more: Any) -> dict[str, str]:
    """The same for git, which also reads the login's own configuration, such as proxies and ssh."""
    return _with(_direct_loopback(admitted(*ADMITTED, *ADMITTED_FOR_GIT)), more)


def admitted(*patterns: str) -> dict[str, str]:
    """The variables of this process whose whole names match one of the patterns."""
    pattern = re.compile("|".join(patterns))
    return {name: value for name, value in os.environ.items() if pattern.fullmatch(name)}


def _direct_loopback(found: dict[str, str]) -> dict[str, str]:
    """Bypass proxies for loopback addresses: for the proxy, they mean the proxy itself."""
    proxied = any(name.lower().endswith("_proxy") for name in found)
    return {**found, **direct_to(())} if proxied else found


def direct_to(hosts: Iterable[str]) -> dict[str, str]:
    """The ``no_proxy`` variables for loopback and these hosts, in addition to those of the
    login."""
    existing = (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").split(",")
    direct = ",".join(
        dict.fromkeys(host.strip() for host in (*existing, *LOOPBACK, *hosts) if host.strip())
    )
    return {"no_proxy": direct, "NO_PROXY": direct}


def _with(*parts: Mapping[str, Any]) -> dict[str, str]:
    found = {name: value for part in parts for name, value in part.items()}
    return {name: str(value) for name, value in found.items() if value is not None}
