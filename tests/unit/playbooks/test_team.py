# SPDX-License-Identifier: GPL-3.0-or-later
"""Two controllers and the same hosts: whose secrets a host has, and which run may change it.

Real runs of Ansible. A host is an instance of this login, and a controller a directory with
secrets; molecule/lab has hosts.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import yaml

from helpers.leaks import Leaks

ROOT = Path(__file__).resolve().parents[3]
PLAY = """
- hosts: testbed
  gather_facts: false
  order: "{{ sequence | default('inventory') }}"
  environment:
    SWF_TESTBED_LEASE: "{{ lookup('bnlnpps.swf_testbed.lease') }}"
  tasks:
    - name: Wait for the other run
      shell: |
        touch {{ swf_testbed_controller_dir }}-began
        until [ -e %(folder)s/begin ] || [ ! -d %(folder)s ]; do sleep 0.1; done
      when: begins_together | default(false)
    - import_role: {name: bnlnpps.swf_testbed.preflight, tasks_from: check}
      vars: {swf_testbed_preflight_checks: false}
      when: not compare
    - bnlnpps.swf_testbed.preflight:
        instance: "{{ swf_testbed_instance }}"
        checks: false
        secrets: true
      register: swf_testbed_reached
      when: compare
    - import_tasks: %(root)s/playbooks/tasks/end_if_missing.yml
    - name: Take as long as the test wants
      shell: |
        touch {{ swf_testbed_controller_dir }}-holds-{{ inventory_hostname }}
        until [ -e %(folder)s/go ] || [ ! -d %(folder)s ]; do sleep 0.1; done
      when: waits
    - bnlnpps.swf_testbed.config_files:
        manifest: {instance: "{{ swf_testbed_instance }}", scope: user, role: role}
        directories: [{path: "{{ secrets }}", mode: "0700", purge: true}]
        files_of: [placed]
        secret_names: [broker_password, ca, tls-one]
      vars:
        secrets: "%(folder)s/home/.config/{{ swf_testbed_instance }}/secrets"
        placed: [{dest: "{{ secrets }}/password", content: "{{ swf_testbed_broker_password }}", secret: true}]
    - bnlnpps.swf_testbed.lease: {state: absent}
"""


class Team:
    def __init__(self, folder):
        self.folder = folder
        (folder / "home").mkdir()
        hosts = {
            name: {
                "swf_testbed_instance": "swf-" + name,
                "ansible_connection": "local",
                "ansible_python_interpreter": sys.executable,
                "compare": True,
                "waits": False,
            }
            for name in ("one", "two")
        }
        (folder / "hosts.yml").write_text(
            yaml.safe_dump({"all": {"children": {"testbed": {"hosts": hosts}}}})
        )
        (folder / "play.yml").write_text(PLAY % {"root": ROOT, "folder": folder})

    def start(self, who, *arguments, **variables):
        """A run of a controller."""
        variables = {"swf_testbed_controller_dir": str(self.folder / who), **variables}
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("XDG_", "ANSIBLE_"))
        }
        inherited.update(
            HOME=str(self.folder / "home"),
            ANSIBLE_HOME=str(self.folder / "ansible"),
            ANSIBLE_NOCOLOR="1",
            ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default",
            ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".ansible/collections"),
        )
        return subprocess.Popen(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                "-i",
                str(self.folder / "hosts.yml"),
                "-e",
                json.dumps(variables),
                *arguments,
                str(self.folder / "play.yml"),
            ],
            cwd=ROOT,
            env=inherited,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, who, *arguments, **variables):
        """(exit code, output in one line)."""
        return ended(self.start(who, *arguments, **variables))

    def passwords(self):
        return [
            path.read_text()
            for path in sorted((self.folder / "home/.config").glob("*/secrets/password"))
        ]

    def everything(self):
        return {
            path: (path.stat().st_mtime_ns, path.stat().st_size)
            for path in (self.folder / "home/.config").rglob("*")
        }

    def leases(self):
        return sorted((self.folder / "home/.local/state/bnlnpps.swf_testbed").glob("*"))


def ended(process):
    output, _nothing = process.communicate(timeout=120)
    return process.returncode, " ".join(output.split())


@pytest.fixture(name="team")
def a_team_with_two_hosts_that_alice_set_up():
    folder = Path(tempfile.mkdtemp(prefix="swf-", dir="/tmp"))
    team = Team(folder)
    code, output = team.run("alice")
    assert code == 0 and output.count("changed=1") == 2 and team.leases() == [], output
    yield team
    shutil.rmtree(folder)


@pytest.mark.nightly
def test_another_controller_is_refused_before_the_first_change(team):
    before = team.everything()
    key = (team.folder / "alice/secrets/digest_key").read_text().strip()
    for arguments in ((), ("--check",), ("--limit", "two"), ("-vvv",)):
        with Leaks(key, team.passwords()[0]) as leaks:
            code, output = team.run("bob", *arguments)
        assert code != 0 and "does not have the secrets of " in output, output
        assert (
            "swf_testbed_broker_password is missing" in output
            and "with %s/alice. This controller is " % team.folder in output
        ), output
        for option in (
            "copy that directory to %s/bob" % team.folder,
            "make export-secrets",
            "swf_testbed_replace_secrets=true",
        ):
            assert option in output, output
        leaks.text("the output", output)
        assert leaks.found == []
    assert (
        team.everything() == before and not (team.folder / "bob").exists() and team.leases() == []
    )


@pytest.mark.nightly
def test_what_the_host_answers_is_shown_without_the_key_of_its_digests(team):
    key = (team.folder / "alice/secrets/digest_key").read_text().strip()
    with Leaks(key, team.passwords()[0]) as leaks:
        code, output = team.run("alice", "-vvv", "--diff")
    assert code == 0 and "swf_testbed_layout_swf_one" in output, output
    leaks.text("the output", output)
    assert leaks.found == []


@pytest.mark.nightly
def test_a_controller_with_the_same_secrets_changes_nothing_whatever_its_key_is(team):
    shutil.copytree(team.folder / "alice", team.folder / "bob")
    before = team.everything()
    assert "changed=1" not in team.run("bob")[1] and team.everything() == before
    (team.folder / "bob/secrets/digest_key").unlink()
    code, output = team.run("bob")
    assert code == 0 and "changed=1" not in output and team.everything() == before, output


@pytest.mark.nightly
def test_who_holds_the_key_may_replace_a_secret_and_others_may_not(team):
    shutil.copytree(team.folder / "alice", team.folder / "bob")
    (team.folder / "alice/secrets/broker_password").unlink()
    code, output = team.run("alice", "--check")
    assert code == 0 and not (team.folder / "alice/secrets/broker_password").exists(), output
    code, output = team.run("alice")
    assert code == 0 and output.count("changed=1") == 2, output
    placed = team.passwords()
    # bob has the key as well, and what alice has replaced: that is no change on purpose
    code, output = team.run("bob")
    assert (
        code != 0
        and "swf_testbed_broker_password has a former value" in output
        and team.passwords() == placed
    ), output
    # the same controller, with an option that is given once: whoever made the last change may undo
    # it
    code, output = team.run("alice", swf_testbed_broker_password="given-once")
    assert code == 0 and team.passwords() == ["given-once"] * 2, output
    code, output = team.run("alice")
    assert code == 0 and team.passwords() == placed, output
    # with an empty home it is another one
    (team.folder / "alice").rename(team.folder / "away")
    code, output = team.run("alice")
    assert (
        code != 0
        and "restore that directory from a backup" in output
        and "copy that directory" not in output
    ), output
    code, output = team.run("carol", swf_testbed_broker_password="of-somebody-without-the-key")
    assert code != 0 and "swf_testbed_broker_password has another value" in output, output


@pytest.mark.nightly
def test_secrets_are_replaced_on_purpose(team):
    code, output = team.run("bob", swf_testbed_replace_secrets=True)
    assert code == 0 and output.count("changed=1") == 2, output
    code, output = team.run("alice")
    assert code != 0 and "with %s/bob" % team.folder in output, output


@pytest.mark.nightly
def test_the_ca_and_what_it_issued_count(team):
    for name in ("one", "two"):
        record = team.folder / "home/.config" / ("swf-" + name) / "provenance/role.json"
        record.unlink()
    authority = team.folder / "ca.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            "/CN=a",
            "-keyout",
            str(team.folder / "ca.key"),
            "-out",
            str(authority),
        ],
        check=True,
        capture_output=True,
    )
    (team.folder / "alice/secrets/tls-one.pem").write_text("a certificate and its key")
    for path in (team.folder / "home/.config").glob("*/secrets/password"):
        path.unlink()
    assert team.run("alice", swf_testbed_ca_cert=str(authority))[0] == 0
    shutil.copytree(team.folder / "alice", team.folder / "bob")
    (team.folder / "bob/secrets/digest_key").write_text("0123456789" * 4)
    # renewed with the same key it is the same CA
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-key",
            str(team.folder / "ca.key"),
            "-subj",
            "/CN=a",
            "-days",
            "99",
            "-out",
            str(authority),
        ],
        check=True,
        capture_output=True,
    )
    code, output = team.run("bob", swf_testbed_ca_cert=str(authority))
    assert code == 0, output
    code, output = team.run("bob")
    assert code != 0 and "the CA in swf_testbed_ca_cert is missing" in output, output
    (team.folder / "bob/secrets/tls-one.pem").write_text("another one")
    code, output = team.run("bob", swf_testbed_ca_cert=str(authority))
    assert code != 0 and "the certificate of one has another value" in output, output


@pytest.mark.nightly
def test_an_older_collection_is_refused_unless_told_otherwise(team):
    for name in ("one", "two"):
        path = team.folder / "home/.config" / ("swf-" + name) / "provenance/role.json"
        record = json.loads(path.read_text())
        record["changed_by"]["collection"] = "99.0.0"
        path.write_text(json.dumps(record))
    before = team.everything()
    code, output = team.run("alice")
    assert (
        code != 0
        and "is older than the one that provisioned this host" in output
        and "99.0.0" in output
    ), output
    assert team.everything() == before and team.leases() == []
    code, output = team.run("alice", swf_testbed_allow_older_collection=True)
    assert code == 0, output


def hold_both(team, who, **variables):
    """Start a run and wait until it holds both hosts. It waits until it may go on."""
    for path in team.folder.glob(who + "-holds-*"):
        path.unlink()
    process = team.start(who, compare=False, waits=True, **variables)
    deadline = time.monotonic() + 60
    while len(list(team.folder.glob(who + "-holds-*"))) < 2:
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    return process


def refused_on_both(output):
    return output.count("FAILED!") == 2 and all(
        "holds swf-%s since" % name in output for name in ("one", "two")
    )


@pytest.mark.nightly
def test_a_run_of_another_controller_is_refused_with_its_name_and_nothing_is_half_done(team):
    before = team.everything()
    process = hold_both(team, "alice")
    code, output = team.run("bob", compare=False, swf_testbed_broker_password="of-bob")
    assert code != 0 and refused_on_both(output) and "%s/alice" % team.folder in output, output
    assert team.everything() == before
    (team.folder / "go").touch()
    code, output = ended(process)
    assert code == 0 and "changed=1" in output and team.leases() == [], output


@pytest.mark.nightly
def test_a_controller_that_is_killed(team):
    process = hold_both(team, "alice")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert len(team.leases()) == 2
    code, output = team.run("bob", compare=False, swf_testbed_broker_password="of-bob")
    assert code != 0 and refused_on_both(output), output
    # the same controller at once
    code, output = team.run("alice")
    assert code == 0 and team.leases() == [], output
    for later in (False, True):
        process = hold_both(team, "alice")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for lease in team.leases() if later else ():
            os.utime(lease, (time.time() - 601,) * 2)
        code, output = team.run(
            "bob",
            compare=False,
            swf_testbed_broker_password="of-bob",
            swf_testbed_break_lock=not later,
        )
        assert code == 0 and not [path for path in team.leases() if path.suffix == ".lease"], output


@pytest.mark.nightly
def test_a_run_whose_host_was_taken_ends_with_its_next_call(team):
    process = hold_both(team, "alice")
    taker = hold_both(
        team, "bob", swf_testbed_broker_password="of-bob", swf_testbed_break_lock=True
    )
    (team.folder / "go").touch()
    results = [ended(process), ended(taker)]
    # whichever of the two comes first to its next call, and even if bob's is over by then
    assert (
        results[0][0] != 0
        and "nothing was changed. Evidence: " in results[0][1]
        and "changed=2" not in results[0][1]
    ), results
    assert results[1][0] == 0 and team.passwords() == ["of-bob"] * 2, results


@pytest.mark.nightly
def test_of_two_that_start_at_once_exactly_one_goes_on(team):
    for attempt in range(2):
        processes = {
            who: team.start(
                who, compare=False, waits=True, swf_testbed_broker_password="%s-%d" % (who, attempt)
            )
            for who in ("bob", "carol")
        }
        while all(process.poll() is None for process in processes.values()):
            time.sleep(0.1)
        (loser,) = (who for who, process in processes.items() if process.poll() is not None)
        (team.folder / "go").touch()
        results = {who: ended(process) for who, process in processes.items()}
        (winner,) = set(processes) - {loser}
        assert results[winner][0] == 0 and results[loser][0] != 0, results
        assert "another run is changing this host" in results[loser][1], results
        assert team.passwords() == ["%s-%d" % (winner, attempt)] * 2 and team.leases() == []
        (team.folder / "go").unlink()


# the lease is tried in module_utils/_host/test_lease.py, two runs on one host in the test before
@pytest.mark.nightly
def test_of_two_that_hold_a_host_each_one_goes_on(team):
    """Each takes the hosts one after the other, and begins with the other one's last."""
    for attempt in range(2):
        processes = {
            who: team.start(
                who,
                "-f",
                "1",
                compare=False,
                begins_together=True,
                sequence=sequence,
                swf_testbed_broker_password="%s-%d" % (who, attempt),
            )
            for who, sequence in (("bob", "inventory"), ("carol", "reverse_inventory"))
        }
        deadline = time.monotonic() + 60
        while len(list(team.folder.glob("*-began"))) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (team.folder / "begin").touch()
        results = {who: ended(process) for who, process in processes.items()}
        well = [who for who, (code, _output) in results.items() if code == 0]
        # the one that began first waits for the other one, which gives up or comes to its end
        assert well and all(
            "another run is changing this host" in results[who][1]
            for who in set(results) - set(well)
        ), results
        assert (
            len(set(team.passwords())) == 1
            and team.passwords()[0].partition("-")[0] in well
            and team.leases() == []
        )
        for path in (*team.folder.glob("*-began"), team.folder / "begin"):
            path.unlink()
