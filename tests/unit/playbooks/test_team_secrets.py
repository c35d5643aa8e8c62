# SPDX-License-Identifier: GPL-3.0-or-later
"""Two controllers, each with a home of its own: what the first one exports is what the second one
gives to hosts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._lab_ca import LabCa
from helpers.leaks import Leaks
from helpers.seen_by_callbacks import Seen

# one story, in the order of the tests
pytestmark = pytest.mark.nightly
ROOT = Path(__file__).resolve().parents[3]
# as a team may have it: with what templates, YAML, shells and configparser take for theirs
DATABASE = 'it\'s {{ 7 * 7 }} {% if %} {# "Zoë" %(x)s $() \\'
# everything that a host would be given
PLAY = """
- hosts: testbed
  gather_facts: false
  roles:
    - bnlnpps.swf_testbed.common
  tasks:
    - name: Check the inventory
      bnlnpps.swf_testbed.inventory_check:
      run_once: true
    - name: Work out what hosts would be given
      ansible.builtin.set_fact:
        worked_out: "{{ given | length }}"
    - name: Write it down
      bnlnpps.swf_testbed.config_files:
        files_of: written
      when: not ansible_check_mode
  vars:
    written:
      - {dest: "{{ lookup('env', 'HOME') }}/given.json", content: "{{ given | to_json }}", mode: "0600", secret: true}
    given:
      - "{{ swf_testbed_index_token }}"
      - "{{ swf_testbed_broker_password }}"
      - "{{ swf_testbed_database_password }}"
      - "{{ swf_testbed_monitor_secret_key }}"
      - "{{ swf_testbed_api_token }}"
      - "{{ swf_testbed_digest_key }}"
      - "{{ lookup('bnlnpps.swf_testbed.host_certificate', 'broker', names=['b.org'], directory=swf_testbed_controller_dir) }}"
      - "{{ lookup('ansible.builtin.file', swf_testbed_index_ca_cert, errors='ignore') }}"
"""
NAMES = [
    "swf_testbed_" + name
    for name in (
        "index_token",
        "broker_password",
        "database_password",
        "monitor_secret_key",
        "api_token",
        "digest_key",
        "lab_ca",
    )
]


class Controller:
    """A home, and an inventory of its own."""

    def __init__(self, folder, seen, **variables):
        self.home, self.inventory, self.seen = folder / "home", folder / "inventory", seen
        self.home.mkdir(parents=True)
        (self.inventory / "group_vars/all").mkdir(parents=True)
        self.directory = self.home / ".local/share/swf-testbed-controller"
        self.vault = self.inventory / "group_vars/all/vault.yml"
        self.password = folder.parent / "password"
        here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        # no host is contacted by the export: nothing answers at the second one's address
        hosts = {"here": here, "away": {"ansible_host": "192.0.2.1"}}
        groups = {
            "testbed": {"hosts": {"here": {}}},
            "broker": {"hosts": {"away": {}}},
            "index": {},
            "database": {},
        }
        (self.inventory / "hosts.yml").write_text(
            yaml.safe_dump({"all": {"hosts": hosts, "children": groups}})
        )
        (self.inventory / "group_vars/all/main.yml").write_text(
            json.dumps({"swf_testbed_index_tls": True, **variables})
        )
        (folder / "play.yml").write_text(PLAY)
        self.play = folder / "play.yml"

    def run(self, playbook, *arguments, password=True):
        """(whether it succeeded, its output in one line)."""
        environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("XDG_", "ANSIBLE_"))
        }
        environment.update(
            self.seen.environment,
            HOME=str(self.home),
            ANSIBLE_HOME=str(self.home / ".ansible"),
            ANSIBLE_NOCOLOR="1",
            ANSIBLE_LOCALHOST_WARNING="0",
            ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".ansible/collections"),
        )
        if password:
            environment["ANSIBLE_VAULT_PASSWORD_FILE"] = str(
                self.password if password is True else password
            )
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                "-i",
                str(self.inventory),
                "-vvv",
                "--diff",
                *arguments,
                str(playbook),
            ],
            cwd=self.home,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=120,
        )
        self.seen.output = done.stdout
        return done.returncode == 0, " ".join(done.stdout.split())

    def export(self, *arguments, **options):
        return self.run(
            ROOT / "playbooks/export_secrets.yml",
            "-e",
            json.dumps({"swf_testbed_export_secrets_file": str(self.vault)}),
            *arguments,
            **options,
        )

    def bring(self, file, *arguments, **options):
        return self.run(
            ROOT / "playbooks/import_secrets.yml",
            "-e",
            json.dumps({"swf_testbed_import_secrets_file": str(file)}),
            *arguments,
            **options,
        )

    def given(self):
        """What the play says that hosts would be given."""
        succeeded, output = self.run(self.play)
        assert succeeded, output
        return json.loads((self.home / "given.json").read_text())

    def files(self):
        return {
            str(path.relative_to(self.directory)): path.read_bytes()
            for path in self.directory.rglob("*")
            if path.is_file()
        }


@pytest.fixture(name="team", scope="module")
def two_controllers(tmp_path_factory):
    """The first has exported, and the second has the file in its inventory."""
    folder = tmp_path_factory.mktemp("team")
    (folder / "password").write_text("the password of the vault\n")
    (folder / "wrong").write_text("another\n")
    seen = Seen(folder)
    one = Controller(
        folder / "one", seen, swf_testbed_database_password={"__ansible_unsafe": DATABASE}
    )
    two = Controller(folder / "two", seen)
    given = one.given()
    secrets = [item for item in given[:-1] if isinstance(item, str)]
    refusals = [two.export(), one.export(password=False)]
    assert not one.vault.exists() and not two.vault.exists() and not two.directory.exists()
    checked = one.export("--check")
    assert not one.vault.exists()
    key = (one.directory / "secrets/lab-ca.key").read_text().splitlines()[1]
    with Leaks(*secrets, key) as leaks:
        exported = one.export()
        leaks.text("the output of the export", seen.output)
    assert exported[0], exported[1]
    two.vault.write_bytes(one.vault.read_bytes())
    return {
        "one": one,
        "two": two,
        "refusals": refusals,
        "checked": checked,
        "exported": exported,
        "leaks": leaks,
        "key": key,
        "secrets": secrets,
        "given": given,
    }


def test_an_export_without_secrets_or_password_is_refused(team):
    (without_secrets, no_secrets), (without_password, no_password) = team["refusals"]
    assert (
        not without_secrets and "this controller has no secrets to export. Evidence: " in no_secrets
    )
    assert not without_password and "there is no password for the vault file" in no_password
    assert "make export-secrets FILE=" in no_password


def test_what_is_in_the_file(team):
    succeeded, output = team["exported"]
    assert succeeded and "changed=1" in output and "certificates of broker" in output
    assert all(name in output for name in NAMES)
    assert team["checked"][0] and "would have" in team["checked"][1]
    assert team["one"].vault.stat().st_mode & 0o777 == 0o600


def test_the_second_controller_gives_hosts_the_same(team):
    one, two = team["one"], team["two"]
    succeeded, output = two.run(two.play, "--check")
    assert succeeded and not two.directory.exists(), output
    assert two.given() == team["given"]
    assert team["given"][2] == DATABASE
    # no secret was generated, and the CA is there byte for byte
    placed = two.files()
    assert set(placed) == {
        "ca/ca.pem",
        "secrets/.lab-ca.lock",
        "secrets/lab-ca.key",
        "secrets/tls-broker.pem",
    }
    assert placed.items() <= one.files().items()
    # and it can export the same
    assert two.export()[1].count("changed=0") == 1


def test_another_ca_is_refused_by_the_first_task(team, tmp_path):
    (tmp_path / "password").write_bytes(team["one"].password.read_bytes())
    third = Controller(tmp_path / "third", team["one"].seen)
    LabCa(str(third.directory)).issued("broker", ["b.org"], 397, 90)
    third.vault.write_bytes(team["one"].vault.read_bytes())
    before = third.files()
    succeeded, output = third.run(ROOT / "playbooks/site.yml")
    assert not succeeded and "another CA than the one in swf_testbed_lab_ca" in output, output
    assert "failed=1" in output and "ok=0" in output and third.files() == before


def test_a_controller_can_import_them(team, tmp_path):
    one = team["one"]
    (tmp_path / "password").write_bytes(one.password.read_bytes())
    third = Controller(tmp_path / "third", one.seen)
    succeeded, output = third.bring(one.vault, password=one.password.parent / "wrong")
    assert not succeeded and "cannot be decrypted" in output and not third.directory.exists(), (
        output
    )
    assert third.bring(one.vault, "--check")[0] and not third.directory.exists()
    with Leaks(*team["secrets"], team["key"]) as leaks:
        succeeded, output = third.bring(one.vault)
        leaks.text("the output of the import", one.seen.output)
        assert succeeded and "changed=1" in output, output
    leaks.disk(third.home)
    assert leaks.found == []
    assert third.given() == team["given"]


def test_a_wrong_password_ends_the_run_before_anything(team):
    two = team["two"]
    before = two.vault.read_bytes(), two.files()
    succeeded, output = two.export(password=two.password.parent / "wrong")
    assert not succeeded and "Decryption failed" in output, output
    assert (two.vault.read_bytes(), two.files()) == before


def test_no_secret_leaked(team):
    """From the output, from processes while it ran, and from what callback plugins saw of all the
    runs above."""
    leaks = team["leaks"]
    leaks.disk(team["one"].inventory)
    ended = team["one"].seen.scan(leaks)
    assert {
        "Check the inventory",
        "Write the secrets of this controller to a vault file",
        "Place the secrets of a vault file on this controller",
    } <= set(ended)
    assert leaks.found == []
