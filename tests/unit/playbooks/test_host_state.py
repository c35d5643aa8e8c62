# SPDX-License-Identifier: GPL-3.0-or-later
"""One question per host: a run without changes makes one remote call, and a change by hand of
whatever kind is found by it. A login without root, a real supervisord, releases from PyPI."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import replace

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import lease
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.turn import FOLDER
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._state import bootstrap
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._state.model import InstanceState
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._state import _bundle, _record
from helpers.mutations import all_mutations
from helpers.small_site import Site
from helpers.unprivileged import as_myself, run_as_nobody, unprivileged_home

MUTATIONS = all_mutations(FOLDER)
# in the ordinary tests
FEW = (
    "supervisord.conf has another line",
    ".config/swf-testbed/secrets/api_token has the mode 0644",
    "a secret is another one",
    "a module is new in a package",
    "current leads elsewhere",
    "a program is stopped",
    "another run holds the host",
)
#: bytes that a run without changes may send to a host
MOST_BYTES = 20_000
#: remote calls of a run that changes a setting or repairs a file; the aim is 3
MOST_CALLS = 12


@pytest.fixture(scope="module", name="site")
def a_site():
    with unprivileged_home() as folder:
        site = Site(folder)
        code, output = site.site()
        assert code == 0 and "The testbed is running" in output, output
        assert "Could not match" not in output, output
        yield site
        site.stop()


class Questions:
    """The questions that site.yml asks, without Ansible.

    :ivar desired: the record of the last run.
    """

    # of a run of this controller
    LEASE = {"instance": "swf-testbed", "scope": "user", "owner": "me", "run": "1"}

    def __init__(self, site):
        self.site = site
        (path,) = (site.controller / "states").glob("*.json")
        self.desired = _record.read(str(path))
        self.key = (site.controller / "secrets/digest_key").read_text().strip()
        self.bytes = 0

    def answer(self, request):
        asked = _bundle.payload(request, self.desired.stored, b"")
        done = run_as_nobody(
            [self.desired.python, "-I", "-S", "-X", "utf8", "-c", _bundle.START],
            input=asked,
            stdout=subprocess.PIPE,
            check=True,
            env={
                "HOME": str(self.site.folder),
                "PATH": os.environ["PATH"],
                lease.ENVIRONMENT: lease.MARK + json.dumps(self.LEASE),
            },
        )
        self.bytes = len(_bundle.START) + len(asked) + len(done.stdout)
        found = json.loads(done.stdout.decode().rpartition(bootstrap.MARK)[2])
        assert found, "the host has lost the program of the question"
        return found

    def reasons(self):
        return self.desired.reasons(self.answer(self.desired.request(self.key)))

    def record(self):
        """What a run does at its end."""
        request = self.desired.request(self.key)
        for instance in request["instances"]:
            instance["desired"] = None
        states = self.answer(request)["states"].items()
        present = {name: InstanceState.from_dict(state) for name, state in states}
        self.desired = replace(self.desired, instances=present)

    def run(self, command, as_root):
        options = {
            "cwd": self.site.folder,
            "env": {"HOME": str(self.site.folder), "PATH": os.environ["PATH"]},
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "text": True,
        }
        shell = ["sh", "-ec", command]
        if as_root:
            done = subprocess.run(shell, check=False, **as_myself(), **options)
        else:
            done = run_as_nobody(shell, **options)
        assert done.returncode == 0, "%s: %s" % (command, done.stdout)

    def detected(self, mutation):
        """What is wrong; None if the change was found, and not after its undo."""
        self.run(mutation.change, mutation.as_root)
        changed = self.reasons()
        self.run(mutation.undo, mutation.as_root)
        if mutation.for_good:
            self.record()
        after = self.reasons()
        if not any(mutation.named in item for item in changed):
            return "reasons: %s" % changed
        return "after its undo: %s" % after if after else None


def asks_once(site):
    code, output = site.site()
    assert code == 0 and len(site.calls) == 1, output


def test_a_run_without_changes_is_one_remote_call(site):
    code, output = site.site()
    assert code == 0 and "changed=0" in output, output
    assert "Could not match" not in output, output
    assert len(site.calls) == 1 and sum(site.calls) < MOST_BYTES, site.calls
    assert "RUNNING" in output and "The testbed is running" in output
    # all but the question and the report
    assert re.findall(r"TASK \[(.*?)\]", output) == [
        "Check the inventory",
        "Ask the host for its state",
        "bnlnpps.swf_testbed.status : Report the status",
    ]


@pytest.mark.nightly
def test_the_callback_progress_shows_what_the_question_found(site):
    progress = {"ANSIBLE_STDOUT_CALLBACK": "bnlnpps.swf_testbed.progress"}
    code, output = site.site(**progress)
    assert code == 0 and "] preflight one: as the last run left it [" in output, output
    assert "] build" not in output and output.count("changed=0") == 1, output
    (site.config / "app.toml").write_text("by hand")
    code, output = site.site(**progress)
    assert code == 0 and "as the last run" not in output and " changed: " in output, output
    # by the callback, and not by the action, too
    assert output.count("/app.toml has other content") == 1, output
    asks_once(site)


def test_the_question_and_its_answer_are_small(site):
    questions = Questions(site)
    assert questions.reasons() == []
    # a quarter of the limit for seven programs
    assert questions.bytes < MOST_BYTES / 4


def test_the_record_has_no_secret(site):
    texts = "".join(
        path.read_text()
        for path in (site.controller / "states").iterdir()
        if path.suffix == ".json"
    )
    for path in (site.controller / "secrets").iterdir():
        assert path.read_text().strip() not in texts
    assert all(not path.stat().st_mode & 0o077 for path in (site.controller / "states").iterdir())


@pytest.mark.nightly
def test_the_roles_run_if_an_input_changed(site):
    former = site.variables
    site.variables = {**former, "swf_testbed_log_max_bytes": "9MB"}
    try:
        code, output = site.site("--check", "--diff")
        assert code == 0 and "+logfile_maxbytes = 9MB" in output, output
        code, output = site.site()
        assert "one: the variables of the inventory changed" in output, output
        assert code == 0 and "changed=0" not in output
        assert len(site.calls) <= MOST_CALLS, site.calls
        asks_once(site)
    finally:
        site.variables = former
    code, output = site.site()
    assert code == 0 and "the variables of the inventory changed" in output, output


@pytest.mark.nightly
def test_a_full_run_and_one_with_tags_ask_nothing(site):
    code, output = site.site("-e", "swf_testbed_full_run=true")
    assert code == 0 and "Apply the configuration of the programs" in output, output
    assert "changed=0" in output
    code, output = site.site("--check")
    assert code == 0 and "Apply the configuration of the programs" in output, output
    asks_once(site)


@pytest.mark.nightly
def test_a_change_by_hand_is_repaired(site):
    (site.config / "app.toml").write_text("by hand")
    code, output = site.site()
    assert code == 0 and "one: %s/app.toml has other content" % site.config in output, output
    assert "instance = " in (site.config / "app.toml").read_text()
    assert len(site.calls) <= MOST_CALLS, site.calls
    asks_once(site)


@pytest.mark.nightly
def test_another_file_of_the_controller_is_an_input(site):
    stack = site.folder / "stack.yml"
    before = stack.read_text()
    stack.write_text(before.replace("100001", "100003"))
    try:
        code, output = site.site()
        assert code == 0 and "%s changed" % stack in output, output
        assert "100003" in (site.config / "supervisord.conf").read_text()
    finally:
        stack.write_text(before)
        assert site.site()[0] == 0


def test_changes_by_hand_are_found(site):
    questions = Questions(site)
    few = [mutation for mutation in MUTATIONS if mutation.name in FEW]
    assert len(few) == len(FEW)
    assert {item.name: questions.detected(item) for item in few} == dict.fromkeys(FEW)


@pytest.mark.nightly
def test_each_of_all_changes_by_hand_is_found(site):
    """At least 40, see docs/testing/no_change.md."""
    questions = Questions(site)
    able = [item for item in MUTATIONS if os.getuid() == 0 or not item.as_root]
    assert len(MUTATIONS) >= 40 and len({item.name for item in MUTATIONS}) == len(MUTATIONS)
    wrong = {item.name: questions.detected(item) for item in able}
    wrong = {name: text for name, text in wrong.items() if text}
    print("detected: %d of %d" % (len(able) - len(wrong), len(able)))
    assert wrong == {}
