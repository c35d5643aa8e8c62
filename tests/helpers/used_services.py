# SPDX-License-Identifier: GPL-3.0-or-later
"""Items of the option reach, as roles/*/meta/service.yml make them."""

from __future__ import annotations

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import message
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor import used


def findings(port, timeout=5, **item):
    """The findings of a service on 127.0.0.1."""
    defaults = {name: option.get("default") for name, option in used.SUBOPTIONS.items()}
    given = {"name": "service", "host": "127.0.0.1", "port": port, "variable": "swf_testbed_x_host"}
    return used.examine([{**defaults, **given, **item}], timeout, 0, 5.0)


def texts(port, timeout=5, **item):
    return [message(found) for found in findings(port, timeout, **item)]
