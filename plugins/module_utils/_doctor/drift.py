# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what runs is what is configured on this host's disk, found out without telling
supervisord."""

from __future__ import annotations

import os

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    WARNING,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.state import SITE
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.daemon import Daemon
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    SupervisorError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.plan import predict
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.record import load
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.running import (
    newer_secrets,
)


def drift(state):
    """Findings for an instance whose supervisord answers."""
    places, daemon = state.places, Daemon(state.snapshot.pid)
    found = [other_release(places, state.settings.get("release")), newer_secret(places)]
    try:
        plan = predict(
            places["supervisord_conf"], state.snapshot, daemon, load(state.client.endpoint, daemon)
        )
    except SupervisorError as error:
        return [
            finding(
                "drift", "the configuration on disk cannot be used", error.message, "Run: " + SITE
            ),
            *filter(None, found),
        ]
    parts = [
        "%s %s" % (word, ", ".join(names))
        for word, names in (("changed", plan.changed), ("new", plan.added), ("gone", plan.removed))
        if names
    ]
    if parts:
        found.append(
            finding(
                "drift",
                "the configuration on disk is not the one that runs",
                "%s: %s" % (places["supervisord_conf"], "; ".join(parts)),
                "Run: %s, which brings it into force" % SITE,
                WARNING,
            )
        )
    return [item for item in found if item]


def other_release(places, configured):
    """An upgrade or a rollback that was cut off: programs are configured for another release than
    the active one."""
    current = os.path.realpath(os.path.join(places["root"], "current"))
    if not configured or os.path.realpath(configured) == current:
        return None
    return finding(
        "drift",
        "the programs are configured for another release than the active one",
        "%s and %s" % (os.path.basename(configured), os.path.basename(current)),
        "Run: %s, which finishes what was cut off" % SITE,
        WARNING,
    )


def newer_secret(places):
    """A secret that was changed after supervisord was started: programs read them when they
    start."""
    newer = newer_secrets(places["secrets_dir"], places["socket"])
    if not newer:
        return None
    return finding(
        "drift",
        "a secret was changed, and the programs have the old one",
        ", ".join(newer),
        "Run: %s, which starts them again" % SITE,
        WARNING,
    )
