# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Export of the secrets of this controller to a vault file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._held_secrets import (
    DIGEST_KEY,
    TEXTS,
    HeldSecrets,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._secrets_file import (
    LAB_CA,
    PREFIX,
    VARIABLES,
    FileError,
    SecretsFile,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._shared_ca import of_directory


def exported(file: SecretsFile, hosts: dict[str, HeldSecrets], check_mode: bool) -> dict[str, Any]:
    """Write the file, unless it has the same secrets already. Returns the result of the task,
    without a secret in it.

    :raises FileError, CertificateError: nothing was written.
    :raises OSError:
    """
    vault_id, password = file.to_encrypt()
    values = held(hosts)
    if not values:
        raise FileError(
            "this controller has no secrets to export. Evidence: %s has none, and the inventory "
            "sets none of %s. Fix: export on the controller that provisioned the hosts, or run "
            "site.yml first"
            % (" ".join(sorted({each.directory for each in hosts.values()})), ", ".join(VARIABLES))
        )
    former = file.read()
    refuse_loss(file, former or {}, values)
    file.refuse_to_hide_another()
    changed = former != values
    if changed and not check_mode:
        file.write(values, vault_id, password)
    issued = sorted(values.get(LAB_CA, {}).get("issued", {}))
    return {
        "changed": changed,
        "path": file.path,
        "names": list(values),
        "certificates": issued,
        "msg": "%s %s %s%s."
        % (
            file.path,
            "has" if not changed else "would have" if check_mode else "now has",
            ", ".join(values),
            " with the certificates of " + ", ".join(issued) if issued else "",
        ),
    }


def held(hosts: dict[str, HeldSecrets]) -> dict[str, Any]:
    """{variable: value} of the secrets that this controller has for these hosts.

    :raises FileError: hosts have different values, which one file cannot contain.
    """
    found: dict[str, tuple[str, Any]] = {}
    for host, secrets in hosts.items():
        for name, value in of_host(secrets):
            first, other = found.setdefault(name, (host, value))
            if other != value:
                raise FileError(
                    "%s is not the same for all hosts, and one file would set it for all of them. "
                    "Evidence: %s and %s have different values. Fix: store it in a vault file of "
                    "each host, and export for the hosts that share a value: ARGS='--limit %s'"
                    % (name, first, host, first)
                )
    return {name: found[name][1] for name in VARIABLES if name in found}


def of_host(secrets: HeldSecrets) -> Iterator[tuple[str, Any]]:
    for name in (*TEXTS, DIGEST_KEY):
        value = secrets.get(name)
        if value is not None:
            yield PREFIX + name, str(value)
    # that of the inventory is already in the directory, except in check mode
    authority = of_directory(secrets.directory) or secrets.variable(LAB_CA)
    if authority:
        yield (
            LAB_CA,
            {
                "certificate": str(authority["certificate"]),
                "key": str(authority["key"]),
                "issued": {
                    str(service): str(text)
                    for service, text in (authority.get("issued") or {}).items()
                },
            },
        )


def refuse_loss(file: SecretsFile, former: dict[str, Any], values: dict[str, Any]) -> None:
    """Refuse to overwrite values that only the file has."""
    others = sorted(str(name) for name in former if name not in VARIABLES)
    if others:
        raise FileError(
            "%s contains other variables, and was not changed. Evidence: it has %s. Fix: name "
            "another file in the same directory" % (file.path, ", ".join(others))
        )
    lost = sorted(set(former) - set(values))
    if lost:
        raise FileError(
            "%s has secrets that this controller does not have, and was not changed. Evidence: "
            "%s. Fix: import them first: make import-secrets FILE=%s; or move the file away"
            % (file.path, ", ".join(lost), file.path)
        )
