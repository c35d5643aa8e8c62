#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: package_check
short_description: Check that source directories can be published as Python packages
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Checks C(pyproject.toml) (build system, name, version, description, C(requires-python),
    dependencies by simple name, readme, license, repository URL), the C(src) layout, and that its
    entry points exist.
  - With O(indexes), also builds the package and checks that the index does not have the version
    with other content.
  - Fails with all findings, one line each, with file, cause and fix.
  - Changes nothing. Run it on the controller (C(delegate_to=localhost)), where the sources are.
options:
  formats:
    description: Formats to build for the comparison.
    type: list
    elements: str
    choices: [wheel, sdist]
    default: [wheel, sdist]
extends_documentation_fragment:
  - bnlnpps.swf_testbed.package_indexes
  - bnlnpps.swf_testbed.package_sources
  - bnlnpps.swf_testbed.read_only
requirements:
  - build (with O(indexes))
  - twine (with O(indexes))
  - tomli (with Python 3.10)
  - git (for O(repositories))
seealso:
  - module: bnlnpps.swf_testbed.package_publish
"""

EXAMPLES = r"""
- name: Check a package before its publication
  bnlnpps.swf_testbed.package_check:
    sources: [packages/swf-common-lib]
    indexes_of: swf_testbed_pip_indexes
  delegate_to: localhost
"""

RETURN = r"""
findings:
  description: The problems, one line each, with file, cause and fix.
  returned: always
  type: list
  elements: str
  sample:
    - "swf-thing/pyproject.toml: [project] has no requires-python, so that pip installs it on
      unsupported Pythons. Add ..."
packages:
  description: The packages that were checked.
  returned: always
  type: list
  elements: str
  sample: [swf-common-lib 0.1.0]
"""

import tempfile
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index import configuration
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package import plan, sources
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.checks import line
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.lookup import (
    Index,
    IndexUnavailableError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.project import (
    Problem,
    PublishError,
    missing_libraries,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.target import target


def compared(
    packages: list[plan.Package], entry: Mapping[str, Any], formats: list[str], scratch: str
) -> tuple[list[Problem], list[str]]:
    """(problems, warnings) of versions that the index has, for packages without problems in their
    sources."""
    index = Index(entry)
    try:
        for package in packages:
            if package.version:
                package.look(index.files(package.project.name or ""))
    except IndexUnavailableError as error:
        return [], ["The versions were not compared with the index: %s" % error]
    there = [package for package in packages if package.there]
    plan.build_all(there, formats, scratch)
    return plan.built_problems(there, index, scratch), []


def check(options: Mapping[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """(findings, names and versions, warnings)."""
    indexes, entry = options["indexes"], None
    if indexes is not None:
        entry = target(indexes, options["index"], needs_token=False)
    with (
        sources.projects(options["sources"], options["repositories"]) as projects,
        tempfile.TemporaryDirectory(prefix="swf-check-") as scratch,
    ):
        problems = plan.check_sources(projects)
        packages = [plan.Package(project) for project in projects if project.name]
        warnings: list[str] = []
        if entry:
            broken = {file for file, _cause, _fix in problems}
            valid = [
                package
                for package in packages
                if not any(file.startswith(package.project.label) for file in broken)
            ]
            more, warnings = compared(valid, entry, options["formats"], scratch)
            problems += more
        return [*map(line, problems)], [*map(str, packages)], warnings


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **sources.OPTIONS,
            **configuration.OPTIONS,
            "formats": {
                "type": "list",
                "elements": "str",
                "choices": ["wheel", "sdist"],
                "default": ["wheel", "sdist"],
            },
        },
        supports_check_mode=True,
    )
    if module.params["index"] and module.params["indexes"] is None:
        module.fail_json(
            msg="index is set, and there are no indexes. Fix: set indexes or indexes_of"
        )
    missing = missing_libraries(
        *(["build", "twine"] if module.params["indexes"] is not None else [])
    )
    if missing:
        module.fail_json(msg=missing)
    try:
        findings, packages, warnings = check(module.params)
    except PublishError as error:
        module.fail_json(msg=str(error), findings=[], packages=[])
    for warning in warnings:
        module.warn(warning)
    result = {"changed": False, "findings": findings, "packages": packages}
    if findings:
        module.fail_json(
            msg="%d finding%s, each with its fix:\n%s"
            % (len(findings), "" if len(findings) == 1 else "s", "\n".join(findings)),
            **result,
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
