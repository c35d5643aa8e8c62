# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files on the controller, which must exist and be valid, and paths, which must be absolute."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

from ansible.errors import AnsibleError

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import Problem
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values

try:
    from cryptography import x509
except ImportError:
    # ansible-core depends on it; only ansible-test imports plugins without
    pass

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._certificates import (
    CertificateError,
    checked,
    general_name,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import (
    HIDDEN,
    problem,
)

#: CA certificates; the file of the lab's own CA is created by the first run
CAS = ("swf_testbed_ca_cert", "swf_testbed_index_ca_cert", "swf_testbed_release_git_ca_cert")
FILES = (
    "swf_testbed_release_wheelhouse",
    "swf_testbed_release_constraints_file",
    "swf_testbed_release_tools_lock_file",
)
#: on the controller, created if they do not exist
CREATED = (
    "swf_testbed_controller_dir",
    "swf_testbed_release_lock_file",
    "swf_testbed_release_wheels_dir",
)
#: on the host
ON_HOST = (
    "swf_testbed_package_index_backup_dir",
    "swf_testbed_pip_index_site",
    "swf_testbed_release_access_dir",
)
#: prefix of the variables of a certificate: variable with the names that it must cover
CERTIFICATES = {
    "swf_testbed_broker": "swf_testbed_broker_names",
    "swf_testbed_database": "swf_testbed_database_names",
    "swf_testbed_redis": "swf_testbed_redis_names",
    "swf_testbed_monitor_proxy": "swf_testbed_monitor_proxy_names",
    "swf_testbed_package_index": "swf_testbed_package_index_names",
}
RELATIVE = ("is not an absolute path", "write the absolute path")


def wrong_files(values: Values) -> Iterator[Problem]:
    for name in CAS:
        if values.given_value(name) and values.text(name):
            yield from of_ca(name, values[name], values)
    text = values.given_value("swf_testbed_ca_text")
    if text and isinstance(text, str):
        yield from of_certificates("swf_testbed_ca_text", HIDDEN, text.encode())
    for where, index in values.given_items("swf_testbed_pip_indexes"):
        path = index.get("ca_cert") if isinstance(index, dict) else None
        if path and isinstance(path, str):
            yield from of_ca(where + ".ca_cert", path, values)
    for name in FILES:
        if values.given_value(name) and values.text(name):
            yield from of_file(name, values[name])
    for where, folder in values.given_items("swf_testbed_package_index_sources"):
        if isinstance(folder, str):
            yield from of_source(where, folder)
    for prefix in CERTIFICATES:
        yield from of_certificate(prefix, values)


def wrong_paths(values: Values) -> Iterator[Problem]:
    for name in CREATED:
        given = values.given_value(name)
        if isinstance(given, str):
            path = os.path.expanduser(given)
            types = ("file", "directory")
            wanted = types[name != "swf_testbed_release_lock_file"]
            found = types[os.path.isdir(path)]
            if not os.path.isabs(path):
                yield problem(name, given, *RELATIVE)
            elif os.path.exists(path) and found != wanted:
                yield problem(name, given, "is a %s on the controller" % found, "name a " + wanted)
    paths: list[tuple[str, Any]] = [(name, values.given_value(name)) for name in ON_HOST]
    paths += values.given_items("swf_testbed_systemd_read_write_paths")
    for name, key in (("swf_testbed_directories", "path"), ("swf_testbed_secret_files", "dest")):
        for where, item in values.given_items(name):
            if isinstance(item, dict):
                paths.append(("%s.%s" % (where, key), item.get(key)))
                mode = item.get("mode")
                if isinstance(mode, str) and not re.fullmatch("0?[0-7]{3,4}", mode):
                    yield problem(
                        where + ".mode",
                        mode,
                        "is not a file mode",
                        'write it as an octal number in quotes, such as "0750"',
                    )
    for where, given in paths:
        if isinstance(given, str) and given and not os.path.isabs(given):
            yield problem(where, given, *RELATIVE)
    if values.get("swf_testbed_pip_index_scope") == "site" and not values.get(
        "swf_testbed_pip_index_site"
    ):
        yield Problem(
            "swf_testbed_pip_index_site",
            "is empty",
            "swf_testbed_pip_index_scope is site",
            "name the directory of the virtual environment",
        )


def of_file(name: str, path: str) -> Iterator[Problem]:
    """The problem of a file on the controller; none if it can be read."""
    full = os.path.expanduser(path)
    if not os.path.isabs(full):
        yield problem(name, path, *RELATIVE)
    elif os.path.isdir(full):
        yield problem(name, path, "is a directory", "name a file in it")
    elif not os.path.exists(full):
        yield problem(
            name, path, "does not exist on the controller", "correct the path, or create the file"
        )
    elif not os.access(full, os.R_OK):
        yield problem(
            name,
            path,
            "cannot be read on the controller",
            "run as its owner, or: chmod u+r %s" % path,
        )


def of_ca(name: str, path: str, values: Values) -> Iterator[Problem]:
    own = os.path.join(
        os.path.expanduser(values.text("swf_testbed_controller_dir")), "ca", "ca.pem"
    )
    if os.path.normpath(os.path.expanduser(path)) == os.path.normpath(own) and not os.path.exists(
        own
    ):
        return
    found = list(of_file(name, path))
    yield from found
    if found:
        return
    with open(os.path.expanduser(path), "rb") as stream:
        yield from of_certificates(name, path, stream.read())


def of_certificates(name: str, path: object, text: bytes) -> Iterator[Problem]:
    """The problem of the certificates of a CA.

    :param path: of the file with them, for the message; HIDDEN without a file.
    """
    if b"PRIVATE KEY-----" in text:
        yield problem(
            name,
            path,
            "contains a private key, and would be copied to every host",
            "name a file that contains only certificates",
        )
        return
    try:
        x509.load_pem_x509_certificate(text)
    except ValueError:
        yield problem(
            name,
            path,
            "contains no certificate in PEM format",
            "name a file that begins with -----BEGIN CERTIFICATE-----",
        )


def of_source(where: str, folder: str) -> Iterator[Problem]:
    full = os.path.expanduser(folder)
    if not os.path.isabs(full):
        yield problem(where, folder, *RELATIVE)
    elif not os.path.isfile(os.path.join(full, "pyproject.toml")):
        yield problem(
            where,
            folder,
            "is not the directory of a package on the controller",
            "name a directory that contains a pyproject.toml",
        )


def of_certificate(prefix: str, values: Values) -> Iterator[Problem]:
    """A given certificate: both files exist, belong together, and cover the names that clients
    use."""
    names = [prefix + "_certificate", prefix + "_certificate_key"]
    given = [name for name in names if values.given_value(name) and values.text(name)]
    if not given:
        for where, item in values.given_items(CERTIFICATES[prefix]):
            if isinstance(item, str):
                try:
                    general_name(item)
                except CertificateError as error:
                    yield problem(where, item, "cannot be in a certificate", str(error))
        return
    if len(given) == 1:
        missing = set(names) - set(given)
        yield Problem(missing.pop(), "is missing", "%s is set" % given[0], "set both, or neither")
    found = [item for name in given for item in of_file(name, values[name])]
    yield from found
    if found or len(given) == 1 or values.read is None:
        return
    try:
        certificate, key = (values.read(os.path.expanduser(values[name])) for name in names)
        wanted = [item for item in values.entries(CERTIFICATES[prefix]) if isinstance(item, str)]
        checked(certificate, key, wanted)
    except CertificateError as error:
        cause, _dot, fix = str(error).partition(". ")
        yield problem(
            names[0],
            values[names[0]],
            "cannot be used: %s" % cause,
            fix or "name a certificate for these names",
        )
    except (AnsibleError, UnicodeError):
        yield problem(
            names[1],
            HIDDEN,
            "cannot be read or decrypted",
            "provide the vault password: --ask-vault-pass",
        )
