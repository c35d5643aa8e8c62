# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest
from supervisord_host import Supervisord, until

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._daemon_processes import alive
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._layout import layout
from run_module import run_module


@pytest.fixture(name="home")
def home_with_an_instance(tmp_path):
    for path in (".local/share/swf/releases/1/bin/python", ".config/swf/supervisord.conf", ".config/swf/secrets/token",
                 ".local/state/swf/log/a.log", ".local/state/swf/monitor/db.sqlite3", ".config/other/theirs",
                 ".local/share/swf/app/index_app.py", ".config/swf/index.json", ".config/swf/upstream.json",
                 ".local/state/swf/mirror/pages/six.json"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    os.symlink("releases/1", tmp_path / ".local/share/swf/current")
    return tmp_path


def removed(home, check=False, **options):
    return run_module("instance_removed", dict({"instance": "swf"}, **options), check=check, env={"HOME": str(home)})


def files(home):
    return {os.path.relpath(os.path.join(place, name), home) for place, _folders, names in os.walk(home) for name in names}


def test_keeps_the_data_and_what_is_not_ours(home):
    (home / ".config/swf/mine.txt").touch()
    before = files(home)
    predicted = removed(home, check=True)
    assert files(home) == before
    answer = removed(home)
    assert answer["changed"] and answer["removed"] == predicted["removed"]
    assert files(home) == {".config/swf/mine.txt", ".local/state/swf/monitor/db.sqlite3", ".config/other/theirs"}
    assert answer["kept"] == [str(home / ".config/swf"), str(home / ".local/state/swf")]
    assert not removed(home)["changed"]


def test_removes_the_data_when_told_to(home):
    answer = removed(home, remove_data=True)
    assert files(home) == {".config/other/theirs"} and answer["kept"] == []
    assert not (home / ".local/state/swf").exists()


def test_takes_out_what_was_set_for_pip(home):
    (home / ".config/pip").mkdir()
    (home / ".config/pip/pip.conf").write_text("[global]\ntimeout = 9\n")
    settle = {"scope": "user", "owner": "swf", "record": str(home / ".config/swf/pip-settings.json"),
              "indexes": [{"name": "lab", "url": "https://index.example.org/simple/", "username": "me", "token": "x" * 32}]}
    assert run_module("pip_settings", settle, env={"HOME": str(home)})["changed"]
    assert "index.example.org" in (home / ".netrc").read_text()
    removed(home, check=True)
    assert "index.example.org" in (home / ".netrc").read_text()
    assert removed(home)["changed"]
    assert not (home / ".netrc").exists()
    assert (home / ".config/pip/pip.conf").read_text() == "[global]\ntimeout = 9\n"


def test_stops_a_supervisord_that_lost_its_socket():
    """It would go on with programs whose files are gone."""
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        places = layout("swf", "user", {"HOME": home})
        for name in ("config_dir", "run_dir", "log_dir"):
            os.makedirs(places[name], mode=0o700)
        host = Supervisord(places["run_dir"], "[program:sleeps]\ncommand=/bin/sleep 1000\n")
        text = host.conf.read_text().replace("%(here)s/s.sock", places["socket"]).replace("%(here)s", places["log_dir"])
        host.conf, host.socket = Path(places["supervisord_conf"]), Path(places["socket"])
        host.conf.write_text(text)
        host.start()
        try:
            host.until_states(sleeps="RUNNING")
            (program,) = host.pids().values()
            os.unlink(places["socket"])
            time.sleep(2.2)
            assert removed(home, check=True)["stopped"] and alive(program)
            assert removed(home)["stopped"]
            until(lambda: host.process.poll() is not None and not alive(program), "their end")
            assert not os.path.exists(places["supervisord_conf"])
        finally:
            host.stop()
