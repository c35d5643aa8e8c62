#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: package_publish
short_description: Build Python packages and upload those versions that an index does not have
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Reads name and version of each source folder, asks the index which of them it has, builds a wheel of the others with
    C(python -m build), and uploads them with C(twine).
  - A version that the index has is neither built nor uploaded again. To publish a change, raise the version.
  - Run it on the controller (C(delegate_to=localhost)), where the sources are.
options:
  sources:
    description: Folders with a C(pyproject.toml).
    type: list
    elements: path
    required: true
  index_url:
    description: The index's simple API, for looking.
    type: str
    required: true
  upload_url:
    description: The index's upload address.
    type: str
    required: true
  username:
    description: User who may look and upload.
    type: str
    required: true
  token:
    description: Password or token of O(username).
    type: str
    required: true
  wait:
    description: Seconds to wait for an index that does not answer yet.
    type: int
    default: 20
requirements:
  - build
  - twine
  - tomli (with Python 3.10)
attributes:
  check_mode:
    support: full
    description: Says what would be uploaded. Where the index does not answer, that is everything.
  diff_mode:
    support: full
    description: Lists the versions that are added.
"""

EXAMPLES = r"""
- name: Publish what is new
  bnlnpps.swf_testbed.package_publish:
    sources: [packages/swf-common-lib, packages/swf-testbed]
    index_url: https://index.example.org/simple/
    upload_url: https://index.example.org/
    username: publisher
    token: "{{ vault_index_token }}"
  delegate_to: localhost
"""

RETURN = r"""
published:
  description: What was uploaded, or would be.
  returned: always
  type: list
  elements: str
  sample: [swf-common-lib 0.1.0]
present:
  description: What the index had already.
  returned: always
  type: list
  elements: str
  sample: [swf-testbed 0.1.0]
"""

import concurrent.futures
import glob
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from urllib.error import HTTPError, URLError

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import ConnectionError as UrlConnectionError
from ansible.module_utils.urls import open_url

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._install_errors import explain
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._installers import InstallError, call
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._lock import canonical


class PublishError(Exception):
    """Why nothing (more) was published, and what to do."""


class IndexAway(PublishError):
    """Nothing answers at the index's address."""


def project(folder):
    """(name, version) of a source folder. Raises PublishError where they are not static."""
    try:
        import tomllib
    except ImportError:
        import tomli as tomllib
    path = os.path.join(folder, "pyproject.toml")
    try:
        with open(path, "rb") as stream:
            table = tomllib.load(stream).get("project", {})
    except OSError as error:
        raise PublishError("cannot read %s: %s" % (path, error.strerror)) from error
    except ValueError as error:
        raise PublishError("%s is not valid TOML: %s" % (path, error)) from error
    if "name" not in table or "version" not in table:
        raise PublishError("%s must give [project] name and version" % path)
    return canonical(table["name"]), table["version"]


def index_page(options, name):
    """The index's page of a package, or an empty text if it has none."""
    url = "%s/%s/" % (options["index_url"].rstrip("/"), name)
    deadline = time.monotonic() + options["wait"]
    while True:
        try:
            return open_url(url, url_username=options["username"], url_password=options["token"], force_basic_auth=True,
                            timeout=10, follow_redirects="none").read().decode("utf-8", "replace")
        except HTTPError as error:
            if error.code in (301, 302, 303, 307, 308, 404):
                # a redirect leads to another index: this one does not have it
                return ""
            if error.code in (401, 403):
                raise PublishError(
                    "the index at %s refused the user %r (HTTP %d): the token is wrong, or the user may not look. Check "
                    "swf_testbed_index_user and swf_testbed_index_token." % (
                        options["index_url"], options["username"], error.code)) from error
            raise PublishError("the index at %s answered HTTP %d for %s. Look at its log." % (
                options["index_url"], error.code, name)) from error
        except (URLError, UrlConnectionError, socket.timeout, OSError) as error:
            if time.monotonic() > deadline:
                raise IndexAway("nothing answers at the index %s: %s. See whether it runs: ansible-playbook "
                                "playbooks/status.yml" % (options["index_url"], getattr(error, "reason", error))) from error
            time.sleep(0.2)


def has(page, name, version):
    """True if a page of the simple API lists a file of that version."""
    files = re.findall(r">\s*([^<>\s]+\.(?:whl|tar\.gz|zip))\s*<", page)
    stems = (canonical(name).replace("-", "_") + "-" + version, canonical(name) + "-" + version)
    return any(re.split(r"(?=-py|-cp|\.tar\.gz$|\.zip$)", file, maxsplit=1)[0].replace("-", "_").lower()
               == stem.replace("-", "_").lower() for file in files for stem in stems)


def wheel(folder, outdir):
    """Build a folder's wheel in isolation."""
    with tempfile.TemporaryDirectory() as scratch:
        # the source stays clean, and may be read-only: the build sees a place of its own for what it writes
        call("build %s" % folder, [sys.executable, "-m", "build", "--wheel", "--installer", "uv", "--outdir", scratch, folder])
        built = glob.glob(os.path.join(scratch, "*.whl"))
        target = os.path.join(outdir, os.path.basename(built[0]))
        os.replace(built[0], target)
    return target


def upload(options, files, scratch):
    pypirc = os.path.join(scratch, "pypirc")
    with open(pypirc, "w", encoding="utf-8") as stream:
        stream.write("[distutils]\nindex-servers = target\n[target]\nrepository = %s\nusername = %s\npassword = %s\n" % (
            options["upload_url"], options["username"], options["token"].replace("%", "%%")))
    done = subprocess.run(
        [sys.executable, "-m", "twine", "upload", "--non-interactive", "--disable-progress-bar", "--config-file", pypirc,
         "--repository", "target", *files],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise InstallError("upload to the index", done.stdout.replace(options["token"], "***"),
                           {"name": "that was given", "url": options["upload_url"]})


def missing(options, projects):
    """The folders whose version the index lacks, as {folder: (name, version)}."""
    found = {}
    for folder, (name, version) in projects.items():
        if not has(index_page(options, name), name, version):
            found[folder] = (name, version)
    return found


def publish(options, check_mode):
    projects = {folder: project(folder) for folder in options["sources"]}
    try:
        wanted = missing(dict(options, wait=0) if check_mode else options, projects)
    except IndexAway:
        if not check_mode:
            raise
        wanted = projects
    if wanted and not check_mode:
        # nobody else may enter this directory: it holds the token for the time of the upload
        with tempfile.TemporaryDirectory() as scratch:
            with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
                files = list(pool.map(lambda folder: wheel(folder, scratch), wanted))
            upload(options, files, scratch)
    return (["%s %s" % pair for pair in wanted.values()],
            ["%s %s" % pair for folder, pair in projects.items() if folder not in wanted])


def main():
    module = AnsibleModule(
        argument_spec={
            "sources": {"type": "list", "elements": "path", "required": True},
            "index_url": {"type": "str", "required": True},
            "upload_url": {"type": "str", "required": True},
            "username": {"type": "str", "required": True},
            "token": {"type": "str", "required": True, "no_log": True},
            "wait": {"type": "int", "default": 20},
        },
        supports_check_mode=True,
    )
    try:
        published, present = publish(module.params, module.check_mode)
    except PublishError as error:
        module.fail_json(msg=str(error))
    except InstallError as error:
        module.fail_json(msg=explain(error))
    module.exit_json(changed=bool(published), published=published, present=present,
                     diff={"before": "", "after": "".join(line + "\n" for line in published)})


if __name__ == "__main__":
    main()
