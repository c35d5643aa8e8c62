# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells one run of Ansible from another: a fact may come from a cache, and then says nothing about this run."""

from __future__ import annotations

import os

from ansible import constants as C

STAMP = "run"


def run_id():
    """The name of Ansible's temporary directory: each run has one of its own, which all of its processes share."""
    return os.path.basename(C.DEFAULT_LOCAL_TMP)


def stamped(fact):
    """A fact, a dict, marked as one of this run."""
    return dict(fact, **{STAMP: run_id()})


def is_of_this_run(fact):
    return isinstance(fact, dict) and fact.get(STAMP) == run_id()
