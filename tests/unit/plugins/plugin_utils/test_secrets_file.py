# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports to real vault files and imports from them. test_team_secrets.py does it with playbooks
and an inventory."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible import constants
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _lab_ca
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._secrets_export import exported
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._secrets_file import (
    FileError,
    SecretsFile,
    parsed,
    text_of,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._secrets_import import imported

HEX = "0123456789abcdef0123456789abcdef01234567"
ODD = [
    'it\'s "quoted"',
    "{{ 7 * 7 }}",
    "{% if %}",
    "{# gone #}",
    "%(x)s $(id) `id` \\",
    "Zoë-пароль-密",
    "0123",
    "1e5",
    "yes",
    "null",
    "- a",
    "a: b # c",
    "!vault x",
    "&a *b",
    "\ttab",
    "x" * 5000,
]
PASSWORDS = (("default", b"password"),)


def loader(*passwords):
    found = DataLoader()
    found.set_vault_secrets([(name, VaultSecret(text)) for name, text in passwords])
    return found


class Held:
    """Stands for HeldSecrets, which needs an inventory: a directory, and values from the
    inventory."""

    def __init__(self, directory, **values):
        self.directory, self.values = str(directory), values

    def get(self, name):
        return self.values.get(name)

    def variable(self, name):
        return self.values.get(name)


@pytest.fixture(name="path")
def path_of_the_file(tmp_path):
    return tmp_path / "inventory/group_vars/all/vault.yml"


def export(path, *hosts, passwords=PASSWORDS, check_mode=False):
    named = {"host%d" % number: host for number, host in enumerate(hosts)}
    return exported(SecretsFile(str(path), loader(*passwords)), named, check_mode)


def bring(path, *directories, passwords=PASSWORDS, force=False, check_mode=False):
    hosts = {str(each): Held(each) for each in directories}
    return imported(SecretsFile(str(path), loader(*passwords)), hosts, force, check_mode)


def in_file(path, passwords=PASSWORDS):
    return SecretsFile(str(path), loader(*passwords)).read()


def written(path, text, password=b"password"):
    """A vault file with this text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(VaultLib().encrypt(text, VaultSecret(password)))


def files(folder):
    return {str(path): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.mark.parametrize("value", ODD)
def test_a_value_comes_back_byte_for_byte(path, tmp_path, value):
    result = export(path, Held(tmp_path / "none", database_password=value))
    assert result["changed"] and result["names"] == ["swf_testbed_database_password"]
    assert in_file(path) == {"swf_testbed_database_password": value}
    assert value not in str(result) or value == "null"
    # Ansible's own reader has it, too
    assert loader(*PASSWORDS).load_from_file(str(path)) == in_file(path)


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"))) | st.from_regex(
    "[{}%# 0-9a-z]{1,9}", fullmatch=True
)


@settings(max_examples=300, deadline=None)
@given(value=TEXT)
def test_any_value_comes_back(value):
    text = text_of({"swf_testbed_broker_password": value})
    assert parsed(text) == DataLoader().load(text) == {"swf_testbed_broker_password": value}


def test_ansible_vault_shows_it(path, tmp_path):
    export(path, Held(tmp_path / "none", api_token=HEX, broker_password="{{ x }}"))
    (tmp_path / "password").write_bytes(PASSWORDS[0][1])
    shown = subprocess.check_output(
        [
            Path(sys.executable).parent / "ansible-vault",
            "view",
            "--vault-password-file",
            tmp_path / "password",
            path,
        ],
        text=True,
    )
    assert shown == text_of(
        {"swf_testbed_broker_password": "{{ x }}", "swf_testbed_api_token": HEX}
    )
    assert "docs/how-to/team.md" in shown and '!unsafe "{{ x }}"' in shown


def test_the_file_is_one_vault_file_for_its_owner(path, tmp_path):
    before = os.umask(0)
    try:
        export(path, Held(tmp_path / "none", api_token=HEX))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().startswith("$ANSIBLE_VAULT;1.1;AES256\n")
    assert [item.name for item in path.parent.iterdir()] == ["vault.yml"]


def test_a_second_export_leaves_the_file_as_it_is(path, tmp_path):
    export(path, Held(tmp_path / "none", api_token=HEX))
    before = path.read_bytes()
    assert (
        not export(path, Held(tmp_path / "none", api_token=HEX))["changed"]
        and path.read_bytes() == before
    )
    assert (
        export(path, Held(tmp_path / "none", api_token=HEX[::-1]), check_mode=True)["changed"]
        and path.read_bytes() == before
    )
    assert (
        export(path, Held(tmp_path / "none", api_token=HEX[::-1]))["changed"]
        and path.read_bytes() != before
    )


def test_check_mode_does_not_even_make_the_directory(path, tmp_path):
    assert (
        export(path, Held(tmp_path / "none", api_token=HEX), check_mode=True)["changed"]
        and not path.parent.exists()
    )


def test_the_vault_id_is_chosen_as_ansible_vault_does(path, tmp_path, monkeypatch):
    two = (("dev", b"one"), ("prod", b"two"))
    held = Held(tmp_path / "none", api_token=HEX)
    with pytest.raises(
        FileError, match="Evidence: Ansible received the vault ids dev, prod. Fix: choose one"
    ):
        export(path, held, passwords=two)
    monkeypatch.setattr(constants, "DEFAULT_VAULT_ENCRYPT_IDENTITY", "other")
    with pytest.raises(FileError, match="other, and Ansible received dev, prod"):
        export(path, held, passwords=two)
    assert not path.exists()
    monkeypatch.setattr(constants, "DEFAULT_VAULT_ENCRYPT_IDENTITY", "prod")
    export(path, held, passwords=two)
    assert path.read_text().startswith("$ANSIBLE_VAULT;1.2;AES256;prod\n") and in_file(
        path, two[1:]
    ) == in_file(path, two)
    monkeypatch.setattr(constants, "DEFAULT_VAULT_ENCRYPT_IDENTITY", None)
    path.unlink()
    export(path, held, passwords=two[:1])
    assert path.read_text().startswith("$ANSIBLE_VAULT;1.2;AES256;dev\n")


REFUSED = [
    ("swf_testbed_api_token: x\n", None, "is not a vault file"),
    ("swf_testbed_api_token: x\n", b"other", "cannot be decrypted"),
    ("vault_index_token: x\n", b"password", "contains other variables.*it has vault_index_token"),
    (
        "swf_testbed_broker_password: x\n",
        b"password",
        "does not have.*Evidence: swf_testbed_broker_password. Fix: import them",
    ),
    ("a: [\n", b"password", "is not YAML"),
    ("a: !vault x\n", b"password", "is not YAML"),
    ("- a\n", b"password", "contains no variables"),
]


@pytest.mark.parametrize("text, password, message", REFUSED)
def test_a_file_of_somebody_else_is_not_overwritten(path, tmp_path, text, password, message):
    path.parent.mkdir(parents=True)
    if password:
        written(path, text, password)
    else:
        path.write_text(text)
    before = path.read_bytes()
    with pytest.raises(FileError, match=message):
        export(path, Held(tmp_path / "none", api_token=HEX))
    assert path.read_bytes() == before


def test_nothing_is_exported_without_a_password(path, tmp_path):
    with pytest.raises(
        FileError,
        match="no password for .* Evidence: .* Fix: make export-secrets FILE=.*ask-vault-pass",
    ):
        export(path, Held(tmp_path / "none", api_token=HEX), passwords=())
    assert not path.parent.exists()


def test_a_controller_without_secrets_is_refused(path, tmp_path):
    with pytest.raises(
        FileError,
        match="no secrets to export. Evidence: %s has none.* Fix: " % (tmp_path / "none"),
    ):
        export(path, Held(tmp_path / "none"))
    assert not path.parent.exists() and not (tmp_path / "none").exists()


def test_hosts_with_different_values_are_named(path, tmp_path):
    with pytest.raises(
        FileError,
        match="swf_testbed_api_token is not the same for all hosts.* Evidence: host0 and host1 ",
    ):
        export(
            path,
            Held(tmp_path / "none", api_token=HEX),
            Held(tmp_path / "none", api_token=HEX[::-1]),
        )
    assert not path.parent.exists()


def test_a_directory_of_variables_would_hide_the_file_of_that_name(path, tmp_path):
    """Ansible reads one of the two, without a word."""
    path.parent.parent.mkdir(parents=True)
    (path.parent.parent / "all.yml").write_text("swf_testbed_package_index_sources: []\n")
    with pytest.raises(FileError, match="would no longer read .*all.yml.* Fix: mkdir -p "):
        export(path, Held(tmp_path / "none", api_token=HEX))
    assert not path.parent.exists()


@pytest.fixture(name="controller")
def a_controller_with_everything(tmp_path):
    directory = tmp_path / "one"
    _lab_ca.LabCa(str(directory)).issued("broker", ["broker.example.org"], 397, 90)
    return Held(
        directory, api_token=HEX, broker_password='{{ it\'s }} "Zoë" %(x)s', digest_key=HEX[::-1]
    )


def test_what_was_exported_is_imported(controller, path, tmp_path):
    result = export(path, controller)
    assert result["certificates"] == ["broker"] and len(result["names"]) == 4
    other, third = tmp_path / "two", tmp_path / "three"
    assert bring(path, other, check_mode=True)["changed"] and not other.exists()
    result = bring(path, other, third)
    assert result["changed"] and len(result["files"]) == 12 and result["copies"] == []
    for directory in (other, third):
        secrets = directory / "secrets"
        assert (secrets / "broker_password").read_text() == controller.values[
            "broker_password"
        ] + "\n"
        assert (secrets / "api_token").read_text() == HEX + "\n"
        assert {stat.S_IMODE(item.stat().st_mode) for item in secrets.iterdir()} == {0o600}
        assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
        for name in ("ca/ca.pem", "secrets/lab-ca.key", "secrets/tls-broker.pem"):
            assert (directory / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    assert not bring(path, other, third)["changed"]


def test_another_value_is_replaced_only_if_it_is_forced(controller, path, tmp_path):
    export(path, controller)
    other = tmp_path / "two"
    _lab_ca.LabCa(str(other)).issued("broker", ["broker.example.org"], 397, 90)
    (other / "secrets/api_token").write_text("f" * 40 + "\n")
    before = files(other)
    # one that is missing and one that is right are not named
    with pytest.raises(FileError) as refused:
        bring(path, other)
    differing = [
        str(other / name) for name in ("secrets/api_token", "secrets/lab-ca.key", "ca/ca.pem")
    ]
    assert "Evidence: %s have another value. Fix: " % ", ".join(differing) in str(refused.value)
    assert "FORCE=yes" in str(refused.value)
    assert files(other) == before
    assert bring(path, other, force=True, check_mode=True)["files"] and files(other) == before
    result = bring(path, other, force=True)
    assert [copy.rpartition(".")[0] for copy in result["copies"]] == differing
    for name, copy in zip(differing, result["copies"]):
        assert (
            Path(copy).read_bytes() == before[name] and stat.S_IMODE(os.stat(copy).st_mode) == 0o600
        )
        assert Path(name).read_bytes() != before[name]
    assert not bring(path, other)["changed"]


UNUSABLE = [
    ("swf_testbed_api_token: 0123\n", "swf_testbed_api_token in .* is not text"),
    ("swf_testbed_api_token: abc\n", "is not a token of the monitor"),
    (
        "swf_testbed_broker_password: '{{ vault_x }}'\n",
        "swf_testbed_broker_password in .* is a template",
    ),
    ("swf_testbed_broker_password: ' x'\n", "begins or ends with a space"),
    ("swf_testbed_broker_password: |\n  x\n", "begins or ends with a space|contains a line break"),
    ("swf_testbed_brokr_password: x\n", "it has swf_testbed_brokr_password"),
    ("swf_testbed_lab_ca: {certificate: x, key: y}\n", "swf_testbed_lab_ca.certificate is damaged"),
    ("swf_testbed_lab_ca: [x]\n", "swf_testbed_lab_ca has a wrong type"),
    ("{}\n", "is empty"),
]


@pytest.mark.parametrize("text, message", UNUSABLE)
def test_a_file_that_cannot_be_used_is_refused(path, tmp_path, text, message):
    written(path, "swf_testbed_index_token: %s\n%s" % (HEX, text) if text != "{}\n" else text)
    with pytest.raises(ValueError, match="(%s).* Fix: " % message):
        bring(path, tmp_path / "two")
    assert not (tmp_path / "two").exists()


def test_a_file_that_is_not_there_or_not_readable_is_refused(path, tmp_path):
    with pytest.raises(FileError, match="Evidence: .* does not exist"):
        bring(path, tmp_path / "two")
    with pytest.raises(FileError, match="Fix: make import-secrets FILE="):
        bring(path, tmp_path / "two", passwords=())
    export(path, Held(tmp_path / "none", api_token=HEX))
    with pytest.raises(FileError, match="cannot be decrypted"):
        bring(path, tmp_path / "two", passwords=(("default", b"wrong"),))
    assert not (tmp_path / "two").exists()


def test_a_variable_of_the_role_can_be_in_it():
    """Each name is one that the settings have: a renamed variable would be exported in vain."""
    from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _secrets_file

    spec = yaml.safe_load(
        (Path(__file__).parents[4] / "roles/common/meta/argument_specs.yml").read_text()
    )
    assert set(_secrets_file.VARIABLES) <= set(spec["argument_specs"]["variables"]["options"])
