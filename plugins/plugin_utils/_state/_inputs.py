# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inputs of a run on the controller: the variables of all hosts, the files that they name, the
directory of the controller, and the collection.

With the same inputs, a run wants the same of each host. The variables of all hosts are one input,
because the roles also read those of other hosts. Digests are recorded with a key only: nobody can
guess a password from one. Those without a key are in the directory of this run, which nobody else
may enter and Ansible removes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible import __version__ as ansible_version
from ansible import constants as C
from ansible.errors import AnsibleError

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import replacing
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._certificates import days_left
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._collection import (
    ROOT,
    collection_version,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import (
    UNKNOWN,
    Values,
    is_template,
    plain,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._lab_ca import CA_RENEW_DAYS

try:
    from cryptography import x509
except ImportError:
    # ansible-core depends on it; only ansible-test imports plugins without
    pass

#: parts of the collection that decide what a run does
PARTS = ("plugins", "roles", "playbooks", "stacks", "meta")
#: variables of Ansible that are no variables of an inventory
MAGIC = re.compile(
    r"ansible_|(groups|hostvars|inventory_hostname|inventory_hostname_short|inventory_file|omit"
    r"|play_hosts|playbook_dir|role_name|role_names|role_path|vars|environment"
    # of one run
    r"|swf_testbed_full_run)$"
)
#: a value with one of these depends on more than on other variables
IMPURE = re.compile(r"\b(lookup|query|q|now|random|shuffle|ansible_date_time|ansible_env)\b")
WORD = re.compile(r"\w+")
#: of these, the files in a directory count
DIRECTORIES = re.compile(r"swf_testbed_(package_index_sources|release_wheels_dir)")
SKIPPED = {"__pycache__", ".git", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
#: larger files, as wheels: their size and time
MAX_BYTES = 1 << 20
#: below the directory of the controller: records of states
STATES = "states"
RENEW_DAYS = 90

Digests = dict[str, str]


class Inputs:
    """:ivar unknown: variables whose values can be different in each run."""

    def __init__(self) -> None:
        self._hosts: dict[str, Any] = {}
        self._paths: set[str] = set()
        self._directories: set[str] = set()
        self._bases: set[str] = set()
        self.unknown: set[str] = set()

    def add(self, host: str, values: Values) -> str:
        """Add the variables of a host; returns a text that is the same for hosts with the same
        variables and groups."""
        variables = values.variables
        own: dict[str, Any] = {}
        for name, value in variables.items():
            if not MAGIC.match(name):
                try:
                    own[name] = canonical(value)
                except AnsibleError:
                    # an encrypted text, and no password
                    self.unknown.add(name)
        # what a template is now: it may look up a file or a vault
        for name in used(own):
            if is_template(own[name]):
                value = values.get(name, UNKNOWN)
                if value is not UNKNOWN:
                    own[name] = canonical(value)
                elif IMPURE.search(json.dumps(own[name])):
                    self.unknown.add(name)
        described = [own, sorted(values.groups)]
        self._hosts[host] = described
        self._bases |= {
            str(variables[name])
            for name in ("inventory_dir", "playbook_dir")
            if variables.get(name)
        }
        self._directories.add(values.text("swf_testbed_controller_dir"))
        for name, value in own.items():
            found = set(texts(value))
            self._paths |= found
            if DIRECTORIES.fullmatch(name):
                self._directories |= found
        return json.dumps(described, sort_keys=True)

    def save(self) -> None:
        """Save them for the actions of this run on the hosts."""
        named = {
            os.path.abspath(full)
            for path in self._paths
            for base in ("", *self._bases)
            if os.path.isfile(full := os.path.join(base, os.path.expanduser(path)))
        }
        fixed = {
            "the variables of the inventory": digest_of(json.dumps(self._hosts, sort_keys=True)),
            "the collection": digest_of(collection_version() + collection_digest()),
            "ansible-core": ansible_version,
        }
        found = RunInputs(
            fixed, sorted(named), sorted(map(os.path.expanduser, self._directories)), {}, []
        )
        found.files, found.unknown = found.present(), sorted(self.unknown)
        with replacing(saved()) as stream:
            json.dump(vars(found), stream)


@dataclass
class RunInputs:
    """The inputs of this run.

    :ivar fixed: digests of what is read once.
    :ivar named: paths of files that variables name.
    :ivar directories: those whose files are inputs.
    :ivar files: the digests of all files at the start of the run.
    :ivar unknown: see :class:`Inputs`.
    """

    fixed: Digests
    named: list[str]
    directories: list[str]
    files: Digests
    unknown: list[str]

    @classmethod
    def read(cls) -> RunInputs | None:
        """Those of this run; None if it did not check its inventory."""
        try:
            with open(saved(), encoding="utf-8") as stream:
                return cls(**json.load(stream))
        except FileNotFoundError:
            return None

    def present(self) -> Digests:
        """The digests of all files now."""
        found = set(self.named)
        for folder in self.directories:
            found |= {
                path
                for path in below(folder)
                if os.path.relpath(path, folder).split(os.sep)[0] != STATES
                and not path.endswith(".lock")
            }
        return {path: of_file(path) for path in sorted(found)}

    def recorded(self, key: str) -> Digests:
        """The digests at the start of the run, with a key."""
        return keyed({**self.fixed, **self.files}, key)

    def at_end(self, key: str) -> tuple[Digests, list[str]]:
        """(the digests at the end of the run, with a key; the files that changed meanwhile). Files
        that the run has made are no change."""
        now = self.present()
        changed = [path for path, digest in self.files.items() if now.get(path) != digest]
        return keyed({**self.fixed, **now}, key), changed


def keyed(digests: Digests, key: str) -> Digests:
    return {
        name: hmac.new(key.encode(), digest.encode(), hashlib.sha256).hexdigest()[:32]
        for name, digest in digests.items()
    }


def saved() -> str:
    return os.path.join(C.DEFAULT_LOCAL_TMP, "swf-testbed-inputs.json")


def digest_of(value: str | bytes) -> str:
    return hashlib.sha256(value if isinstance(value, bytes) else value.encode()).hexdigest()


def of_file(path: str) -> str:
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            return "no file"
        if status.st_size > MAX_BYTES:
            return "%d bytes of %d" % (status.st_size, status.st_mtime_ns)
        content = Path(path).read_bytes()
    except OSError as error:
        return "cannot be read: %s" % error.strerror
    due = " due" if path.endswith(".pem") and renewal_is_due(content) else ""
    return digest_of(content) + due


def canonical(value: Any) -> Any:
    """A value as data of JSON."""
    value = plain(value)
    if isinstance(value, dict):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [canonical(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def texts(value: Any) -> Iterator[str]:
    """All short texts of one line in a value."""
    if isinstance(value, str):
        if 0 < len(value) < 1024 and "\n" not in value and not is_template(value):
            yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def used(variables: Mapping[str, Any]) -> set[str]:
    """Our variables, and those that they refer to."""
    found: set[str] = set()
    left = {name for name in variables if name.startswith("swf_testbed_")}
    while left:
        name = left.pop()
        found.add(name)
        if is_template(variables[name]):
            left |= {
                word for word in WORD.findall(json.dumps(variables[name])) if word in variables
            } - found
    return found


def below(folder: str) -> Iterator[str]:
    """The paths of all files below a directory."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - SKIPPED)
        yield from (os.path.join(parent, name) for name in names)


def collection_digest() -> str:
    """A digest of all files of the collection that decide what a run does."""
    found = hashlib.sha256()
    for part in PARTS:
        for path in sorted(below(str(ROOT / part))):
            if not path.endswith(".pyc"):
                found.update(b"%s\0" % os.path.relpath(path, ROOT).encode())
                found.update(hashlib.sha256(Path(path).read_bytes()).digest())
    return found.hexdigest()[:32]


def renewal_is_due(content: bytes) -> bool:
    """Whether a run would renew the certificate in a file of the controller."""
    try:
        found = x509.load_pem_x509_certificate(content)
        constraints = found.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    return days_left(found) < (CA_RENEW_DAYS if constraints.ca else RENEW_DAYS)


def different(recorded: Digests, present: Digests) -> Iterator[str]:
    """The inputs that differ."""
    for name in sorted({*recorded, *present}):
        if recorded.get(name) != present.get(name):
            verb = (
                "is new"
                if name not in recorded
                else "is gone"
                if name not in present
                else "changed"
            )
            yield "%s %s" % (name, verb)
