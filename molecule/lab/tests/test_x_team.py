# SPDX-License-Identifier: GPL-3.0-or-later
"""A second controller and the hosts of a lab that runs: it changes nothing that it does not have
the secrets for."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import subprocess

import pytest
from placed_secrets import changed, hosts, in_place

# tests/unit/playbooks/test_team.py has two controllers, on instances of this machine
pytestmark = pytest.mark.nightly

ROOT_OF_LEASES = "/run/bnlnpps.swf_testbed"
VAULT_PASSWORD = "of the team"


class Controller:
    """The login of this machine, with a separate directory of secrets."""

    def __init__(self, lab, folder):
        self.lab, self.folder = lab, folder
        (folder / "password").write_text(VAULT_PASSWORD)
        self.vault, self.directory = folder / "vault.yml", folder / "controller"

    def arguments(self, *arguments, vault=False, last="{}"):
        variables = ["-e", "@%s" % self.vault, "-e", last] if vault else []
        return [
            *arguments,
            "-e",
            "swf_testbed_controller_dir=%s" % self.directory,
            *variables,
            "--vault-password-file",
            str(self.folder / "password"),
        ]

    def play(self, *arguments, **options):
        done = self.lab.play(*self.arguments(*arguments, **options))
        return done.returncode, " ".join(done.stdout.split()), changed(done.stdout)


@pytest.fixture(name="second", scope="module")
def a_second_controller(lab, tmp_path_factory):
    return Controller(lab, tmp_path_factory.mktemp("second"))


def leases(lab):
    return {
        name: lab.host(name).run("ls %s" % ROOT_OF_LEASES).stdout.split() for name in hosts(lab)
    }


@contextlib.contextmanager
def a_run_of_the_first(lab, wait_until):
    """A run of site.yml that holds all hosts."""
    process = subprocess.Popen(
        lab.command("site.yml"),
        cwd=lab.root,
        env=lab.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until(lambda: all(leases(lab).values()), 60, "not all hosts are held")
        yield process
    finally:
        process.communicate()


@pytest.mark.parametrize(
    "arguments", [(), ("--check",), ("--limit", "agents-1"), ("-vv",)], ids=" ".join
)
def test_without_the_secrets_it_is_refused_before_the_first_change(lab, second, arguments):
    before = in_place(lab)
    code, output, counted = second.play("site.yml", *arguments)
    if "--limit" in arguments:
        # seen before a host is asked: the others have what this controller would have to generate
        assert code != 0 and "swf_testbed_broker_password is not on this controller" in output, (
            output
        )
    else:
        assert code != 0 and "does not have the secrets of" in output, output
        assert re.search(
            r"last changed on \S+ \S+ UTC by \w+ on \S+, with %s" % lab.secrets.parent, output
        ), output
    assert "cannot read" not in output and "undefined" not in output, output
    assert {count for count, _failed in counted.values()} == {0}, output
    assert (
        in_place(lab) == before and not second.directory.exists() and not any(leases(lab).values())
    )


def test_with_the_exported_secrets_two_controllers_change_nothing_one_after_the_other(
    lab, second, goes_on
):
    before = in_place(lab)
    done = lab.play(
        "playbooks/export_secrets.yml",
        "-e",
        "swf_testbed_export_secrets_file=%s" % second.vault,
        "--vault-password-file",
        str(second.folder / "password"),
    )
    assert done.returncode == 0 and second.vault.read_text().startswith("$ANSIBLE_VAULT;"), (
        done.stdout
    )
    for arguments in ((), ("--limit", "agents-2"), ("--check",)):
        code, output, counted = second.play("site.yml", *arguments, vault=True)
        assert code == 0 and set(counted.values()) == {(0, 0)}, output
    done = lab.play("site.yml")
    assert done.returncode == 0 and set(changed(done.stdout).values()) == {(0, 0)}, done.stdout
    assert in_place(lab) == before and not any(leases(lab).values())
    goes_on()


def test_what_the_services_have_counts_as_well(lab, second):
    (path,) = (second.directory / "secrets").glob("tls-swf-broker-*.pem")
    path.unlink()
    # neither the shared CA, from which it would be placed again, nor the key, with which it might
    # be replaced
    others = json.dumps({"swf_testbed_lab_ca": {}, "swf_testbed_digest_key": secrets.token_hex(20)})
    code, output, counted = second.play(
        "site.yml", "--limit", lab.services, last=others, vault=True
    )
    assert code != 0 and "the certificate of %s is missing" % path.stem[len("tls-") :] in output, (
        output
    )
    assert {count for count, _failed in counted.values()} == {0}, output


def test_of_two_runs_at_once_one_is_refused_with_the_name_of_the_other(lab, second, wait_until):
    with a_run_of_the_first(lab, wait_until) as first:
        code, output, counted = second.play("site.yml", vault=True)
    assert (
        code != 0
        and "another run is changing this host" in output
        and str(lab.secrets.parent) in output
    ), output
    assert {count for count, _failed in counted.values()} == {0}, output
    assert first.returncode == 0 and not any(leases(lab).values())


def test_a_controller_that_is_killed_keeps_others_out_and_goes_on_itself(
    lab, second, wait_until, goes_on
):
    with a_run_of_the_first(lab, wait_until) as first:
        os.killpg(first.pid, signal.SIGKILL)
    code, output, _counted = second.play("site.yml", vault=True)
    assert (
        code != 0
        and "another run is changing this host" in output
        and "swf_testbed_break_lock=true" in output
    ), output
    code, output, counted = second.play("site.yml", "-e", "swf_testbed_break_lock=true", vault=True)
    assert code == 0 and set(counted.values()) == {(0, 0)}, output
    done = lab.play("site.yml")
    assert done.returncode == 0 and set(changed(done.stdout).values()) == {(0, 0)}, done.stdout
    goes_on()
