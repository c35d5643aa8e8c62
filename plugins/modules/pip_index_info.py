#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pip_index_info
short_description: Ask package indexes for packages, and say what is wrong and what mends it
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Asks every index from the host, with and without its credentials, over the simple API (HTML and
    JSON), for itself and for each package that is bound to it.
  - Returns one verdict for each index and for each pair of index and package, with evidence, cause
    and fix. What the codes 401, 403 and 404 mean differs between servers and is told apart.
  - A package is asked for at the index that claims its name, and nowhere else. A redirect of a
    private name to another place is reported and not followed, and credentials are never sent to
    another place.
  - Credentials are in no result, also where a server echoes them.
  - An index without O(indexes[].url) is found as pip finds it - E(PIP_INDEX_URL), then C(pip config
    list), then the address that pip has as its default.
  - Proxies are those of the environment (E(http_proxy), E(https_proxy), E(no_proxy)).
options:
  access_dir:
    description:
      - Folder on the host that the role P(bnlnpps.swf_testbed.pip_index#role) wrote. It has
        C(netrc) with the credentials of indexes without O(indexes[].token), and C(<name of the
        index>.pem) with the CA certificates of an index, which count before O(indexes[].ca_cert).
    type: path
  packages:
    description: Packages to ask for, as V(name) or V(name==version).
    type: list
    elements: str
    default:
      - swf-testbed
      - swf-common-lib
      - swf-monitor
      - swf-daqsim-agent
      - swf-data-agent
      - swf-processing-agent
      - swf-fastmon-agent
      - swf-mcp-agent
  python:
    description:
      - Version of the CPython that the packages are for, such as V(3.11) or V(3.11.7). The default
        is the Python that the module runs on.
      - The platform is always this host's.
    type: str
  timeout:
    description: Seconds that an index may take for an answer.
    type: int
    default: 10
  fail:
    description: Whether to fail where something is wrong. The message has all problems then.
    type: bool
    default: false
notes:
  - Only wheels count as files that can be installed, as in the module
    M(bnlnpps.swf_testbed.release_build).
extends_documentation_fragment:
  - bnlnpps.swf_testbed.package_indexes
  - bnlnpps.swf_testbed.read_only
attributes:
  check_mode:
    description: Never changes anything. Asks in check mode too.
  action:
    support: full
    description: Has a corresponding action plugin, which reads the variables that the task names.
seealso:
  - module: bnlnpps.swf_testbed.release_build
"""

EXAMPLES = r"""
- name: See whether this host can get the testbed
  bnlnpps.swf_testbed.pip_index_info:
    indexes_of: swf_testbed_pip_indexes
    fail: true

- name: Ask with what the role pip_index has placed, so that no token travels
  bnlnpps.swf_testbed.pip_index_info:
    indexes:
      - name: lab
        url: https://index.example.org/simple/
        preset: pypiserver
        packages: ["swf-*"]
      - name: pypi
    access_dir: /etc/swf-testbed
    packages: [swf-testbed==0.2.0, swf-common-lib]
    python: "3.12"
  register: asked

- name: Show the problems
  ansible.builtin.debug:
    var: asked.problems
"""

RETURN = r"""
indexes:
  description: What was found of each index.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the index.
      type: str
      sample: lab
    preset:
      description: Kind of the server.
      type: str
      sample: pypiserver
    url:
      description: Address that was asked, without credentials. V(null) where none is known.
      type: str
      sample: https://index.example.org/simple/
    login:
      description: Whether there were credentials to ask with.
      type: bool
      sample: true
    reachable:
      description: Whether the index answered at all.
      type: bool
      sample: true
    anonymous:
      description: Whether it can be read without credentials.
      type: bool
      sample: false
    verdict:
      description:
        - V(ok), or V(anonymous) for a private index (with a login, or that claims names) that
          anybody can read.
        - V(dns), V(refused) (nothing answers), V(timeout), V(proxy), V(tls_unknown_ca),
          V(tls_expired) (or not yet valid), V(tls_hostname), V(tls_failed) - it cannot be reached.
        - V(auth_missing), V(auth_wrong), V(auth_forbidden) (a right login, without permission) - it
          cannot be read.
        - V(wrong_url) - what answers is not a simple API.
        - V(server_error) - it answers with an error of its own.
        - V(github) - it is GitHub Packages, which has no registry for Python packages.
        - V(unknown_default) - it has no url, and there is no pip on the host that knows one.
          Nothing was asked.
      type: str
      sample: ok
    ok:
      description: Whether packages can be installed from it. True for V(ok), V(anonymous) and
        V(unknown_default).
      type: bool
      sample: true
    evidence:
      description: What was seen.
      type: str
      sample: HTTP 200
    cause: &cause
      description: What that means. Empty for V(ok).
      type: str
      sample: ""
    fix: &fix
      description: What mends it. Empty for V(ok).
      type: str
      sample: ""
packages:
  description: What was found of each package at each index that may serve it.
  returned: always
  type: list
  elements: dict
  contains:
    index:
      description: Name of the index. V(null) where no index serves the name.
      type: str
      sample: lab
    package:
      description: Name of the package, as indexes compare it.
      type: str
      sample: swf-testbed
    wanted:
      description: Version that was asked for, V(null) for any.
      type: str
      sample: 0.2.0
    verdict:
      description:
        - One of the verdicts on indexes, or one of these.
        - V(not_found) - the index does not have it.
        - V(forwarded) - the index does not have it and redirects to another one.
        - V(duplicate) - more than one index may serve it.
        - V(no_index) - no index serves it.
        - V(version_missing), V(yanked) - the version that was asked for is not there, or was
          withdrawn. Without one, all were.
        - V(no_file) - no wheel is for this Python and platform.
        - V(requires_python) - it is not for this Python.
      type: str
      sample: ok
    ok:
      description: Whether it can be installed.
      type: bool
      sample: true
    evidence:
      description: What was seen.
      type: str
      sample: "HTTP 200 for https://index.example.org/simple/swf-testbed/ as user reader (without a
        login: HTTP 401)"
    cause: *cause
    fix: *fix
    versions:
      description: Versions that are there, the newest first.
      type: list
      elements: str
      sample: [0.2.0, 0.1.0]
    latest:
      description: Version that would be installed. V(null) if none can.
      type: str
      sample: 0.2.0
    files:
      description: Files of the version that would be installed, or that the evidence speaks of.
      type: list
      elements: dict
      contains:
        filename:
          description: Its name.
          type: str
          sample: swf_testbed-0.2.0-py3-none-any.whl
        version:
          description: Its version.
          type: str
          sample: 0.2.0
        tags:
          description: Pythons and platforms of a wheel. V(null) for a source distribution.
          type: str
          sample: py3-none-any
        requires_python:
          description: Versions of Python that it is for, V(null) for all.
          type: str
          sample: ">=3.10"
        yanked:
          description: Reason why it was withdrawn, which may be empty. V(null) if it was not.
          type: str
problems:
  description: Everything that keeps something from being installed, each as one text with cause,
    evidence and fix.
  returned: always
  type: list
  elements: str
  sample:
    - "the index lab does not take the user name or the token: HTTP 403 for
      https://index.example.org/simple/ as user reader (without a login: HTTP 401). Check username
      and token of lab in swf_testbed_pip_indexes."
unsafe:
  description: What keeps nothing from being installed, and lets others read or replace packages.
    These are warnings too.
  returned: always
  type: list
  elements: str
  sample: []
ok:
  description: Whether there are no problems.
  returned: always
  type: bool
  sample: true
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.access import AccessError
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    ARGUMENTS,
    IndexesError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.probe import (
    ProbeError,
    probe,
)

PACKAGES = [
    "swf-testbed",
    "swf-common-lib",
    "swf-monitor",
    "swf-daqsim-agent",
    "swf-data-agent",
    "swf-processing-agent",
    "swf-fastmon-agent",
    "swf-mcp-agent",
]


def main():
    module = AnsibleModule(
        argument_spec={
            "indexes": {"type": "list", "elements": "dict", "options": ARGUMENTS},
            "indexes_of": {"type": "str"},
            "access_dir": {"type": "path"},
            "packages": {"type": "list", "elements": "str", "default": PACKAGES},
            "python": {"type": "str"},
            "timeout": {"type": "int", "default": 10},
            "fail": {"type": "bool", "default": False},
        },
        required_one_of=[("indexes", "indexes_of")],
        supports_check_mode=True,
    )
    options = module.params
    if options["timeout"] < 1:
        module.fail_json(
            msg="timeout: %d is no time to wait. Give 1 second or more." % options["timeout"]
        )
    try:
        found = probe(
            options["indexes"],
            options["packages"],
            options["access_dir"],
            options["python"],
            options["timeout"],
        )
    except (ProbeError, IndexesError, AccessError) as error:
        module.fail_json(msg=str(error))
    for text in found["unsafe"]:
        module.warn(text)
    if options["fail"] and not found["ok"]:
        lines = ["%d. %s" % pair for pair in enumerate(found["problems"], 1)]
        module.fail_json(
            msg="packages cannot be installed from the indexes:\n" + "\n".join(lines), **found
        )
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
