# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An index without a url is the one that this machine's pip is set up for.

pip is asked once, and what it says is handed on to every program that installs: uv does not read
pip's configuration, and the pip of an installation reads none of the login's, which may say more
than which index to ask.
"""

from __future__ import annotations

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
    NoPip,
    address_and_login,
    asked_of_pip,
)

# on the way to the index, and nothing about what is installed: pip's option, and the variables of
# pip and uv for it
WAY = {
    "proxy": (
        "PIP_PROXY",
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "all_proxy",
    ),
    "cert": ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"),
    "client-cert": ("PIP_CLIENT_CERT", "SSL_CLIENT_CERT"),
    "trusted-host": ("PIP_TRUSTED_HOST", "UV_INSECURE_HOST"),
}


class HostIndexError(ValueError):
    """pip is set up in a way that cannot be handed on; the text says what and what to do."""


def resolved(indexes, python=None):
    """Normalised indexes, where the one without a url has what this machine's pip is set up for.

    That one then has ``url`` (None: PyPI, where pip is set up for no other), ``username`` and
    ``token``, and ``environment``, variables for the way there. Only pip's one index counts: its
    extra indexes and find-links would let a name come from several places.

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


def settings_of_this_machine(python):
    """{option: value} of what pip is set up for; without a pip here, of what the next one would
    find in its usual files."""
    try:
        return asked_of_pip(python)[2]
    except NoPip:
        environment = environment_of_login()
        return settings_in_files(usual_files(environment), environment)


def filled(name, settings):
    """What pip's settings make of the entry without a url."""
    found = {"url": None, "environment": {}}
    if is_true(settings.get("no-index")):
        folders = settings.get("find-links", "").split()
        if len(folders) != 1 or not folders[0].startswith(("/", "file:///")):
            raise HostIndexError(
                "pip on this machine asks no index, and the index %s has no url. Evidence: pip "
                "config list says no-index, with find-links for %d places. Fix: give the index a "
                "url in swf_testbed_pip_indexes, or one folder in find-links" % (name, len(folders))
            )
        return dict(found, preset="directory", url=folders[0].replace("file://", "", 1).rstrip("/"))
    if settings.get("index-url"):
        found["url"], login = address_and_login(settings["index-url"])
        if login:
            problem = unusable_login(*login)
            if problem:
                raise HostIndexError(
                    "the login that pip on this machine has for %s cannot be handed to uv: %s. "
                    "Fix: another token, or an entry "
                    "of its own with url, username and token in swf_testbed_pip_indexes"
                    % (found["url"], problem)
                )
            found.update(username=login[0], token=login[1])
    for option, variables in WAY.items():
        if settings.get(option):
            found["environment"].update((variable, settings[option]) for variable in variables)
    return found
