# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two installers that fill a virtual environment from a lock, uv and pip, with one interface.

Each call talks to one index. Credentials and CA certificates come from an access directory, never
from arguments or a URL: ``netrc``, which both read, and per index ``<name>.pem``. The role
pip_index places it on a host; a lock is made with one of its own.
"""

from __future__ import annotations

import glob
import ipaddress
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.clean_environment import (
    clean_environment,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    insecure_hosts,
    netrc,
)

# the certificates for a command that asks several indexes
BUNDLE = "ca-bundle.pem"
# options of uv and pip; the file of requirements comes next
FROM_A_LOCK = "--quiet --no-deps --require-hashes --only-binary :all: -r".split()
#: variables that name the caches of uv and pip
CACHES = {"UV_CACHE_DIR": "uv", "PIP_CACHE_DIR": "pip"}


class InstallError(Exception):
    """A command failed. ``output`` is its output, ``index`` the index that it asked, or None."""

    def __init__(self, doing: str, output: str, index: Mapping[str, Any] | None = None) -> None:
        super().__init__("%s: %s" % (doing, output))
        self.doing, self.output, self.index = doing, output, index


class Installer(Protocol):
    def create(self, venv: str, python: str) -> None:
        """Create an empty environment."""

    def install(
        self, venv: str, requirements: str, index: dict[str, Any], access_dir: str | None
    ) -> None:
        """Install the packages of a file of requirements from one index."""

    def check(self, venv: str) -> None:
        """Check that the dependencies in an environment are consistent."""


def find_uv(candidate: str | None = None) -> str | None:
    """Path of uv: the one given, the one on PATH, one next to this Python, one of the login; None
    if there is none."""
    places = [
        candidate,
        shutil.which("uv"),
        os.path.join(os.path.dirname(sys.executable), "uv"),
        os.path.expanduser("~/.local/bin/uv"),
    ]
    return next((path for path in places if path and os.access(path, os.X_OK)), None)


def environment(
    index: Mapping[str, Any] | None, access_dir: str | None = None, **others: str | None
) -> dict[str, str]:
    """The environment for a command that asks this index only.

    :param index: a normalised index as :func:`host_index.resolved` returns it, or None for a
        command that asks none, or several.
    :param access_dir: directory with ``netrc`` and certificates, or None.
    :param others: as of :func:`clean_environment`.
    """
    more = dict(index.get("environment") or {}) if index else {}
    if index:
        more.update(addresses(index))
    logins = os.path.join(access_dir or "", "netrc")
    if access_dir and os.path.exists(logins):
        more["NETRC"] = logins
    certificate = os.path.join(access_dir or "", index["name"] + ".pem" if index else BUNDLE)
    if access_dir and os.path.exists(certificate):
        more.update(trusting(certificate))
    return clean_environment(**dict(more, **others))


def caches_in(folder: str) -> dict[str, str]:
    """The variables for caches in a directory. A cache that the login names is used instead, and
    the login limits it."""
    return {
        name: os.path.join(folder, tool) for name, tool in CACHES.items() if name not in os.environ
    }


def trusting(certificate: str) -> dict[str, str]:
    """The settings that name a file of CA certificates: the bundle of requests has precedence over
    the setting of pip."""
    return {
        "PIP_CERT": certificate,
        "SSL_CERT_FILE": certificate,
        "REQUESTS_CA_BUNDLE": certificate,
    }


def addresses(index: Mapping[str, Any]) -> dict[str, str]:
    """The settings of pip and uv that name an index and no other."""
    if index.get("preset") == "directory":
        if is_flat(index["url"]):
            nowhere = {"PIP_NO_INDEX": "1", "UV_NO_INDEX": "1"}
            return dict(nowhere, PIP_FIND_LINKS=index["url"], UV_FIND_LINKS=index["url"])
        url = "file://" + index["url"] + "/"
    else:
        url = index.get("url")
    extra = index.get("extra_urls") or []
    # without an address: PyPI, which both know
    found = {"UV_DEFAULT_INDEX": url, "PIP_INDEX_URL": url} if url else {}
    if extra:
        found.update(UV_INDEX=" ".join(extra), PIP_EXTRA_INDEX_URL=" ".join(extra))
    trusted = insecure_hosts([index])
    return dict(found, PIP_TRUSTED_HOST=" ".join(trusted)) if trusted else found


def is_flat(directory: str) -> bool:
    """Whether a directory holds the packages themselves, and not a page per package."""
    return not glob.glob(os.path.join(glob.escape(directory), "*", "index.html"))


def call(
    doing: str,
    command: list[str],
    index: Mapping[str, Any] | None = None,
    access_dir: str | None = None,
    **more: str | None,
) -> str:
    """Run a command to its end and return its output. Paths in it are absolute: it runs in a
    directory without modules.

    :param more: variables for its environment, as of :func:`clean_environment`. Unless they name
        caches, those are removed after the call: those of the login would grow with each release.
    :raises InstallError: it fails or does not exist.
    """
    with tempfile.TemporaryDirectory() as scratch:
        variables = environment(index, access_dir, **dict(caches_in(scratch), **more))
        if index and index.get("token"):
            # an index of the configuration of pip has its login there, and none in the access
            # directory
            variables["NETRC"] = os.path.join(scratch, "netrc")
            with open(variables["NETRC"], "w", encoding="utf-8") as stream:
                stream.write(netrc([index]))
        try:
            # python -m searches the current directory first, and uv reads a project there
            done = run(command, variables, "/")
        except OSError as error:
            raise InstallError(doing, "%s: %s" % (command[0], error.strerror), index) from error
    if done.returncode != 0:
        raise InstallError(doing, done.stdout.strip(), index)
    return done.stdout


def run(
    command: list[str], environment: Mapping[str, str], folder: str
) -> subprocess.CompletedProcess[str]:
    """Run a command without input; errors are part of the output."""
    return subprocess.run(
        command,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
        errors="replace",
    )


class Uv:
    """uv: parallel, cached, and it stops with a hint on a wrong password."""

    def __init__(self, path: str, caches: dict[str, str] | None = None) -> None:
        self.path, self.caches = path, caches or {}

    def create(self, venv: str, python: str) -> None:
        # uv locks an environment with a file in it that everybody may write: until it is removed,
        # nobody else may enter
        os.makedirs(venv, mode=0o700, exist_ok=True)
        call("make the environment", [self.path, "venv", "--quiet", "--python", python, venv])

    def install(
        self, venv: str, requirements: str, index: Mapping[str, Any], access_dir: str | None
    ) -> None:
        python = os.path.join(venv, "bin", "python")
        command = [self.path, "pip", "install", "--compile-bytecode", "--python", python]
        # With a hard link, a change of a file would change that of the cache, and of other releases.
        # The kernel makes a reflink of a copy if it can; the mode clone of uv makes a hard link
        # otherwise.
        command += ["--link-mode", "copy"]
        command += [*FROM_A_LOCK, requirements]
        if index.get("packages"):
            # uv caches the list of versions of an index for ten minutes, too long right after an
            # upload
            command.append("--refresh")
        call("install from index %s" % index["name"], command, index, access_dir, **self.caches)

    def check(self, venv: str) -> None:
        call(
            "check the dependencies",
            [self.path, "pip", "check", "--quiet", "--python", os.path.join(venv, "bin", "python")],
        )


def by_address(index: Mapping[str, Any]) -> bool:
    """Whether the url of an index has an address instead of a host name."""
    try:
        return bool(ipaddress.ip_address(urlsplit(index.get("url") or "").hostname or ""))
    except ValueError:
        return False


def old_tls(venv: str, index: Mapping[str, Any]) -> list[str]:
    """The option that some versions of pip need for TLS with an address, as a list, mostly empty.

    Versions that use the certificates of the system by default (24.2) with urllib3 1 (as in Debian
    13) fail with "check_hostname requires server_hostname". The certificates of the index are
    given to them separately.
    """
    packages = glob.glob(os.path.join(glob.escape(venv), "lib", "python*", "site-packages", "pip"))
    parts = (
        ("_vendor/urllib3/_version.py", '"1.'),
        ("_internal/cli/cmdoptions.py", '"legacy-certs"'),
    )
    if (
        by_address(index)
        and packages
        and all(mentions(os.path.join(packages[0], name), text) for name, text in parts)
    ):
        return ["--use-deprecated", "legacy-certs"]
    return []


def mentions(path: str, text: str) -> bool:
    try:
        with open(path, encoding="utf-8") as stream:
            return text in stream.read()
    except OSError:
        return False


class Pip:
    """pip, for platforms that uv does not support."""

    def __init__(self, caches: dict[str, str] | None = None) -> None:
        self.caches = caches or {}

    def create(self, venv: str, python: str) -> None:
        call("make the environment", [python, "-m", "venv", venv])

    def install(
        self, venv: str, requirements: str, index: Mapping[str, Any], access_dir: str | None
    ) -> None:
        python = os.path.join(venv, "bin", "python")
        command = [python, "-m", "pip", "install", *old_tls(venv, index), *FROM_A_LOCK]
        doing = "install from index %s" % index["name"]
        call(doing, [*command, requirements], index, access_dir, **self.caches)

    def check(self, venv: str) -> None:
        call("check the dependencies", [os.path.join(venv, "bin", "python"), "-m", "pip", "check"])


def installer(name: str, uv: str | None = None, caches: dict[str, str] | None = None) -> Installer:
    """The installer ``uv`` or ``pip``, or for ``auto`` uv if it is available.

    :param caches: of :func:`caches_in`, for caches that stay.
    :raises InstallError: uv is required and not available.
    """
    path = None if name == "pip" else find_uv(uv)
    if path:
        return Uv(path, caches)
    if name == "uv":
        raise InstallError(
            "find uv",
            "there is no uv on this host. Fix: install it (python3 -m pip install uv), or set "
            "swf_testbed_release_installer to auto",
        )
    return Pip(caches)
