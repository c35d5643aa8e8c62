# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What belongs to one run of Ansible: a fact may come from a cache, and then says nothing about
this run.

Ansible's temporary directory is the run's own. All processes of the run share it, nobody else may
enter it, and Ansible removes it when the run ends.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any

from ansible import constants as C

STAMP = "run"


def run_id() -> str:
    """The name of the temporary directory: no two runs have the same."""
    return os.path.basename(C.DEFAULT_LOCAL_TMP)


def stamped(fact: dict[str, Any]) -> dict[str, Any]:
    """A fact, a dict, marked as one of this run."""
    return dict(fact, **{STAMP: run_id()})


def is_of_this_run(fact: Any) -> bool:
    return isinstance(fact, dict) and fact.get(STAMP) == run_id()


def claimed_by(place: str, host: str) -> str:
    """Name of the host that was the first of this run to claim a place, a text that no other
    machine has."""
    path = os.path.join(
        C.DEFAULT_LOCAL_TMP, "swf-testbed-place-" + hashlib.sha256(place.encode()).hexdigest()[:16]
    )
    # a link is made with its content, or not at all: there is no moment in which another process
    # finds it empty
    try:
        os.symlink(host, path)
    except FileExistsError:
        return os.readlink(path)
    return host
