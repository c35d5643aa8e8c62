# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on the machine after the site ran."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import launched
from helpers.leaks import Leaks

STACK = yaml.safe_load((Path(__file__).parents[3] / "stacks/reference.yml").read_text())
# the commands without what is the host's
PROGRAMS = [item["command"].partition("{{")[0].strip() for item in STACK["components"]]
XDG = {
    ".config/swf-index",
    ".config/swf-testbed",
    ".local/share/swf-index",
    ".local/share/swf-testbed",
    ".local/state/swf-index",
    ".local/state/swf-testbed",
}
# uv's cache, Ansible's temporary files, what the controller keeps, and what useradd puts into a
# home
ADDITIONAL = {
    ".cache",
    ".ansible",
    ".local/share/swf-testbed-controller",
    ".bashrc",
    ".profile",
    ".bash_logout",
}


def files_below(folder):
    for place, _folders, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if not os.path.islink(path):
                yield path


def test_all_programs_run_as_their_user(host, testbed):
    for program in (*PROGRAMS, "index_app:create"):
        running = [item.args for item in host.process.filter(user=testbed.user)]
        found = [args for args in running if program in args and str(testbed.home) in args]
        assert found, program


def test_nothing_but_loopback_is_listened_on(host, testbed):
    for service, port in testbed.ports.items():
        assert host.socket("tcp://127.0.0.1:%d" % port).is_listening, service
        assert not host.socket("tcp://0.0.0.0:%d" % port).is_listening, service


def test_secrets_are_readable_by_their_owner_only(host, testbed):
    for path in (
        ".config/swf-testbed/pip/netrc",
        ".config/swf-testbed/supervisord.conf",
        ".config/swf-testbed/secrets/api_token",
        ".config/swf-testbed/secrets/broker_password",
        ".config/swf-testbed/secrets/monitor_secret_key",
        ".config/swf-index/secrets/htpasswd",
    ):
        file = host.file(str(testbed.path(path)))
        assert (file.mode, file.user) == (0o600, testbed.user), path


def test_no_secret_is_in_a_file_that_others_can_read(testbed):
    """Others are stopped by any closed directory on the way, so modes are looked at as a whole
    path."""
    secrets = [secret.encode() for secret in testbed.secrets().values()]
    assert len(secrets) == 5 and all(len(secret) == 40 for secret in secrets)
    for top in XDG:
        for path in files_below(testbed.path(top)):
            open_to_others = all(
                os.stat(part).st_mode & (stat.S_IXOTH if os.path.isdir(part) else stat.S_IROTH)
                for part in [path, *map(str, list(testbed.path(path).parents)[:-1])]
            )
            if open_to_others and os.path.getsize(path) < 50_000_000:
                with open(path, "rb") as stream:
                    content = stream.read()
                assert not any(secret in content for secret in secrets), path


def test_no_secret_is_in_a_log_on_a_command_line_or_in_an_environment(testbed):
    secrets = testbed.secrets().values()
    for place in (".local/state/swf-index/log", ".local/state/swf-testbed/log"):
        for path in files_below(testbed.path(place)):
            with open(path, errors="replace") as stream:
                text = stream.read()
            assert not any(secret in text for secret in secrets), path
    declared = launched.variables(str(testbed.path(".config/swf-testbed/supervisord.conf")))
    leaks = Leaks(*secrets, declared=declared)
    leaks.all_processes()
    assert leaks.found == [] and leaks.processes > len(PROGRAMS)


def test_only_xdg_folders_were_touched(testbed):
    found = set()
    for top in (".", ".config", ".local", ".local/share", ".local/state"):
        folder = testbed.path(top)
        if folder.is_dir():
            found |= {os.path.normpath(os.path.join(top, name)) for name in os.listdir(folder)}
    found -= {".config", ".local", ".local/share", ".local/state"}
    assert found - ADDITIONAL <= XDG, found


def test_the_release_is_the_one_that_is_locked(testbed):
    root = testbed.path(".local/share/swf-testbed")
    release = root / os.readlink(root / "current")
    manifest = json.loads((release / "release.json").read_text())
    assert release.name == manifest["id"] and manifest["packages"]["swf-testbed"] == "0.1.0"
    installed = subprocess.run(
        [
            release / "bin/python",
            "-c",
            (
                "import importlib.metadata as m, json; "
                "print(json.dumps({d.name.lower().replace('_', '-'): d.version "
                "for d in m.distributions()}))"
            ),
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name, version in json.loads(installed).items():
        assert manifest["packages"][name.replace(".", "-")] == version, name
    locked = (release / "lock.txt").read_text()
    for name, version in manifest["packages"].items():
        # the installer is in the environment that `python -m venv` makes
        pin = r"(?im)^%s==%s\b" % (name.replace("-", "[-_.]"), re.escape(version))
        assert name in ("pip", "setuptools") or re.search(pin, locked), name


def snapshot(testbed):
    """Every file that the site makes, with its content, mode and times, and every program's pid."""
    found = {}
    for top in sorted(XDG):
        for path in files_below(testbed.path(top)):
            # what the running programs write is not the site's
            if "/state/swf-" in path or path.endswith(".pyc"):
                continue
            status = os.stat(path)
            with open(path, "rb") as stream:
                found[path] = (
                    hashlib.sha256(stream.read()).hexdigest(),
                    status.st_mode,
                    status.st_mtime_ns,
                    status.st_ino,
                )
    ask = [
        str(testbed.path(".local/share/swf-testbed/current/bin/swf-testbed")),
        "status",
        "--json",
    ]
    environment = {"HOME": str(testbed.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    answer = subprocess.run(
        ask, capture_output=True, text=True, env=environment, cwd="/", check=True
    )
    found["pids"] = sorted(str(item) for item in pids(json.loads(answer.stdout)))
    assert len(found["pids"]) == len(PROGRAMS)
    return found


def pids(tree):
    if isinstance(tree, dict):
        if "pid" in tree and "name" in tree:
            yield tree["name"], tree["pid"]
        else:
            for value in tree.values():
                yield from pids(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from pids(value)


def test_a_check_run_changes_nothing_and_predicts_nothing(testbed, play):
    before = snapshot(testbed)
    done = play("--check", limit=testbed.name)
    assert done.returncode == 0 and "changed=0" in done.stdout, done.stdout
    assert snapshot(testbed) == before


@pytest.mark.nightly
def test_a_change_is_predicted_shown_and_not_made(testbed, play):
    before = snapshot(testbed)
    done = play("--check", "--diff", "-e", "swf_testbed_log_backups=7", limit=testbed.name)
    assert done.returncode == 0, done.stdout
    assert "+logfile_backups = 7" in done.stdout and "changed=0" not in done.stdout
    assert snapshot(testbed) == before


def test_no_secret_is_printed_at_any_verbosity(testbed, play):
    done = play("-vvvv", "--diff", limit=testbed.name)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "changed=0" in done.stdout
    for name, secret in testbed.secrets().items():
        assert secret not in done.stdout + done.stderr, name
