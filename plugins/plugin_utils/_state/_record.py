# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The desired state of a host, as the last successful run recorded it on the controller.

One file for each host, which only this login can read: the inputs of that run, the states of the
instances on the host, and the arguments of the modules that the question asks.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible import constants as C

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import replacing
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._state.model import (
    ABSENT,
    InstanceState,
    Node,
    difference,
    differences,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._state._inputs import Digests

FORMAT = 1


@dataclass(frozen=True)
class Desired:
    """:ivar inputs: digests of the inputs of the run.
    :ivar python: the interpreter on the host that Ansible used.
    :ivar preflight: per instance, the arguments of its preflight check.
    :ivar info: the arguments of testbed_info.
    :ivar instances: the states, in the order of the question.
    :ivar stored: where the host has the program of the question, and its digest.
    """

    inputs: Digests
    python: str
    preflight: dict[str, dict[str, Any]]
    info: dict[str, Any]
    instances: dict[str, InstanceState]
    stored: dict[str, str] | None = None

    def request(self, key: str) -> dict[str, Any]:
        """The question without passwords of services."""
        return {
            "key": key,
            "info": self.info,
            "instances": [
                {"preflight": self.preflight[name], "desired": state.digest()}
                for name, state in self.instances.items()
            ],
        }

    def reasons(self, answer: Mapping[str, Any]) -> list[str]:
        """What differs from the desired state, and what a run would change or report."""
        found = list(answer["problems"])
        for name, state in answer["states"].items():
            present = InstanceState.from_dict(state)
            # the digests differ, whatever the lines can show
            found += list(differences(self.instances[name], present)) or ["%s differs" % name]
        return found

    def lines(self) -> Iterator[str]:
        """The desired state for people."""
        for name, state in self.instances.items():
            yield name + ":"
            yield from ("  " + line for line in state.lines())


def path_of(folder: str, instance: str, host: str) -> str:
    name = "%s@%s" % (instance, host)
    short = hashlib.sha256(name.encode()).hexdigest()[:8]
    return os.path.join(folder, "%s-%s.json" % (re.sub(r"[^A-Za-z0-9._@-]", "_", name)[:80], short))


def read(path: str) -> Desired | None:
    """The record; None if there is none that this version can read."""
    try:
        with open(path, encoding="utf-8") as stream:
            found = json.load(stream)
        if found.pop("format") != FORMAT:
            return None
        states = found.pop("instances")
        return Desired(
            instances={name: InstanceState.from_dict(state) for name, state in states.items()},
            **found,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write(path: str, desired: Desired) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    content = {
        "format": FORMAT,
        **vars(desired),
        "instances": {name: state.to_dict() for name, state in desired.instances.items()},
    }
    with replacing(path) as stream:
        json.dump(content, stream)


def forget(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def note(host: str, **about: Any) -> None:
    """Note something of a host in this run, for the record at its end."""
    path = _noted(host)
    found = noted(host)
    found.update(about)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with replacing(path) as stream:
        json.dump(found, stream, default=str)


def noted(host: str) -> dict[str, Any]:
    try:
        with open(_noted(host), encoding="utf-8") as stream:
            return json.load(stream)
    except FileNotFoundError:
        return {}


def note_preflight(host: str, arguments: Mapping[str, Any]) -> None:
    """Note how an instance was checked."""
    checked = noted(host).get("preflight") or {}
    note(host, preflight={**checked, str(arguments.get("instance")): dict(arguments)})


def _noted(host: str) -> str:
    return os.path.join(
        C.DEFAULT_LOCAL_TMP, "swf-testbed-noted", hashlib.sha256(host.encode()).hexdigest()[:16]
    )


def not_repaired(
    desired: Desired, at_start: Mapping[str, Any], at_end: Mapping[str, InstanceState]
) -> list[str]:
    """What differed from the desired state at the start of the run, and is the same at its end: the
    roles do not repair it, so it must not become the desired state.

    Only the directories of configuration and secrets: all in them belongs to the collection.

    :param at_start: the states that the question returned.
    """
    found = []
    for name, state in at_start.items():
        before, wanted = InstanceState.from_dict(state), desired.instances.get(name)
        after = at_end.get(name)
        if wanted is None or after is None:
            continue
        for path in sorted({*before.nodes, *wanted.nodes}):
            nodes = [other.nodes.get(path, Node(ABSENT)) for other in (wanted, before, after)]
            if (
                path.startswith(after.facts["layout"]["config_dir"] + "/")
                and nodes[0] != nodes[1]
                and nodes[1] == nodes[2]
            ):
                found.append("%s %s" % (path, difference(nodes[0], nodes[2])))
    return found
