# SPDX-License-Identifier: GPL-3.0-or-later
"""Installation lists what it creates, and removal takes exactly that."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import alive
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import layout
from helpers.run_module import regain, run_module
from helpers.supervisord_host import Supervisord, until
from helpers.unprivileged import NOBODY, unprivileged_home

USERS = ["swf@one/user", "swf@two/user"]
OLD = (
    ".local/share/swf/releases/1/bin/python",
    ".config/swf/secrets/token",
    ".local/state/swf/log/a.log",
    ".local/state/swf/monitor/db.sqlite3",
    ".config/other/theirs",
    ".local/share/swf/app/index_app.py",
    ".config/swf/index.json",
    ".config/swf/upstream.json",
    ".local/state/swf/mirror/pages/six.json",
)


def run(home, module, arguments, check=False):
    return run_module(module, arguments, check=check, env={"HOME": str(home)}, drop_to=NOBODY)


def removed(home, check=False, **options):
    return run(home, "instance", dict({"state": "absent", "instance": "swf"}, **options), check)


def place(home, check=False, instance="swf", **manifest):
    """What the roles do, with fewer files."""
    config, state, share = (
        home / path / instance for path in (".config", ".local/state", ".local/share")
    )
    return run(
        home,
        "config_files",
        {
            "manifest": dict({"instance": instance, "role": "supervisord"}, **manifest),
            "directories": [
                {"path": str(config), "mode": "0700"},
                {"path": str(config / "secrets"), "mode": "0700", "uninstall": "always"},
                {"path": str(state), "mode": "0700"},
                {"path": str(state / "log"), "uninstall": "always"},
                {"path": str(state / "monitor"), "uninstall": "data"},
                {"path": str(share)},
                {"path": str(home / ".config/systemd/user")},
            ],
            "files": [
                {"dest": str(config / "supervisord.conf"), "content": "; ours\n"},
                {"dest": str(config / "secrets/token"), "secret": True, "secret_content": "x"},
            ],
        },
        check,
    )


@pytest.fixture(name="tmp_path")
def empty_home():
    with unprivileged_home() as home:
        yield home


@pytest.fixture(name="home")
def home_with_an_instance(tmp_path):
    (tmp_path / ".config/other").mkdir(parents=True)
    (tmp_path / ".config/other/theirs").touch()
    assert place(tmp_path)["changed"]
    (tmp_path / ".local/state/swf/monitor/db.sqlite3").touch()
    (tmp_path / ".local/state/swf/log/a.log").touch()
    return tmp_path


@pytest.fixture(name="older")
def home_with_an_instance_that_has_no_manifest(tmp_path):
    for path in OLD:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / ".config/swf/supervisord.conf").write_text(
        "; Written by bnlnpps.swf_testbed; changes made are lost.\n"
    )
    os.symlink("releases/1", tmp_path / ".local/share/swf/current")
    return tmp_path


def files(home):
    return {
        os.path.relpath(os.path.join(place, name), home)
        for place, _folders, names in os.walk(home)
        for name in names
    }


def listed(home, instance="swf"):
    found = json.loads((home / ".config" / instance / "manifest.json").read_text())
    return {
        item.get("path", item.get("name")).replace(str(home) + "/", ""): item["uninstall"]
        for item in found["entries"]
    }


def test_a_second_run_changes_nothing_and_what_was_not_ours_is_not_listed(home):
    assert not place(home)["changed"]
    assert listed(home) == {
        ".config/swf": "empty",
        ".config/swf/secrets": "always",
        ".config/swf/supervisord.conf": "always",
        ".local/share/swf": "empty",
        ".local/state/swf": "empty",
        ".local/state/swf/log": "always",
        ".local/state/swf/monitor": "data",
    }
    assert stat.S_IMODE(os.stat(home / ".config/swf/manifest.json").st_mode) == 0o600


def test_it_is_written_before_anything_is_created(tmp_path):
    """A file that cannot be placed, as after an interruption: what was created until then is
    listed."""
    (tmp_path / ".config/swf").mkdir(parents=True)
    (tmp_path / ".config/swf/supervisord.conf").mkdir()
    assert place(tmp_path)["failed"]
    assert (tmp_path / ".local/state/swf/log").is_dir()
    assert listed(tmp_path)[".local/state/swf/log"] == "always"
    # the directory and the file of somebody else are not
    assert not {".config/swf", ".config/swf/supervisord.conf"} & set(listed(tmp_path))
    assert not removed(tmp_path, remove_data=True)["failed"]
    assert files(tmp_path) == set() and (tmp_path / ".config/swf/supervisord.conf").is_dir()


def test_two_roles_that_share_a_directory_agree(home):
    assert not place(home, role="pip_index")["changed"] and not place(home)["changed"]


def test_the_directory_of_the_manifest_goes_with_it(tmp_path):
    """The first to create something elsewhere, as the role package_index does with its release."""
    arguments = {
        "manifest": {"instance": "swf"},
        "directories": [{"path": str(tmp_path / ".local/share/swf")}],
    }
    assert (
        run(tmp_path, "config_files", arguments)["changed"]
        and not run(tmp_path, "config_files", arguments)["changed"]
    )
    place(tmp_path)
    removed(tmp_path, remove_data=True)
    assert not (tmp_path / ".config/swf").exists() and not (tmp_path / ".local/share/swf").exists()


def test_a_check_writes_nothing(tmp_path):
    assert place(tmp_path, check=True)["changed"]
    assert not (tmp_path / ".config").exists()


def test_what_a_later_run_no_longer_manages_is_removed(home):
    extra = str(home / ".config/swf/extra.conf")
    run(
        home,
        "config_files",
        {"manifest": {"instance": "swf"}, "files": [{"dest": extra, "content": "x"}]},
    )
    assert not place(home)["changed"]
    removed(home)
    assert not os.path.exists(extra)


def test_keeps_the_data_and_what_is_not_listed(home):
    (home / ".config/swf/mine.txt").touch()
    before = files(home)
    predicted = removed(home, check=True)
    assert files(home) == before
    answer = removed(home)
    assert answer["changed"] and answer["removed_items"] == predicted["removed_items"]
    remaining = {
        ".config/swf/mine.txt",
        ".config/swf/manifest.json",
        ".local/state/swf/monitor/db.sqlite3",
        ".config/other/theirs",
    }
    assert files(home) == remaining
    assert answer["unlisted_paths"] == [str(home / ".config/swf/mine.txt")]
    assert "swf_testbed_uninstall_data=true" in answer["remaining_items"][0]
    assert not removed(home)["changed"]
    # and the data can go later
    removed(home, remove_data=True)
    assert files(home) == {".config/swf/mine.txt", ".config/other/theirs"}


def test_removes_the_data_when_told_to_and_the_manifest_last(home):
    answer = removed(home, remove_data=True)
    assert files(home) == {".config/other/theirs"} and answer["unlisted_paths"] == []
    assert not (home / ".local/state/swf").exists() and not (home / ".config/swf").exists()
    assert not removed(home, remove_data=True)["changed"]


def test_an_interrupted_removal_resumes(home):
    os.unlink(home / ".config/swf/supervisord.conf")
    (home / ".config/swf/secrets/token").unlink()
    assert removed(home, remove_data=True)["changed"]
    assert files(home) == {".config/other/theirs"}


def test_an_installation_without_a_manifest_gets_one_before_it_goes(older):
    before = files(older)
    answer = removed(older, remove_data=True)
    assert (
        answer["failed"]
        and "swf_testbed_uninstall_write_manifest=true" in answer["msg"]
        and "supervisord.conf" in answer["msg"]
    )
    shown = removed(older, write_manifest=True, check=True)
    assert shown["changed"] and files(older) == before
    answer = removed(older, write_manifest=True)
    assert answer["remaining_items"] == shown["remaining_items"] and files(older) == before | {
        ".config/swf/manifest.json"
    }
    assert not removed(older, write_manifest=True)["changed"]
    removed(older)
    assert files(older) == {
        ".config/swf/manifest.json",
        ".local/state/swf/monitor/db.sqlite3",
        ".config/other/theirs",
    }


def test_a_run_of_this_version_lists_what_an_older_one_created(older):
    place(older)
    assert listed(older)[".local/share/swf/releases"] == "always"
    removed(older, remove_data=True)
    assert files(older) == {".config/other/theirs"}


def test_directories_of_the_name_alone_are_nobodys_installation(tmp_path):
    for path in OLD:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    before = files(tmp_path)
    assert not removed(tmp_path, remove_data=True)["changed"] and files(tmp_path) == before
    place(tmp_path)
    removed(tmp_path, remove_data=True)
    assert before - files(tmp_path) == set()


def test_takes_out_what_was_set_for_pip(home):
    (home / ".config/pip").mkdir()
    (home / ".config/pip/pip.conf").write_text("[global]\ntimeout = 9\n")
    settle = {
        "scope": "user",
        "owner": "swf",
        "record": str(home / ".config/swf/pip-settings.json"),
        "manifest": {"instance": "swf"},
        "indexes": [
            {
                "name": "lab",
                "url": "https://index.example.org/simple/",
                "username": "me",
                "token": "x" * 32,
            }
        ],
    }
    run(home, "config_files", {"manifest": {"instance": "swf"}, "files": []})
    assert (
        run(home, "pip_config", settle)["changed"]
        and not run(home, "pip_config", settle)["changed"]
    )
    assert (
        "index.example.org" in (home / ".netrc").read_text() and listed(home)[".netrc"] == "always"
    )
    removed(home, check=True)
    assert "index.example.org" in (home / ".netrc").read_text()
    assert removed(home)["changed"]
    assert not (home / ".netrc").exists()
    assert (home / ".config/pip/pip.conf").read_text() == "[global]\ntimeout = 9\n"


def test_what_others_use_stays_until_the_last_of_them_is_gone(home):
    place(home, users=USERS)
    before = files(home)
    answer = removed(home, remove_data=True, removed_users=USERS[:1])
    assert answer["users"] == USERS[1:] and files(home) == before
    assert not removed(home, remove_data=True)["changed"]
    assert removed(home, remove_data=True, removed_users=USERS[1:], other_users=["x@y/user"])[
        "users"
    ] == ["x@y/user"]
    removed(home, remove_data=True)
    assert files(home) == {".config/other/theirs"}


def test_another_instance_of_the_host_is_left_alone(home):
    place(home, instance="swf-two")
    before = {name for name in files(home) if "swf-two" in name}
    removed(home, remove_data=True)
    assert files(home) == before | {".config/other/theirs"}


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../x", "-x", "a;b", "ünï", "A", "x" * 33, "a\nb"]
)
@pytest.mark.parametrize("scope", ["user", "system"])
def test_a_name_that_leads_elsewhere_is_refused(home, name, scope):
    before = files(home)
    answer = removed(home, instance=name, scope=scope, remove_data=True)
    assert (
        answer["failed"]
        and "is not the name of an instance" in answer["msg"]
        and files(home) == before
    )


# It cannot be started as another user: the Python of the tests may be in a home that this user must
# not enter.
DAEMON = """
import ctypes, os, sys
from supervisor import supervisord
user = int(sys.argv.pop(1))
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    # so that /proc shows it as the user's: PR_SET_DUMPABLE, which a change of the user clears
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
supervisord.main()
"""


def test_stops_a_supervisord_that_lost_its_socket(tmp_path):
    """It would go on with programs whose files are gone."""
    place(tmp_path)
    places = layout("swf", "user", {"HOME": str(tmp_path)})
    os.makedirs(places["run_dir"], mode=0o700)
    host = Supervisord(places["run_dir"], "[program:sleeps]\ncommand=/bin/sleep 1000\n")
    host.move_to(places)
    (tmp_path / "supervisord").write_text(DAEMON)
    with open(tmp_path / "console", "ab") as console:
        host.process = subprocess.Popen(
            [
                sys.executable,
                str(tmp_path / "supervisord"),
                str(NOBODY),
                "-n",
                "-c",
                str(host.conf),
            ],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            preexec_fn=regain if os.getuid() == 0 else None,
        )
    try:
        until(lambda: host.socket.exists() or host.process.poll() is not None, "its socket")
        host.until_states(sleeps="RUNNING")
        (program,) = host.pids().values()
        os.unlink(places["socket"])
        time.sleep(2.2)
        assert removed(tmp_path, check=True)["stopped"] and alive(program)
        assert removed(tmp_path)["stopped"]
        until(lambda: host.process.poll() is not None and not alive(program), "their end")
        assert not os.path.exists(places["supervisord_conf"])
    finally:
        host.stop()
