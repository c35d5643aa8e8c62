# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: lease
short_description: What a host is held by, for the environment of a play
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Two runs of two controllers must not change a host at the same time. A play that has this lookup
    in its C(environment) makes each module of this collection that changes something hold the host
    for this run, and fail where another controller does.
  - Names the controller, the login, the directory C(swf_testbed_controller_dir) and this run. Reads
    C(swf_testbed_instance), C(swf_testbed_scope) and C(swf_testbed_break_lock).
  - Empty in check mode, which holds nothing.
options: {}
notes:
  - M(bnlnpps.swf_testbed.lease) releases the host at the end of a run.
"""

EXAMPLES = r"""
- name: Change something that nobody else may change meanwhile
  hosts: testbed
  environment:
    SWF_TESTBED_LEASE: "{{ lookup('bnlnpps.swf_testbed.lease') }}"
  roles:
    - bnlnpps.swf_testbed.testbed
"""

RETURN = r"""
_raw:
  description: The lease, or an empty text.
  type: list
  elements: str
"""

import json
import os

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.lookup import LookupBase

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import MARK
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._controller import lease
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _known

READ = (
    "swf_testbed_instance",
    "swf_testbed_scope",
    "swf_testbed_controller_dir",
    "swf_testbed_break_lock",
)


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        if (variables or {}).get("ansible_check_mode"):
            return [""]
        # a play that reads it before its roles' defaults are known has them, too
        known = dict({name: _known.defaults()[name] for name in READ}, **(variables or {}))
        instance, scope, directory, broken = (self._templar.template(known[name]) for name in READ)
        found = lease(
            str(instance),
            str(scope),
            os.path.expanduser(str(directory)),
            boolean(broken, strict=False),
        )
        return [MARK + json.dumps(found)]
