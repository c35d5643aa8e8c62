# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts of one run have and lack of a release, and the archives that are transferred from
one to another.

Hosts are handled by separate processes, which share nothing but files. These are in the temporary
directory of this run of Ansible: nobody else may enter it, and Ansible removes it when the run
ends, in whatever way.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleActionFail

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.exclusive import (
    LockHeld,
    exclusive,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import replacing

# seconds that a host waits for another one, which exports a release to the controller
PATIENCE = 3600
#: The state of one host: ``host``; ``root`` of the instance; ``step``, the next one, of look, build,
#: export and send; ``platform_key``, the properties that its source must share;
#: ``result`` of the module; ``lacks``, of ``tools`` and ``release``; ``source``, the host that has
#: or builds what it lacks.
Entry = dict[str, Any]


def short(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


class Board:
    def __init__(self, folder: str | None = None) -> None:
        self.folder = os.path.join(folder or C.DEFAULT_LOCAL_TMP, "swf-testbed-releases")
        os.makedirs(self.folder, mode=0o700, exist_ok=True)

    def take(self, host: str, root: str) -> Entry:
        """The entry of a host. After a step that fails, the next one is look."""
        new = {"host": host, "root": root, "step": "look", "source": None}
        found = read(self._path(new)) or new
        self.note(found, step="look")
        return found

    def note(self, entry: Entry, **changes: Any) -> Entry:
        """Change the entry of a host; returns the new one."""
        entry = dict(entry, **changes)
        with replacing(self._path(entry)) as stream:
            json.dump(entry, stream)
        return entry

    def alike(self, mine: Entry, playing: Sequence[str], order: Sequence[str]) -> list[Entry]:
        """The entries of all hosts of a platform: first those that lack nothing, and then in the
        order of the play.

        :param playing: names of the hosts that are in the play and did not fail.
        :param order: names of all hosts of the play.
        """
        names = [name for name in os.listdir(self.folder) if name.endswith(".json")]
        found = [read(os.path.join(self.folder, name)) for name in names]
        alike = [
            entry
            for entry in found
            if entry
            and entry.get("platform_key") == mine["platform_key"]
            and (entry["host"] in playing or entry["host"] not in order)
        ]
        return sorted(
            alike,
            key=lambda entry: (
                bool(entry["lacks"]),
                order.index(entry["host"]) if entry["host"] in order else len(order),
                entry["host"],
            ),
        )

    def archive(self, entry: Entry) -> str:
        """Path of the archive with the missing parts of a host."""
        return os.path.join(
            self.folder,
            "%s-%s.tar.gz" % ("-".join(sorted(entry["lacks"])), short(entry["platform_key"])),
        )

    @contextlib.contextmanager
    def turn(self, archive: str) -> Iterator[None]:
        """Hosts that lack the same come here together: the first one has the archive fetched, the
        others wait and find it."""
        try:
            with exclusive(archive + ".lock", PATIENCE):
                yield
        except LockHeld as error:
            raise AnsibleActionFail(
                "The release was not exported: another host of this run did not finish its export. "
                "Evidence: %s" % error
            ) from error

    def _path(self, entry: Entry) -> str:
        return os.path.join(self.folder, short([entry["host"], entry["root"]]) + ".json")


def read(path: str) -> Entry | None:
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except FileNotFoundError:
        return None
