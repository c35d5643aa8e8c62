# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two ways to fill a virtual environment from a lock, uv and pip, behind one interface.

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
from urllib.parse import urlsplit

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.clean_environment import clean_environment
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import netrc

# the certificates for a command that asks several indexes
BUNDLE = "ca-bundle.pem"
#: variables that name the caches of uv and pip
CACHES = {"UV_CACHE_DIR": "uv", "PIP_CACHE_DIR": "pip"}


class InstallError(Exception):
    """A command failed. ``output`` is what it printed, ``index`` the index that it asked, or
    None."""

    def __init__(self, doing, output, index=None):
        super().__init__("%s: %s" % (doing, output))
        self.doing, self.output, self.index = doing, output, index


def find_uv(candidate=None):
    """Path of uv: the one given, the one on PATH, one beside this Python, one of the login; None if
    there is none."""
    places = [candidate] if candidate else []
    places += [shutil.which("uv"), os.path.join(os.path.dirname(sys.executable), "uv"), os.path.expanduser("~/.local/bin/uv")]
    return next((path for path in places if path and os.access(path, os.X_OK)), None)


def environment(index, access_dir=None, **others):
    """The environment for a command that asks this index alone.

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


def caches_in(folder):
    """The variables for caches in a directory. A cache that the login names is used instead, and is
    the login's to limit."""
    return {name: os.path.join(folder, tool) for name, tool in CACHES.items() if name not in os.environ}


def trusting(certificate):
    """The settings that name a file of CA certificates: the bundle of requests counts more than
    pip's own setting."""
    return {"PIP_CERT": certificate, "SSL_CERT_FILE": certificate, "REQUESTS_CA_BUNDLE": certificate}


def addresses(index):
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
    return found


def is_flat(directory):
    """Whether a directory holds the packages themselves, and not a page per package."""
    return not glob.glob(os.path.join(glob.escape(directory), "*", "index.html"))


def call(doing, command, index=None, access_dir=None, **more):
    """Run a command to its end and return what it printed. Paths in it are absolute: it runs in a
    directory without modules.

    :param more: variables for its environment, as of :func:`clean_environment`. Unless they name
        caches, those go with the call: the login's own would grow with each release.
    :raises InstallError: when it fails or is not there.
    """
    with tempfile.TemporaryDirectory() as scratch:
        variables = environment(index, access_dir, **dict(caches_in(scratch), **more))
        if index and index.get("token"):
            # what pip is set up for has its login in pip's configuration, and none in the access
            # directory
            variables["NETRC"] = os.path.join(scratch, "netrc")
            with open(variables["NETRC"], "w", encoding="utf-8") as stream:
                stream.write(netrc([index]))
        try:
            # python -m looks where it stands first, and uv reads a project there
            done = subprocess.run(command, env=variables, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, check=False, text=True, errors="replace")
        except OSError as error:
            raise InstallError(doing, "%s: %s" % (command[0], error.strerror), index) from error
    if done.returncode != 0:
        raise InstallError(doing, done.stdout.strip(), index)
    return done.stdout


class Uv:
    """uv: parallel, cached, and it stops with a hint on a wrong password."""

    def __init__(self, path, caches=None):
        self.path, self.caches = path, caches or {}

    def create(self, venv, python):
        # uv locks an environment by a file in it that everybody may write: until that is gone,
        # nobody else may come near
        os.makedirs(venv, mode=0o700, exist_ok=True)
        call("make the environment", [self.path, "venv", "--quiet", "--python", python, venv])

    def install(self, venv, requirements, index, access_dir):
        command = [self.path, "pip", "install", "--quiet", "--python", os.path.join(venv, "bin", "python"), "--no-deps",
                   "--require-hashes", "--only-binary", ":all:", "--compile-bytecode", "-r", requirements]
        if index.get("packages"):
            # uv remembers an index's list of versions for ten minutes, too long right after an
            # upload
            command.append("--refresh")
        call("install from index %s" % index["name"], command, index, access_dir, **self.caches)

    def check(self, venv):
        call("check the dependencies", [self.path, "pip", "check", "--quiet", "--python", os.path.join(venv, "bin", "python")])


def by_address(index):
    """Whether an index is called by an address and not by a name."""
    try:
        return bool(ipaddress.ip_address(urlsplit(index.get("url") or "").hostname or ""))
    except ValueError:
        return False


def old_tls(venv, index):
    """The option that a pip needs to talk TLS to an address, as a list that is mostly empty.

    Versions that believe the system's certificates by themselves (24.2) and have urllib3 1 (Debian
    13's among them) end with "check_hostname requires server_hostname". The certificates of the
    index are named to them all the same.
    """
    packages = glob.glob(os.path.join(glob.escape(venv), "lib", "python*", "site-packages", "pip"))
    parts = (("_vendor/urllib3/_version.py", '"1.'), ("_internal/cli/cmdoptions.py", '"legacy-certs"'))
    if by_address(index) and packages and all(mentions(os.path.join(packages[0], name), text) for name, text in parts):
        return ["--use-deprecated", "legacy-certs"]
    return []


def mentions(path, text):
    try:
        with open(path, encoding="utf-8") as stream:
            return text in stream.read()
    except OSError:
        return False


class Pip:
    """pip, for platforms that uv is not made for."""

    def __init__(self, caches=None):
        self.caches = caches or {}

    def create(self, venv, python):
        call("make the environment", [python, "-m", "venv", venv])

    def install(self, venv, requirements, index, access_dir):
        call("install from index %s" % index["name"], [
            os.path.join(venv, "bin", "python"), "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes",
            "--only-binary", ":all:", *old_tls(venv, index), "-r", requirements], index, access_dir, **self.caches)

    def check(self, venv):
        call("check the dependencies", [os.path.join(venv, "bin", "python"), "-m", "pip", "check"])


def installer(kind, uv=None, caches=None):
    """The installer of that kind: ``uv``, ``pip``, or ``auto`` for uv where there is one.

    :param caches: of :func:`caches_in`, for caches that stay.
    :raises InstallError: when uv is asked for and not there.
    """
    path = None if kind == "pip" else find_uv(uv)
    if path:
        return Uv(path, caches)
    if kind == "uv":
        raise InstallError("find uv", "there is no uv on this host. Install it (python3 -m pip "
                                      "install uv) or set "
                           "swf_testbed_release_installer to auto.")
    return Pip(caches)
