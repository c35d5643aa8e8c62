#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: package_publish
short_description: Build Python packages and upload the versions that an index does not have
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Reads name and version of each source, queries the index for them, builds the missing ones with
    C(python -m build), and uploads them with C(twine).
  - A version that the index has is not uploaded again. To publish a change, increase the version.
    An interrupted upload is resumed. A file that another run uploads at the same time counts as
    done if its content is the same, and is an error if not.
  - Nothing is uploaded until everything is checked and built.
  - Run it on the controller (C(delegate_to=localhost)), where the sources are.
options:
  index_url:
    description: Short for O(indexes) with one index, its simple API.
    type: str
  upload_url:
    description: The upload address of O(index_url).
    type: str
  username:
    description: User of O(index_url) with permission to read and upload.
    type: str
  token:
    description: Password or token of O(username).
    type: str
  ca_cert:
    description: Certificate of the CA of O(index_url).
    type: path
  formats:
    description: Formats to build.
    type: list
    elements: str
    choices: [wheel, sdist]
    default: [wheel]
  check:
    description:
      - Whether to check the sources as in M(bnlnpps.swf_testbed.package_check), including the
        comparison with the content of a version on the index, and to publish nothing if there is a
        finding. This builds every package.
    type: bool
    default: false
  wait:
    description: Seconds to wait for an index that does not answer yet.
    type: int
    default: 20
extends_documentation_fragment:
  - bnlnpps.swf_testbed.package_indexes
  - bnlnpps.swf_testbed.package_sources
requirements:
  - build
  - twine
  - tomli (with Python 3.10)
  - git (for O(repositories))
attributes:
  check_mode:
    support: full
    description: Reports the packages that would be uploaded. It reports
      all packages if the index is unavailable.
  diff_mode:
    support: full
    description: Lists the versions that are added.
seealso:
  - module: bnlnpps.swf_testbed.package_check
"""

EXAMPLES = r"""
- name: Publish new versions
  bnlnpps.swf_testbed.package_publish:
    sources: [packages/swf-common-lib, packages/swf-testbed]
    repositories:
      - url: https://github.com/bnlnpps/swf-monitor
        ref: v0.2.0
        token: "{{ vault_github_token }}"
    indexes_of: swf_testbed_pip_indexes
    index: lab
    formats: [wheel, sdist]
    check: true
  delegate_to: localhost
"""

RETURN = r"""
published:
  description: The packages that were uploaded, or would be.
  returned: always
  type: list
  elements: str
  sample: [swf-common-lib 0.1.0]
present:
  description: The packages that the index already had.
  returned: always
  type: list
  elements: str
  sample: [swf-testbed 0.1.0]
"""

import tempfile
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index import configuration
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package import plan, sources
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.lookup import (
    Index,
    IndexUnavailableError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.project import (
    PublishError,
    missing_libraries,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.target import target
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.upload import upload


def entry_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The normalised index to publish to."""
    if options["indexes"] is not None:
        return target(options["indexes"], options["index"])
    return target(
        [
            {
                "name": "index",
                "url": options["index_url"],
                "upload_url": options["upload_url"],
                "username": options["username"],
                "token": options["token"],
                "ca_cert": options["ca_cert"],
            }
        ],
        "index",
    )


def look(packages: list[plan.Package], index: Index, check_mode: bool) -> None:
    """Record the files of each package with a version. In check mode the index may not exist
    yet."""
    for package in packages:
        if package.version:
            try:
                package.look(index.files(package.project.name or ""))
            except IndexUnavailableError:
                if not check_mode:
                    raise
                return


def upload_missing(
    entry: Mapping[str, Any],
    index: Index,
    packages: list[plan.Package],
    formats: list[str],
    scratch: str,
) -> None:
    """Upload the built files that the index lacks. Another run may publish the same packages
    meanwhile: its files count as done.

    :raises PublishError: the index rejects a file that it does not have, or has it with other
        content.
    """
    files = missing_files(packages, formats)
    while files:
        try:
            upload(entry, files, scratch)
            return
        except PublishError:
            look(packages, index, False)
            left = missing_files(packages, formats)
            if left == files:
                raise
            problems = [plan.other_content(package, index, scratch) for package in packages]
            plan.refuse([problem for found in problems for problem in found])
            files = left


def missing_files(packages: list[plan.Package], formats: list[str]) -> list[str]:
    return [package.built[name] for package in packages for name in package.missing(formats)]


def publish(options: Mapping[str, Any], check_mode: bool) -> tuple[list[str], list[str]]:
    """(published, present) as the module returns them.

    :raises PublishError: nothing was uploaded, or not everything.
    """
    entry = entry_of(options)
    index = Index(entry, 0 if check_mode else options["wait"])
    # only this user may enter this directory: it contains the token during the upload
    with (
        sources.projects(options["sources"], options["repositories"]) as projects,
        tempfile.TemporaryDirectory(prefix="swf-publish-") as scratch,
    ):
        if options["check"]:
            plan.refuse(plan.check_sources(projects))
        plan.must_be_readable(projects)
        packages = [plan.Package(project) for project in projects]
        look(packages, index, check_mode)
        if options["check"]:
            to_build = packages
        elif check_mode:
            to_build = []
        else:
            to_build = [package for package in packages if package.missing(options["formats"])]
        versions_of_the_build = [package for package in to_build if package.version is None]
        plan.build_all(to_build, options["formats"], scratch)
        look(versions_of_the_build, index, check_mode)
        if options["check"]:
            plan.refuse(plan.built_problems(to_build, index, scratch))
        wanted = [package for package in packages if package.missing(options["formats"])]
        if not check_mode:
            upload_missing(entry, index, wanted, options["formats"], scratch)
        return [str(package) for package in wanted], [
            str(package) for package in packages if package not in wanted
        ]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **sources.OPTIONS,
            **configuration.OPTIONS,
            "index_url": {"type": "str"},
            "upload_url": {"type": "str"},
            "username": {"type": "str"},
            "token": {"type": "str", "no_log": True},
            "ca_cert": {"type": "path"},
            "formats": {
                "type": "list",
                "elements": "str",
                "choices": ["wheel", "sdist"],
                "default": ["wheel"],
            },
            "check": {"type": "bool", "default": False},
            "wait": {"type": "int", "default": 20},
        },
        required_one_of=[("indexes", "indexes_of", "index_url")],
        mutually_exclusive=[("indexes", "indexes_of", "index_url"), ("index", "index_url")],
        required_together=[("index_url", "upload_url", "username", "token")],
        supports_check_mode=True,
    )
    missing = missing_libraries("build", "twine")
    if missing:
        module.fail_json(msg=missing)
    try:
        published, present = publish(module.params, module.check_mode)
    except PublishError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(published),
        published=published,
        present=present,
        diff={"before": "", "after": "".join(line + "\n" for line in published)},
    )


if __name__ == "__main__":
    main()
