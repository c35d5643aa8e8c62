# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings for an instance of the testbed on this host, or for the installation of one."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    WARNING,
    Finding,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor import certificates
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.drift import drift
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.env_file import env_files
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.units import unit_problems
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.places import (
    full_disks,
    place_problems,
    space_problem,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.ports import port_problem
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.health import (
    ask,
    problems,
    token_of,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.namespace import (
    with_namespace,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.pipeline import judged
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.probes import Probes
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.state import (
    SITE,
    START,
    State,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.environments import (
    manifest,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.running import (
    programs_of,
)

TAIL_BYTES = 2000


def examine(
    item: Mapping[str, Any], places: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[bool, bool, list[Finding]]:
    """(installed, health checked, findings) of an instance.

    :param item: ``name``, ``ports``, ``health_url``, ``probes`` and ``components`` of the stack,
        ``certificate_names`` (if it has its own certificate) of the instance.
    :param places: its layout.
    :param options: of the module host_check.
    """
    state = State(places, TAIL_BYTES)
    found: list[Finding | None] = [*place_problems(places)]
    checked = False
    if state.installed:
        found += full_disks(
            [places[name] for name in ("root", "config_dir", "state_dir", "log_dir")],
            options["min_free_mb"],
        )
        found += broken_release(places) + open_secrets(places)
        found += runtime_problems(state)
        checked, more = health_problems(state, item)
        found += more + env_files(state, item["components"])
        found += certificates_of(item, places, options["expiry_days"])
    else:
        found.append(space_problem(places, options["release_mb"]))
        # a host may have several instances
        name = "the instance %s is not installed" % item["name"]
        for entry in state.findings:
            found.append(dict(entry, cause=entry["cause"].replace("not installed", name)))
    # the processes of another login cannot be distinguished from those of the instance
    if places["scope"] == "user" or os.geteuid() == 0:
        ours = programs_of(places["socket"])
        found += [port_problem(port, ours) for port in item["ports"]]
    return state.installed, checked, [entry for entry in found if entry]


def runtime_problems(state: State) -> list[Finding]:
    """Findings for unit, daemon, programs, and drift of the configuration."""
    places, running = state.places, True
    found: list[Finding] = []
    if state.settings.get("unit"):
        running, found = unit_problems(places["unit"], places["scope"], START)
    elif os.path.exists(places["unit_file"]):
        found.append(
            finding(
                "drift",
                "supervisord runs without systemd, and an old unit for it exists",
                "there is %s" % places["unit_file"],
                "Run: %s, which removes it" % SITE,
                WARNING,
            )
        )
    # a stopped unit explains a missing daemon
    found += [entry for entry in state.findings if running or entry["check"] != "daemon"]
    if state.snapshot is None:
        return found + ([] if state.unreachable else orphans(places))
    return found + drift(state)


def health_problems(state: State, item: Mapping[str, Any]) -> tuple[bool, list[Finding]]:
    """(whether there was something to ask, findings) of the monitor and the probes of the stack.

    A monitor that does not run is a finding of its own.
    """
    components, ca_file = item["components"], state.places["ca_file"]
    token = token_of(state.places["supervisord_conf"])
    monitors = [entry["name"] for entry in components if entry["role"] == "monitor"]
    asked = bool(item["health_url"]) and any(
        process["healthy"] for process in state.processes if process["name"] in monitors
    )
    found = []
    if asked:
        url = with_namespace(item["health_url"], state.places["supervisord_conf"])
        for line in problems(*ask(url, ca_file, token), components):
            cause, _comma, fix = line.partition(". Look at: ")
            found.append(finding("health", cause, "", "Look at: " + fix if fix else ""))
    central, lines = (
        judged(item["summary_url"], ca_file, token, state.processes, components)
        if item.get("summary_url")
        else (None, [])
    )
    found += [finding("health", line, "GET %s" % item["summary_url"], "") for line in lines]
    probes = Probes(item["probes"], components, ca_file)
    found += [entry for _name, entry in probes.findings(state.client, state.processes)]
    return asked or probes.asked or bool(central), found


def orphans(places: Mapping[str, Any]) -> list[Finding]:
    left = programs_of(places["socket"])
    if not left:
        return []
    return [
        finding(
            "orphans",
            "programs run without the supervisord that started them",
            "processes %s" % (", ".join(map(str, sorted(left)))),
            "Run: %s, which stops and starts them again" % START,
        )
    ]


def broken_release(places: Mapping[str, Any]) -> list[Finding]:
    """Findings for a release that cannot start, for example after an upgrade of the distribution's
    Python."""
    current = os.path.join(places["root"], "current")
    if not os.path.islink(current):
        # a first run was interrupted before the last step; drift is a separate finding
        return [
            finding("release", "no release is active", "there is no %s" % current, "Run: " + SITE)
        ]
    path = os.path.realpath(current)
    if manifest(path):
        return []
    python = os.path.join(path, "bin", "python")
    why = "%s is incomplete" % path
    if not os.path.isdir(path):
        why = "%s points to %s, which does not exist" % (current, path)
    elif os.path.islink(python) and not os.path.exists(python):
        why = "%s points to %s, which does not exist" % (python, os.path.realpath(python))
    return [
        finding("release", "the active release is broken", why, "Run: %s, which rebuilds it" % SITE)
    ]


def open_secrets(places: Mapping[str, Any]) -> list[Finding]:
    """Findings for secrets that others than their owner, or the group of the runtime user, can
    read."""
    found = []
    allowed = 0o700 if places["scope"] == "user" else 0o750
    for folder in (places["secrets_dir"], places["access_dir"]):
        for path in [folder, *(entry.path for entry in entries(folder))]:
            try:
                mode = stat.S_IMODE(os.lstat(path).st_mode)
            except OSError:
                continue
            # the directory also contains certificates and pip settings, which are not secret; it
            # protects them all
            if mode & ~allowed & 0o777 and (
                path == folder or folder == places["secrets_dir"] or path.endswith("netrc")
            ):
                found.append(
                    finding(
                        "secrets",
                        "other users can read %s" % path,
                        "its mode is %04o" % mode,
                        "Run: chmod %s %s. The secrets in it are compromised: rotate them"
                        % ("go-rwx" if places["scope"] == "user" else "o-rwx", path),
                    )
                )
    return found


def entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return []


def certificates_of(item: Mapping[str, Any], places: Mapping[str, Any], days: int) -> list[Finding]:
    """Findings for the certificate of the instance's server, and for the CAs that it trusts."""
    own, key = (os.path.join(places["secrets_dir"], name) for name in ("tls.pem", "tls.key"))
    found = []
    if os.path.exists(own):
        found += certificates.file_problems(
            "the certificate of %s" % item["name"], own, days, item["certificate_names"], key
        )
    for path in [
        places["ca_file"],
        *certificates.placed(os.path.join(places["access_dir"], "*.pem")),
    ]:
        if os.path.exists(path):
            found += certificates.file_problems("the CA certificate", path, days)
    return found
