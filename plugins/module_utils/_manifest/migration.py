# To be removed with the release 1.0.0: no host has these names any more then.
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives the files of an instance the names that they have since the roles supervisord, systemd and
service are the role testbed. An interrupted migration goes on in the next run."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest import listing

#: below the directory of the configuration: former name, name
RENAMED = (
    ("proven", "known_good"),
    ("back_at_boot.sh", "boot_rollback.sh"),
    ("provenance/supervisord.json", "provenance/testbed.json"),
)


def migrate(options: dict[str, Any], check_mode: bool) -> bool:
    """Rename what has a former name, in the manifest first. True if there was anything.

    :param options: the option ``manifest`` of a module.
    :raises ManifestError: the manifest cannot be used.
    :raises OSError:
    """
    subject = listing.subject_of(options)
    if "service" in subject:
        return False
    path = listing.path_of(subject)
    folder = os.path.dirname(path)
    names = {os.path.join(folder, old): os.path.join(folder, new) for old, new in RENAMED}
    due = {old: new for old, new in names.items() if os.path.lexists(old)}
    if not due or check_mode:
        return bool(due)
    manifest = listing.read(path, subject)
    if manifest:
        entries = [
            dict(item, path=names[item["path"]]) if item.get("path") in names else item
            for item in manifest["entries"]
        ]
        listing.write(path, listing.merged(dict(manifest, entries=[]), entries))
    for old, new in due.items():
        if os.path.lexists(new):
            # of a run that was interrupted after the new file was placed
            continue
        os.rename(old, new)
    return True
