# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a lock on the controller, once, and keeps it as a file."""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import os
import re
import tempfile
from urllib.parse import urlsplit

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._installers import call, find_uv
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._lock import canonical, entries, index_of

FROM = re.compile(r"^\s+# from (\S+)$")
HEADING = "# The releases of this version are built from this file: exact versions, with hashes. Made from: "


class LockRefused(Exception):
    """The lock cannot be made or must not be used; the text says why and what to do."""


def obtain(path, requirements, indexes, constraints, min_python, check_mode):
    """The text of the lock at ``path``; made first if there is none.

    :returns: the text, or None in check mode when there is no lock yet.
    :raises LockRefused, InstallError, OSError, ValueError:
    """
    text = read(path)
    if text is None and not requirements:
        raise LockRefused("there is no lock at %s on the controller, and no requirements to make one from" % path)
    if text is None and check_mode:
        return None
    if text is None:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        # the hosts of a play come here in parallel: the first one makes the lock, the others find it
        with open(path + ".lock", "w", encoding="ascii") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            text = read(path)
            if text is None:
                text = make(requirements, indexes, constraints, min_python)
                with open(path + ".new", "w", encoding="utf-8") as stream:
                    stream.write(text)
                os.replace(path + ".new", path)
        os.unlink(path + ".lock")
    entries(text)
    return text


def read(path):
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def make(requirements, indexes, constraints, min_python):
    """Lock the requirements for all platforms and every Python from ``min_python`` on."""
    uv = find_uv()
    if uv is None:
        raise LockRefused("a lock is made with uv, and the controller has none. Run: python3 -m pip install uv")
    # only the owner may enter a temporary directory: the credentials are safe in it
    with tempfile.TemporaryDirectory() as scratch:
        credentials = os.path.join(scratch, "netrc")
        write(credentials, netrc(indexes))
        bound = claimed(uv, requirements, indexes, credentials)
        write(os.path.join(scratch, "pyproject.toml"), project(requirements, bound, indexes, constraints, min_python))
        # uv takes its settings from the project in its working directory, which must not be whatever Ansible was started in
        command = [uv, "--directory", scratch, "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header",
                   "--no-annotate",
                   "--emit-index-annotation", "--only-binary", ":all:"]
        for name in bound:
            command += ["--refresh-package", name]
        text = call("lock %s" % ", ".join(requirements), command + ["pyproject.toml"], netrc=credentials)
    refuse_strangers(text, bound, indexes)
    kept = [line for line in text.splitlines() if not FROM.match(line)]
    return HEADING + ", ".join(requirements) + "\n" + "\n".join(kept) + "\n"


def claimed(uv, requirements, indexes, credentials):
    """Which claimed names the requirements lead to, each with its index: {name: index}.

    uv binds only direct dependencies to an index, and asks all others for what those depend on. So the claimed names are
    found first, by asking their own index alone, level by level; then all of them are made direct dependencies.
    """
    bound, wanted = {}, list(requirements)
    while wanted:
        level = {}
        for requirement in wanted:
            name = name_of(requirement)
            index = index_of(name, indexes)
            if index.get("packages") and name not in bound:
                bound[name] = index
                level.setdefault(index["name"], (index, []))[1].append(requirement)
        wanted = []
        for index, names in level.values():
            with tempfile.TemporaryDirectory() as target:
                call("read the metadata of %s from index %s" % (", ".join(names), index["name"]), [
                    uv, "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--refresh", "--target", target,
                    *names], index, credentials)
                for distribution in importlib.metadata.distributions(path=[target]):
                    wanted += [line.partition(";")[0] for line in distribution.requires or []]
    return bound


def name_of(requirement):
    return canonical(re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement).group(1))


def project(requirements, bound, indexes, constraints, min_python):
    """The pyproject.toml that uv locks. JSON strings are TOML strings."""
    named = {name_of(requirement) for requirement in requirements}
    text = read(os.path.expanduser(str(constraints))) if constraints else None
    pinned = [line.split("#")[0].strip() for line in (text or "").splitlines()]
    lines = [
        "[project]", 'name = "lock"', 'version = "0"', "requires-python = %s" % json.dumps(">=" + min_python),
        "dependencies = %s" % json.dumps(list(requirements) + sorted(set(bound) - named)),
        "[tool.uv]", "constraint-dependencies = %s" % json.dumps([line for line in pinned if line]),
    ]
    for index in indexes:
        if index.get("url"):
            lines += ["[[tool.uv.index]]", "name = %s" % json.dumps(index["name"]), "url = %s" % json.dumps(index["url"]),
                      "explicit = true" if index.get("packages") else "default = true"]
    lines += ["[tool.uv.sources]"]
    lines += ["%s = {index = %s}" % (name, json.dumps(index["name"])) for name, index in sorted(bound.items())]
    return "\n".join(lines) + "\n"


def netrc(indexes):
    """Credentials by host, as pip and uv read them."""
    lines = []
    for index in indexes:
        if index.get("url") and index.get("username"):
            lines.append("machine %s login %s password %s" % (
                urlsplit(index["url"]).hostname, index["username"], index.get("token") or ""))
    return "\n".join(lines) + "\n"


def write(path, text):
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)


def refuse_strangers(text, bound, indexes):
    """Refuse a lock in which a name did not come from the index that it belongs to.

    :raises LockRefused:
    """
    name = None
    for line in text.splitlines():
        match, source = re.match(r"^([A-Za-z0-9][^=\s\[]*)", line), FROM.match(line)
        if match:
            name = canonical(match.group(1))
        elif source:
            index = index_of(name, indexes)
            here = source.group(1).rstrip("/")
            private = {other["url"].rstrip("/") for other in indexes if other.get("packages")}
            if (index.get("packages") and (name not in bound or here != index["url"].rstrip("/"))) or (
                    not index.get("packages") and here in private):
                raise LockRefused("%s belongs to the index %s and would come from %s: refused, no lock was made." % (
                    name, index["name"], here))
