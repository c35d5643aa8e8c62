# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the running programs match the configuration on disk, without a reload of supervisord."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    WARNING,
    Finding,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.state import SITE, State
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.daemon import Daemon
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    SupervisorError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.plan import predict
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.record import load
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.running import (
    newer_secrets,
)


def drift(state: State) -> list[Finding]:
    """Findings for an instance whose supervisord answers."""
    if state.snapshot is None or state.client is None:
        return []
    places, daemon = state.places, Daemon(state.snapshot.pid)
    found = [other_release(places, state.settings.get("release")), newer_secret(places)]
    try:
        plan = predict(
            places["supervisord_conf"], state.snapshot, daemon, load(state.client.endpoint, daemon)
        )
    except SupervisorError as error:
        return [not_compared(error), *filter(None, found)]
    parts = [
        "%s %s" % (word, ", ".join(names))
        for word, names in (("changed", plan.changed), ("new", plan.added), ("gone", plan.removed))
        if names
    ]
    if parts:
        found.append(
            finding(
                "drift",
                "the running programs do not match the configuration on disk",
                "%s: %s" % (places["supervisord_conf"], "; ".join(parts)),
                "Run: %s, which applies it" % SITE,
                WARNING,
            )
        )
    return [item for item in found if item]


def not_compared(error: SupervisorError) -> Finding:
    """The finding for a configuration that supervisord refuses, or that cannot be read here."""
    cause = "supervisord refuses the configuration on disk"
    fix = "Run: %s, which writes it again" % SITE
    if error.cause == "config_unknown":
        cause = (
            "the running programs were not compared with the configuration on disk, because it cannot "
            "be read as supervisord reads it"
        )
        fix = (
            "run the doctor as the user of supervisord or as root (become); if it ran so, run: "
            + SITE
        )
    evidence = error.message.partition("Evidence: ")[2].partition(". Fix: ")[0]
    return finding("drift", cause, evidence or error.message, fix)


def other_release(places: Mapping[str, Any], configured: str | None) -> Finding | None:
    """The finding for an interrupted upgrade or rollback: the programs are configured for another
    release than the active one."""
    current = os.path.realpath(os.path.join(places["root"], "current"))
    if not configured or os.path.realpath(configured) == current:
        return None
    return finding(
        "drift",
        "the programs are configured for another release than the active one",
        "%s and %s" % (os.path.basename(configured), os.path.basename(current)),
        "Run: %s, which resumes the interrupted change" % SITE,
        WARNING,
    )


def newer_secret(places: Mapping[str, Any]) -> Finding | None:
    """The finding for a secret that changed after supervisord started: programs read secrets at
    their start."""
    newer = newer_secrets(places["secrets_dir"], places["socket"])
    if not newer:
        return None
    return finding(
        "drift",
        "a secret was changed, and the programs still use the old one",
        ", ".join(newer),
        "Run: %s, which restarts them" % SITE,
        WARNING,
    )
