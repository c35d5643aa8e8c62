# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a lock on the controller, once, and keeps it as a file."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import re
import ssl
import sys
import tempfile
from urllib.parse import urlsplit

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    BUNDLE,
    call,
    find_uv,
    is_flat,
    trusting,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.clean_environment import (
    direct_to,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.exclusive import (
    LockHeld,
    exclusive,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import replacing
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import netrc
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.host_index import resolved
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.lock import (
    entries,
    index_of,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.names import canonical

FROM = re.compile(r"^\s+# from (\S+)$")
SYSTEM_CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
# seconds to wait for a run that makes the same lock, which takes one minute or two
PATIENCE = 600
HEADING = "# The releases of this version are built from this file: exact versions, with hashes. Made from: "


class LockError(Exception):
    """The lock cannot be made or must not be used; the text says why and what to do."""


def obtain(path, requirements, indexes, constraints, min_python, check_mode):
    """The text of the lock at ``path``; made first if there is none.

    :returns: the text, or None in check mode when there is no lock yet.
    :raises LockError, InstallError, OSError, ValueError:
    """
    text = read(path)
    if text is None and not requirements:
        raise LockError(
            "there is no lock at %s on the controller, and no requirements to make one from" % path
        )
    if text is None and check_mode:
        return None
    if text is None:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        # the hosts of a play come here in parallel: the first one makes the lock, the others find
        # it
        with turn(path + ".lock"):
            text = read(path)
            if text is None:
                text = make(requirements, indexes, constraints, min_python)
                with replacing(path, 0o644) as stream:
                    stream.write(text)
            os.unlink(path + ".lock")
    entries(text)
    return text


@contextlib.contextmanager
def turn(path):
    try:
        with exclusive(path, PATIENCE):
            yield
    except LockHeld as error:
        raise LockError("another run makes the same lock: %s" % error) from error


def must_read(path, what):
    text = read(os.path.expanduser(str(path)))
    if text is None:
        raise LockError("there is no file %s on the controller, the %s" % (path, what))
    return text


def read(path):
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def make(requirements, indexes, constraints, min_python):
    """Lock the requirements for all platforms and every Python from ``min_python`` on."""
    indexes = resolved(indexes)
    uv = find_uv()
    if uv is None:
        raise LockError(
            "a lock is made with uv, and the controller has none. Run: python3 -m pip install uv"
        )
    # only the owner may enter a temporary directory: the credentials are safe in it
    with tempfile.TemporaryDirectory() as scratch:
        access(scratch, indexes)
        bound = claimed(uv, requirements, indexes, scratch)
        write(
            os.path.join(scratch, "pyproject.toml"),
            project(requirements, bound, indexes, min_python),
        )
        # a file that is named is the only one that uv reads: neither the login's nor the machine's
        # counts
        write(
            os.path.join(scratch, "uv.toml"),
            "\n".join(line for index in indexes for line in uv_index(index, "index")),
        )
        write(os.path.join(scratch, "constraints.txt"), pinned(constraints))
        # Without its version a lock holds for the Python that uv finds, and later ones. The Python
        # named is Ansible's own: uv would take the first of the path, which may be a shim that
        # fails.
        command = [
            uv,
            "--directory",
            scratch,
            "pip",
            "compile",
            "--quiet",
            "--universal",
            "--python",
            sys.executable,
            "--python-version",
            min_python,
            "--generate-hashes",
            "--no-header",
            "--no-annotate",
            "--emit-index-annotation",
            "--only-binary",
            ":all:",
            "--constraint",
            "constraints.txt",
        ]
        for name in bound:
            command += ["--refresh-package", name]
        text = call(
            "lock %s" % ", ".join(requirements),
            command + ["pyproject.toml"],
            access_dir=scratch,
            **way_of_all(indexes, scratch),
        )
    refuse_strangers(text, bound, indexes)
    kept = [line for line in text.splitlines() if not FROM.match(line)]
    return HEADING + ", ".join(requirements) + "\n" + "\n".join(kept) + "\n"


def claimed(uv, requirements, indexes, access_dir):
    """Which claimed names the requirements lead to, each with its index: {name: index}.

    uv binds only direct dependencies to an index, and asks all others for what those depend on. So
    the claimed names are found first, by asking their own index alone, level by level; then all of
    them are made direct dependencies.
    """
    bound, wanted = {}, list(requirements)
    while wanted:
        level = {}
        for requirement in wanted:
            name = name_of(requirement)
            index = index_of(name, indexes)
            if index["packages"] and name not in bound:
                bound[name] = index
                level.setdefault(index["name"], (index, []))[1].append(requirement)
        wanted = []
        for index, names in level.values():
            with tempfile.TemporaryDirectory() as target:
                call(
                    "read the metadata of %s from index %s" % (", ".join(names), index["name"]),
                    [
                        uv,
                        "pip",
                        "install",
                        "--quiet",
                        "--python",
                        sys.executable,
                        "--no-deps",
                        "--only-binary",
                        ":all:",
                        "--refresh",
                        "--target",
                        target,
                        *names,
                    ],
                    index,
                    access_dir,
                )
                for distribution in importlib.metadata.distributions(path=[target]):
                    wanted += [line.partition(";")[0] for line in distribution.requires or []]
    return bound


def name_of(requirement):
    return canonical(re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement).group(1))


def way_of_all(indexes, scratch):
    """The variables for a command that asks all indexes: pip's proxy is for its own index, and all
    others are asked directly."""
    found = {"UV_NO_CONFIG": None, "UV_CONFIG_FILE": os.path.join(scratch, "uv.toml")}
    for index in indexes:
        found.update(index.get("environment") or {})
    if os.path.exists(os.path.join(scratch, BUNDLE)):
        found.update(trusting(os.path.join(scratch, BUNDLE)))
    if "http_proxy" in found:
        direct = {
            urlsplit(index["url"]).hostname
            for index in indexes
            if index["url"] and not index.get("environment")
        }
        found.update(direct_to(sorted(filter(None, direct))))
    return found


def pinned(constraints):
    """The lines of the file of constraints, without comments."""
    text = read(os.path.expanduser(str(constraints))) if constraints else None
    return "".join(
        "%s\n" % line
        for line in (part.split("#")[0].strip() for part in (text or "").splitlines())
        if line
    )


def project(requirements, bound, indexes, min_python):
    """The pyproject.toml that uv locks. JSON strings are TOML strings."""
    named = {name_of(requirement) for requirement in requirements}
    lines = [
        "[project]",
        'name = "lock"',
        'version = "0"',
        "requires-python = %s" % json.dumps(">=" + min_python),
        "dependencies = %s" % json.dumps(list(requirements) + sorted(set(bound) - named)),
    ]
    for index in indexes:
        # what the sources name must be known to the project
        if index["packages"]:
            lines += uv_index(index, "tool.uv.index")
    lines += ["[tool.uv.sources]"]
    lines += [
        "%s = {index = %s}" % (name, json.dumps(index["name"]))
        for name, index in sorted(bound.items())
    ]
    return "\n".join(lines) + "\n"


def uv_index(index, table):
    """An index as uv takes it. One that claims names is asked for these alone; an unsafe extra one
    before the default."""
    if not index["url"]:
        return []
    lines = [
        "[[%s]]" % table,
        "name = %s" % json.dumps(index["name"]),
        "url = %s" % json.dumps(index["url"]),
    ]
    if index["preset"] == "directory" and is_flat(index["url"]):
        lines.append('format = "flat"')
    if index["role"] == "primary":
        lines.append("default = true")
    elif index["packages"]:
        lines.append("explicit = true")
    return lines


def access(directory, indexes):
    """Write what gives access to the indexes: netrc, a certificate per index, and one bundle for a
    command that asks them all."""
    write(os.path.join(directory, "netrc"), netrc(indexes))
    certificates = []
    for index in indexes:
        if index["ca_cert"]:
            certificates.append(
                must_read(index["ca_cert"], "ca_cert of the index %s" % index["name"])
            )
            write(os.path.join(directory, index["name"] + ".pem"), certificates[-1])
        elif (index.get("environment") or {}).get("SSL_CERT_FILE"):
            certificates.append(
                must_read(
                    index["environment"]["SSL_CERT_FILE"], "file that pip's option cert names"
                )
            )
    if certificates:
        write(os.path.join(directory, BUNDLE), "\n".join(certificates + [public_certificates()]))


def public_certificates():
    """The certificates that this machine trusts, as text."""
    places = [
        os.environ.get("SSL_CERT_FILE"),
        ssl.get_default_verify_paths().cafile,
        *SYSTEM_CERTIFICATES,
    ]
    return next((text for text in map(read, filter(None, places)) if text), "")


def write(path, text):
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)


def refuse_strangers(text, bound, indexes):
    """Refuse a lock in which a name did not come from the index that it belongs to.

    :raises LockError:
    """
    name = None
    # pip may be set up for an index that claims names and serves everything else as well
    private = {address(index) for index in indexes if index["packages"]} - {
        address(index) for index in indexes if not index["packages"]
    }
    for line in text.splitlines():
        match, source = re.match(r"^([A-Za-z0-9][^=\s\[]*)", line), FROM.match(line)
        if match:
            name = canonical(match.group(1))
        elif source:
            index = index_of(name, indexes)
            here = re.sub("^file://", "", source.group(1)).rstrip("/")
            wrong = (
                (name not in bound or here != address(index))
                if index["packages"]
                else here in private
            )
            if wrong:
                raise LockError(
                    "%s belongs to the index %s and would come from %s: refused, no lock was made."
                    % (name, index["name"], here)
                )


def address(index):
    return (index["url"] or "").rstrip("/")
