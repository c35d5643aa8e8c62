# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The question for the state of a host: whether a run would find anything to do, or to report.

It asks the modules that a run calls, in check mode, and compares the present state of the instances
with the desired one. It changes nothing, and takes no lease.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import lease
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest.listing import (
    ManifestError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._state.observed import Observer
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._state.stand_in import call

# the modules of the question, which are sent with it
MODULES = ("preflight", "supervisor_daemon", "supervisor_program", "testbed_info")


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer for the controller.

    :param request: ``key`` of the digests; ``instances``, each with its ``preflight`` (arguments of
        that module) and the digest of its ``desired`` state, or None; ``info``, the arguments of
        testbed_info.
    :returns: ``problems``, what a run would change or report; ``states`` of the instances that
        differ from the desired ones; ``places``, see preflight; ``info``, the result of
        testbed_info; ``warnings``; ``folder``, a directory for the program of the question.
    """
    found: dict[str, Any] = {"problems": [], "states": {}, "places": [], "warnings": []}
    holder = held_by_another()
    if holder:
        found["problems"].append(holder)
    for instance in request["instances"]:
        look_at(instance, request["key"], found)
    if not found["problems"]:
        info = call("testbed_info", request["info"])
        found["info"] = info
        found["problems"] += [info["msg"]] if info.get("failed") else problems_of(info)
        found["warnings"] += info.pop("warnings", [])
    return found


def held_by_another() -> str | None:
    """Why another run excludes this one, or None."""
    mine = lease.read_from_environment()
    if not mine:
        return None
    holder, age = lease.found_at(lease.path_of(mine))
    if holder and holder["owner"] != mine["owner"] and age < lease.SECONDS:
        return "another run holds this host: %(login)s on %(controller)s" % holder
    return None


def look_at(instance: Mapping[str, Any], key: str, found: dict[str, Any]) -> None:
    """Add the answer for one instance."""
    # the records of the secrets are among the observed files
    checked = call("preflight", dict(instance["preflight"], secrets=False))
    found["warnings"] += checked.get("warnings", [])
    if checked.get("failed"):
        found["problems"].append(checked["msg"])
        return
    (places,) = (
        fact
        for name, fact in checked["ansible_facts"].items()
        if name.startswith("swf_testbed_layout_")
    )
    found["places"].append(checked.get("place"))
    found["folder"] = places["run_dir"]
    try:
        state = Observer(places, key).state({"layout": places, "python": checked.get("python")})
    except (ManifestError, OSError) as error:
        found["problems"].append(str(error))
        return
    if state.digest() != instance["desired"]:
        found["states"][places["instance"]] = state.to_dict()
    config = {"config": places["supervisord_conf"]}
    daemon = call("supervisor_daemon", config)
    if daemon.get("failed"):
        found["problems"].append(daemon["msg"])
    elif daemon["changed"]:
        found["problems"].append(
            "supervisord of %s must be started or restarted: it is %s"
            % (
                places["instance"],
                daemon.get("diff", {}).get("before", "not configured").strip(),
            )
        )
    else:
        programs = call("supervisor_program", dict(config, state="applied", log_tail=0))
        if programs.get("failed"):
            found["problems"].append(programs["msg"])
        elif programs["changed"]:
            found["problems"].append(
                "programs of %s differ from its configuration: %s"
                % (places["instance"], actions_of(programs))
            )


def actions_of(programs: Mapping[str, Any]) -> str:
    actions = ["%s: %s" % pair for pair in sorted((programs.get("actions") or {}).items())]
    return ", ".join(actions) or "groups were added, changed or removed"


def problems_of(info: Mapping[str, Any]) -> list[str]:
    return [
        "%s: %s" % (instance["name"], line)
        for instance in info["instances"]
        for line in instance["problems"]
    ]
