# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this controller may change a host: it must have the secrets of the host, and no older
collection.

The host returns its record of them, see module_utils/_manifest/provenance.py.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterable
from typing import Any

from ansible.utils.version import SemanticVersion

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._collection import (
    collection_version,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._controller import here
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._held_secrets import (
    DIGEST_KEY,
    LOGIN,
    LOGINS,
    USER,
    HeldSecrets,
    label,
    password_file,
)


def digest(key: str, name: str, secret: str) -> str:
    return hmac.new(key.encode(), ("%s\0%s" % (name, secret)).encode(), hashlib.sha256).hexdigest()


def stamp(directory: str) -> dict[str, str]:
    """Controller, login, time and version of the collection, for the record of a host."""
    return dict(
        here(directory),
        time=time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
        collection=collection_version(),
    )


def digests(key: str, names: Iterable[str], held: HeldSecrets) -> dict[str, str]:
    """{name: digest} of the secrets that this controller has."""
    found = {name: held.get(name) for name in held.expanded(names)}
    return {name: digest(key, name, secret) for name, secret in found.items() if secret is not None}


def others(record: dict[str, Any], held: HeldSecrets) -> dict[str, str]:
    """The secrets of a record that this controller must not replace: {name: difference}.

    A controller with the digest key may replace secrets. It must not restore a former secret that
    another controller has replaced: it does not have that change yet. It must not remove a login of
    a developer that it has not revoked, nor restore a revoked one. It must not generate another
    password for an account of the monitor; only the last controller may.
    """
    entitled = held.get(DIGEST_KEY) == record["key"]
    outdated = where(record["changed_by"]) != where(here(held.directory))
    found = {}
    for name, recorded in record["secrets"].items():
        secret = held.get(name)
        mine = secret and digest(record["key"], name, secret)
        if mine == recorded:
            continue
        if outdated and mine in record["former"].get(name, ()):
            found[name] = "has a former value"
        elif not entitled or (held.lost(name) and (outdated or not name.startswith(USER))):
            found[name] = "has another value" if mine else "is missing"
    for name in set(record["former"]) - set(record["secrets"]):
        login = held.get(name) if name.startswith(LOGIN) and outdated else None
        if login and digest(record["key"], name, login) in record["former"][name]:
            found[name] = "is revoked"
    return found


def refusal(records: list[dict[str, Any]], held: HeldSecrets, host: str) -> str | None:
    """Why this controller may not change a host; None if it may.

    :param records: of the host.
    :param held: the controller's HeldSecrets.
    """
    for record in sorted(records, key=lambda item: item["changed_by"]["time"], reverse=True):
        found, mine = others(record, held), here(held.directory)
        if found:
            theirs = record["changed_by"]
            get = (
                "restore that directory from a backup, or use the vault file of the team"
                if where(theirs) == where(mine)
                else "copy secrets/%s.json of that directory to %s/secrets"
                % (LOGINS, held.directory)
                if all(name.startswith(LOGIN) for name in found)
                else "copy the files secrets/%s* of that directory to %s/secrets"
                % (password_file(""), held.directory)
                if all(name.startswith(USER) for name in found)
                else "copy that directory to %s; or run make export-secrets there, and use the vault "
                "file (docs/how-to/team.md)" % held.directory
            )
            return (
                "this controller does not have the secrets of %s, and nothing was changed. "
                "Evidence: on this controller, %s. %s. This controller is %s. Fix: %s; or, to "
                "replace the secrets of all hosts intentionally: "
                "-e swf_testbed_replace_secrets=true"
                % (
                    host,
                    "; ".join("%s %s" % (label(name), how) for name, how in sorted(found.items())),
                    changed(theirs),
                    where(mine),
                    get,
                )
            )
    return None


def older(records: list[dict[str, Any]]) -> str | None:
    """Why this version of the collection may not change a host; None if it may."""
    mine = collection_version()
    for record in records:
        theirs = record["changed_by"]["collection"]
        if SemanticVersion(mine) < SemanticVersion(theirs):
            return (
                "this version of the collection, %s, is older than the one that provisioned this "
                "host, and nothing was changed. Evidence: %s with version %s. Fix: ansible-galaxy "
                "collection install bnlnpps.swf_testbed:%s --upgrade; or, to use the older version "
                "intentionally: -e swf_testbed_allow_older_collection=true"
                % (mine, changed(record["changed_by"]), theirs, theirs)
            )
    return None


def where(who: dict[str, Any]) -> str:
    return "%(login)s on %(controller)s, with %(directory)s" % who


def changed(who: dict[str, Any]) -> str:
    return "The host was last changed on %s UTC by %s" % (who["time"], where(who))
