# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this controller may change a host: it has the secrets that the host runs with, and no
older collection.

The host tells its record of them, see module_utils/_manifest/provenance.py.
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
    HeldSecrets,
    told,
)


def digest(key: str, name: str, secret: str) -> str:
    return hmac.new(key.encode(), ("%s\0%s" % (name, secret)).encode(), hashlib.sha256).hexdigest()


def stamp(directory: str) -> dict[str, str]:
    """Who changes a host, and when, for its record."""
    return dict(
        here(directory),
        time=time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
        collection=collection_version(),
    )


def digests(key: str, names: Iterable[str], held: HeldSecrets) -> dict[str, str]:
    """{name: digest} of those of the secrets that this controller has."""
    found = {name: held.get(name) for name in names}
    return {name: digest(key, name, secret) for name, secret in found.items() if secret is not None}


def others(record: dict[str, Any], held: HeldSecrets) -> dict[str, str]:
    """The secrets of a record that this controller would replace without being entitled to: {name:
    how it is different}.

    One that has the digest key as well may replace secrets. It may not restore one that another
    controller has replaced: that is no change on purpose, this controller has missed the other
    one's.
    """
    entitled = held.get(DIGEST_KEY) == record["key"]
    missed = where(record["changed_by"]) != where(here(held.directory))
    found = {}
    for name, known in record["secrets"].items():
        secret = held.get(name)
        mine = secret and digest(record["key"], name, secret)
        if mine == known:
            continue
        if missed and mine in record["former"].get(name, ()):
            found[name] = "is a former one"
        elif not entitled:
            found[name] = "is another one" if mine else "is missing"
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
                "use the ones that it had then: restore that directory from a backup, or use the "
                "vault file of the team"
                if where(theirs) == where(mine)
                else "get them: copy that directory to %s; or there: make export-secrets, and use "
                "the vault file (docs/team.md)" % held.directory
            )
            return (
                "this controller does not have the secrets that %s runs with, and nothing was "
                "changed. Evidence: here %s. %s. "
                "This is %s. Fix: %s; or, to replace the secrets of all hosts on purpose: "
                "-e swf_testbed_replace_secrets=true"
                % (
                    host,
                    "; ".join("%s %s" % (told(name), how) for name, how in sorted(found.items())),
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
                "host, and nothing was changed. "
                "Evidence: %s with version %s. Fix: ansible-galaxy collection install "
                "bnlnpps.swf_testbed:%s --upgrade; or, to "
                "go back on purpose: -e swf_testbed_allow_older_collection=true"
                % (mine, changed(record["changed_by"]), theirs, theirs)
            )
    return None


def where(who: dict[str, Any]) -> str:
    return "%(login)s on %(controller)s, with %(directory)s" % who


def changed(who: dict[str, Any]) -> str:
    return "The host was last changed on %s UTC by %s" % (who["time"], where(who))
