# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: lease
short_description: The lease of the hosts, for the environment of a play
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Two controllers must not change a host at the same time. With this lookup in the C(environment)
    of a play, each module of this collection that changes something holds the host for this run,
    and fails if another controller holds it.
  - The lease contains the controller, the login, the directory C(swf_testbed_controller_dir) and
    this run. Reads C(swf_testbed_instance), C(swf_testbed_scope) and C(swf_testbed_break_lock).
  - Empty in check mode, which holds no host.
options: {}
notes:
  - M(bnlnpps.swf_testbed.lease) releases the host at the end of a run.
"""

EXAMPLES = r"""
- name: Change the hosts, and exclude other controllers
  hosts: testbed
  environment:
    SWF_TESTBED_LEASE: "{{ lookup('bnlnpps.swf_testbed.lease') }}"
  roles:
    - bnlnpps.swf_testbed.testbed
"""

RETURN = r"""
_raw:
  description: The lease, or an empty string.
  type: list
  elements: str
"""

import json
import os
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.lookup import LookupBase

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import MARK
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._controller import lease
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _variables

READ = (
    "swf_testbed_instance",
    "swf_testbed_scope",
    "swf_testbed_controller_dir",
    "swf_testbed_break_lock",
)


class LookupModule(LookupBase):
    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        if (variables or {}).get("ansible_check_mode"):
            return [""]
        # the defaults also apply in a play that reads them before its roles are loaded
        values = dict({name: _variables.defaults()[name] for name in READ}, **(variables or {}))
        instance, scope, directory, broken = (self._templar.template(values[name]) for name in READ)
        found = lease(
            str(instance),
            str(scope),
            os.path.expanduser(str(directory)),
            boolean(broken, strict=False),
        )
        return [MARK + json.dumps(found)]
