# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The identity of one run of Ansible: a fact from a cache describes an earlier run.

Each run has its own temporary directory. All processes of the run share it, only their user may
enter it, and Ansible removes it when the run ends.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any

from ansible import constants as C

STAMP = "run"


def run_id() -> str:
    """The name of the temporary directory, which is different in every run."""
    return os.path.basename(C.DEFAULT_LOCAL_TMP)


def stamped(fact: dict[str, Any]) -> dict[str, Any]:
    """A fact, a dict, marked as a fact of this run."""
    return dict(fact, **{STAMP: run_id()})


def is_of_this_run(fact: Any) -> bool:
    return isinstance(fact, dict) and fact.get(STAMP) == run_id()


def claimed_by(place: str, host: str) -> str:
    """Name of the first host of this run that claimed a place, a text that no other machine
    has."""
    path = os.path.join(
        C.DEFAULT_LOCAL_TMP, "swf-testbed-place-" + hashlib.sha256(place.encode()).hexdigest()[:16]
    )
    # a link is created with its content in one step: no other process can find it empty
    try:
        os.symlink(host, path)
    except FileExistsError:
        return os.readlink(path)
    return host
