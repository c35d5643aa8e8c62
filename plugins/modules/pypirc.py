#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pypirc
short_description: Write indexes into a .pypirc, for those who publish by hand
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Writes one section per index that takes uploads, with its address, user name and token, so that
    C(twine upload --repository NAME) works.
  - Sections of other names stay as they are, byte for byte. A section of an earlier run whose index
    is gone is removed.
  - A file that twine could not read is refused, with the line.
  - The file has mode 0600.
options:
  path:
    description: The file, C(~/.pypirc) as a rule.
    type: path
    required: true
  remove_github:
    description:
      - Whether to remove sections of GitHub Packages, which has no registry for Python packages.
        They are reported anyway.
    type: bool
    default: false
extends_documentation_fragment:
  - bnlnpps.swf_testbed.package_indexes
attributes:
  check_mode:
    support: full
    description: Says whether the file would change.
  diff_mode:
    support: partial
    details: Says that the file changes, and not how, for there are tokens in it.
    description: Shows that there is a change.
  action:
    support: full
    description: Has a corresponding action plugin, which reads the variables that the task names.
"""

EXAMPLES = r"""
- name: Let me publish by hand
  bnlnpps.swf_testbed.pypirc:
    path: ~/.pypirc
    indexes_of: swf_testbed_pip_indexes
  delegate_to: localhost
"""

RETURN = r"""
sections:
  description: The sections that stand for the indexes. The one of PyPI is always called C(pypi), as
    twine wants it.
  returned: always
  type: list
  elements: str
  sample: [lab, pypi]
github:
  description: Sections of GitHub Packages that were found. They are still there unless
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


def read(path):
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def main():
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "indexes": {"type": "list", "elements": "dict", "options": configuration.ARGUMENTS},
            "indexes_of": {"type": "str"},
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
            msg="cannot read %s: %s. Mend it or move it away, then run again." % (path, error)
        )
    github = in_pypirc(before)
    try:
        text = with_indexes(
            without_github(before) if module.params["remove_github"] else before, entries
        )
    except PypircError as error:
        module.fail_json(
            msg="%s: %s. Correct it or move it away, then run again. Nothing was changed."
            % (path, error)
        )
    if github and not module.params["remove_github"]:
        module.warn(
            "%s has GitHub Packages in it (%s), which has no registry for Python packages: every "
            "upload answers 404. Remove the sections, or run again with remove_github: true (in "
            "the role publish: swf_testbed_publish_remove_github)." % (path, ", ".join(github))
        )
    wide = os.path.exists(path) and os.stat(path).st_mode & 0o777 != 0o600
    changed = text != before or bool(wide)
    if changed and not module.check_mode:
        try:
            with replacing(path) as stream:
                stream.buffer.write(text.encode())
        except OSError as error:
            module.fail_json(msg="cannot write %s: %s" % (path, error.strerror))
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
