# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a lock on the controller, once, as a file."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import re
import ssl
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build import git_wheels
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    BUNDLE,
    InstallError,
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
    source_lines,
    sources,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.names import canonical

# of requirements in a message
MOST_SHOWN = 6
NOISE = (
    (r"(?m) for split \(.*\)$", ""),
    (r"(?m)^hint: (While the active Python version is|The resolution failed for an env).*\n?", ""),
    (r"(?<=\w)\{[^}]*\}", ""),
    (r"\block depends on", "the release requires"),
    (r" \(i\.e\., with `--no-build`\)", ""),
    (r"your requirements are", "the requirements are"),
    (r"\n\n+", "\n"),
)
FROM = re.compile(r"^\s+# from (\S+)$")
SYSTEM_CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
# seconds to wait for a run that makes the same lock, which takes up to two minutes
PATIENCE = 600
HEADING = "# The releases of this version are built from this file: exact versions, with hashes. Made from: "


class LockError(Exception):
    """The lock cannot be made or must not be used; the text says why, and the fix."""


@dataclass(frozen=True)
class Hosts:
    """The hosts that a lock is for. All have CPython and Linux.

    :param min_python: the oldest Python, unless ``pythons`` has versions.
    :param pythons: versions such as 3.11; without them, all from ``min_python`` on.
    :param architectures: as ``uname -m`` prints them; without them, all.
    """

    min_python: str
    pythons: Sequence[str] = ()
    architectures: Sequence[str] = ()

    def __post_init__(self) -> None:
        for values, pattern, what in (
            (self.pythons, r"[0-9]+\.[0-9]+", "version of Python such as 3.11"),
            (self.architectures, r"\w+", "architecture such as x86_64"),
        ):
            for value in values:
                if not re.fullmatch(pattern, value):
                    raise LockError("%r is no %s. Fix: write one" % (value, what))

    @property
    def oldest(self) -> str:
        return min(self.pythons, key=numbers) if self.pythons else self.min_python

    @property
    def marker(self) -> str:
        parts = ["sys_platform == 'linux'", "platform_python_implementation == 'CPython'"]
        for name, values in (
            ("python_version", self.pythons),
            ("platform_machine", self.architectures),
        ):
            if values:
                parts.append("(%s)" % " or ".join("%s == '%s'" % (name, value) for value in values))
        return " and ".join(parts)


def numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def obtain(
    path: str,
    requirements: Sequence[str],
    indexes: list[dict[str, Any]],
    constraints: str | None,
    hosts: Hosts,
    check_mode: bool,
    pins: Sequence[str] = (),
    from_git: Sequence[Mapping[str, Any]] = (),
) -> str | None:
    """The text of the lock at ``path``; made first if there is none.

    :param constraints: path of a file of constraints, or None.
    :param pins: further constraints.
    :param from_git: the sources of the release, each with ``name``, ``commit`` and ``install``.
    :returns: the text, or None in check mode when there is no lock yet.
    :raises LockError, InstallError, OSError, ValueError:
    """
    text = read(path)
    if text is None:
        if not requirements:
            raise LockError(
                "there is no lock at %s on the controller, and no requirements to make one from"
                % path
            )
        if check_mode:
            return None
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        # the hosts of a play come here in parallel: the first one makes the lock
        with turn(path + ".lock"):
            text = read(path)
            if text is None:
                text = make(requirements, indexes, constraints, hosts, pins)
                heading, rest = text.split("\n", 1)
                text = "\n".join([heading, *source_lines(from_git), rest])
                with replacing(path, 0o644) as stream:
                    stream.write(text)
            os.unlink(path + ".lock")
    entries(text)
    refuse_other_commits(path, text, from_git)
    return text


def refuse_other_commits(path: str, text: str, wanted: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a lock that was made from other commits than those of the stack.

    :raises LockError:
    """
    locked, now = source_lines(sources(text)), source_lines(wanted)
    if locked != now:
        gone, new = (
            [line for line in a if line not in b] for a, b in ((locked, now), (now, locked))
        )
        shown = (
            ["it has no sources"] if not locked else [line[len("# source: ") :] for line in gone]
        )
        raise LockError(
            "the lock %s was made from other sources than the stack has now. Evidence: %s; the stack "
            "has %s. Fix: remove the lock, and it is made again"
            % (
                path,
                "; ".join(shown) or "it lacks some",
                "; ".join(line[len("# source: ") :] for line in new) or "fewer",
            )
        )


@contextlib.contextmanager
def turn(path: str) -> Iterator[None]:
    try:
        with exclusive(path, PATIENCE):
            yield
    except LockHeld as error:
        raise LockError("another run makes the same lock: %s" % error) from error


def must_read(path: Any, what: str) -> str:
    text = read(os.path.expanduser(str(path)))
    if text is None:
        raise LockError("there is no file %s on the controller, the %s" % (path, what))
    return text


def read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def make(
    requirements: Sequence[str],
    indexes: list[dict[str, Any]],
    constraints: str | None,
    hosts: Hosts,
    pins: Sequence[str] = (),
) -> str:
    """Lock the requirements for these hosts. A requirement of the lock has their marker."""
    indexes = resolved(indexes)
    uv = find_uv()
    if uv is None:
        raise LockError(
            "the controller has no uv to make a lock with. Fix: python3 -m pip install uv"
        )
    # only the owner may enter a temporary directory: it protects the credentials
    with tempfile.TemporaryDirectory() as scratch:
        access(scratch, indexes)
        bound = claimed(uv, requirements, indexes, scratch, hosts.oldest)
        write(
            os.path.join(scratch, "pyproject.toml"),
            project(requirements, bound, indexes, hosts),
        )
        # an empty file in the place of that of the login and of that of the machine
        os.mkdir(os.path.join(scratch, "uv"))
        write(os.path.join(scratch, "uv", "uv.toml"), "")
        write(os.path.join(scratch, "constraints.txt"), limits(constraints, pins))
        # Without its version a lock is for the Python that uv finds, and later ones. The Python is
        # that of Ansible: uv would use the first one on the path, which may be a shim that fails.
        options = (
            "--quiet --universal --generate-hashes --no-header --no-annotate "
            "--emit-index-annotation --only-binary :all: --constraint constraints.txt"
        )
        command = [uv, "--directory", scratch, "pip", "compile", *options.split()]
        command += ["--python", sys.executable, "--python-version", hosts.oldest]
        for name in bound:
            command += ["--refresh-package", name]
        try:
            text = call(
                shortened(requirements),
                command + ["pyproject.toml"],
                None,
                scratch,
                **variables_for_all(indexes, scratch),
            )
        except InstallError as error:
            output = readable(error.output.replace(scratch + "/", ""))
            raise InstallError(error.doing, output, error.index) from None
    refuse_strangers(text, bound, indexes)
    lines = [line for line in text.splitlines() if not FROM.match(line)]
    return HEADING + ", ".join(requirements) + "\n" + "\n".join(lines) + "\n"


def shortened(requirements: Sequence[str]) -> str:
    more = len(requirements) - MOST_SHOWN
    return "lock %s" % ", ".join(requirements[:MOST_SHOWN]) + (" and %d more" % more) * (more > 0)


def readable(output: str) -> str:
    """The output of uv without the environment markers of its splits, and without the name of the
    project that stands for the requirements."""
    for pattern, text in NOISE:
        output = re.sub(pattern, text, output)
    return output.strip()


def claimed(
    uv: str,
    requirements: Sequence[str],
    indexes: list[dict[str, Any]],
    access_dir: str,
    min_python: str,
) -> dict[str, dict[str, Any]]:
    """Which claimed names the requirements lead to, each with its index: {name: index}.

    uv binds only direct dependencies to an index, and requests their dependencies from all others.
    So the claimed names are found first, from their own index only, level by level; then all of
    them are made direct dependencies.
    """
    bound: dict[str, dict[str, Any]] = {}
    wanted = list(requirements)
    while wanted:
        level: dict[str, tuple[dict[str, Any], list[str]]] = {}
        for requirement in wanted:
            name = name_of(requirement)
            index = dict(index_of(name, indexes))
            if index["packages"] and name not in bound:
                bound[name] = index
                level.setdefault(index["name"], (index, []))[1].append(requirement)
        wanted = []
        for index, names in level.values():
            with tempfile.TemporaryDirectory() as target:
                options = "--quiet --no-deps --only-binary :all: --refresh --python-version"
                command = [uv, "pip", "install", "--python", sys.executable, *options.split()]
                command += [min_python, "--target"]
                call(
                    "read the metadata of %s from index %s" % (", ".join(names), index["name"]),
                    [*command, target, *names],
                    index,
                    access_dir,
                )
                for distribution in importlib.metadata.distributions(path=[target]):
                    wanted += [line.partition(";")[0] for line in distribution.requires or []]
    return bound


def name_of(requirement: str) -> str:
    match = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement)
    if not match:
        raise LockError(
            "%r is not a requirement. Fix: begin it with the name of a package" % requirement
        )
    return canonical(match.group(1))


def variables_for_all(indexes: list[dict[str, Any]], scratch: str) -> dict[str, str | None]:
    """The variables for a command that asks all indexes: the proxy of pip is for its own index, and
    all others are asked directly."""
    found: dict[str, str | None] = {
        # only pyproject.toml has environments, and uv would not read them there either
        "UV_NO_CONFIG": None,
        "XDG_CONFIG_HOME": scratch,
        "XDG_CONFIG_DIRS": scratch,
    }
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


def limits(constraints: str | None, pins: Sequence[str] = ()) -> str:
    """The lines of the file of constraints, without comments, and further ones."""
    text = read(os.path.expanduser(str(constraints))) if constraints else None
    lines = [part.split("#")[0].strip() for part in (text or "").splitlines()]
    return "".join("%s\n" % line for line in [*lines, *pins] if line)


def project(
    requirements: Sequence[str],
    bound: Mapping[str, dict[str, Any]],
    indexes: Iterable[dict[str, Any]],
    hosts: Hosts,
) -> str:
    """The pyproject.toml that uv locks. JSON strings are TOML strings."""
    named = {name_of(requirement) for requirement in requirements}
    lines = [
        "[project]",
        'name = "lock"',
        'version = "0"',
        "requires-python = %s" % json.dumps(">=" + hosts.oldest),
        "dependencies = %s" % json.dumps(list(requirements) + sorted(set(bound) - named)),
        "[tool.uv]",
        "environments = %s" % json.dumps([hosts.marker]),
    ]
    for index in indexes:
        lines += uv_index(index)
    lines += ["[tool.uv.sources]"]
    lines += [
        "%s = {index = %s}" % (name, json.dumps(index["name"]))
        for name, index in sorted(bound.items())
    ]
    return "\n".join(lines) + "\n"


def uv_index(index: Mapping[str, Any]) -> list[str]:
    """An index in the format of uv. One that claims names is asked for these only; an unsafe extra
    one before the default."""
    if not index["url"]:
        return []
    lines = [
        "[[tool.uv.index]]",
        "name = %s" % json.dumps(index["name"]),
        "url = %s" % json.dumps(index["url"]),
    ]
    if index["preset"] == "directory" and is_flat(index["url"]):
        lines.append('format = "flat"')
    if index["role"] == "primary":
        lines.append("default = true")
    elif index["packages"] and index["name"] != git_wheels.INDEX:
        # that of git comes first, and uv takes a name from the first index that has it: dependents
        # of other indexes get it, too
        lines.append("explicit = true")
    return lines


def access(directory: str, indexes: list[dict[str, Any]]) -> None:
    """Write the files for access to the indexes: netrc, a certificate per index, and one bundle for
    a command that asks them all."""
    certificates = []
    for name, content in access_files(indexes).items():
        write(os.path.join(directory, name), content)
        certificates += [content] * name.endswith(".pem")
    for index in indexes:
        of_pip = (index.get("environment") or {}).get("SSL_CERT_FILE")
        if of_pip and not index["ca_cert"]:
            certificates.append(must_read(of_pip, "file that pip's option cert names"))
    if certificates:
        write(os.path.join(directory, BUNDLE), "\n".join(certificates + [public_certificates()]))


def access_files(indexes: list[dict[str, Any]]) -> dict[str, str]:
    """{name: content} of the files for access to the indexes: netrc, and a certificate per index."""
    found = {
        index["name"] + ".pem": must_read(
            index["ca_cert"], "ca_cert of the index %s" % index["name"]
        )
        for index in indexes
        if index["ca_cert"]
    }
    logins = netrc(indexes)
    return dict(found, netrc=logins) if logins else found


def public_certificates() -> str:
    """The certificates that this machine trusts, as text."""
    places = [
        os.environ.get("SSL_CERT_FILE"),
        ssl.get_default_verify_paths().cafile,
        *SYSTEM_CERTIFICATES,
    ]
    return next((text for text in map(read, filter(None, places)) if text), "")


def write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)


def refuse_strangers(
    text: str, bound: Mapping[str, dict[str, Any]], indexes: list[dict[str, Any]]
) -> None:
    """Refuse a lock with a name that does not come from its index.

    :raises LockError:
    """
    name = ""
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
            unasked = name in bound or index["name"] == git_wheels.INDEX
            wrong = (
                (not unasked or here != address(index)) if index["packages"] else here in private
            )
            if wrong:
                raise LockError(
                    "%s belongs to the index %s and would come from %s: refused, no lock was made"
                    % (name, index["name"], here)
                )


def address(index: Mapping[str, Any]) -> str:
    return (index["url"] or "").rstrip("/")
