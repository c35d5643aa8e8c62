# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PostgreSQL server of a host that systemd runs: found by its files, in the layouts of the
packages of a platform."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import captured
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import systemd
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.private_services import (
    VERSION,
    major_of,
)

#: stands for the major version in the texts of a layout
MAJOR = "{version}"
DATA_DIRECTORY = re.compile(r"^\s*data_directory\s*=\s*'([^']+)'", re.MULTILINE)
PGDATA = re.compile(r"\bPGDATA=(\S+)")


class ServerError(Exception):
    """No server can be used; the text has cause, evidence and fix."""


@dataclass
class Server:
    """A server of one version, with or without a cluster."""

    version: int
    unit: str
    package: str
    programs: str
    config: str
    data: str
    #: what installs the package, empty for its name
    install: str = ""
    #: command that creates the cluster, empty if the package does it
    initialise: str = ""
    cluster: bool = False
    installed: bool = False
    active: bool = False
    #: our configuration is placed
    ours: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def of_layout(layout: Mapping[str, Any], version: int, root: str) -> Server:
    """The server of a layout in a version, as it is on this host.

    :param root: directory for ``/``.
    """
    texts: dict[str, Any] = {
        key: value.replace(MAJOR, str(version)) for key, value in layout.items()
    }
    server = Server(version=version, **texts)
    server.install = server.install or server.package
    server.data = data_of(server, root)
    server.cluster = os.path.exists(os.path.join(root + server.data, "PG_VERSION"))
    server.installed = os.access(os.path.join(root + server.programs, "postgres"), os.X_OK)
    server.ours = os.path.exists(
        os.path.join(root, "etc/systemd/system", server.unit + ".d", "swf-testbed.conf")
    )
    return server


def data_of(server: Server, root: str) -> str:
    """The data directory that the unit or the configuration names, or else that of the layout."""
    try:
        with open(
            os.path.join(root + server.config, "postgresql.conf"), encoding="utf-8"
        ) as stream:
            named = DATA_DIRECTORY.search(stream.read())
    except OSError:
        named = None
    named = named or PGDATA.search(properties(server.unit).get("Environment", ""))
    return named.group(1) if named else server.data


def properties(unit: str) -> dict[str, str]:
    """Some properties of a unit, empty without systemd."""
    try:
        text = systemd.systemctl("system", "show", unit, "--property=ActiveState,Environment")
    except systemd.SystemdError:
        return {}
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def versions(layout: Mapping[str, Any], root: str) -> set[int]:
    """The versions whose programs or data are on this host."""
    found = set()
    for key in ("programs", "config", "data"):
        pattern = root + layout[key]
        if MAJOR in layout[key]:
            number = re.compile(re.escape(pattern).replace(re.escape(MAJOR), r"(\d+)"))
            matches = map(number.fullmatch, glob.glob(pattern.replace(MAJOR, "*")))
            found |= {int(match.group(1)) for match in matches if match}
        elif key == "data":
            cluster = data_of(Server(version=0, **layout), root)
            found.add(major_of(root + cluster) or 0)
        elif key == "programs":
            found.add(major_of_program(os.path.join(pattern, "postgres")))
    return found - {0}


def major_of_program(program: str) -> int:
    try:
        match = VERSION.search(captured([program, "--version"]).stdout)
    except OSError:
        return 0
    return int(match.group(1)) if match else 0


def find(layouts: Sequence[Mapping[str, Any]], wanted: int, default: int, root: str = "") -> Server:
    """The server to use: the one that has our configuration, or else one that runs, one with a
    cluster, an installed one, or the one that the packages of the first layout will bring.

    :param wanted: its major version, 0 for any.
    :param default: the major version of the package of the platform, 0 if it is unknown.
    :raises ServerError:
    """
    found = [
        of_layout(layout, version, root)
        for layout in layouts
        for version in sorted(versions(layout, root))
        if wanted in (0, version)
    ]
    # without programs of a server and without a cluster: those of a client, or an empty directory
    found = [server for server in found if server.installed or server.cluster]
    for server in found:
        server.active = properties(server.unit).get("ActiveState") == "active"
    if found:
        server = max(
            found,
            key=lambda item: (
                *(item.ours, item.active, item.cluster, item.installed),
                *(item.version == default, item.version),
            ),
        )
        verify(server, root)
        return server
    if not (wanted or default):
        raise ServerError(
            "The major version of PostgreSQL in this distribution is not known here. Evidence: no "
            "server is installed, and the collection has no data for this release. Fix: find it "
            "(apt-cache policy postgresql, dnf info postgresql-server) and set "
            "swf_testbed_database_version"
        )
    return of_layout(layouts[0], wanted or default, root)


def verify(server: Server, root: str) -> None:
    """Refuse a cluster that the installed programs cannot read.

    :raises ServerError:
    """
    program = major_of_program(os.path.join(root + server.programs, "postgres"))
    cluster = major_of(root + server.data)
    if program and cluster and program != cluster:
        raise ServerError(
            "The installed PostgreSQL cannot read its database. Evidence: %s is of version %d, and "
            "%s/postgres of version %d. Fix: upgrade the database (pg_upgrade; EL: postgresql-setup "
            "--upgrade), or install version %d"
            % (server.data, cluster, server.programs, program, cluster)
        )
