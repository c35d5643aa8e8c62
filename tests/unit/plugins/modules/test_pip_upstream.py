# SPDX-License-Identifier: GPL-3.0-or-later
"""Against the real pip of a Python, with configuration files and environments of their own."""

from __future__ import annotations

import grp
import json
import os
import stat
import sys

import pytest
from pip._internal.models.index import PyPI

from helpers.run_module import run_module


@pytest.fixture(name="note")
def note_of_the_upstream(tmp_path):
    def run(check=False, pip_conf="", own_url="https://127.0.0.1:8004", group="", **environment):
        (tmp_path / "pip.conf").write_text(pip_conf)
        base = {
            "HOME": str(tmp_path),
            "PATH": os.environ["PATH"],
            "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
        }
        arguments = {
            "dest": str(tmp_path / "upstream.json"),
            "python": sys.executable,
            "own_url": own_url,
            "group": group,
        }
        return run_module("pip_upstream", arguments, check=check, env=dict(base, **environment))

    run.dest = tmp_path / "upstream.json"
    return run


def test_a_mirror_in_pips_file_with_a_login_and_a_proxy(note):
    conf = "[global]\nindex-url = https://me:can%%40ary@mirror.example.org/simple\nproxy = http://proxy.example.org:3128\n"
    predicted = note(check=True, pip_conf=conf)
    assert predicted["changed"] and not note.dest.exists()
    answer = note(pip_conf=conf)
    assert answer["changed"] and answer["url"] == "https://mirror.example.org/simple/", answer
    assert "ary" not in json.dumps(answer).replace("anonymous", "")
    found = json.loads(note.dest.read_text())
    assert (found["username"], found["password"]) == ("me", "can%@ary"), found
    assert found["proxies"]["https"] == "http://proxy.example.org:3128"
    assert stat.S_IMODE(note.dest.stat().st_mode) == 0o600
    again = note(pip_conf=conf)
    assert not again["changed"] and again["version"] == answer["version"]
    assert note(pip_conf=conf, check=True)["version"] == answer["version"]
    assert note(pip_conf=conf.replace("ary", "ari"))["version"] != answer["version"]


def test_the_environment_goes_before_files_and_netrc_has_the_login(note, tmp_path):
    (tmp_path / ".netrc").write_text("machine env.example.org login you password canary-2\n")
    (tmp_path / ".netrc").chmod(0o600)
    answer = note(
        pip_conf="[global]\nindex-url = https://file.example.org/simple/\n",
        PIP_INDEX_URL="https://env.example.org/simple/",
        PIP_CERT="/etc/lab.pem",
        https_proxy="http://p:1",
        no_proxy="x",
    )
    found = json.loads(note.dest.read_text())
    assert answer["url"] == found["url"] == "https://env.example.org/simple/"
    assert found["password"] == "canary-2" and found["ca_file"] == "/etc/lab.pem"
    assert found["proxies"] == {"https": "http://p:1", "no": "x"}


def test_what_was_noted_is_kept_when_pip_is_set_up_for_this_index_later(note):
    first = note(pip_conf="[global]\nindex-url = https://mirror.example.org/simple/\n")
    own = "[global]\nindex-url = https://127.0.0.1:8004/simple/\n"
    again = note(pip_conf=own)
    assert not again["failed"] and not again["changed"]
    assert (again["url"], again["version"]) == (first["url"], first["version"])
    note.dest.unlink()
    assert "cannot use itself as its upstream" in note(pip_conf=own)["msg"]


def test_a_host_that_is_set_up_for_nothing_asks_pypi(note):
    assert note()["url"] == PyPI.simple_url + "/"


@pytest.mark.parametrize(
    "url,message",
    [
        ("https://127.0.0.1:8004/simple/", "cannot use itself as its upstream"),
        ("file:///srv/wheels", "needs an http or https index"),
    ],
)
def test_what_cannot_be_mirrored_is_refused(note, url, message):
    answer = note(PIP_INDEX_URL=url)
    assert answer["failed"] and message in answer["msg"] and not note.dest.exists()


def test_a_file_that_others_can_read_is_written_again(note):
    note()
    note.dest.chmod(0o644)
    assert note()["changed"] and stat.S_IMODE(note.dest.stat().st_mode) == 0o600


def test_a_group_may_read_it_and_nobody_else(note):
    note()
    group = grp.getgrgid(os.getgroups()[-1] if os.getgroups() else os.getgid())
    assert note(group=group.gr_name)["changed"]
    assert (note.dest.stat().st_gid, stat.S_IMODE(note.dest.stat().st_mode)) == (
        group.gr_gid,
        0o640,
    )
    assert not note(group=group.gr_name)["changed"]
    assert note()["changed"] and stat.S_IMODE(note.dest.stat().st_mode) == 0o600
