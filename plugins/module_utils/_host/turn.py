# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns for operations that two runs of one login could do on a host at the same time.

A lease locks out other controllers; two runs of the same controller are allowed, and their calls
may interleave. The lock is in a directory of the login that is removed when nobody needs it, so
uninstalling has nothing more to remove.
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
FILES, MANIFEST, DAEMON, LEASE, STEPS = "files", "manifest", "daemon", "lease", "steps"
# seconds to wait for another call: most take less than one
PATIENCE = 60


def folder_of_login() -> str:
    state = xdg(environment_of_login(), "XDG_STATE_HOME", ".local/state")
    return os.path.join("/run" if os.geteuid() == 0 else state, FOLDER)


@contextlib.contextmanager
def turn(what: str, patience: float = PATIENCE) -> t.Iterator[None]:
    """Exclude other processes of this login that place files, write a manifest or a lease, start and
    stop a daemon, or run the steps of a stack on this host.

    :param what: :data:`FILES`, :data:`MANIFEST`, :data:`DAEMON`, :data:`LEASE` or :data:`STEPS`.
    :raises OSError: another process did not finish in ``patience`` seconds (the text names it), or
        the lock cannot be created.
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
                # the previous holder has just removed the directory
                continue
            except LockHeld as error:
                raise OSError(str(error)) from error
        try:
            yield
        finally:
            # while it is held: waiting processes notice that the file was replaced
            os.unlink(path)
            with contextlib.suppress(OSError):
                os.rmdir(os.path.dirname(path))
