# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""An index without a url is the one in this machine's pip configuration.

pip is asked once, and its settings are passed to every installer: uv does not read pip's
configuration, and the pip of an installation must not read the login's, which may have other
settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import (
    environment_of_login,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    unusable_login,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.pip_conf import (
    is_true,
    settings_in_files,
    usual_files,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.pip_upstream import (
    PipNotFoundError,
    address_and_login,
    asked_of_pip,
)

# settings of the connection to the index: pip's option, and the variables of pip and uv for it
CONNECTION = {
    "proxy": "PIP_PROXY http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY",
    "cert": "PIP_CERT SSL_CERT_FILE REQUESTS_CA_BUNDLE",
    "client-cert": "PIP_CLIENT_CERT SSL_CLIENT_CERT",
    "trusted-host": "PIP_TRUSTED_HOST UV_INSECURE_HOST",
}


class HostIndexError(ValueError):
    """pip's settings cannot be passed on; the text has cause and fix."""


def resolved(indexes: list[dict[str, Any]], python: str | None = None) -> list[dict[str, Any]]:
    """Normalised indexes, where the one without a url gets this machine's pip settings.

    It then has ``url`` (None: PyPI, pip's default), ``username`` and ``token``, and
    ``environment``, variables for the connection. Only pip's index-url counts: its extra indexes
    and find-links would let a name come from several sources.

    :param python: a Python whose pip is asked first.
    :raises HostIndexError:
    """
    if all(index["url"] for index in indexes):
        return indexes
    settings = settings_of_this_machine(python)
    return [
        index if index["url"] else dict(index, **filled(index["name"], settings))
        for index in indexes
    ]


def settings_of_this_machine(python: str | None) -> dict[str, str]:
    """{option: value} of pip's settings; without pip on this machine, those in its usual files."""
    try:
        return asked_of_pip(python)[2]
    except PipNotFoundError:
        environment = environment_of_login()
        return settings_in_files(usual_files(environment), environment)


def filled(name: str, settings: Mapping[str, str]) -> dict[str, Any]:
    """The values for the entry without a url, from pip's settings."""
    found: dict[str, Any] = {"url": None, "environment": {}}
    if is_true(settings.get("no-index")):
        folders = settings.get("find-links", "").split()
        if len(folders) != 1 or not folders[0].startswith(("/", "file:///")):
            raise HostIndexError(
                "pip on this machine uses no index, and the index %s has no url. Evidence: pip "
                "config list has no-index, and find-links with %d places. Fix: set the url of the "
                "index in swf_testbed_pip_indexes, or one directory in find-links"
                % (name, len(folders))
            )
        return dict(found, preset="directory", url=folders[0].replace("file://", "", 1).rstrip("/"))
    if settings.get("index-url"):
        found["url"], login = address_and_login(settings["index-url"])
        if login:
            problem = unusable_login(*login)
            if problem:
                raise HostIndexError(
                    "the login of this machine's pip for %s cannot be passed to uv. Evidence: %s. "
                    "Or add an entry with url, username and token to swf_testbed_pip_indexes"
                    % (found["url"], problem)
                )
            found.update(username=login[0], token=login[1])
    for option, variables in CONNECTION.items():
        if settings.get(option):
            found["environment"].update(
                (variable, settings[option]) for variable in variables.split()
            )
    return found
