# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd runs at boot. A stand-in answers for systemctl; molecule/release reboots real hosts
in their change-over."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import config_snapshot

SCRIPT = Path(__file__).resolve().parents[3] / "roles/_instance/files/boot_rollback.sh"


@pytest.fixture(name="instance")
def make_instance(tmp_path):
    """An instance whose release 1 is known good."""
    root, conf, unit = (
        tmp_path / "opt",
        tmp_path / "etc/supervisord.conf",
        tmp_path / "systemd/swf.service",
    )
    (root / "releases/1").mkdir(parents=True)
    (root / "current").symlink_to("releases/1")
    for folder in (conf.parent, unit.parent, tmp_path / "bin"):
        folder.mkdir()
    systemctl = tmp_path / "bin/systemctl"
    systemctl.write_text("#!/bin/sh\necho systemctl $*\n")
    systemctl.chmod(0o755)

    def configure(release):
        conf.write_text("[swf-testbed]\nrelease = %s/releases/%s\n" % (root, release))
        conf.chmod(0o640)
        unit.write_text("of release %s" % release)

    def boot(code=0):
        done = subprocess.run(
            ["sh", str(SCRIPT), "system", str(root), str(conf), str(unit)],
            text=True,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(os.environ, PATH="%s:%s" % (systemctl.parent, os.environ["PATH"])),
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    configure("1")
    config_snapshot.save([str(conf), str(unit)], "1")
    copies = Path(config_snapshot.place([str(conf)], "1"))
    return SimpleNamespace(
        root=root, conf=conf, unit=unit, copies=copies, configure=configure, boot=boot
    )


def test_what_is_configured_for_the_active_release_stays(instance):
    text = instance.conf.read_text() + "; a line of somebody's own\n"
    instance.conf.write_text(text)
    assert instance.boot() == ""
    assert instance.conf.read_text() == text
    assert not instance.conf.with_name("rollback_steps.due").exists()


# a release whose name begins with that of the active one, too
@pytest.mark.parametrize("release", ["2", "1.2", "11"])
def test_a_release_that_was_not_verified_is_replaced_by_the_known_good_one(instance, release):
    instance.configure(release)
    output = instance.boot()
    assert "Rolled back to the release 1" in output and "systemctl --system daemon-reload" in output
    assert "%s/releases/1\n" % instance.root in instance.conf.read_text()
    assert instance.unit.read_text() == "of release 1"
    assert instance.conf.stat().st_mode & 0o777 == 0o640
    assert sorted(
        path.name for path in (*instance.conf.parent.iterdir(), *instance.unit.parent.iterdir())
    ) == ["known_good", "rollback_steps.due", "supervisord.conf", "swf.service"]
    assert instance.boot() == ""


def test_the_files_of_the_stack_of_the_known_good_release_are_restored(instance):
    files = [str(instance.conf), str(instance.unit)]
    for name in ("testbed.toml", "launch.py"):
        path = instance.conf.with_name(name)
        path.write_text("of release 1")
        files.append(str(path))
    config_snapshot.save(files, "1")
    instance.configure("2")
    instance.conf.with_name("testbed.toml").write_text("of release 2")
    instance.conf.with_name("launch.py").unlink()
    assert "Rolled back to the release 1" in instance.boot()
    for name in ("testbed.toml", "launch.py"):
        assert instance.conf.with_name(name).read_text() == "of release 1"
    assert instance.unit.read_text() == "of release 1"
    assert not list(instance.conf.parent.glob("*.service"))


def test_half_of_a_configuration_is_not_put_back(instance):
    instance.configure("2")
    (instance.copies / "swf.service").unlink()
    assert "has no swf.service" in instance.boot()
    assert "releases/2" in instance.conf.read_text() and instance.unit.read_text() == "of release 2"


def test_an_interrupted_rollback_is_completed_at_the_next_boot(instance):
    instance.configure("2")
    in_the_way = instance.unit.with_name("swf.service.boot")
    in_the_way.mkdir()
    instance.boot(code=1)
    shutil.rmtree(in_the_way)
    assert "Rolled back to the release 1" in instance.boot()
    assert "releases/1" in instance.conf.read_text() and instance.unit.read_text() == "of release 1"
