# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and directories: those of the controller that must exist, and paths that must be
absolute."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

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

#: the CA certificates; the lab's own CA makes its file in the first run
CAS = ("swf_testbed_ca_cert", "swf_testbed_index_ca_cert", "swf_testbed_release_git_ca_cert")
FILES = (
    "swf_testbed_release_wheelhouse",
    "swf_testbed_release_constraints_file",
    "swf_testbed_release_tools_lock_file",
)
#: of the controller, made where they do not exist
MADE = (
    "swf_testbed_controller_dir",
    "swf_testbed_release_lock_file",
    "swf_testbed_release_wheels_dir",
)
#: of the host
ON_HOST = (
    "swf_testbed_package_index_backup_dir",
    "swf_testbed_pip_index_site",
    "swf_testbed_release_access_dir",
    "swf_testbed_release_dir",
    "swf_testbed_tools_dir",
)
#: prefix of the options of a certificate: the names that it must be for
CERTIFICATES = {
    "swf_testbed_broker": "swf_testbed_broker_names",
    "swf_testbed_database": "swf_testbed_database_names",
    "swf_testbed_monitor_proxy": "swf_testbed_monitor_proxy_names",
    "swf_testbed_package_index": "swf_testbed_package_index_names",
}
ABSOLUTE = "write the path from / on"


def wrong_files(values: Values) -> Iterator[Problem]:
    for name in CAS:
        if values.given(name) and values.text(name):
            yield from of_ca(name, values[name], values)
    for place, index in enumerate(
        values.entries("swf_testbed_pip_indexes") if values.given("swf_testbed_pip_indexes") else ()
    ):
        if isinstance(index, dict) and index.get("ca_cert") and isinstance(index["ca_cert"], str):
            yield from of_ca(
                "swf_testbed_pip_indexes[%d].ca_cert" % place, index["ca_cert"], values
            )
    for name in FILES:
        if values.given(name) and values.text(name):
            yield from of_file(name, values[name])
    for place, folder in enumerate(
        values.entries("swf_testbed_package_index_sources")
        if values.given("swf_testbed_package_index_sources")
        else ()
    ):
        if isinstance(folder, str):
            yield from of_source("swf_testbed_package_index_sources[%d]" % place, folder)
    for prefix in CERTIFICATES:
        yield from of_certificate(prefix, values)


def wrong_paths(values: Values) -> Iterator[Problem]:
    for name in MADE:
        if values.given(name) and isinstance(values.get(name), str):
            path = os.path.expanduser(values[name])
            if not os.path.isabs(path):
                yield problem(name, values[name], "is not an absolute path", ABSOLUTE)
            elif (
                os.path.isdir(path)
                if name == "swf_testbed_release_lock_file"
                else os.path.isfile(path)
            ):
                yield problem(
                    name,
                    values[name],
                    "is a %s on the controller" % ("directory" if os.path.isdir(path) else "file"),
                    "name a %s" % ("file" if os.path.isdir(path) else "directory"),
                )
    lists = [
        ("swf_testbed_systemd_read_write_paths", None),
        ("swf_testbed_directories", "path"),
        ("swf_testbed_secret_files", "dest"),
    ]
    paths = [(name, values.text(name)) for name in ON_HOST if values.given(name)]
    for name, key in lists:
        for place, item in enumerate(values.entries(name) if values.given(name) else ()):
            where = "%s[%d]" % (name, place) + ("." + key if key else "")
            paths.append(
                (where, item if key is None else item.get(key) if isinstance(item, dict) else None)
            )
            mode = item.get("mode") if isinstance(item, dict) else None
            if isinstance(mode, str) and not re.fullmatch("0?[0-7]{3,4}", mode):
                yield problem(
                    "%s[%d].mode" % (name, place),
                    mode,
                    "is no mode",
                    'write it as an octal number in quotes, such as "0750"',
                )
    for where, path in paths:
        if isinstance(path, str) and path and not os.path.isabs(path):
            yield problem(where, path, "is not an absolute path", ABSOLUTE)
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
    """Yields what is wrong with a file of the controller. Nothing if it can be read."""
    full = os.path.expanduser(path)
    if not os.path.isabs(full):
        yield problem(name, path, "is not an absolute path", ABSOLUTE)
    elif os.path.isdir(full):
        yield problem(name, path, "is a directory", "name a file in it")
    elif not os.path.exists(full):
        yield problem(
            name, path, "is not there on the controller", "correct the path, or put the file there"
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
        text = stream.read()
    if b"PRIVATE KEY-----" in text:
        yield problem(
            name,
            path,
            "has a private key in it, and would be copied to every host",
            "name a file that has certificates alone",
        )
        return
    try:
        x509.load_pem_x509_certificate(text)
    except ValueError:
        yield problem(
            name,
            path,
            "has no certificate in PEM",
            "name a file that begins with -----BEGIN CERTIFICATE-----",
        )


def of_source(where: str, folder: str) -> Iterator[Problem]:
    full = os.path.expanduser(folder)
    if not os.path.isabs(full):
        yield problem(where, folder, "is not an absolute path", ABSOLUTE)
    elif not os.path.isfile(os.path.join(full, "pyproject.toml")):
        yield problem(
            where,
            folder,
            "is no folder of a package on the controller",
            "name one that has a pyproject.toml",
        )


def of_certificate(prefix: str, values: Values) -> Iterator[Problem]:
    """A certificate of one's own: both files, each the other's, and for the names that clients
    use."""
    names = [prefix + "_certificate", prefix + "_certificate_key"]
    given = [name for name in names if values.given(name) and values.text(name)]
    if not given:
        for place, item in enumerate(
            values.entries(CERTIFICATES[prefix]) if values.given(CERTIFICATES[prefix]) else ()
        ):
            if isinstance(item, str):
                try:
                    general_name(item)
                except CertificateError as error:
                    yield problem(
                        "%s[%d]" % (CERTIFICATES[prefix], place),
                        item,
                        "cannot be in a certificate",
                        str(error),
                    )
        return
    if len(given) == 1:
        missing = set(names) - set(given)
        yield Problem(missing.pop(), "is missing", "%s is set" % given[0], "set both, or neither")
    found = [item for name in given for item in of_file(name, values[name])]
    yield from found
    if found or len(given) == 1 or values.read is None:
        return
    try:
        texts = [values.read(os.path.expanduser(values[name])) for name in names]
        wanted = [item for item in values.entries(CERTIFICATES[prefix]) if isinstance(item, str)]
        checked(*texts, wanted)
    except CertificateError as error:
        cause, _dot, fix = str(error).partition(". ")
        yield problem(
            names[0],
            values[names[0]],
            "cannot be used: %s" % cause,
            fix or "name a certificate that is",
        )
    except (AnsibleError, UnicodeError):
        yield problem(
            names[1],
            HIDDEN,
            "cannot be read or decrypted",
            "give the password of the vault: --ask-vault-pass",
        )
