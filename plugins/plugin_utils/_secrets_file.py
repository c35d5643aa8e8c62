# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vault file with the secrets of a team's controllers: variables in YAML, encrypted as a whole.

It is not read by Ansible's own loader, which treats a text with ``{{`` differently in each version:
a text in the file stays that text.
"""

from __future__ import annotations

import os
import re
import typing as t

import yaml
from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, is_encrypted, match_encrypt_secret

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common import files
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._held_secrets import (
    DIGEST_KEY,
    TEXTS,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._shared_ca import (
    VARIABLE as LAB_CA,
)

PREFIX = "swf_testbed_"
#: the variables that can be in a file
VARIABLES = (*(PREFIX + name for name in (*TEXTS, DIGEST_KEY)), LAB_CA)
HEAD = "# Secrets of the testbed, written by make export-secrets. docs/how-to/team.md of the collection describes them.\n"
OPTIONS = (
    "ARGS=--ask-vault-pass, or ARGS='--vault-password-file FILE', or ANSIBLE_VAULT_PASSWORD_FILE"
)
TEMPLATE = re.compile(r"\{[{%#]")


class FileError(ValueError):
    """A file cannot be used; the message has cause, evidence and fix."""


class SecretsFile:
    """A vault file.

    :param path: of the file, which need not exist.
    :param loader: of Ansible, with the vault passwords.
    """

    def __init__(self, path: str, loader: t.Any) -> None:
        self.path = path
        self._passwords = list(loader._vault.secrets or [])

    def passwords(self, command: str) -> list[tuple[str, t.Any]]:
        """The vault passwords of this run of Ansible, each with its id.

        :raises FileError: there is none.
        """
        if not self._passwords:
            raise FileError(
                "there is no password for the vault file %s. Evidence: Ansible received none. Fix: "
                "make %s FILE=%s with %s" % (self.path, command, self.path, OPTIONS)
            )
        return self._passwords

    def to_encrypt(
        self, command: str = "export-secrets", preferred: str | None = None
    ) -> tuple[str, t.Any]:
        """(id, password) to encrypt with, chosen as ansible-vault does.

        :param preferred: the id to use if it has a password.
        :raises FileError: there is none, or the choice is ambiguous.
        """
        passwords, wanted = self.passwords(command), C.DEFAULT_VAULT_ENCRYPT_IDENTITY
        ids = sorted({name for name, _password in passwords})
        if preferred in ids:
            wanted = preferred
        if not wanted and len(ids) > 1:
            raise FileError(
                "the password that encrypts %s is ambiguous. Evidence: Ansible received the vault "
                "ids %s. Fix: choose one: ANSIBLE_VAULT_ENCRYPT_IDENTITY=%s"
                % (self.path, ", ".join(ids), ids[0])
            )
        try:
            return match_encrypt_secret(passwords, encrypt_vault_id=wanted)
        except AnsibleError:
            raise FileError(
                "the vault id for %s has no password. Evidence: ANSIBLE_VAULT_ENCRYPT_IDENTITY is "
                "%s, and Ansible received %s. Fix: ARGS='--vault-id %s@FILE'"
                % (self.path, wanted, ", ".join(ids), wanted)
            ) from None

    def read(self) -> dict[str, t.Any] | None:
        """The variables in it, None if there is no file.

        :raises FileError: it is not encrypted, cannot be decrypted, or is not YAML with
            variables.
        """
        found = files.read(self.path)
        if found is None:
            return None
        if not is_encrypted(found):
            raise FileError(
                "%s is not a vault file, and was not changed. Evidence: it does not begin with "
                "$ANSIBLE_VAULT. Fix: name another file" % self.path
            )
        try:
            text = VaultLib(self._passwords).decrypt(found)
        except AnsibleError:
            raise FileError(
                "%s cannot be decrypted, and was not changed. Evidence: none of the passwords of "
                "Ansible matches. Fix: provide the password that encrypted it: %s"
                % (self.path, OPTIONS)
            ) from None
        try:
            values = parsed(text) or {}
        except yaml.YAMLError as error:
            # without the text of the error, which contains a line of the file
            mark = getattr(error, "problem_mark", None)
            raise FileError(
                "%s is not YAML with plain values. Evidence: its line %s. Fix: ansible-vault "
                "edit %s" % (self.path, mark.line + 1 if mark else "?", self.path)
            ) from None
        if not isinstance(values, dict):
            raise FileError(
                "%s contains no variables. Evidence: it does not consist of NAME: VALUE. Fix: name "
                "a file that make export-secrets wrote" % self.path
            )
        return values

    def write(
        self, values: dict[str, t.Any], vault_id: str, password: t.Any, head: str = HEAD
    ) -> None:
        content = VaultLib().encrypt(text_of(values, head).encode(), password, vault_id).decode()
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        with files.replacing(self.path, 0o600) as stream:
            stream.write(content)

    def refuse_to_hide_another(self) -> None:
        """Ansible reads ``group_vars/all/`` or else ``group_vars/all.yml``, and does not report the
        one that it ignores."""
        folder = os.path.dirname(self.path)
        if os.path.basename(os.path.dirname(folder)) not in ("group_vars", "host_vars"):
            return
        for name in (folder + extension for extension in C.YAML_FILENAME_EXTENSIONS):
            if os.path.isfile(name):
                raise FileError(
                    "with %s, Ansible would no longer read %s, and nothing was written. Evidence: "
                    "it reads the directory of that name instead. Fix: mkdir -p %s && mv %s "
                    "%s/main.yml" % (self.path, name, folder, name, folder)
                )


def text_of(values: dict[str, t.Any], head: str = HEAD) -> str:
    """The variables as YAML that Ansible reads unchanged."""
    return head + yaml.dump(_plain(values), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def parsed(text: str | bytes) -> t.Any:
    return yaml.load(text, Loader=_Loader)


def templates(values: t.Any) -> bool:
    """Whether it contains a template, which only Ansible can evaluate."""
    if isinstance(values, dict):
        return any(map(templates, values.values()))
    return (
        isinstance(values, str) and not isinstance(values, Unsafe) and bool(TEMPLATE.search(values))
    )


class Unsafe(str):
    """A text that looks like a template and is not one."""


class Quoted(str):
    """Any other text. With !unsafe, Ansible would read "0123" as a number."""


class _Loader(yaml.SafeLoader):
    pass


class _Dumper(yaml.SafeDumper):
    pass


_Loader.add_constructor(
    "!unsafe",
    lambda loader, node: Unsafe(loader.construct_scalar(t.cast(yaml.ScalarNode, node))),
)
_Dumper.add_representer(Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", text, '"'))
_Dumper.add_representer(
    Quoted,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, "|" if "\n" in text else '"'
    ),
)


def _plain(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        # also the names: before ansible-core 2.19 they can be of a subclass of str
        return {str.__str__(key): _plain(item) for key, item in value.items()}
    if isinstance(value, int):
        # Ansible has subclasses of int, too
        return value if isinstance(value, bool) else int(value)
    return Unsafe(value) if TEMPLATE.search(value) else Quoted(value)
