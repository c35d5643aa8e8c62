#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pip_index_info
short_description: Query package indexes for packages, and report problems with their fixes
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Queries every index from the host, with and without its credentials, over the simple API (HTML
    and JSON), for its root and for each package that is bound to it.
  - Returns one verdict for each index and for each pair of index and package, with evidence, cause
    and fix. The meaning of the codes 401, 403 and 404 differs between servers; the verdicts take
    this into account.
  - A package is looked up only at the index that claims its name. A redirect of a private name to
    another origin is reported and not followed, and credentials are never sent to another origin.
  - Results contain no credentials, even if a server echoes them.
  - The address of an index without O(indexes[].url) is that of pip - E(PIP_INDEX_URL), then pip's
    configuration, then pip's default.
  - Proxies are those of the environment (E(http_proxy), E(https_proxy), E(no_proxy)).
options:
  access_dir:
    description:
      - Directory on the host that the role P(bnlnpps.swf_testbed.pip_index#role) wrote. It contains
        C(netrc) with the credentials of indexes without O(indexes[].token), and C(<name of the
        index>.pem) with the CA certificates of an index, which have precedence over
        O(indexes[].ca_cert).
    type: path
  packages:
    description: Packages to look up, as V(name) or V(name==version). An empty list tests the
      indexes alone.
    type: list
    elements: str
    required: true
  python:
    description:
      - Version of the CPython that the packages are for, such as V(3.11) or V(3.11.7). The default
        is the Python that runs the module.
      - The platform is always this host's.
    type: str
  timeout:
    description: Seconds to wait for an answer of an index.
    type: int
    default: 10
  fail:
    description: Whether to fail if there are problems. The message then lists all of them.
    type: bool
    default: false
notes:
  - Only wheels count as installable files, as in the module
    M(bnlnpps.swf_testbed.release_build).
extends_documentation_fragment:
  - bnlnpps.swf_testbed.package_indexes
  - bnlnpps.swf_testbed.read_only
attributes:
  check_mode:
    description: Never changes anything. Queries the indexes in check mode, too.
seealso:
  - module: bnlnpps.swf_testbed.release_build
"""

EXAMPLES = r"""
- name: Check that this host can install the testbed
  bnlnpps.swf_testbed.pip_index_info:
    indexes_of: swf_testbed_pip_indexes
    packages: [swf-testbed]
    fail: true

- name: Check with the credentials that the role pip_index placed, so that the task has no token
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
  description: The findings on each index.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the index.
      type: str
      sample: lab
    preset:
      description: Type of the server.
      type: str
      sample: pypiserver
    url:
      description: Address of the requests, without credentials. V(null) if it is unknown.
      type: str
      sample: https://index.example.org/simple/
    login:
      description: Whether there are credentials for it.
      type: bool
      sample: true
    reachable:
      description: Whether the index answered at all.
      type: bool
      sample: true
    anonymous:
      description: Whether it is readable without credentials.
      type: bool
      sample: false
    verdict:
      description:
        - V(ok), or V(anonymous) for a private index (with a login, or that claims names) that
          anyone can read.
        - V(dns), V(refused) (nothing answers), V(timeout), V(proxy), V(tls_unknown_ca),
          V(tls_expired) (or not yet valid), V(tls_hostname), V(tls_failed) - it is unavailable.
        - V(auth_missing), V(auth_wrong) (rejected credentials), V(auth_forbidden) (missing read
          permission) - it cannot be read.
        - V(wrong_url) - the address is not that of a simple API.
        - V(server_error) - it returned an error.
        - V(github) - it is GitHub Packages, which has no registry for Python packages.
        - V(unknown_default) - it has no url, and no pip on the host has one. No request was sent.
      type: str
      sample: ok
    ok:
      description: Whether packages can be installed from it. True for V(ok), V(anonymous) and
        V(unknown_default).
      type: bool
      sample: true
    evidence:
      description: The observation behind the verdict.
      type: str
      sample: HTTP 200
    cause: &cause
      description: The cause. Empty for V(ok).
      type: str
      sample: ""
    fix: &fix
      description: The fix. Empty for V(ok).
      type: str
      sample: ""
packages:
  description: The findings on each package at each index that may serve it.
  returned: always
  type: list
  elements: dict
  contains:
    index:
      description: Name of the index. V(null) if no index serves the name.
      type: str
      sample: lab
    package:
      description: Normalised name of the package.
      type: str
      sample: swf-testbed
    wanted:
      description: Requested version, V(null) for any.
      type: str
      sample: 0.2.0
    verdict:
      description:
        - One of the verdicts on indexes, or one of these.
        - V(not_found) - the index does not have it.
        - V(forwarded) - the index does not have it and redirects to an upstream fallback.
        - V(duplicate) - more than one index may serve it.
        - V(no_index) - no index serves it.
        - V(version_missing), V(yanked) - the requested version does not exist, or is yanked.
          Without a requested version, all are yanked.
        - V(no_file) - no wheel supports this Python and platform.
        - V(requires_python) - it does not support this Python.
      type: str
      sample: ok
    ok:
      description: Whether it can be installed.
      type: bool
      sample: true
    evidence:
      description: The observation behind the verdict.
      type: str
      sample: "HTTP 200 for https://index.example.org/simple/swf-testbed/ as user reader (without a
        login: HTTP 401)"
    cause: *cause
    fix: *fix
    versions:
      description: Versions on the index, the newest first.
      type: list
      elements: str
      sample: [0.2.0, 0.1.0]
    latest:
      description: Version that would be installed. V(null) if none can.
      type: str
      sample: 0.2.0
    files:
      description: Files of the version that would be installed, or that the evidence is about.
      type: list
      elements: dict
      contains:
        filename:
          description: Name of the file.
          type: str
          sample: swf_testbed-0.2.0-py3-none-any.whl
        version:
          description: Version of the package in the file.
          type: str
          sample: 0.2.0
        tags:
          description: Pythons and platforms of a wheel. V(null) for a source distribution.
          type: str
          sample: py3-none-any
        requires_python:
          description: Supported versions of Python, V(null) for all.
          type: str
          sample: ">=3.10"
        yanked:
          description: Reason why it is yanked, which may be empty. V(null) if it is not.
          type: str
problems:
  description: All problems that prevent an installation, each as one text with cause, evidence and
    fix.
  returned: always
  type: list
  elements: str
  sample:
    - "the index lab rejected the credentials (401/403). Evidence: HTTP 403 for
      https://index.example.org/simple/ as user reader (without a login: HTTP 401). Fix: Check
      username and token of lab in swf_testbed_pip_indexes. The token may have expired: try a new
      one"
unsafe:
  description: Problems that do not prevent an installation, but let others read or replace
    packages. They are also warnings.
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

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import numbered
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.access import AccessError
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    OPTIONS,
    IndexesError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.probe import (
    ProbeError,
    probe,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **OPTIONS,
            "access_dir": {"type": "path"},
            "packages": {"type": "list", "elements": "str", "required": True},
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
            msg="timeout: %d is too short. Fix: use 1 second or more" % options["timeout"]
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
        text = "packages cannot be installed from the indexes:\n"
        module.fail_json(msg=text + numbered(found["problems"]), **found)
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
