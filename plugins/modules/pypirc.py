#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pypirc
short_description: Write indexes into a .pypirc, for manual uploads
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Writes one section per index that accepts uploads, with its address, user name and token, so
    that C(twine upload --repository NAME) works.
  - Other sections stay byte for byte. Sections of earlier runs without an index are removed.
  - If twine cannot parse the file, the module fails and names the line.
  - The file has mode 0600.
options:
  path:
    description: Path of the file, usually C(~/.pypirc).
    type: path
    required: true
  remove_github:
    description:
      - Whether to remove sections of GitHub Packages, which has no registry for Python packages.
        They are reported in any case.
    type: bool
    default: false
extends_documentation_fragment:
  - bnlnpps.swf_testbed.package_indexes
attributes:
  check_mode:
    support: full
    description: Reports whether the file would change.
  diff_mode:
    support: partial
    details: Shows that the file changes, but not how, because it contains tokens.
    description: Shows that there is a change.
"""

EXAMPLES = r"""
- name: Configure twine for manual uploads
  bnlnpps.swf_testbed.pypirc:
    path: ~/.pypirc
    indexes_of: swf_testbed_pip_indexes
  delegate_to: localhost
"""

RETURN = r"""
sections:
  description: The sections of the indexes. The section of PyPI is always named C(pypi), as twine
    requires.
  returned: always
  type: list
  elements: str
  sample: [lab, pypi]
github:
  description: Sections of GitHub Packages that were found. They are removed only with
    O(remove_github=true).
  returned: always
  type: list
  elements: str
  sample: ["[github]"]
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import replacing
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index import configuration
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.github_packages import (
    in_pypirc,
    without_github,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.pypirc import (
    PypircError,
    with_indexes,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.target import (
    refusal,
    section_name,
)


def read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            **configuration.OPTIONS,
            "remove_github": {"type": "bool", "default": False},
        },
        required_one_of=[("indexes", "indexes_of")],
        supports_check_mode=True,
    )
    path = module.params["path"]
    try:
        entries = configuration.normalised(module.params["indexes"])
        before = read(path)
    except configuration.IndexesError as error:
        module.fail_json(msg=str(error))
    except (OSError, UnicodeDecodeError) as error:
        module.fail_json(
            msg="cannot read %s. Evidence: %s. Fix: correct the file or move it away, then run "
            "again" % (path, error)
        )
    github = in_pypirc(before)
    try:
        text = with_indexes(
            without_github(before) if module.params["remove_github"] else before, entries
        )
    except PypircError as error:
        module.fail_json(
            msg="%s: %s. Fix: correct the file or move it away, then run again. Nothing was "
            "changed." % (path, error)
        )
    if github and not module.params["remove_github"]:
        module.warn(
            "GitHub Packages has no registry for Python packages: every upload fails with 404. "
            "Evidence: %s contains %s. Fix: remove the sections, or run again with remove_github: "
            "true (in the role publish: swf_testbed_publish_remove_github)."
            % (path, ", ".join(github))
        )
    open_mode = os.path.exists(path) and os.stat(path).st_mode & 0o777 != 0o600
    changed = text != before or bool(open_mode)
    if changed and not module.check_mode:
        try:
            with replacing(path) as stream:
                stream.buffer.write(text.encode())
        except OSError as error:
            module.fail_json(
                msg="cannot write %s. Evidence: %s. Fix: check its owner and mode"
                % (path, error.strerror)
            )
    module.exit_json(
        changed=changed,
        github=github,
        sections=list(
            dict.fromkeys(section_name(entry) for entry in entries if refusal(entry) is None)
        ),
        diff={
            "before_header": path,
            "after_header": path,
            "before": "a .pypirc\n",
            "after": "a .pypirc, changed\n" if changed else "a .pypirc\n",
        },
    )


if __name__ == "__main__":
    main()
