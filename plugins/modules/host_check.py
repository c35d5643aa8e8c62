#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_check
short_description: Find the problems of a host of the testbed, before the first installation and
  after a crash
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Checks Python, disks, ports, paths, systemd, the clock, the services that the host must reach by
    name, TCP and TLS, its certificates, its package indexes, its units, and the instances of the
    testbed with their programs, all in one call.
  - Problems are findings in the result and not failures, including a host that is unreachable or
    has no Python. M(bnlnpps.swf_testbed.findings_report) prints the findings of all hosts and
    fails.
  - Changes nothing, on the host and on the controller - it does not generate secrets. Free ports
    are bound briefly to check that they are free.
  - Findings contain no secrets. The secrets in the host's files are removed from quoted logs.
options:
  max_clock_offset:
    description: Maximum difference between the clocks of host and controller, in seconds.
    type: float
    default: 5.0
  scope:
    description: V(user) for instances of the login, V(system) for those of the host.
    type: str
    choices: [user, system]
    default: user
  systemd:
    description: As O(bnlnpps.swf_testbed.preflight#module:systemd).
    type: str
    choices: [auto, never]
    default: auto
  python:
    description: Name or path of the Python for the virtual environments of the instances.
    type: str
    default: python3
  min_python:
    description: Oldest Python that the packages support.
    type: str
    default: "3.10"
  release_mb:
    description: Required free space on a host without a release, in MB.
    type: int
    default: 1000
  min_free_mb:
    description: Free space, in MB, below which there is a warning. Below a tenth of it the disk
      counts as full.
    type: int
    default: 500
  expiry_days:
    description: A certificate that expires within this number of days is a warning.
    type: int
    default: 30
  timeout:
    description: Seconds to wait for each connection.
    type: int
    default: 5
  instances:
    description: The instances of the testbed on this host.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the instance.
        type: str
        required: true
      part:
        description: Part of the testbed. Findings of other hosts name the missing parts.
        type: str
        required: true
      ports:
        description: TCP ports that it listens on, as O(bnlnpps.swf_testbed.preflight#module:ports).
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: What listens there.
            type: str
            required: true
          variable:
            description: Variable that sets the port.
            type: str
            required: true
          host:
            description: Address to listen on.
            type: str
            default: 127.0.0.1
          port:
            description: Port.
            type: int
            required: true
      summary_url:
        description: Address of the summary of a monitor that is on no host of the inventory.
        type: str
        default: ""
      health_url:
        description: URL of the monitor's health check, if the instance has a monitor.
        type: str
        default: ""
      probes:
        description: Its probes, as O(bnlnpps.swf_testbed.testbed_health#module:probes).
        type: list
        elements: dict
        default: []
      components:
        description: The programs of the stack, each with C(name) and C(role), and
          C(reads_env_file) as in a stack file.
        type: list
        elements: dict
        default: []
      certificate_names:
        description: Names and addresses that clients use, if the instance has its own certificate.
        type: list
        elements: str
        default: []
  services:
    description: The systemd services on this host.
    type: list
    elements: dict
    default: []
    suboptions:
      part:
        description: Part of the testbed.
        type: str
        required: true
      placed:
        description: A file that its role installs, which shows that it is installed. May contain
          one C(*).
        type: str
        required: true
      unit:
        description: Its unit. A C(*) stands for the text that the one of O(services[].placed)
          matches.
        type: str
        required: true
      listen:
        description: Addresses that it listens on.
        type: list
        elements: str
        default: []
      port:
        description: Port that it listens on.
        type: int
        required: true
      variable:
        description: Variable that sets the port.
        type: str
        required: true
      certificate:
        description: Its certificate, if it has one. A C(*) as in O(services[].unit).
        type: str
        default: ""
      key:
        description: The key of the certificate, likewise. It is compared with the certificate and
          never shown.
        type: str
        default: ""
      names:
        description: Names and addresses that clients use.
        type: list
        elements: str
        default: []
      state_dir:
        description: Directory that must have free space.
        type: path
        default: /var/lib
      secrets_dir:
        description: Directory of secret files.
        type: str
        default: ""
      broker:
        description: If it is a broker, how to read its queues, as
          O(bnlnpps.swf_testbed.broker_info#module:broker).
        type: dict
        default: {}
      platform:
        description: The family of distributions, with or without a release, for example V(RedHat) or
          V(RedHat 10). Of several items with one O(services[].part), only the one that fits best
          is checked. Empty for any platform.
        type: str
        default: ""
  indexes_of:
    description:
      - Name of the variable with the package indexes of this host, such as
        C(swf_testbed_pip_indexes). It is evaluated without generating secrets, and sets O(indexes)
        and O(index_cas).
    type: str
    default: ""
  indexes:
    default: []
  index_cas:
    description: CA certificates in PEM, by the name of the index. They are used if none are
      installed on the host.
    type: dict
    default: {}
  packages:
    description: Packages to look up on the indexes.
    type: list
    elements: str
    default: []
  access_instance:
    description: Name of the instance whose credentials for the indexes are used, if it is
      installed.
    type: str
    default: ""
  provided_index:
    description: URL of the index that is part of this testbed.
    type: str
    default: ""
extends_documentation_fragment:
  - bnlnpps.swf_testbed.package_indexes
  - bnlnpps.swf_testbed.reach
  - bnlnpps.swf_testbed.read_only
attributes:
  action:
    support: full
    description: Has a corresponding action plugin.
seealso:
  - module: bnlnpps.swf_testbed.findings_report
  - module: bnlnpps.swf_testbed.preflight
  - module: bnlnpps.swf_testbed.pip_index_info
"""

EXAMPLES = r"""
- name: Check that this host reaches a broker over TLS
  bnlnpps.swf_testbed.host_check:
    reach:
      - name: broker
        host: broker.example.org
        port: 61613
        tls: "on"
        variable: swf_testbed_broker_host
  register: host_check

- name: Report the findings of all hosts
  bnlnpps.swf_testbed.findings_report:
    variable: host_check
    hosts: "{{ ansible_play_hosts_all }}"
  run_once: true
"""

RETURN = r"""
findings:
  description: The problems, the fatal ones first.
  returned: always
  type: list
  elements: dict
  contains:
    check:
      description: The check that found it.
      type: str
      sample: certificate
    severity:
      description: V(fatal) if something does not work or prevents an installation, V(warning) if it
        soon will.
      type: str
      sample: warning
    cause:
      description: Cause of the problem.
      type: str
      sample: the certificate of the broker at 192.0.2.11:61613 expires in 12 days
    evidence:
      description: Evidence of the problem. May be empty.
      type: str
      sample: it ends on 2026-12-04 10:00 UTC
    fix:
      description: The fix, usually a command.
      type: str
      sample: "Run: ansible-playbook site.yml"
    provider:
      description: The part of the testbed that should have answered, if nothing listened; otherwise
        null.
      type: str
      sample: null
installed:
  description: For each part of the testbed on this host, whether it is installed. Empty if the host
    did not answer.
  returned: always
  type: dict
  sample: {testbed: true}
health_checked:
  description: Whether the health page of the monitor or a probe was checked.
  returned: when the host answered
  type: bool
  sample: true
reached:
  description: Whether the host answered.
  returned: always
  type: bool
  sample: true
clock:
  description: Start of the checks by the host's own clock, in seconds since 1970, and their
    duration in seconds.
  returned: when the host answered
  type: dict
  sample: {began: 1780000000.5, took: 1.25}
"""

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import find_uv
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import FATAL
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor import (
    indexes as doctor_indexes,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor import (
    instance,
    service,
    used,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.clock import (
    unsynchronised,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.secrets import (
    scrubber,
    without_secrets,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import ports, systemd
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.distribution import (
    distribution,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.instance_name import (
    InstanceNameError,
    instance_name,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import (
    environment_of_login,
    layout,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.mounts import (
    mount_problems,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.python import (
    choose_python,
    python_problem,
    release_of,
    venv_problem,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.systemd_checks import (
    linger_problem,
    system_problems,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    ARGUMENTS,
)

TEXT = {"type": "str", "default": ""}
TEXTS = {"type": "list", "elements": "str", "default": []}
DICTS = {"type": "list", "elements": "dict", "default": []}
NAME = {"type": "str", "required": True}
PORT = {"type": "int", "required": True}
INSTANCE = {
    "name": NAME,
    "part": NAME,
    "health_url": TEXT,
    "summary_url": TEXT,
    "probes": DICTS,
    "components": DICTS,
    "certificate_names": TEXTS,
    "ports": ports.OPTION,
}
SERVICE = {
    "part": NAME,
    "placed": NAME,
    "unit": NAME,
    "listen": TEXTS,
    "port": PORT,
    "variable": NAME,
    "certificate": TEXT,
    "key": dict(TEXT, no_log=False),
    "names": TEXTS,
    "state_dir": {"type": "path", "default": "/var/lib"},
    "secrets_dir": dict(TEXT, no_log=False),
    "broker": {"type": "dict", "default": {}},
    "platform": TEXT,
}


def listed(options: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "list", "elements": "dict", "default": [], "options": options}


def python_of(options: Mapping[str, Any]) -> tuple[str | None, list[dict[str, Any] | None]]:
    """(version of the Python for releases, or None; findings)"""
    found = choose_python(options["python"], options["min_python"])
    problems = [
        python_problem(options["python"], options["min_python"], found, release_of()),
        venv_problem(found, find_uv()),
    ]
    return found["version"] if found else None, problems


def systemd_of(options: Mapping[str, Any], version: int | None) -> Sequence[dict[str, Any] | None]:
    """Findings on systemd: required in system scope, optional in user scope."""
    if options["scope"] == "system":
        return system_problems(version)
    return [linger_problem(version, systemd.lingers())] if options["systemd"] == "auto" else []


def indexes_of(
    options: Mapping[str, Any], cas: Mapping[str, str], folder: str, python: str | None
) -> list[dict[str, Any]]:
    """Findings on the package indexes. ``cas`` has the CAs that are not yet installed on the
    host."""
    indexes = []
    for index in options["indexes"]:
        path = None
        if cas.get(index["name"]):
            path = os.path.join(folder, index["name"] + ".pem")
            with open(path, "w", encoding="ascii", errors="replace") as stream:
                stream.write(cas[index["name"]])
        indexes.append(dict(index, ca_cert=path))
    access, name = None, options["access_instance"]
    if name:
        access = layout(name, options["scope"], environment_of_login())["access_dir"]
    return doctor_indexes.examine(indexes, options["packages"], access, python, options)


def on_mounts(options: dict[str, Any]) -> tuple[dict[str, bool], list[dict[str, Any]]]:
    """Findings for the file systems of the instances. An instance with one that does not answer is
    not examined further: every look at it would block.

    :returns: ({part: True} of the instances that are left out, findings)
    """
    found, answering_ones, left_out = [], [], {}
    for item in options["instances"]:
        problems, answering = mount_problems(
            layout(item["name"], options["scope"], environment_of_login())
        )
        found += problems
        if answering:
            answering_ones.append(item)
        else:
            left_out[item["part"]] = True
    options["instances"] = answering_ones
    return left_out, found


def of_platform(
    items: Sequence[Mapping[str, Any]], found: Mapping[str, str]
) -> list[Mapping[str, Any]]:
    """Of each part, the item for the platform of this host: for its release, or else its family."""
    names = ["", found["family"], "%(family)s %(release)s" % found]
    fitting = [item for item in items if item["platform"] in names]
    best = {
        item["part"]: item for item in sorted(fitting, key=lambda i: names.index(i["platform"]))
    }
    return list(best.values())


def examine(
    options: Mapping[str, Any], folder: str
) -> tuple[dict[str, bool], bool, list[dict[str, Any]]]:
    """(installed, health checked, findings) of this host."""
    version, python = systemd.version(), None
    installed: dict[str, bool] = {}
    checked = False
    found: list[dict[str, Any] | None] = []
    if options["instances"]:
        python, found = python_of(options)
    if options["instances"] or options["services"]:
        found += systemd_of(options, version)
    found.append(unsynchronised())
    for item in options["instances"]:
        places = layout(item["name"], options["scope"], environment_of_login())
        installed[item["part"]], asked, more = instance.examine(item, places, options)
        checked = checked or asked
        found += more
    for item in of_platform(options["services"], distribution()):
        installed[item["part"]], more = service.examine(item, options, version)
        found += more
    if options["indexes"]:
        found += indexes_of(options, options["index_cas"], folder, python)
    found += used.examine(
        options["reach"], options["timeout"], options["expiry_days"], options["max_clock_offset"]
    )
    return installed, checked, [item for item in found if item]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "max_clock_offset": {"type": "float", "default": 5.0},
            "scope": {"type": "str", "choices": ["user", "system"], "default": "user"},
            "systemd": {"type": "str", "choices": ["auto", "never"], "default": "auto"},
            "python": {"type": "str", "default": "python3"},
            "min_python": {"type": "str", "default": "3.10"},
            "release_mb": {"type": "int", "default": 1000},
            "min_free_mb": {"type": "int", "default": 500},
            "expiry_days": {"type": "int", "default": 30},
            "timeout": {"type": "int", "default": 5},
            "instances": listed(INSTANCE),
            "services": listed(SERVICE),
            "reach": used.OPTION,
            "indexes_of": TEXT,
            "packages": TEXTS,
            "access_instance": TEXT,
            "provided_index": TEXT,
            "indexes": listed(ARGUMENTS),
            "index_cas": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    options = module.params
    try:
        for name in [item["name"] for item in options["instances"]] + list(
            filter(None, [options["access_instance"]])
        ):
            instance_name(name)
    except InstanceNameError as error:
        module.fail_json(msg=str(error))
    began, started = time.time(), time.monotonic()
    left_out, found_mounts = on_mounts(options)
    with tempfile.TemporaryDirectory() as folder:
        installed, checked, found = examine(options, folder)
    installed.update(left_out)
    found += found_mounts
    places = [
        layout(item["name"], options["scope"], environment_of_login())
        for item in options["instances"]
    ]
    folders = [item[name] for item in places for name in ("secrets_dir", "access_dir")]
    folders += [item["secrets_dir"] for item in options["services"] if item["secrets_dir"]]
    held = [index["token"] for index in options["indexes"]]
    held += [item["password"] for item in options["reach"]]
    scrub = scrubber(folders, list(filter(None, held)))
    found = without_secrets(found, scrub)
    found.sort(key=lambda item: item["severity"] != FATAL)
    module.exit_json(
        changed=False,
        findings=found,
        installed=installed,
        health_checked=checked,
        reached=True,
        clock={"began": began, "took": time.monotonic() - started},
    )


if __name__ == "__main__":
    main()
