# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lease of an instance on this host: the run of the controller that may change it.

The playbooks pass it to every module in the environment variable SWF_TESTBED_LEASE (the lookup
``lease``). Each module that changes something holds it and renews it until it ends. A run releases
it at its end. After a killed run, the same controller can take it over at once, and others after
:data:`SECONDS` without a renewal.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import threading
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import (
    read,
    replacing,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import (
    environment_of_login,
    xdg,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.turn import (
    FOLDER,
    LEASE,
    turn,
)

ENVIRONMENT = "SWF_TESTBED_LEASE"
# prefix of the JSON: ansible-core before 2.19 converts text that looks like a dict
MARK = "lease:"
# suffix of the file that records which run lost the lease, and to whom
LOST = ".lost"
SECONDS = 600
RENEWED_AFTER = 60
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
# seconds to wait for another call, which reads the lease only briefly
PATIENCE = 10


class LeaseHeld(Exception):
    """A run of another controller holds the host.

    :ivar holder: its lease.
    :param age: seconds since its last call; None if it took the lease over from this run.
    """

    def __init__(self, holder: Mapping[str, Any], age: float | None = None) -> None:
        self.holder = holder
        if age is None:
            text = (
                "another run has taken over this host, and nothing was changed. Evidence: "
                "%(login)s on %(controller)s (%(directory)s) took %(instance)s on %(since)s UTC, "
                "run %(run)s. Fix: ask that user, then run the same command again"
            )
        else:
            text = (
                "another run is changing this host, and nothing was changed. Evidence: %(login)s "
                "on %(controller)s (%(directory)s) holds %(instance)s since %(since)s UTC, run "
                "%(run)s; its last call was %(age)d s ago. Fix: wait until that run finishes. If "
                "it was killed, run it again there, which takes the host over at once; other "
                "controllers can do so %(minutes)d minutes after its last call, or with -e "
                "swf_testbed_break_lock=true"
            )
        super().__init__(text % dict(holder, age=age, minutes=SECONDS // 60))


def read_from_environment() -> dict[str, Any] | None:
    """The lease from the playbook, or None. Programs that the module starts do not inherit it."""
    text = os.environ.pop(ENVIRONMENT, "").partition(MARK)[2]
    return json.loads(text) if text else None


def path_of(lease: dict[str, Any]) -> str:
    # a home may be shared by hosts
    name = "%s@%s.lease" % (lease["instance"], platform.node() or "localhost")
    if lease["scope"] == "system":
        return os.path.join("/run", FOLDER, name)
    return os.path.join(xdg(environment_of_login(), "XDG_STATE_HOME", ".local/state"), FOLDER, name)


def found_at(path: str) -> tuple[dict[str, Any] | None, float]:
    """(the lease, its age in seconds), or (None, 0)."""
    try:
        text, age = read(path), time.time() - os.stat(path).st_mtime
        found = json.loads(text or b"")
    except (FileNotFoundError, ValueError):
        # ValueError: the host lost power during the write
        return None, 0
    # a lease does not last forever if the clock was set back
    return found, age if age >= 0 else SECONDS


def take(lease: dict[str, Any]) -> None:
    """Acquire the lease, or renew it.

    :raises LeaseHeld: another controller holds it.
    :raises OSError:
    """
    path = path_of(lease)
    with turn(LEASE, PATIENCE):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        taker = found_at(path + LOST)[0]
        if taker and taker["from"] == lease["run"]:
            raise LeaseHeld(taker)
        found, age = found_at(path)
        if found and found["owner"] != lease["owner"] and age < SECONDS and not lease["break"]:
            raise LeaseHeld(found, age)
        mine = found if found and found["run"] == lease["run"] else None
        new_lease = dict(
            lease,
            since=mine["since"] if mine else time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
        )
        if found and found["owner"] != lease["owner"]:
            # the other run may be slow and not dead: leave a record for it after this run has ended
            write(path + LOST, dict(new_lease, **{"from": found["run"]}))
        write(path, new_lease)


def write(path: str, content: Mapping[str, Any]) -> None:
    with replacing(path) as stream:
        json.dump(content, stream)


def release_lease(lease: dict[str, Any]) -> bool:
    """Release the lease if this run holds it; return whether it did."""
    path = path_of(lease)
    if not os.path.isdir(os.path.dirname(path)):
        return False
    with turn(LEASE, PATIENCE):
        found, _age = found_at(path)
        mine = found is not None and found["run"] == lease["run"]
        if mine:
            os.unlink(path)
        lost, age = found_at(path + LOST)
        if lost and age >= SECONDS:
            os.unlink(path + LOST)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(path))
    return mine


def renew_in_background(lease: dict[str, Any]) -> None:
    """Renew the lease until the module ends: a build takes longer than a lease lasts."""
    path = path_of(lease)

    def renew() -> None:
        while True:
            time.sleep(RENEWED_AFTER)
            # a failure now may not happen again in a minute
            with contextlib.suppress(OSError):
                found, _age = found_at(path)
                if found and found["owner"] == lease["owner"]:
                    os.utime(path)

    threading.Thread(target=renew, daemon=True).start()


def hold(module: Any) -> None:
    """Hold the lease while a module changes the host; the module fails if another controller holds
    it."""
    lease = read_from_environment()
    if not lease or module.check_mode:
        return
    if lease["scope"] == "system" and os.geteuid() != 0:
        # preflight reports the missing root privileges
        return
    try:
        take(lease)
    except LeaseHeld as error:
        module.fail_json(msg=str(error), lease_holder=error.holder)
    except OSError as error:
        if error.errno in NO_ROOM:
            # a run that stops programs or frees space must still be possible
            module.warn("this host is not locked for this run: %s" % error)
            return
        module.fail_json(
            msg="cannot lock this host for the run, and nothing was changed. Evidence: %s. Fix: "
            "let this login write there, and end processes that hang" % error
        )
    renew_in_background(lease)


def release() -> bool:
    """Release the lease from the playbook if this run holds it; return whether it did."""
    lease = read_from_environment()
    if not lease or (lease["scope"] == "system" and os.geteuid() != 0):
        return False
    try:
        return release_lease(lease)
    except OSError:
        # another run reads the lease at this moment, and takes it over once it expires
        return False
