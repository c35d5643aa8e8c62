# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts of one run have and lack of a release, and the archives on their way from one to
another.

Hosts are handled by processes of their own, which have nothing but files in common. These are in
the temporary directory of this run of Ansible: nobody else may enter it, and Ansible removes it
when the run ends, however that is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os

from ansible import constants as C
from ansible.errors import AnsibleActionFail

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.exclusive import (
    LockHeld,
    exclusive,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import replacing

# seconds that a host waits for another one, which builds a release and sends it to the controller
PATIENCE = 3600


def short(content):
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


class Board:
    def __init__(self, folder=None):
        self.folder = os.path.join(folder or C.DEFAULT_LOCAL_TMP, "swf-testbed-releases")
        os.makedirs(self.folder, mode=0o700, exist_ok=True)

    def announce(self, host, root, kind, result, lacks):
        """Note what the module found on a host.

        :param kind: what other hosts must have, too, to take what this one has.
        :param result: the module's.
        :param lacks: what the host is still to get, of ``tools`` and ``release``.
        """
        self._write(
            {
                "host": host,
                "root": root,
                "kind": kind,
                "result": result,
                "lacks": lacks,
                "source": None,
            }
        )

    def note_source(self, entry, source):
        """Note which host has, or builds, what this one gets."""
        self._write(dict(entry, source=source))

    def _write(self, entry):
        path = self._path(entry["host"], entry["root"])
        with replacing(path) as stream:
            json.dump(entry, stream)

    def entry(self, host, root):
        """What was noted of a host, or None."""
        return read(self._path(host, root))

    def alike(self, mine, playing, order):
        """The entries of all hosts of a kind: first those that lack nothing, and then in the order
        of the play.

        :param playing: names of the hosts that are in the play and did not fail.
        :param order: names of all hosts of the play.
        """
        found = [
            read(os.path.join(self.folder, name))
            for name in os.listdir(self.folder)
            if name.endswith(".json")
        ]
        found = [
            entry
            for entry in found
            if entry
            and entry["kind"] == mine["kind"]
            and (entry["host"] in playing or entry["host"] not in order)
        ]
        return sorted(
            found,
            key=lambda entry: (
                bool(entry["lacks"]),
                order.index(entry["host"]) if entry["host"] in order else len(order),
                entry["host"],
            ),
        )

    def archive(self, entry):
        """Where the archive is, or is to be, that has what a host lacks."""
        return os.path.join(
            self.folder, "%s-%s.tar.gz" % ("-".join(sorted(entry["lacks"])), short(entry["kind"]))
        )

    @contextlib.contextmanager
    def turn(self, archive):
        """The hosts that lack the same come together: the first one has the archive fetched, the
        others wait and find it."""
        try:
            with exclusive(archive + ".lock", PATIENCE):
                yield
        except LockHeld as error:
            raise AnsibleActionFail(
                "release: another host of this run has not handed on its release: %s" % error
            ) from error

    def _path(self, host, root):
        return os.path.join(self.folder, short([host, root]) + ".json")


def read(path):
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except FileNotFoundError:
        return None
