# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins without root, each with a home, an inventory and a controller of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from helpers.unprivileged import run_as

ROOT = Path(__file__).resolve().parents[2]
#: of the vault file in an inventory
PASSWORD = "of the developer's file"


def account(*names):
    """An account without privileges that this system has; that of this process unless it is root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.getuid())
    for name in names:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return pytest.fail("none of the accounts %s exists" % ", ".join(names))


class Login:
    """A login with a home of its own, and an inventory in it."""

    def __init__(self, owner):
        self.owner = owner
        # short, for the path of supervisord's socket
        self.home = Path(tempfile.mkdtemp(prefix="swf-", dir="/tmp"))
        self.inventory = self.home / "testbed"
        self.inventory.mkdir()
        self.password = self.write("password", PASSWORD)
        self.controller = self.home / ".local/share/swf-testbed-controller"
        self.output = ""

    def write(self, name, text):
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
        for made in (path, *path.parents):
            if os.geteuid() == 0:
                os.chown(made, self.owner.pw_uid, self.owner.pw_gid)
            if made == self.home:
                break
        return path

    def play(self, playbook, *arguments, code=0):
        """The output of a playbook.

        :param code: the expected exit status; None for any.
        """
        environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("XDG_", "ANSIBLE_", "PYTHON"))
        }
        environment.update(
            HOME=str(self.home),
            USER=self.owner.pw_name,
            ANSIBLE_HOME=str(self.home / ".ansible"),
            # for Ansible, ~ is the home of the account
            ANSIBLE_REMOTE_TEMP=str(self.home / ".ansible/tmp"),
            ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".ansible/collections"),
            ANSIBLE_NOCOLOR="1",
            PYTHONDONTWRITEBYTECODE="1",
        )
        done = run_as(
            self.owner.pw_uid,
            self.owner.pw_gid,
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                *("-i", str(self.inventory / "hosts.yml"), str(ROOT / "playbooks" / playbook)),
                *arguments,
            ],
            cwd=self.home,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=900,
        )
        self.output += done.stdout
        assert code in (None, done.returncode), done.stdout[-6000:]
        return done.stdout

    def secrets(self):
        folder = self.controller / "secrets"
        return {path.name for path in folder.glob("*") if not path.name.startswith(".")}

    def end(self):
        self.play("stop.yml", "--vault-password-file", str(self.password), code=None)
        shutil.rmtree(self.home)


def from_this_checkout(**ports):
    """Variables of a testbed on this machine, which serves and installs the packages of this
    checkout.

    :param ports: of the components and of the index.
    """
    return {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "swf_testbed_python": sys.executable,
        "swf_testbed_systemd": "never",
        "swf_testbed_package_index_sources": "{{ lookup('bnlnpps.swf_testbed.stack', "
        "'distributions') | map('regex_replace', '^', '%s/packages/') | list }}" % ROOT,
        **{"swf_testbed_%s_port" % name: port for name, port in ports.items()},
    }


def until(condition, what, patience=60):
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "within %d s there was no %s" % (patience, what)
        time.sleep(0.5)
