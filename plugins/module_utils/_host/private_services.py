# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of the distribution for the services that an instance runs for itself, PostgreSQL
and Redis, and the client of PostgreSQL."""

from __future__ import annotations

import glob
import os
import re
import shutil
from dataclasses import dataclass

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    Finding,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import captured

#: packages of Debian, of PGDG for EL, and what PATH has (EL)
PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
PROGRAMS = ("postgres", "initdb", "psql", "pg_isready")
VERSION = re.compile(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?")
VERSION_FILE = "PG_VERSION"
REDIS = ("redis-server", "valkey-server")
PATH = "/usr/local/bin:/usr/bin:/bin"
OTHER_DATABASE = "set swf_testbed_database_host to a server of your own"


@dataclass(frozen=True, order=True)
class PostgreSQL:
    """The server programs of one version."""

    version: tuple[int, int]
    directory: str

    @property
    def text(self) -> str:
        return "%d.%d in %s" % (*self.version, self.directory)


def postgresql_in(directory: str) -> PostgreSQL | None:
    """The server in a directory of programs, None if it lacks one of them."""
    programs = [os.path.join(directory, name) for name in PROGRAMS]
    if not all(os.access(program, os.X_OK) for program in programs):
        return None
    try:
        found = VERSION.search(captured([programs[0], "--version"]).stdout)
    except OSError:
        return None
    return PostgreSQL((int(found[1]), int(found[2] or 0)), directory) if found else None


def all_postgresql() -> list[PostgreSQL]:
    """The installed servers, the newest last."""
    folders = [path for pattern in PLACES for path in glob.glob(pattern)]
    program, config = shutil.which("postgres"), shutil.which("pg_config")
    if program:
        folders.append(os.path.dirname(os.path.realpath(program)))
    if config:
        folders.append(captured([config, "--bindir"]).stdout.strip())
    places = {os.path.realpath(path) for path in folders if path}
    return sorted(found for found in map(postgresql_in, places) if found)


def major_of(cluster: str) -> int | None:
    """The major version of a cluster, None if there is no cluster.

    :raises ValueError: the file with the version has another content.
    """
    try:
        with open(os.path.join(cluster, VERSION_FILE), encoding="utf-8") as stream:
            return int(stream.read())
    except FileNotFoundError:
        return None


def choose_postgresql(minimum: str, cluster: str) -> tuple[str, Finding | None]:
    """(directory of the server's programs, problem): those for an existing cluster, else the newest.
    The directory is empty if none can be used.

    :param minimum: oldest version, for example ``14``.
    :param cluster: directory of the cluster, which need not exist.
    """
    if os.geteuid() == 0:
        return "", finding(
            "postgresql",
            "PostgreSQL does not run as root, and the stack needs it",
            "the instance runs in user scope as root",
            "Use another login, or %s" % OTHER_DATABASE,
        )
    try:
        major = major_of(cluster)
    except (OSError, ValueError) as error:
        return "", finding(
            "postgresql",
            "the version of the database of this instance cannot be read",
            "%s in %s" % (error, cluster),
            "Run as its owner; or look at that directory, and move it away",
        )
    found = all_postgresql()
    versions = ", ".join(item.text for item in found) or "none"
    if major is not None:
        usable = [item for item in found if item.version[0] == major]
        if not usable:
            return "", finding(
                "postgresql",
                "no installed PostgreSQL can read the database of this instance",
                "%s is of version %d, and the installed servers are: %s"
                % (cluster, major, versions),
                "Install version %d (Debian: sudo apt-get install postgresql-%d). To change to "
                "another version, see docs/how-to/private_services.md" % (major, major),
            )
        found = usable
    usable = [item for item in found if item.version >= numbers(minimum)]
    if not usable:
        return "", finding(
            "postgresql",
            "the stack needs a PostgreSQL server, version %s or newer" % minimum,
            "the installed servers are: %s" % versions,
            "Install it (Debian: sudo apt-get install postgresql; EL: sudo dnf install "
            "postgresql-server), or %s" % OTHER_DATABASE,
        )
    return usable[-1].directory, None


def numbers(version: str) -> tuple[int, int]:
    major, _dot, minor = version.partition(".")
    return int(major), int(minor or 0)


def choose_redis() -> tuple[str, Finding | None]:
    """(path of the server, problem). The path is empty if there is none."""
    found = next(filter(None, map(shutil.which, REDIS)), None)
    if found:
        return found, None
    return "", finding(
        "redis",
        "the stack needs Redis, and no server is installed",
        "PATH has neither %s" % " nor ".join(REDIS),
        "Install it (Debian: sudo apt-get install redis-server; EL: sudo dnf install redis or "
        "valkey), or set swf_testbed_redis_host to a server of your own",
    )


def all_pg_dump() -> list[tuple[int, str]]:
    """(major version, path) of the installed ones, the newest last."""
    paths = [path for place in PLACES for path in glob.glob(os.path.join(place, "pg_dump"))]
    paths += filter(None, [shutil.which("pg_dump", path=PATH)])
    versions = ((VERSION.search(captured([path, "--version"]).stdout), path) for path in paths)
    # not by path: where versions are equal, the first place counts
    return sorted(
        ((int(version[1]), path) for version, path in versions if version),
        key=lambda item: item[0],
    )


def check_pg_dump() -> Finding | None:
    """The problem if this host cannot back up a database of another host."""
    if all_pg_dump():
        return None
    return finding(
        "pg_dump",
        "an upgrade backs up the database of the monitor, and this host has no pg_dump",
        "neither %s nor %s has it" % (", ".join(PLACES), PATH),
        "Install the client of PostgreSQL (Debian: sudo apt-get install postgresql-client; EL: sudo "
        "dnf install postgresql), or set swf_testbed_keep_database_backups to 0",
    )
