# SPDX-License-Identifier: GPL-3.0-or-later
"""One question per host: a run without changes makes one remote call, and a change by hand of
whatever kind is found by it. A login without root, a real supervisord, releases from PyPI."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from pathlib import Path

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.turn import FOLDER
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._state import bootstrap
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._state import _bundle, _record
from helpers.mutations import all_mutations
from helpers.small_site import Site
from helpers.unprivileged import run_as_nobody, unprivileged_home

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
CALL = "EXEC /bin/sh"
ASK = {"name": "ask", "bnlnpps.swf_testbed.host_state": {}, "register": "answer"}


@pytest.fixture(scope="module", name="site")
def a_site():
    with unprivileged_home() as folder:
        site = Site(folder)
        code, output = site.site()
        assert code == 0 and "The testbed is running" in output, output
        yield site
        site.stop()


class Root:
    """Runs the scripts of root that appear in a directory."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ended = folder, threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_error):
        self.ended.set()
        self.thread.join()

    def watch(self):
        while not self.ended.wait(0.05):
            for path in self.folder.glob("*.as-root"):
                subprocess.run(
                    ["sh", "-ec", path.read_text()],
                    check=True,
                    cwd=self.folder,
                    env={**os.environ, "HOME": str(self.folder)},
                    preexec_fn=lambda: os.setresuid(0, 0, 0),
                )
                path.unlink()


def tasks_of(site, mutations):
    """Change, ask, undo and ask again, for each of the mutations."""
    record = {
        "name": "record",
        "bnlnpps.swf_testbed.host_state": {
            "state": "recorded",
            "info": {"instances": ["swf-testbed"], "scope": "user"},
        },
    }
    yield {"ansible.builtin.import_role": {"name": "bnlnpps.swf_testbed.preflight"}}
    for number, mutation in enumerate(mutations):
        for step, command in (("change", mutation.change), ("undo", mutation.undo)):
            script = site.folder / ("%d-%s" % (number, step))
            script.write_text("set -e\ncd %s\n%s\n" % (site.folder, command))
            run = "sh %s" % script
            if mutation.as_root:
                wanted = script.with_suffix(".as-root")
                run = "mv %s %s; while [ -e %s ]; do sleep 0.05; done" % (script, wanted, wanted)
            yield {
                "name": step,
                "ansible.builtin.shell": run,
                "changed_when": False,
                "environment": {"HOME": str(site.folder)},
            }
            if step == "undo" and mutation.for_good:
                yield record
            yield ASK
            yield {
                "name": "note",
                "ansible.builtin.copy": {
                    "dest": str(site.folder / ("%d-%s.json" % (number, step))),
                    "content": "{{ {'found': answer} | to_json }}",
                    "mode": "0600",
                },
            }


def undetected(site, mutations):
    """{name: what is wrong} of the mutations that the question did not find, or found after their
    undo."""
    check = {"bnlnpps.swf_testbed.inventory_check": None, "run_once": True}
    # a play without roles, as in site.yml: their variables are no inputs
    play = [
        {"hosts": "testbed", "gather_facts": False, "tasks": tasks}
        for tasks in ([check], list(tasks_of(site, mutations)))
    ]
    (site.folder / "mutations.yml").write_text(json.dumps(play))
    with Root(site.folder):
        code, output = site.play(site.folder / "mutations.yml")
    assert code == 0, output[-4000:]
    wrong = {}
    for number, mutation in enumerate(mutations):
        change, undo = (
            json.loads((site.folder / ("%d-%s.json" % (number, step))).read_text())["found"]
            for step in ("change", "undo")
        )
        if change["current"] or not any(mutation.named in item for item in change["reasons"]):
            wrong[mutation.name] = "reasons: %s" % change["reasons"]
        elif not undo["current"]:
            wrong[mutation.name] = "after its undo: %s" % undo["reasons"]
    return wrong


def test_a_run_without_changes_is_one_remote_call(site):
    code, output = site.site("-vvvv")
    assert code == 0 and "changed=0" in output, output[-4000:]
    assert output.count(CALL) == 1, output[-4000:]
    assert "RUNNING" in output and "The testbed is running" in output
    # all but the question and the report
    assert re.findall(r"TASK \[(.*?)\]", output) == [
        "Check the inventory",
        "Ask the host for its state",
        "bnlnpps.swf_testbed.status : Report the status",
    ]


def test_the_question_and_its_answer_are_small(site):
    (path,) = (site.controller / "states").glob("*.json")
    desired = _record.read(str(path))
    key = (site.controller / "secrets/digest_key").read_text().strip()
    asked = _bundle.payload(desired.request(key), desired.kept, b"")
    done = run_as_nobody(
        [desired.python, "-I", "-S", "-X", "utf8", "-c", _bundle.START],
        input=asked,
        stdout=subprocess.PIPE,
        check=True,
        env={"HOME": str(site.folder), "PATH": os.environ["PATH"]},
    )
    answer = json.loads(done.stdout.decode().rpartition(bootstrap.MARK)[2])
    assert desired.reasons(answer) == [] and answer["info"]["instances"]
    # a quarter of the limit for seven programs
    assert len(_bundle.START) + len(asked) + len(done.stdout) < 20_000 / 4


def test_the_record_has_no_secret(site):
    texts = "".join(
        path.read_text()
        for path in (site.controller / "states").iterdir()
        if path.suffix == ".json"
    )
    for path in (site.controller / "secrets").iterdir():
        assert path.read_text().strip() not in texts
    assert all(not path.stat().st_mode & 0o077 for path in (site.controller / "states").iterdir())


def test_the_roles_run_if_an_input_changed(site):
    former = site.variables
    site.variables = {**former, "swf_testbed_log_max_bytes": "9MB"}
    try:
        code, output = site.site("--check", "--diff")
        assert code == 0 and "+logfile_maxbytes = 9MB" in output, output
        code, output = site.site()
        assert "one: the variables of the inventory changed" in output, output
        assert code == 0 and "changed=0" not in output
        code, output = site.site("-vvvv")
        assert code == 0 and output.count(CALL) == 1, output[-4000:]
    finally:
        site.variables = former
    code, output = site.site()
    assert code == 0 and "the variables of the inventory changed" in output, output


def test_a_full_run_and_one_with_tags_ask_nothing(site):
    code, output = site.site("-e", "swf_testbed_full_run=true")
    assert code == 0 and "Apply the configuration of the programs" in output, output
    assert "changed=0" in output
    code, output = site.site("--check")
    assert code == 0 and "Apply the configuration of the programs" in output, output
    code, output = site.site("-vvvv")
    assert code == 0 and output.count(CALL) == 1, output[-4000:]


def test_a_change_by_hand_is_repaired(site):
    (site.config / "app.toml").write_text("by hand")
    code, output = site.site()
    assert code == 0 and "one: %s/app.toml has other content" % site.config in output, output
    assert "instance = " in (site.config / "app.toml").read_text()
    code, output = site.site("-vvvv")
    assert code == 0 and output.count(CALL) == 1, output[-4000:]


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
    few = [mutation for mutation in MUTATIONS if mutation.name in FEW]
    assert len(few) == len(FEW)
    assert undetected(site, few) == {}


@pytest.mark.nightly
def test_each_of_all_changes_by_hand_is_found(site):
    """At least 40, see docs/testing/no_change.md."""
    able = [item for item in MUTATIONS if os.getuid() == 0 or not item.as_root]
    assert len(MUTATIONS) >= 40 and len({item.name for item in MUTATIONS}) == len(MUTATIONS)
    wrong = undetected(site, able)
    print("detected: %d of %d" % (len(able) - len(wrong), len(able)))
    assert wrong == {}
