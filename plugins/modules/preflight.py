#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Say where an instance of the testbed lives on a host, and what the host lacks for it
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Works out the directories of the instance (the XDG base directories of the login in user scope) and returns them as a fact.
  - Looks for everything that would make a later step fail - Python, the C(venv) module, disk space, ports, the length of the
    socket's path, directories that cannot be written, in system scope root and systemd - and names all of it at once, each with
    the command that mends it.
  - Before any host is asked, checks the variables of O(specs) against the argument specifications of these roles.
  - Changes nothing.
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
    description: Name or path of the Python that the instance's environments are built with.
    type: str
    default: python3
  min_python:
    description: Oldest Python that the packages run on.
    type: str
    default: "3.10"
  ports:
    description:
      - TCP ports that the instance will listen on. A port that a process of this instance holds already is fine.
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
    description: Free space, in MB, that must be there for the releases. V(0) asks for nothing.
    type: int
    default: 0
  user:
    description: The unprivileged user that runs the programs, in system scope.
    type: str
    default: swf-testbed
  operators:
    description: The group that may use supervisord's socket and read the logs, in system scope.
    type: str
    default: swf-operators
  systemd:
    description:
      - V(auto) lets systemd run supervisord in system scope, and in user scope where units of the login run while nobody is
        logged in (C(loginctl enable-linger)).
      - V(never) lets supervisord be a daemon of its own, in user scope.
    type: str
    choices: [auto, never]
    default: auto
  specs:
    description:
      - Names of roles of this collection whose variables are checked on the controller, in one go, and whose collections (in their
        C(meta/main.yml)) are looked for. What is wrong is named before the host is touched.
    type: list
    elements: str
    default: []
  checks:
    description: Whether to check. V(false) only returns the fact, for playbooks that stop or remove an instance.
    type: bool
    default: true
attributes:
  check_mode:
    support: full
    description: Never changes anything.
  diff_mode:
    support: none
    description: There is nothing to show.
  facts:
    support: full
    description: Returns the layout as a fact.
"""

EXAMPLES = r"""
- name: See whether this host can run a testbed
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
      description: Directories of the instance. The name of the fact ends on the name of the instance, with C(_) for C(-).
      type: dict
      sample:
        config_dir: /home/me/.config/swf-testbed
        root: /home/me/.local/share/swf-testbed
        scope: user
        state_dir: /home/me/.local/state/swf-testbed
problems:
  description: What is missing, each a sentence with its cure.
  returned: always
  type: list
  elements: str
  sample: []
python:
  description: The Python that was found.
  returned: when O(checks=true) and one was found
  type: dict
  sample:
    path: /usr/bin/python3
    version: 3.11.2
"""

import errno
import grp
import json
import os
import pwd
import shutil
import socket

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils import _systemd
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._installers import find_uv
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._layout import MAX_SOCKET_BYTES, environment_of_login, layout
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._programs_of import belongs

PROBE = """
import importlib.util, json, sys
print(json.dumps({"path": sys.executable, "version": "%d.%d.%d" % sys.version_info[:3],
                  "venv": all(importlib.util.find_spec(i) for i in ("venv", "ensurepip"))}))
"""


def release_of(path="/etc/os-release"):
    """ID and ID_LIKE of the distribution in one string."""
    try:
        with open(path, encoding="utf-8") as stream:
            pairs = dict(line.rstrip().split("=", 1) for line in stream if "=" in line)
    except OSError:
        return ""
    return " ".join(pairs.get(key, "").strip('"') for key in ("ID", "ID_LIKE"))


def python_problem(wanted, minimum, found, distribution):
    """What is wrong with the Python that was found, or None.

    :param found: the probe's answer, or None if no such Python runs.
    """
    install = "sudo apt-get install python3 python3-venv"
    if any(word in distribution.split() for word in ("rhel", "fedora", "centos")):
        install = "sudo dnf install python3.12"
    if found is None:
        return "there is no Python called %r on this host. Install one (%s) or set swf_testbed_python to its path." % (
            wanted, install)
    if tuple(int(part) for part in found["version"].split(".")) < tuple(int(part) for part in minimum.split(".")):
        return "%s is Python %s, and the packages need %s or newer. Install one (%s) and set swf_testbed_python to its path." % (
            found["path"], found["version"], minimum, install)
    return None


def venv_problem(found, uv):
    """What is missing for `python -m venv`, or None. Debian splits it off into a package of its own; uv does without."""
    if found is None or found["venv"] or uv:
        return None
    return "%s has no venv module. Run: sudo apt-get install python%s-venv" % (
        found["path"], ".".join(found["version"].split(".")[:2]))


def holder(host, port):
    """(pid, command) of the process that listens on the port, as far as this login may see; (None, None) otherwise."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as stream:
                rows = [line.split() for line in stream][1:]
        except OSError:
            continue
        inodes |= {"socket:[%s]" % row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for handle in os.listdir("/proc/%s/fd" % pid):
                if os.readlink("/proc/%s/fd/%s" % (pid, handle)) in inodes:
                    with open("/proc/%s/cmdline" % pid, "rb") as stream:
                        return int(pid), stream.read().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
    return None, None


def port_message(item, number):
    """Why a port cannot be listened on, for an error number other than that it is taken."""
    if number == errno.EACCES:
        return "port %d for %s needs root. Set %s to one above 1023." % (item["port"], item["name"], item["variable"])
    return "cannot listen on %s port %d for %s: %s. Set the address to one of this host." % (
        item["host"], item["port"], item["name"], os.strerror(number))


def port_problem(item, supervisor_socket):
    """Who holds the port that this instance needs, or None."""
    family = socket.AF_INET6 if ":" in item["host"] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((item["host"], item["port"]))
            return None
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return port_message(item, error.errno)
    pid, command = holder(item["host"], item["port"])
    if pid and belongs(pid, supervisor_socket):
        return None
    who = "process %d (%s)" % (pid, command[:120]) if pid else "a process of another user (see it with: sudo ss -ltnp)"
    return "port %d for %s is taken by %s. Stop that, or set %s to a free port." % (
        item["port"], item["name"], who, item["variable"])


def nearest(path):
    """The closest directory above a path that exists."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def place_problems(places):
    """Directories that cannot be made or written."""
    found = []
    for name in ("config_dir", "root", "state_dir"):
        above = nearest(places[name])
        if not os.access(above, os.W_OK | os.X_OK):
            found.append("cannot write %s: %s belongs to %s. Run as its owner, or: sudo chown %s %s" % (
                places[name], above, pwd.getpwuid(os.stat(above).st_uid).pw_name, pwd.getpwuid(os.getuid()).pw_name, above))
    length = len(os.fsencode(places["socket"]))
    if length > MAX_SOCKET_BYTES:
        found.append("the socket's path has %d bytes and must not have more than %d: %s. Use a shorter XDG_STATE_HOME or "
                     "swf_testbed_instance." % (length, MAX_SOCKET_BYTES, places["socket"]))
    return found


def space_problem(places, minimum):
    """Too little room for the releases, or None. A host that has a release is not asked again."""
    above = nearest(places["root"])
    free = shutil.disk_usage(above).free // 1000000
    if free >= minimum or os.path.isdir(os.path.join(places["root"], "releases")):
        return None
    return "%d MB are free at %s and a release needs about %d. Free some, or set XDG_DATA_HOME to another disk." % (
        free, above, minimum)


def system_problems(systemd):
    """What stands in the way of an instance of the host."""
    found = []
    if os.geteuid() != 0:
        found.append("the scope is system, and this login is %s. Set ansible_become for this host, or swf_testbed_scope." % (
            pwd.getpwuid(os.geteuid()).pw_name))
    if systemd is None:
        found.append("the scope is system, and systemd does not run this host. Set swf_testbed_scope to user.")
    return found


def about_systemd(options, places):
    """What the roles need to know of systemd and of the accounts, added to the layout."""
    version = _systemd.version()
    system = options["scope"] == "system"
    managed = system or (options["systemd"] == "auto" and _systemd.lingers())
    credentials = system and (version or 0) >= _systemd.CREDENTIALS_SINCE
    places.update(
        systemd=version or 0, managed=managed, credentials=credentials,
        user=options["user"] if system else "", operators=options["operators"] if system else "",
        accounts_missing=system and not (exists(pwd.getpwnam, options["user"]) and exists(grp.getgrnam, options["operators"])),
        # where the programs find what is in secrets_dir
        readable_secrets_dir="/run/credentials/" + places["unit"] if credentials else places["secrets_dir"],
        pip_settings_made=os.path.exists(places["pip_settings"]))


def exists(look_up, name):
    try:
        return bool(look_up(name))
    except KeyError:
        return False


def find_python(module, wanted):
    path = wanted if os.path.isabs(wanted) else shutil.which(wanted)
    if not path:
        return None
    rc, out, dummy = module.run_command([path, "-I", "-c", PROBE])
    return json.loads(out) if rc == 0 else None


def main():
    module = AnsibleModule(
        argument_spec={
            "instance": {"type": "str", "default": "swf-testbed"},
            "scope": {"type": "str", "choices": ["user", "system"], "default": "user"},
            "python": {"type": "str", "default": "python3"},
            "min_python": {"type": "str", "default": "3.10"},
            "ports": {"type": "list", "elements": "dict", "default": [], "options": {
                "name": {"type": "str", "required": True},
                "variable": {"type": "str", "required": True},
                "host": {"type": "str", "default": "127.0.0.1"},
                "port": {"type": "int", "required": True}}},
            "min_free_mb": {"type": "int", "default": 0},
            "user": {"type": "str", "default": "swf-testbed"},
            "operators": {"type": "str", "default": "swf-operators"},
            "systemd": {"type": "str", "choices": ["auto", "never"], "default": "auto"},
            "specs": {"type": "list", "elements": "str", "default": []},
            "checks": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    options = module.params
    places = layout(options["instance"], options["scope"], environment_of_login())
    about_systemd(options, places)
    fact = "swf_testbed_layout_" + options["instance"].replace("-", "_")
    result = {"changed": False, "ansible_facts": {fact: places}, "problems": []}
    if not options["checks"]:
        module.exit_json(**result)
    found = find_python(module, options["python"])
    if found:
        result["python"] = {"path": found["path"], "version": found["version"]}
    candidates = [python_problem(options["python"], options["min_python"], found, release_of()), venv_problem(found, find_uv())]
    if options["scope"] == "system":
        candidates += system_problems(places["systemd"] or None)
    candidates += place_problems(places)
    candidates.append(space_problem(places, options["min_free_mb"]))
    candidates += [port_problem(item, places["socket"]) for item in options["ports"]]
    result["problems"] = [problem for problem in candidates if problem]
    if result["problems"]:
        lines = ["%d. %s" % pair for pair in enumerate(result["problems"], 1)]
        module.fail_json(msg="this host is not ready, and nothing was changed:\n" + "\n".join(lines), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
