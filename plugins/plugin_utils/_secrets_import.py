# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Import of the secrets of a vault file to the directory of this controller."""

from __future__ import annotations

import datetime
import os
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import read
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _shared_ca
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._held_secrets import HeldSecrets
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._secrets import (
    of_secret,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._lab_ca import LabCa
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._secrets_file import (
    LAB_CA,
    PREFIX,
    VARIABLES,
    FileError,
    SecretsFile,
    templates,
)


def imported(
    file: SecretsFile, hosts: dict[str, HeldSecrets], force: bool, check_mode: bool
) -> dict[str, Any]:
    """Write the files that are missing. Returns the result of the task, without a secret in it.

    :param force: whether files with another value are replaced.
    :raises FileError, CertificateError: nothing was written.
    :raises OSError:
    """
    file.passwords("import-secrets")
    values = file.read()
    if not values:
        raise FileError(
            "there are no secrets to import. Evidence: %s %s. Fix: name the file that make "
            "export-secrets wrote" % (file.path, "does not exist" if values is None else "is empty")
        )
    refuse_unusable(file, values)
    authorities = [
        LabCa(directory, check_mode)
        for directory in sorted({each.directory for each in hosts.values()})
    ]
    for authority in authorities:
        missing(file, values, authority, force)
    written, copies = [], []
    for authority in authorities:
        with authority.locked():
            # another run may have written one in the meantime
            for item, other in missing(file, values, authority, force):
                if other and not check_mode:
                    copies.append(copied(item.path))
                authority.write(*item)
                written.append(item.path)
    done = (
        "%s %d files below %s"
        % (
            "would write" if check_mode else "wrote",
            len(written),
            " and ".join(os.path.dirname(authority.secrets) for authority in authorities),
        )
        if written
        else "this controller has all of its secrets"
    )
    replaced = "; copies of the replaced files: " + ", ".join(copies) if copies else ""
    return {
        "changed": bool(written),
        "path": file.path,
        "names": list(values),
        "files": written,
        "copies": copies,
        "msg": "%s: %s%s." % (file.path, done, replaced),
    }


def refuse_unusable(file: SecretsFile, values: dict[str, Any]) -> None:
    """:raises FileError: a value in it cannot be used."""
    unknown = [str(name) for name in values if name not in VARIABLES]
    for name, value in values.items():
        if name in unknown:
            raise FileError(
                "%s has variables that are not imported, and nothing was written. Evidence: it has "
                "%s. Fix: remove them: ansible-vault edit %s"
                % (file.path, ", ".join(unknown), file.path)
            )
        if templates(value):
            raise FileError(
                "%s in %s is a template, and nothing was written. Evidence: it contains {{, {%% or "
                "{#. Fix: write the value; a value with these characters needs !unsafe before it"
                % (name, file.path)
            )
        if name == LAB_CA:
            _shared_ca.refuse_unusable(value)
        elif not isinstance(value, str):
            raise FileError(
                "%s in %s is not text, and nothing was written. Evidence: its value is not shown. "
                "Fix: quote it" % (name, file.path)
            )
        elif value != value.strip():
            raise FileError(
                "%s cannot be imported, and nothing was written. Evidence: it begins or ends with "
                "a space, which the file of a secret does not preserve. Fix: leave %s in the "
                "inventory" % (name, file.path)
            )
        for problem in () if name == LAB_CA else of_secret(name, value):
            raise FileError(problem.text())


def missing(
    file: SecretsFile, values: dict[str, Any], authority: LabCa, force: bool
) -> list[tuple[_shared_ca.File, bool]]:
    """[(file to write, whether it replaces another value)].

    :raises FileError: files have another value, and ``force`` is not set.
    """
    found, others = [], []
    for name, value in values.items():
        if name == LAB_CA:
            difference = _shared_ca.difference(value, authority)
            others += difference.conflicts
            found += difference.files
            continue
        path = os.path.join(authority.secrets, name[len(PREFIX) :])
        present = read(path)
        if present is None or present.strip() != value.encode():
            found.append(_shared_ca.File(path, value + "\n", 0o600))
            others += [] if present is None else [path]
    if others and not force:
        raise FileError(
            "this controller has other secrets than %s, and nothing was written. Evidence: %s %s "
            "another value. Fix: leave them, or replace them and save a copy of each next to it: "
            "make import-secrets FILE=%s FORCE=yes"
            % (file.path, ", ".join(others), "has" if len(others) == 1 else "have", file.path)
        )
    return [(item, item.path in others) for item in found]


def copied(path: str) -> str:
    """Copy a file to the same directory, readable only by its owner. Returns the path."""
    copy = "%s.%s" % (
        path,
        datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%S%fZ"),
    )
    handle = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(read(path) or b"")
    return copy
