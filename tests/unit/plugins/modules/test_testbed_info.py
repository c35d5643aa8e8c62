# SPDX-License-Identifier: GPL-3.0-or-later
"""What ails an instance, told with the next command; supervisord and its programs are real."""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path

import pytest
from supervisord_host import Supervisord, until

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._layout import layout
from run_module import run_module

PROGRAMS = """
[program:well]
command=/bin/sleep 1000
startsecs=0

[program:limps]
command=/bin/sh -c "echo the cause is here; sleep 0.3; test -e %(here)s/enough && exec sleep 1000; exit 7"
startsecs=0
redirect_stderr=true
"""


@pytest.fixture(name="instance")
def instance_of_the_login():
    """(supervisord, layout, home) of an instance that went from the release old to new."""
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        places = layout("swf-testbed", "user", {"HOME": home})
        for name in ("config_dir", "run_dir", "log_dir"):
            os.makedirs(places[name], mode=0o700)
        root = Path(places["root"])
        for number, name in enumerate(("old", "new")):
            (root / "releases" / name / "bin").mkdir(parents=True)
            (root / "releases" / name / "bin/python").symlink_to("/usr/bin/env")
            (root / "releases" / name / "lib/python3/site-packages").mkdir(parents=True)
            (root / "releases" / name / "release.json").write_text(json.dumps({
                "id": name, "packages": {}, "built_at": "2027-01-0%dT00:00:00Z" % (number + 1)}))
        (root / "current").symlink_to("releases/new")
        (root / "previous").symlink_to("releases/old")
        host = Supervisord(places["run_dir"], PROGRAMS)
        text = host.conf.read_text().replace("%(here)s/s.sock", places["socket"]).replace("%(here)s", places["log_dir"])
        host.conf.unlink()
        host.conf, host.socket = Path(places["supervisord_conf"]), Path(places["socket"])
        host.conf.write_text(text)
        host.start()
        yield host, places, home
        host.stop()


def let_it_end_twice(places):
    log = Path(places["log_dir"], "supervisord.log")
    until(lambda: log.read_text().count("exited: limps") >= 2, "two ends")
    Path(places["log_dir"], "enough").touch()
    time.sleep(1)


def problems(home):
    answer = run_module("testbed_info", {"instances": ["swf-testbed"]}, env={"HOME": home, "PATH": os.environ["PATH"]})
    assert not answer["failed"], answer
    return answer["instances"][0]["problems"]


def test_a_program_that_passed_the_gate_and_ends_again_and_again(instance):
    _host, places, home = instance
    let_it_end_twice(places)
    limping, back = problems(home)
    assert "limps is RUNNING, but has ended and was started again" in limping
    assert "with exit status 7: the end of its log then: the cause is here" in limping
    assert limping.endswith("ansible-playbook site.yml")
    assert back == ("the release new became active 0 minutes ago. If it is the cause, go back to old: "
                    "ansible-playbook playbooks/rollback.yml")


def test_the_way_back_is_shown_only_where_it_may_help(instance):
    host, places, home = instance
    let_it_end_twice(places)
    current, previous = Path(places["root"], "current"), Path(places["root"], "previous")
    for age, seen in ((90 * 60, "90 minutes ago"), (-3600, "before the clock was set back"), (2 * 86400, None)):
        os.utime(current, (0, time.time() - age), follow_symlinks=False)
        told = [line for line in problems(home) if "became active" in line]
        assert seen in told[0] if seen else told == []
    # somebody went back already: the former release is the later one
    for link, name in ((current, "old"), (previous, "new")):
        link.unlink()
        link.symlink_to("releases/" + name)
    assert len(problems(home)) == 1
    # what was stopped and started by hand is well
    for method in ("stopProcess", "startProcess"):
        host.client.call("supervisor." + method, "limps")
    assert problems(home) == []
