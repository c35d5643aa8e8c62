# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an instance of the testbed on this host is doing: its release, its daemon and its programs."""

from __future__ import annotations

import configparser
import os

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils import _supervisor_status as status
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._environments import active, manifest
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._finding import WARNING, finding
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release_drift import differences
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor_client import Client
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor_errors import SupervisorError
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor_logs import add_tails, report
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor_transport import Endpoint

SITE, START = "ansible-playbook site.yml", "ansible-playbook playbooks/start.yml"
LAST_LINES = 3
MOST_DIFFERENCES = 3


class State:
    """What was found.

    :ivar installed: whether a run of site.yml got as far as its configuration.
    :ivar settings: what its configuration tells of itself, in the section swf-testbed.
    :ivar client, snapshot: of supervisord, None where it does not answer.
    :ivar processes: as the module supervisor_info returns them.
    :ivar findings: what is not well.
    """

    def __init__(self, places, tail_bytes=0):
        """:param tail_bytes: how much of the ends of logs to look at for the reason why a program does not run."""
        self.places = places
        self.release = active(places["root"])
        self.installed = os.path.exists(places["supervisord_conf"])
        self.settings = settings_of(places["supervisord_conf"])
        self.client = self.snapshot = None
        self.processes, self.findings = [], []
        if self.installed:
            self._ask(tail_bytes)
            self.findings += changed_release(places, self.release)
        else:
            self.findings.append(not_installed(places))

    def _ask(self, tail_bytes):
        client = Client(Endpoint("unix", self.places["socket"]))
        try:
            snapshot = client.snapshot()
            self.processes = report(client, snapshot, snapshot.processes, 0)
            ill = [item for item in self.processes if not item["healthy"]]
            if tail_bytes and ill:
                add_tails(client, ill, tail_bytes)
        except SupervisorError as error:
            self.findings.append(finding("daemon", "supervisord does not answer", error.message,
                                         "Run: " + START if error.means_not_running else ""))
            return
        self.client, self.snapshot = client, snapshot
        self.findings += [of_program(item) for item in ill]


def settings_of(path):
    """The section swf-testbed of a configuration; empty where there is none, or supervisord would not read the file either."""
    conf = configparser.RawConfigParser(strict=False, inline_comment_prefixes=(" ;",))
    try:
        conf.read(path, encoding="utf-8")
        return dict(conf.items("swf-testbed"))
    except (configparser.Error, OSError, UnicodeDecodeError):
        return {}


def not_installed(places):
    if os.path.isdir(os.path.join(places["root"], "releases")):
        return finding("installation", "the installation was cut off", "there is a release in %s and no %s" % (
            places["root"], places["supervisord_conf"]), "Run again, and it goes on from there: " + SITE)
    return finding("not_installed", "not installed", "there is no %s" % places["supervisord_conf"], "Run: " + SITE, WARNING)


def changed_release(places, release):
    """A finding, as a list, for an active release that is not what was built."""
    path = os.path.join(places["root"], "releases", release or "")
    built = manifest(path) if release else None
    found = differences(path, built) if built else []
    if not found:
        return []
    more = len(found) - MOST_DIFFERENCES
    return [finding("drift", "the release %s is not what was built" % release, "; ".join(
        found[:MOST_DIFFERENCES] + ["and %d more" % more] * (more > 0)),
        "Find out who changed it. To have it built again, beside it: rm %s/release.json, then: %s" % (path, SITE), WARNING)]


def of_program(item):
    """The finding for a program that is not well."""
    log = item["stderr_logfile"] or item["stdout_logfile"]
    lines = (item.get("stderr_tail") or item.get("stdout_tail") or "").strip().splitlines()[-LAST_LINES:]
    starting = item["state_code"] in (status.STARTING, status.RUNNING)
    return finding("program", status.describe(item), "the end of its log: " + " | ".join(lines) if lines else "",
                   "Look at: tail %s. Mend the cause, then: %s" % (log, START), WARNING if starting else "fatal")
