#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Return the paths of an instance of the testbed, and check that the host can run
  it
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Returns the directories of the instance (in user scope below the XDG base directories of the
    login) as a fact.
  - Checks everything that could make a later step fail - Python, the C(venv) module, disk space,
    ports, the length of the socket's path, directories that cannot be written, whose file system does
    not answer, or whose databases, sockets and locks would be on a network file system, the limit of open
    files, accounts, in system scope root and systemd - and reports all problems at once, each with
    its fix.
  - Checks the external services with the credentials of the programs, from this host - address, TLS,
    login, rights, version, clock, the number of connections, and how a broker handles messages.
  - Warns of GitHub Packages, which has no registry for Python packages, in the C(pip.conf) and
    C(.pypirc) of the login and of the host. The role P(bnlnpps.swf_testbed.pip_index#role) removes
    it with O(bnlnpps.swf_testbed.pip_index#role:main:swf_testbed_pip_index_remove_github=true).
  - Changes nothing except the lease - if there is no problem, a play with the lookup
    P(bnlnpps.swf_testbed.lease#lookup) holds the host from this call on.
options:
  instance:
    description: Name of the instance.
    type: str
    default: swf-testbed
  scope:
    description: V(user) for an instance of the login, V(system) for one of the host.
    type: str
    choices: [user, system]
    default: user
  python:
    description: Name or path of the Python for the virtual environments of the instance. For
      V(python3), C(python3.10) and newer ones on the path also count if that one is too old.
    type: str
    default: python3
  min_python:
    description: Oldest Python that the packages support.
    type: str
    default: "3.10"
  min_sqlite:
    description: Oldest SQLite of O(python) that the packages support. Empty disables the check.
    type: str
    default: ""
  ports:
    description:
      - TCP ports that the instance will listen on. A port that a process of this instance holds
        already is fine.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What listens there, for the message.
        type: str
        required: true
      variable:
        description: Variable that sets the port, for the message.
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
  min_free_mb:
    description: Required free space for the releases, in MB. V(0) disables the check.
    type: int
    default: 0
  postgresql:
    description: Oldest version of the PostgreSQL that the instance runs for itself. Without it, the
      instance runs none. A fatal problem is reported if this is root, if no installed server can be
      used, or if none can read the existing database.
    type: str
  redis:
    description: Whether the instance runs Redis for itself.
    type: bool
    default: false
  pg_dump:
    description: Whether this host backs up a database of another host with C(pg_dump). A fatal problem
      is reported if it is not installed.
    type: bool
    default: false
  user:
    description: The unprivileged user that runs the programs, in system scope.
    type: str
    default: swf-testbed
  operators:
    description: The group with access to supervisord's socket and the logs, in system scope.
    type: str
    default: swf-operators
  systemd:
    description:
      - V(auto) lets systemd run supervisord in system scope, and in user scope if lingering is
        enabled for the login (C(loginctl enable-linger)).
      - V(never) runs supervisord as a daemon without systemd, in user scope.
    type: str
    choices: [auto, never]
    default: auto
  checks:
    description: Whether to run the checks. V(false) only returns the fact, for playbooks that stop
      or remove an instance.
    type: bool
    default: true
  secrets:
    description:
      - Whether to fail if the controller does not have the secrets of this host, or has an older
        version of the collection than the one that provisioned it. The default is the value of
        O(checks).
      - C(swf_testbed_replace_secrets) and C(swf_testbed_allow_older_collection) override this.
    type: bool
  called:
    description:
      - Ports of this host that other hosts call. A fatal problem is reported if firewalld or ufw is
        active and closes one of them. Reported also with O(checks=false).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The service, for the message.
        type: str
        required: true
      port:
        description: Port.
        type: int
        required: true
  timeout:
    description: Seconds to wait for each connection to a service.
    type: int
    default: 5
  max_clock_offset:
    description: Difference in seconds of the clocks of the services above which there is a warning.
    type: float
    default: 5.0
  services:
    description: Services of this host whose secrets are also checked. Set by the action, from the
      groups of the host. Not for use in a playbook.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - bnlnpps.swf_testbed.reach
  - bnlnpps.swf_testbed.read_only
attributes:
  facts:
    support: full
    description: Returns the layout as a fact.
"""

EXAMPLES = r"""
- name: Check that this host can run a testbed
  bnlnpps.swf_testbed.preflight:
    ports:
      - name: the monitor
        variable: swf_testbed_monitor_port
        port: 8002
"""

RETURN = r"""
ansible_facts:
  description: The layout of the instance.
  returned: always
  type: dict
  contains:
    swf_testbed_layout_swf_testbed:
      description:
        - Directories of the instance. The name of the fact ends with the name of the instance, with
          C(_) for C(-).
        - RV(ignore:run) identifies the run of Ansible that asked the host
          (P(bnlnpps.swf_testbed.of_this_run#test)).
      type: dict
      sample:
        config_dir: /home/me/.config/swf-testbed
        postgresql: /usr/lib/postgresql/15/bin
        python: /usr/bin/python3.11
        redis: ""
        run: ansible-local-4711k2v9x0wd
        root: /home/me/.local/share/swf-testbed
        scope: user
        state_dir: /home/me/.local/state/swf-testbed
    swf_testbed_distribution:
      description:
        - The distribution of the host - the family, as in Ansible's fact C(os_family), empty if no
          role has data for it; the first number of the version; and the identifier.
        - RV(ignore:run) as above.
      type: dict
      sample: {family: RedHat, release: "9", id: almalinux, run: ansible-local-4711k2v9x0wd}
problems:
  description: The problems, each as one text with cause, evidence and fix.
  returned: always
  type: list
  elements: str
  sample: []
python:
  description: The Python that was found, with its real path.
  returned: when O(checks=true) and one was found
  type: dict
  sample:
    path: /usr/bin/python3.11
    version: 3.11.2
place:
  description:
    - A text that distinguishes the directory of the releases from those of all other machines,
      containers and logins. If two hosts of a run have the same one, the second fails, because both
      names belong to one machine.
  returned: when O(checks=true)
  type: str
  sample: node1 0f7a6a5e-6e43-4f4e-9a41-2b1c9f0f3c11 2049 393217 swf-testbed
"""

import contextlib
import grp
import os
import platform
import pwd
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import find_uv
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    FATAL,
    Finding,
    finding,
    message,
    numbered,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor import used
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import (
    firewall,
    ports,
    systemd,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.accounts import (
    local_groups,
    shared_user_problem,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.distribution import (
    distribution,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.instance_name import (
    InstanceNameError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import (
    environment_of_login,
    layout,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.limits import (
    account_problem,
    limit_problem,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.mounts import (
    mount_problems,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.places import (
    place_problems,
    space_problem,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.private_services import (
    check_pg_dump,
    choose_postgresql,
    choose_redis,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.python import (
    choose_python,
    python_problem,
    release_of,
    sqlite_problem,
    venv_problem,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.systemd_checks import (
    system_problems,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.github_packages import (
    found_in,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.monitor_database import (
    database_of,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.namespace import (
    namespace_of,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest import provenance
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest.found import (
    others_on_host,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest.listing import entry
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.running import (
    programs_of,
)

NOT_READY = "this host is not ready, and nothing was changed:\n"


def add_systemd(options: Mapping[str, Any], places: dict[str, Any]) -> None:
    """Add the data on systemd and the accounts that the roles need to the layout."""
    version = systemd.version()
    system = options["scope"] == "system"
    managed = system or (options["systemd"] == "auto" and systemd.lingers())
    groups = local_groups(options["user"]) if system else []
    credentials = system and (version or 0) >= systemd.CREDENTIALS_SINCE
    places.update(
        systemd=version or 0,
        managed=managed,
        credentials=credentials,
        user=options["user"] if system else "",
        operators=options["operators"] if system else "",
        # USER and HOME of the programs
        login=options["user"] if system else pwd.getpwuid(os.getuid()).pw_name,
        home=places["state_dir"] if system else environment_of_login()["HOME"],
        accounts_missing=system
        and (
            options["operators"] in groups
            or not (
                exists(pwd.getpwnam, options["user"]) and exists(grp.getgrnam, options["operators"])
            )
        ),
        # groups of the runtime user. It must not be an operator: the operators' group may use the
        # sockets of all instances
        user_groups=[name for name in groups if name != options["operators"]],
        # the directory in which the programs read the files of secrets_dir
        readable_secrets_dir="/run/credentials/" + places["unit"]
        if credentials
        else places["secrets_dir"],
        pip_settings_made=os.path.exists(places["pip_config"]),
    )
    # the roles pass it to the modules that create files; these add entries
    places["manifest"] = {
        "instance": places["instance"],
        "scope": places["scope"],
        "entries": account_entries(options, places),
    }


def private_programs(options: Mapping[str, Any], places: dict[str, Any]) -> list[Finding | None]:
    """Add the programs of the services that the instance runs for itself to the layout; return the
    problems with them, and with the client of a database."""
    database: tuple[str, Finding | None] = ("", None)
    cache: tuple[str, Finding | None] = ("", None)
    if options["postgresql"]:
        cluster = os.path.join(places["state_dir"], "postgresql")
        database = choose_postgresql(options["postgresql"], cluster)
    if options["redis"]:
        cache = choose_redis()
    places.update(postgresql=database[0], redis=cache[0])
    return [database[1], cache[1], check_pg_dump() if options["pg_dump"] else None]


def account_entries(options: Mapping[str, Any], places: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Entries of the accounts that the roles will create, or created for another instance of this
    host. They are removed with the data, because the remaining files belong to them.
    """
    if options["scope"] != "system":
        return []
    shared = {
        (item.get("kind"), item.get("name"))
        for other in others_on_host(places).values()
        for item in other["entries"]
        if isinstance(item, dict)
    }
    wanted = [
        ("account", options["user"], pwd.getpwnam),
        ("group", options["user"], grp.getgrnam),
        ("group", options["operators"], grp.getgrnam),
    ]
    return [
        entry(entry_type, name, "data", role="preflight")
        for entry_type, name, look_up in wanted
        if (entry_type, name) in shared or not exists(look_up, name)
    ]


def place_of(path: str) -> str:
    """A text that distinguishes a directory, which may not exist yet, from those of all other
    machines, containers and logins."""
    boot = "unknown"
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    there = next(parent for parent in [Path(path), *Path(path).parents] if os.path.exists(parent))
    status = there.stat()
    # the name distinguishes virtual machines that were cloned while they ran
    rest = os.path.relpath(path, there)
    return "%s %s %d %d %s" % (platform.node(), boot, status.st_dev, status.st_ino, rest)


def records_of(module: AnsibleModule, places: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The host's records of the origin of its secrets."""
    try:
        return provenance.all_of(places["config_dir"], module.params["services"])
    except PermissionError:
        # system scope, and not root: other checks report this
        return []
    except (OSError, ValueError) as error:
        return module.fail_json(
            msg="the record of this host's secrets cannot be read, and nothing was changed. "
            "Evidence: %s. Fix: look at that file, and move it away" % error
        )


def platform_problem(services: list[str], found: Mapping[str, str]) -> Finding | None:
    """The finding for a host of services whose distribution the roles have no data for."""
    if not services or found["family"]:
        return None
    return finding(
        "platform",
        "the roles of the services do not support the distribution of this host",
        "it is in the groups %s, and os-release(5) says ID=%s"
        % (", ".join(services), found["id"] or "nothing"),
        "Remove the host from these groups, and use services of other hosts or of others: "
        "docs/how-to/existing_services.md",
    )


def exists(look_up: Callable[[str], Any], name: str) -> bool:
    try:
        return bool(look_up(name))
    except KeyError:
        return False


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "instance": {"type": "str", "default": "swf-testbed"},
            "scope": {"type": "str", "choices": ["user", "system"], "default": "user"},
            "python": {"type": "str", "default": "python3"},
            "min_python": {"type": "str", "default": "3.10"},
            "min_sqlite": {"type": "str", "default": ""},
            "ports": ports.OPTION,
            "min_free_mb": {"type": "int", "default": 0},
            "postgresql": {"type": "str"},
            "redis": {"type": "bool", "default": False},
            "pg_dump": {"type": "bool", "default": False},
            "user": {"type": "str", "default": "swf-testbed"},
            "operators": {"type": "str", "default": "swf-operators"},
            "systemd": {"type": "str", "choices": ["auto", "never"], "default": "auto"},
            "checks": {"type": "bool", "default": True},
            "secrets": {"type": "bool"},
            "services": {"type": "list", "elements": "str", "default": []},
            "called": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "port": {"type": "int", "required": True},
                },
            },
            "reach": used.OPTION,
            "timeout": {"type": "int", "default": 5},
            "max_clock_offset": {"type": "float", "default": 5.0},
        },
        supports_check_mode=True,
    )
    options = module.params
    try:
        places = layout(options["instance"], options["scope"], environment_of_login())
    except InstanceNameError as error:
        module.fail_json(msg=str(error))
    # first: the following checks read these directories
    problems_of_mounts, answering = mount_problems(places)
    if not answering:
        texts = [message(item) for item in problems_of_mounts if item["severity"] == FATAL]
        module.fail_json(msg=NOT_READY + numbered(texts), problems=texts)
    add_systemd(options, places)
    places["python"] = options["python"]
    places.update(database_of(places["supervisord_conf"]))
    places.update(namespace_of(places["supervisord_conf"]), hostname=socket.gethostname())
    services = private_programs(options, places)
    fact = "swf_testbed_layout_" + options["instance"].replace("-", "_")
    facts = {fact: places, "swf_testbed_distribution": distribution()}
    result: dict[str, Any] = {"changed": False, "ansible_facts": facts, "problems": []}
    if options["secrets"] is None:
        options["secrets"] = options["checks"]
    if options["secrets"]:
        # for the action, which removes it from the result: the key of the digests is confidential
        result["records"] = records_of(module, places)
    of_services = [
        firewall.problem(options["called"]),
        platform_problem(
            options["services"] if options["secrets"] else [], facts["swf_testbed_distribution"]
        ),
    ]
    if not options["checks"]:
        result["problems"] = [message(problem) for problem in of_services if problem]
        if result["problems"]:
            module.fail_json(msg=NOT_READY + numbered(result["problems"]), **result)
        hold(module)
        module.exit_json(**result)
    result["place"] = place_of(places["root"])
    found = choose_python(options["python"], options["min_python"])
    if found:
        places["python"] = found["path"]
        result["python"] = {"path": found["path"], "version": found["version"]}
    candidates = [
        python_problem(options["python"], options["min_python"], found, release_of()),
        venv_problem(found, find_uv()),
        sqlite_problem(found, options["min_sqlite"]),
    ]
    if options["scope"] == "system":
        candidates += system_problems(places["systemd"] or None)
        candidates.append(shared_user_problem(options["user"], places["unit_file"]))
    candidates += [item for item in problems_of_mounts if item["severity"] == FATAL]
    for item in problems_of_mounts:
        if item["severity"] != FATAL:
            module.warn(message(item))
    candidates += place_problems(places)
    candidates += [
        limit_problem(places["managed"]),
        account_problem(options["scope"], options["user"]),
    ]
    candidates.append(space_problem(places, options["min_free_mb"]))
    candidates += [*services, *of_services]
    ours = programs_of(places["socket"]) if options["ports"] else ()
    candidates += [ports.port_problem(item, ours) for item in options["ports"]]
    external = used.examine(options["reach"], options["timeout"], 0, options["max_clock_offset"])
    candidates += [item for item in external if item["severity"] == FATAL]
    for item in external:
        if item["severity"] != FATAL:
            module.warn(message(item))
    result["problems"] = [message(problem) for problem in candidates if problem]
    for path, hits in found_in(
        environment_of_login(), lambda path: Path(path).read_text(encoding="utf-8")
    ):
        module.warn(
            "GitHub Packages has no registry for Python packages: pip gets 404 there. Evidence: %s "
            "contains %s. Fix: remove it with -e swf_testbed_pip_index_remove_github=true"
            % (path, ", ".join(hits))
        )
    if result["problems"]:
        module.fail_json(msg=NOT_READY + numbered(result["problems"]), **result)
    hold(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
