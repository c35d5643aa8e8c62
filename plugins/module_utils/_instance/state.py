# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of an instance of the testbed on this host: its release, daemon and programs."""

from __future__ import annotations

import configparser
import os
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    WARNING,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.lost_logs import (
    findings as lost_logs,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.restarts import (
    Restart,
    before,
    restarted,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.drift import differences
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.environments import (
    active,
    manifest,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.store import previous
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import status
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.client import (
    Client,
    Snapshot,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.daemon import (
    described,
    unreachable_daemons,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    SupervisorError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.logs import (
    add_tails,
    last_lines,
    report,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.rpc import Endpoint

SITE, START, BACK = (
    "ansible-playbook site.yml",
    "ansible-playbook playbooks/start.yml",
    "ansible-playbook playbooks/rollback.yml",
)
LAST_LINES, MOST_OF_A_LINE = 3, 300
# of the log of a restarted program, which has grown since
LOG_BYTES = 1 << 16
# a release that became active within this number of seconds may be the cause of a problem
LATELY = 86400
MOST_DIFFERENCES = 3
A_MOMENT = 0.5

Finding = dict[str, Any]


class State:
    """The state of one instance.

    :ivar installed: whether its configuration exists.
    :ivar settings: the section swf-testbed of its configuration.
    :ivar client, snapshot: of supervisord, None if it does not answer.
    :ivar processes: as the module supervisor_info returns them.
    :ivar unreachable: pids of daemons of its configuration that its socket does not reach.
    :ivar findings: its problems.
    """

    def __init__(self, places: Mapping[str, str], tail_bytes: int = 0) -> None:
        """:param tail_bytes: bytes from the end of a log to search for the reason of a failure."""
        self.places = places
        self.release = active(places["root"])
        self.installed = os.path.exists(places["supervisord_conf"])
        self.settings = settings_of(places["supervisord_conf"])
        self.client: Client | None = None
        self.snapshot: Snapshot | None = None
        self.processes: list[status.Process] = []
        self.findings: list[Finding] = []
        self.unreachable: list[int] = []
        if self.installed:
            self._ask(tail_bytes)
            self.findings += changed_release(places, self.release)
        else:
            self.findings.append(not_installed(places))

    def _ask(self, tail_bytes: int) -> None:
        client = Client(Endpoint("unix", self.places["socket"]))
        try:
            snapshot = self._snapshot(client)
            self.processes = report(client, snapshot, snapshot.processes, 0)
            unhealthy = [item for item in self.processes if not item["healthy"]]
            if tail_bytes and unhealthy:
                add_tails(client, unhealthy, tail_bytes)
            again = self._restarted(client, snapshot)
        except SupervisorError as error:
            self.findings.append(unanswered(error, self.unreachable))
            return
        self.client, self.snapshot = client, snapshot
        self.findings += [of_program(item) for item in unhealthy] + again
        if self.findings:
            self.findings += lately_activated(self.places["root"], self.release)
        self.findings += lost_logs(
            snapshot.pid, os.path.join(self.places["log_dir"], "supervisord.log"), self.processes
        )

    def _snapshot(self, client: Client) -> Snapshot:
        """The report of the daemon. A daemon that its socket does not reach is found by its
        process.

        :raises SupervisorError: none answers.
        """
        conf, folder = self.places["supervisord_conf"], self.places["log_dir"]
        for last in (False, True):
            try:
                snapshot = client.snapshot()
                self.unreachable = unreachable_daemons(conf, folder, snapshot.pid)
                if self.unreachable:
                    self.findings.append(doubled(self.unreachable))
                return snapshot
            except SupervisorError:
                self.unreachable = unreachable_daemons(conf, folder)
                # it may be about to end, or to reopen its socket
                if last or not self.unreachable:
                    raise
                time.sleep(A_MOMENT)
        raise AssertionError  # the last try returns or raises

    def _restarted(self, client: Client, snapshot: Snapshot) -> list[Finding]:
        """Findings for running programs that end over and over."""
        found = (
            restarted(snapshot.main_log, snapshot.processes)
            if any(info["stop"] for info in snapshot.processes)
            else {}
        )
        # copies, because the report has no logs of programs whose state is healthy
        items = [
            dict(item)
            for item in self.processes
            if item["healthy"] and status.namespec(item) in found
        ]
        if items:
            add_tails(client, items, LOG_BYTES)
        return [of_restarted(item, found[status.namespec(item)]) for item in items]


def unanswered(error: SupervisorError, unreachable: list[int]) -> Finding:
    """The finding for a supervisord that does not answer."""
    if unreachable:
        return finding(
            "daemon",
            described(unreachable),
            error.message,
            "Run: %s, which stops it with its programs, and starts them" % START,
        )
    return finding(
        "daemon",
        "supervisord does not answer",
        error.message,
        "Run: " + START if error.means_not_running else "",
    )


def doubled(unreachable: list[int]) -> Finding:
    """The finding for daemons in addition to the one that answers."""
    return finding(
        "daemon",
        "%s, and another supervisord answers there: each program runs twice"
        % described(unreachable),
        "",
        "Run: %s, which stops both and starts one" % START,
    )


def settings_of(path: str) -> dict[str, str]:
    """The section swf-testbed of a configuration; empty without one, or if supervisord could not
    read the file either."""
    conf = configparser.RawConfigParser(strict=False, inline_comment_prefixes=(" ;",))
    try:
        conf.read(path, encoding="utf-8")
        return dict(conf.items("swf-testbed"))
    except (configparser.Error, OSError, UnicodeDecodeError):
        return {}


def not_installed(places: Mapping[str, str]) -> Finding:
    if os.path.isdir(os.path.join(places["root"], "releases")):
        return finding(
            "installation",
            "the installation was interrupted",
            "there is a release in %s, but no %s" % (places["root"], places["supervisord_conf"]),
            "Resume it: " + SITE,
        )
    return finding(
        "not_installed",
        "not installed",
        "there is no %s" % places["supervisord_conf"],
        "Run: " + SITE,
        WARNING,
    )


def changed_release(places: Mapping[str, str], release: str | None) -> list[Finding]:
    """A finding, as a list, for an active release with changed files."""
    path = os.path.join(places["root"], "releases", release or "")
    built = manifest(path) if release else None
    found = differences(path, built) if built else []
    if not found:
        return []
    more = len(found) - MOST_DIFFERENCES
    return [
        finding(
            "drift",
            "the release %s differs from its build" % release,
            "; ".join(found[:MOST_DIFFERENCES] + ["and %d more" % more] * (more > 0)),
            "Find out who changed it. To rebuild it: rm %s/release.json, then: %s" % (path, SITE),
            WARNING,
        )
    ]


def of_program(item: status.Process) -> Finding:
    """The finding for an unhealthy program."""
    log = item["stderr_logfile"] or item["stdout_logfile"]
    starting = item["state_code"] in (status.STARTING, status.RUNNING)
    return finding(
        "program",
        status.describe(item),
        last_lines(item),
        "Look at: tail %s. Fix the cause, then: %s" % (log, START),
        WARNING if starting else "fatal",
    )


def of_restarted(item: Mapping[str, Any], restart: Restart) -> Finding:
    """The finding for a program that is RUNNING, and will probably end again."""
    log = item["stderr_logfile"] or item["stdout_logfile"]
    lines = before((item["stderr_tail"] or item["stdout_tail"] or "").strip(), restart.stop)[
        -LAST_LINES:
    ]
    cause = (
        "%s is %s, but ended and was restarted %d times within the last hour, the last time with %s"
        % (item["full_name"], item["state"], restart.times, restart.how)
    )
    evidence = (
        "the end of its log then: " + " | ".join(line[:MOST_OF_A_LINE] for line in lines)
        if lines
        else ""
    )
    return finding(
        "program", cause, evidence, "Look at: tail %s. Fix the cause, then: %s" % (log, SITE)
    )


def lately_activated(root: str, release: str | None) -> list[Finding]:
    """A finding, as a list, with the rollback of a release that became active recently."""
    former = previous(root)
    new, old = (
        manifest(os.path.join(root, "releases", name)) if name else None
        for name in (release, former)
    )
    # if the previous release is the newer one, it was rolled back already
    if not new or not old or release == former or old["built_at"] > new["built_at"]:
        return []
    age = time.time() - os.lstat(os.path.join(root, "current")).st_mtime
    if age > LATELY:
        return []
    when = "%d minutes ago" % (age // 60) if age >= 0 else "before the clock was set back"
    return [
        finding(
            "release",
            "the release %s became active %s" % (release, when),
            "",
            "If it is the cause, roll back to %s: %s" % (former, BACK),
            WARNING,
        )
    ]
