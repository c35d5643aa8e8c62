# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns for what two runs of one login could do to a host at the same moment.

A lease keeps out another controller; two runs of the same one are allowed, and their calls come
between each other's. The lock is in a directory of the login that is gone when nobody needs it: so
an installation has nothing more to remove.
"""

from __future__ import annotations

import contextlib
import os
import platform
import typing as t

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.exclusive import (
    LockHeld,
    exclusive,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import (
    environment_of_login,
    xdg,
)

FOLDER = "bnlnpps.swf_testbed"
FILES, MANIFEST, DAEMON, LEASE = "files", "manifest", "daemon", "lease"
# seconds to wait for another call: most take well below one
PATIENCE = 60


def folder_of_login() -> str:
    parent = (
        "/run"
        if os.geteuid() == 0
        else xdg(environment_of_login(), "XDG_STATE_HOME", ".local/state")
    )
    return os.path.join(parent, FOLDER)


@contextlib.contextmanager
def turn(what: str, patience: float = PATIENCE) -> t.Iterator[None]:
    """Be the only process of this login that places files, writes a manifest or a lease, or starts
    and stops a daemon here.

    :param what: :data:`FILES`, :data:`MANIFEST`, :data:`DAEMON` or :data:`LEASE`.
    :raises OSError: another one did not come to its end in ``patience`` seconds, and the text names
        it; or no lock can be made.
    """
    # a home may be shared by hosts
    path = os.path.join(folder_of_login(), "%s@%s.lock" % (what, platform.node() or "localhost"))
    with contextlib.ExitStack() as stack:
        while True:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            try:
                stack.enter_context(exclusive(path, patience))
                break
            except FileNotFoundError:
                # whoever had the turn before has just removed the directory
                continue
            except LockHeld as error:
                raise OSError(str(error)) from error
        try:
            yield
        finally:
            # while it is held: who waits for it sees that it is another file
            os.unlink(path)
            with contextlib.suppress(OSError):
                os.rmdir(os.path.dirname(path))
