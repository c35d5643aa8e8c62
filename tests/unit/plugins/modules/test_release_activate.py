# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases on disk, stand-ins without packages: their configuration is saved and restored, and old
ones are removed."""

from __future__ import annotations

import json
import os
import sys
import threading
import time

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    InstallError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.lock import short_hash
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import (
    config_snapshot,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import store as releases
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.environments import (
    build,
    exclusive_lock,
    made_with,
    manifest,
)
from helpers.run_module import run_module

CONF = "[swf-testbed]\nsupervisord = {root}/tools/{tools}/bin/supervisord\nrelease = {root}/releases/{release}\n"
PYTHON = "%d.%d.%d" % sys.version_info[:3]


class Host:
    """The directories of an instance."""

    def __init__(self, folder):
        self.root, self.conf = folder / "root", folder / "config/supervisord.conf"
        self.conf.parent.mkdir(mode=0o700)
        self.days = 0

    def make(self, store, name, complete=True, **more):
        place = self.root / store / name
        (place / "bin").mkdir(parents=True)
        (place / "bin/python").symlink_to(sys.executable)
        if complete:
            self.days += 1
            (place / "release.json").write_text(
                json.dumps(
                    dict(
                        {
                            "id": name,
                            "python": PYTHON,
                            "packages": {},
                            "executable": os.path.realpath(sys.executable),
                            "built_at": "2026-01-%02dT00:00:00Z" % self.days,
                        },
                        **more,
                    )
                )
            )
        return place

    def configure(self, release, tools="t1", extra=""):
        self.conf.write_text(CONF.format(root=self.root, release=release, tools=tools) + extra)
        self.conf.chmod(0o640)

    def run(self, module, check=False, **more):
        options = {"root": str(self.root), "files": [str(self.conf)]}
        return run_module(module, dict(options, **more), check=check)

    def activate(self, release, **more):
        return self.run("release_activate", id=release, **more)

    def restore(self, release, **more):
        return self.run("release_rollback", to=release, **more)

    def ran(self, release, tools="t1"):
        """A release that was built, configured, and activated."""
        if not (self.root / "tools" / tools).exists():
            self.make("tools", tools)
        self.make("releases", release)
        self.configure(release, tools)
        answer = self.activate(release)
        assert not answer["failed"], answer
        return answer

    def there(self, store="releases"):
        return releases.existing(str(self.root), store)


@pytest.fixture(name="host")
def a_host(tmp_path):
    return Host(tmp_path)


def test_configuration_is_saved_and_restored(host):
    host.ran("1-a")
    first = host.conf.read_text()
    host.make("releases", "2-b")
    host.configure("2-b", extra="; new\n")
    predicted = host.restore("active", check=True)
    assert predicted["changed"] and "; new" in host.conf.read_text()
    answer = host.restore("active")
    assert answer["changed"] and answer["id"] == "1-a" and host.conf.read_text() == first
    assert host.conf.stat().st_mode & 0o777 == 0o640
    assert (host.conf.parent / "known_good").stat().st_mode & 0o777 == 0o700
    assert not host.restore("active")["changed"]


def test_previous_release_can_be_restored(host):
    host.ran("1-a")
    old = host.conf.read_text()
    assert host.ran("2-b")["previous"] == "1-a"
    answer = host.restore("previous")
    assert (answer["id"], answer["active"]) == ("1-a", "2-b") and host.conf.read_text() == old
    assert not host.activate("1-a")["failed"]
    assert (releases.active(str(host.root)), releases.previous(str(host.root))) == ("1-a", "2-b")


def test_a_release_that_failed_on_another_host_cannot_be_restored(host):
    host.ran("1-a")
    host.ran("2-b")
    assert host.restore("active")["id"] == "2-b" and host.restore("previous")["id"] == "1-a"
    assert not host.activate("1-a", forget="2-b")["failed"]
    answer = host.restore("previous")
    assert (
        answer["failed"]
        and "failed on another host of its batch. Evidence: there is one for 1-a." in answer["msg"]
    ), answer
    assert (
        releases.active(str(host.root)) == "1-a" and releases.named_by(str(host.conf))[0] == "1-a"
    )


def test_a_release_that_cannot_be_restored_is_named(host):
    assert "This host has no active release to roll back to" in host.restore("active")["msg"]
    host.ran("1-a")
    host.make("releases", "2-b")
    assert "never active and healthy on this host" in host.restore("2-b")["msg"]
    assert (
        "The release 9-z is not on this host, or is damaged. Evidence: the releases on this host are 1-a, "
        "2-b." in host.restore("9-z")["msg"]
    )


def test_activation_of_what_is_not_configured_is_refused(host):
    """Two controllers at once: the other one has placed its configuration meanwhile."""
    host.ran("1-a")
    host.make("releases", "2-b")
    answer = host.activate("2-b")
    assert answer["failed"] and "another run works on this host" in answer["msg"], answer
    assert releases.active(str(host.root)) == "1-a" and not config_snapshot.has(
        [str(host.conf)], "2-b"
    )


def test_a_changed_configuration_of_the_same_release_is_saved_again(host):
    host.ran("1-a")
    assert not host.activate("1-a")["changed"]
    host.configure("1-a", extra="; another program\n")
    assert host.activate("1-a")["changed"]
    assert "another program" in (host.conf.parent / "known_good/1-a/supervisord.conf").read_text()


def test_the_files_of_the_stack_are_those_of_the_release(host, monkeypatch):
    """The next release has another file, and one no more."""
    folder = host.conf.parent

    def place(**texts):
        for name, text in texts.items():
            (folder / name).write_text(text)
        files = [str(host.conf), *(str(folder / name) for name in texts)]
        monkeypatch.setattr(
            host,
            "run",
            lambda module, check=False, **more: run_module(
                module, dict({"root": str(host.root), "files": files}, **more), check=check
            ),
        )

    place(former="1", changed="1")
    host.ran("1-a")
    place(changed="2", new="2")
    host.make("releases", "2-b")
    host.configure("2-b")
    assert host.restore("active", check=True)["changed"] and (folder / "new").exists()
    assert host.restore("active")["changed"]
    there = {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
    assert there.pop(host.conf.name) and there == {"former": "1", "changed": "1"}
    assert not host.restore("active")["changed"]
    # and forth
    place(changed="2", new="2")
    host.configure("2-b")
    assert host.activate("2-b")["changed"] and not host.activate("2-b")["changed"]
    assert not (folder / "former").exists()
    assert host.restore("previous")["changed"] and not (folder / "new").exists()
    assert (folder / "former").read_text() == "1"
    assert host.restore("active")["changed"] and (folder / "new").read_text() == "2"


def test_a_file_that_the_stack_no_longer_has_is_no_part_of_the_release(host):
    for name in ("one", "other"):
        (host.conf.parent / name).write_text("1")
    files = [str(host.conf.parent / name) for name in ("one", "other")]
    host.make("tools", "t1")
    host.make("releases", "1-a")
    host.configure("1-a")
    host.activate("1-a", files=[str(host.conf), *files])
    host.configure("1-a", extra="; changed\n")
    host.activate("1-a", files=[str(host.conf), files[0]])
    assert sorted(os.listdir(host.conf.parent / "known_good/1-a")) == ["one", "supervisord.conf"]
    # as the launcher on a host that no longer has a program that needs it
    (host.conf.parent / "one").unlink()
    assert host.activate("1-a", files=[str(host.conf), files[0]])["changed"]
    assert os.listdir(host.conf.parent / "known_good/1-a") == ["supervisord.conf"]
    assert not host.activate("1-a", files=[str(host.conf), files[0]])["changed"]


def test_activation_removes_the_oldest(host):
    for number, name in enumerate(["1-a", "2-b", "3-c"]):
        assert host.ran(name, "t%d" % number)["removed"] == []
    host.make("releases", "half", complete=False)
    host.make("tools", "half", complete=False)
    removed = host.ran("4-d", "t3")["removed"]
    assert {os.path.basename(path) for path in removed} == {"1-a", "half", "t0"}, removed
    assert host.there() == ["2-b", "3-c", "4-d"] and host.there("tools") == ["t1", "t2", "t3"]
    assert sorted(os.listdir(host.conf.parent / "known_good")) == ["2-b", "3-c", "4-d"]


def test_neither_the_active_nor_the_previous_nor_the_configured_one_is_removed(host):
    host.ran("1-a")
    host.ran("2-b")
    host.restore("previous")
    host.activate("1-a")
    for name in ("3-c", "4-d", "5-e"):
        host.make("releases", name)
    host.configure("3-c")
    assert host.run("release_prune", keep=2, check=True)["changed"] and len(host.there()) == 5
    host.run("release_prune", keep=2)
    assert host.there() == ["1-a", "2-b", "3-c"]
    for name in ("1-a", "2-b", "3-c"):
        answer = host.run("release_prune", id=name)
        assert answer["failed"] and "was not removed: it is in use" in answer["msg"]
    assert not host.run("release_prune", keep=0)["changed"]


def test_one_release_is_removed(host):
    host.ran("1-a")
    host.make("releases", "0-x")
    assert host.run("release_prune", id="0-x")["changed"] and host.there() == ["1-a"]
    assert not host.run("release_prune", id="0-x")["changed"]


def test_a_release_in_use_is_not_built_anew_in_its_place(host):
    host.ran("1-a")
    root, files = str(host.root), [str(host.conf)]
    os.unlink(host.root / "releases/1-a/bin/python")
    (host.root / "releases/1-a/bin/python").symlink_to("/nonexistent/python")
    assert manifest(str(host.root / "releases/1-a")) is None
    use = releases.releases_in_use(root, files)
    assert releases.place_for(root, "releases", "1-a", use, lambda found: True) == (
        str(host.root / "releases/1-a.2"),
        None,
    )
    # nobody uses it: its place is free
    assert releases.place_for(root, "releases", "1-a", set(), lambda found: True)[0] == str(
        host.root / "releases/1-a"
    )
    # the second one is taken once it is there
    host.make("releases", "1-a.2")
    assert releases.place_for(root, "releases", "1-a", use, lambda found: True)[0].endswith("1-a.2")


def test_a_python_that_became_another_one_is_seen(host):
    place = host.make("releases", "1-a", python="3.1.0", executable="/usr/bin/python3.1")
    assert manifest(str(place)) is None
    assert manifest(str(host.make("releases", "2-b", executable="/usr/bin/python3.1"))), (
        "the same version, moved"
    )
    assert made_with({"python": PYTHON, "executable": "/elsewhere"}, sys.executable)
    assert not made_with({"python": "3.1.0", "executable": "/elsewhere"}, sys.executable)
    assert made_with({"python": "3.1.0", "executable": "/elsewhere"}, "/no/such/python"), (
        "not found: no reason to build"
    )


def test_a_second_run_waits_for_its_turn_or_says_who_has_it(tmp_path):
    order = []

    def first():
        with exclusive_lock(str(tmp_path)):
            order.append("first")
            time.sleep(1)
            order.append("first ends")

    other = threading.Thread(target=first)
    other.start()
    while not order:
        time.sleep(0.01)
    with pytest.raises(InstallError, match=r"process %d \(user " % os.getpid()):
        with exclusive_lock(str(tmp_path), patience=0.1):
            pass
    with exclusive_lock(str(tmp_path), patience=30):
        order.append("second")
    other.join()
    assert order == ["first", "first ends", "second"]


@pytest.mark.parametrize(
    "text,expected",
    [
        ('{"url": "", "start_url": "", "probes": [], "components": []}\n', True),
        # of an earlier version, which began with a comment
        ('# Written by us\n{"url": "", "start_url": "", "probes": [], "components": []}\n', True),
        # damaged or of another version: a rollback goes on with the probes of the inventory
        ('{"url": ', False),
        ('{"url": ""}', False),
        ("# Written by us\n", False),
        (None, False),
    ],
)
def test_the_saved_probes_of_a_release(tmp_path, text, expected):
    files = [str(tmp_path / "supervisord.conf")]
    folder = tmp_path / "known_good/1-a"
    folder.mkdir(parents=True)
    if text is not None:
        (folder / "health.json").write_text(text)
    assert (config_snapshot.health(files, "1-a") is not None) == expected


class FullDisk:
    """Stands in for an installer whose disk is full; the real thing is in tests/faults."""

    def __init__(self, error):
        self.error = error

    def create(self, venv, python):
        os.makedirs(os.path.join(venv, "bin"))
        raise self.error


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), InstallError("install", "boom (os error 28)")]
)
def test_a_full_disk_is_given_back(tmp_path, error):
    with pytest.raises(InstallError, match="No space left|os error 28"):
        build(
            str(tmp_path / "releases/1-a"),
            "x==1 --hash=sha256:00\n",
            "python3",
            FullDisk(error),
            [],
        )
    assert not os.path.exists(tmp_path / "releases/1-a")
    assert short_hash("x==1 --hash=sha256:00\n")
