# SPDX-License-Identifier: GPL-3.0-or-later
"""Last: both instances go, one after the other, and take what they share with them in the end.
Nothing else goes."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

SCENARIO = Path(__file__).resolve().parents[1]
STRICT = {"swf_testbed_instance": "swf-strict", "swf_testbed_user": "swf-strict"}
# what a name that leads elsewhere would have had removed
BAIT = "/opt/app /opt/tools /etc/secrets /etc/pip /var/lib/packages /var/lib/data"
EVERYTHING = "find /etc /opt /var/lib /var/log /home -xdev -maxdepth 2 | sort"


def uninstall(options, *more):
    command = [
        "ansible-playbook",
        "-i",
        str(SCENARIO / "inventory"),
        "playbooks/uninstall.yml",
        "-e",
        json.dumps(options),
        *more,
    ]
    return subprocess.run(
        command,
        cwd=SCENARIO.parents[1],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        env=dict(
            os.environ,
            ANSIBLE_FORCE_COLOR="0",
            ANSIBLE_NOCOLOR="1",
            ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default",
        ),
    )


def changed(done):
    return [int(number) for number in re.findall(r"changed=(\d+)", done.stdout)]


@pytest.fixture(name="root")
def commands_as_root(host):
    with host.sudo():
        yield host


@pytest.mark.parametrize("instance", ["swf-testbed", "swf-strict", "swf-index"])
def test_only_root_writes_the_manifest(root, instance):
    path = "/etc/%s/manifest.json" % instance
    file = root.file(path)
    assert (file.user, file.group, file.mode) == ("root", "root", 0o644)
    listed = json.loads(file.content_string)
    types = {item["kind"] for item in listed["entries"]}
    assert {"directory", "file", "link", "unit"} <= types
    # those of the first instance were there before (prepare.yml): they are not ours to remove
    assert ({"account", "group"} & types == set()) == (instance == "swf-testbed")
    assert listed["users"] == (
        ["swf-strict@one/system", "swf-testbed@one/system"] if instance == "swf-index" else []
    )


@pytest.mark.parametrize("name", ["", ".", "a/b"])
def test_a_name_that_leads_elsewhere_removes_nothing(root, name):
    root.check_output("mkdir -p %s && touch /opt/app/theirs" % BAIT)
    before = root.check_output(EVERYTHING)
    for index in ("swf-index", name):
        done = uninstall(
            {
                "swf_testbed_instance": name,
                "swf_testbed_index_instance": index,
                "swf_testbed_uninstall_data": True,
            }
        )
        assert done.returncode != 0 and "is not the name of an instance" in done.stdout, done.stdout
    assert root.check_output(EVERYTHING) == before
    assert root.service("swf-testbed").is_running and root.service("swf-index").is_running


def test_a_name_that_leads_elsewhere_removes_nothing_of_a_login(root, as_physicist):
    before = root.check_output("find /home/physicist -path '*/.ansible' -prune -o -print | sort")
    for name in ("", ".", "a/b"):
        done = as_physicist(
            "playbooks/uninstall.yml",
            "-e",
            json.dumps({"swf_testbed_instance": name, "swf_testbed_uninstall_data": True}),
        )
        assert done.status != 0 and "is not the name of an instance" in done.output, done.output
    assert (
        root.check_output("find /home/physicist -path '*/.ansible' -prune -o -print | sort")
        == before
    )


def test_the_first_instance_leaves_what_the_second_uses(root):
    before = root.check_output("find /var/lib/swf-index/packages | sort")
    foreseen = uninstall({**STRICT, "swf_testbed_uninstall_data": True}, "--check")
    assert (
        foreseen.returncode == 0 and "one would remove /etc/swf-strict/secrets" in foreseen.stdout
    ), foreseen.stdout
    assert root.service("swf-strict").is_running
    done = uninstall({**STRICT, "swf_testbed_uninstall_data": True})
    assert done.returncode == 0 and "used by swf-testbed@one/system" in done.stdout, done.stdout
    assert (
        root.check_output(
            "find / -xdev -path /proc -prune -o -path /tmp -prune -o -name 'swf-strict*' -print"
        )
        == ""
    )
    assert not root.user("swf-strict").exists and root.group("swf-operators").exists
    assert root.service("swf-testbed").is_running and root.service("swf-index").is_running
    assert root.check_output("find /var/lib/swf-index/packages | sort") == before
    assert changed(uninstall({**STRICT, "swf_testbed_uninstall_data": True})) == [0]


def test_an_installation_without_a_manifest_is_refused_until_there_is_one(root):
    root.check_output("mv /etc/swf-testbed/manifest.json /root/")
    done = uninstall({})
    assert done.returncode != 0 and "swf_testbed_uninstall_write_manifest=true" in done.stdout, (
        done.stdout
    )
    assert root.service("swf-testbed").is_running
    done = uninstall({"swf_testbed_uninstall_write_manifest": True})
    assert done.returncode == 0 and "one lists /opt/swf-testbed/releases" in done.stdout, (
        done.stdout
    )
    assert root.service("swf-testbed").is_running
    # that one does not know who made the accounts
    root.check_output("mv /root/manifest.json /etc/swf-testbed/")


def test_data_stay_without_a_request(root):
    done = uninstall({})
    assert done.returncode == 0, done.stdout
    left = root.check_output(
        "find /etc/swf-* /opt/swf-* /var/lib/swf-testbed /var/lib/swf-index -maxdepth 1 | sort"
    ).split()
    assert set(left) >= {
        "/etc/swf-testbed/manifest.json",
        "/etc/swf-index/manifest.json",
        "/var/lib/swf-index/packages",
        "/var/lib/swf-testbed/data",
        "/var/lib/swf-testbed/monitor",
    }
    assert not [path for path in left if path.startswith("/opt") or "secrets" in path]
    assert changed(uninstall({})) == [0]


def test_the_last_instance_takes_all_of_it_and_nothing_else(root):
    done = uninstall({"swf_testbed_uninstall_data": True})
    assert done.returncode == 0, done.stdout
    # packages cannot be downloaded again; the cache of uv belongs to the administrator, and the
    # login has other data
    left = root.check_output(
        "find / -xdev \\( -path /proc -o -path /tmp -o -path /root/.cache -o -path /home \\) "
        "-prune -o "
        "-name 'swf-*' -print -prune"
    )
    assert left == "/var/lib/swf-index-backups"
    assert not root.user("swf-index").exists and not root.group("swf-index").exists
    # they were there before the installation (prepare.yml)
    assert root.user("swf-testbed").exists and root.group("swf-operators").exists
    assert root.file("/opt/app/theirs").exists
    assert changed(uninstall({"swf_testbed_uninstall_data": True})) == [0]
