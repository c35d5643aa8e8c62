#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_check
short_description: Find everything that is wrong with a host of the testbed, before the first
  installation and after a crash
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Looks at Python, disks, ports, paths, systemd, the clock, what the host must reach by name, TCP
    and TLS, the certificates that lie on it, its package indexes, its units, and the instances of
    the testbed with their programs. All in one call.
  - What is wrong is returned and is no failure. Neither is a host that cannot be reached, or has no
    Python - that is a finding like the others. M(bnlnpps.swf_testbed.findings_report) prints the
    findings of all hosts and fails.
  - Changes nothing, on the host and on the controller - a secret that is generated at the first use
    is not made for this. The free ports are bound for a moment to see that they are free.
  - No secret is in a finding. The ends of logs are searched for what is in the host's own files of
    secrets.
options:
  max_clock_offset:
    description: Seconds that the clocks of host and controller may differ.
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
    description: Name or path of the Python that the instances' environments are built with.
    type: str
    default: python3
  min_python:
    description: Oldest Python that the packages run on.
    type: str
    default: "3.10"
  release_mb:
    description: Free space, in MB, that a host without a release must have.
    type: int
    default: 1000
  min_free_mb:
    description: Free space, in MB, below which there is a warning. With less than a tenth of it the
      disk counts as full.
    type: int
    default: 500
  expiry_days:
    description: Days before its end from which on a certificate is warned of.
    type: int
    default: 30
  timeout:
    description: Seconds to wait for each connection.
    type: int
    default: 5
  instances:
    description: The instances of the testbed that belong on this host.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the instance.
        type: str
        required: true
      part:
        description: What of the testbed it is. Findings of other hosts name the parts that they
          miss.
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
      health_url:
        description: Address of the monitor's health page, if the instance has a monitor.
        type: str
        default: ""
      certificate_names:
        description: Names and addresses that clients call, if the instance has a certificate of its
          own.
        type: list
        elements: str
        default: []
  services:
    description: The systemd services that belong on this host.
    type: list
    elements: dict
    default: []
    suboptions:
      part:
        description: What of the testbed it is.
        type: str
        required: true
      placed:
        description: A file that its role places, by which it is known to be installed. May have one
          C(*).
        type: str
        required: true
      unit:
        description: Its unit. A C(*) stands for the text that stands for that of
          O(services[].placed).
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
        description: Its certificate, where it has one. A C(*) as in O(services[].unit).
        type: str
        default: ""
      key:
        description: The key of the certificate, likewise. It is compared with the certificate and
          never shown.
        type: str
        default: ""
      names:
        description: Names and addresses that clients call.
        type: list
        elements: str
        default: []
      state_dir:
        description: Directory that must have room.
        type: path
        default: /var/lib
      secrets_dir:
        description: Directory of files whose contents must not be shown.
        type: str
        default: ""
  reach:
    description: The services that this host must reach.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What it is, for the message.
        type: str
        required: true
      host:
        description: Name or address, or the directory of PostgreSQL's socket.
        type: str
        required: true
      port:
        description: Port.
        type: int
        required: true
      needed:
        description: Whether this host needs it. Lets one list serve for all hosts.
        type: bool
        default: true
      tls:
        description: Whether TLS is spoken, and whether it begins as PostgreSQL's does.
        type: str
        choices: ["off", "on", postgresql]
        default: "off"
      ca:
        description: Certificates of the CAs to trust, in PEM. Empty for those that the host trusts.
        type: str
        default: ""
      variable:
        description: Variable that sets the address.
        type: str
        required: true
      provider:
        description: Part of this testbed that it is; empty for a service of somebody else.
        type: str
        default: ""
  indexes_of:
    description:
      - Name of the variable with the package indexes that this host installs from, as
        C(swf_testbed_pip_indexes). It is worked out without making secrets, and O(indexes) and
        O(index_cas) become what comes of it.
    type: str
    default: ""
  indexes:
    default: []
  index_cas:
    description: Certificates of CAs in PEM, by the name of the index. They count where none are
      placed on the host.
    type: dict
    default: {}
  packages:
    description: Packages to ask the indexes for.
    type: list
    elements: str
    default: []
  access_instance:
    description: Name of the instance whose access to the indexes is used, where it is installed.
    type: str
    default: ""
  provided_index:
    description: Address of the index that is part of this testbed.
    type: str
    default: ""
extends_documentation_fragment:
  - bnlnpps.swf_testbed.package_indexes
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
- name: See whether this host reaches a broker over TLS, and has room
  bnlnpps.swf_testbed.host_check:
    reach:
      - name: broker
        host: broker.example.org
        port: 61613
        tls: "on"
        variable: swf_testbed_broker_host
  register: host_check

- name: Show what is wrong with any host
  bnlnpps.swf_testbed.findings_report:
    variable: host_check
    hosts: "{{ ansible_play_hosts_all }}"
  run_once: true
"""

RETURN = r"""
findings:
  description: What is wrong, the fatal findings first.
  returned: always
  type: list
  elements: dict
  contains:
    check:
      description: What was looked at.
      type: str
      sample: certificate
    severity:
      description: V(fatal) for what does not work or keeps an installation from working, V(warning)
        for what will.
      type: str
      sample: warning
    cause:
      description: What is wrong.
      type: str
      sample: the certificate of the broker at 192.0.2.11:61613 expires in 12 days
    evidence:
      description: How that is known. May be empty.
      type: str
      sample: it ends on 2026-12-04 10:00 UTC
    fix:
      description: What mends it, most often a command.
      type: str
      sample: "Run: ansible-playbook site.yml"
    provider:
      description: The part of the testbed that should have answered, where nothing listened;
        otherwise null.
      type: str
      sample: null
installed:
  description: For each part of the testbed that belongs on this host, whether it is installed.
    Empty where it did not answer.
  returned: always
  type: dict
  sample: {testbed: true}
reached:
  description: Whether the host answered.
  returned: always
  type: bool
  sample: true
clock:
  description: When the host began (its own clock, seconds since 1970), and for how many seconds it
    looked.
  returned: when the host answered
  type: dict
  sample: {began: 1780000000.5, took: 1.25}
"""

import os
import tempfile
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import find_uv
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import FATAL
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor import (
    indexes as doctor_indexes,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor import instance, service
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.clock import (
    unsynchronised,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.reach import reach
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.secrets import (
    scrubber,
    without_secrets,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import systemd
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.instance_name import (
    InstanceNameError,
    instance_name,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import (
    environment_of_login,
    layout,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.python import (
    find_python,
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
NAME = {"type": "str", "required": True}
PORT = {"type": "int", "required": True}
INSTANCE = {
    "name": NAME,
    "part": NAME,
    "health_url": TEXT,
    "certificate_names": TEXTS,
    "ports": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": NAME,
            "variable": NAME,
            "host": {"type": "str", "default": "127.0.0.1"},
            "port": PORT,
        },
    },
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
}
REACH = {
    "name": NAME,
    "needed": {"type": "bool", "default": True},
    "host": NAME,
    "port": PORT,
    "tls": {"type": "str", "choices": ["off", "on", "postgresql"], "default": "off"},
    "ca": TEXT,
    "variable": NAME,
    "provider": TEXT,
}


def listed(options):
    return {"type": "list", "elements": "dict", "default": [], "options": options}


def python_of(options):
    """(version of the Python that releases are built with, or None; findings)"""
    found = find_python(options["python"])
    problems = [
        python_problem(options["python"], options["min_python"], found, release_of()),
        venv_problem(found, find_uv()),
    ]
    return found["version"] if found else None, problems


def systemd_of(options, version):
    """Findings on systemd: in system scope it is needed, in user scope it is of use."""
    if options["scope"] == "system":
        return system_problems(version)
    return [linger_problem(version, systemd.lingers())] if options["systemd"] == "auto" else []


def indexes_of(options, cas, folder, python):
    """Findings on the package indexes. The CAs that are not placed on the host yet come along with
    the question."""
    indexes = []
    for index in options["indexes"]:
        path = None
        if cas.get(index["name"]):
            path = os.path.join(folder, index["name"] + ".pem")
            with open(path, "w", encoding="ascii", errors="replace") as stream:
                stream.write(cas[index["name"]])
        indexes.append(dict(index, ca_cert=path))
    access = (
        layout(options["access_instance"], options["scope"], environment_of_login())["access_dir"]
        if (options["access_instance"])
        else None
    )
    return doctor_indexes.examine(indexes, options["packages"], access, python, options)


def examine(options, folder):
    """(installed, findings) of this host."""
    version, found, installed, python = systemd.version(), [], {}, None
    if options["instances"]:
        python, found = python_of(options)
    if options["instances"] or options["services"]:
        found += systemd_of(options, version)
    found.append(unsynchronised())
    for item in options["instances"]:
        places = layout(item["name"], options["scope"], environment_of_login())
        installed[item["part"]], more = instance.examine(item, places, options)
        found += more
    for item in options["services"]:
        installed[item["part"]], more = service.examine(item, options, version)
        found += more
    if options["indexes"]:
        found += indexes_of(options, options["index_cas"], folder, python)
    for item in filter(lambda item: item["needed"], options["reach"]):
        found += reach(item, options["timeout"], options["expiry_days"])
    return installed, [item for item in found if item]


def main():
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
            "reach": listed(REACH),
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
    with tempfile.TemporaryDirectory() as folder:
        installed, found = examine(options, folder)
    places = [
        layout(item["name"], options["scope"], environment_of_login())
        for item in options["instances"]
    ]
    folders = [item[name] for item in places for name in ("secrets_dir", "access_dir")]
    folders += [item["secrets_dir"] for item in options["services"] if item["secrets_dir"]]
    scrub = scrubber(folders, [index["token"] for index in options["indexes"] if index["token"]])
    found = without_secrets(found, scrub)
    found.sort(key=lambda item: item["severity"] != FATAL)
    module.exit_json(
        changed=False,
        findings=found,
        installed=installed,
        reached=True,
        clock={"began": began, "took": time.monotonic() - started},
    )


if __name__ == "__main__":
    main()
