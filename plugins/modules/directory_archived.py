#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: directory_archived
short_description: Keep the content of a directory in an archive before it is removed
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Packs the files of a directory into a C(tar.gz) that only its owner can read, and checks that
    all of it can be read back.
  - The name of the archive ends on a digest of the content, so that the same content is archived
    once.
  - A directory that is empty or not there needs no archive.
options:
  path:
    description: The directory.
    type: path
    required: true
  backup_dir:
    description: Directory on the same host for the archives. It is made with mode 0700, and must
      not be within O(path).
    type: path
    required: true
  name:
    description: What the archive's name begins with.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: Says which archive would be made.
  diff_mode:
    support: full
    description: Names the archive.
"""

EXAMPLES = r"""
- name: Keep the packages of the index
  bnlnpps.swf_testbed.directory_archived:
    path: ~/.local/state/swf-index/packages
    backup_dir: ~/.local/state/swf-index-backups
    name: swf-index-packages
"""

RETURN = r"""
archive:
  description: Path of the archive, empty if there was nothing to archive.
  returned: success
  type: str
  sample: /home/me/.local/state/swf-index-backups/swf-index-packages-1f3870be274f.tar.gz
files:
  description: How many files are in it.
  returned: success
  type: int
  sample: 8
"""

import hashlib
import os
import tarfile
import tempfile

from ansible.module_utils.basic import AnsibleModule


def content(path):
    """{path relative to the directory: SHA-256} of the regular files in a directory."""
    found = {}
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            file = os.path.join(folder, name)
            if os.path.isfile(file) and not os.path.islink(file):
                with open(file, "rb") as stream:
                    found[os.path.relpath(file, path)] = digest(stream)
    return found


def digest(stream):
    result = hashlib.sha256()
    for part in iter(lambda: stream.read(1 << 20), b""):
        result.update(part)
    return result.hexdigest()


def packed(archive):
    """What is in an archive, as :func:`content` says it."""
    with tarfile.open(archive, "r:gz") as tar:
        return {member.name: digest(tar.extractfile(member)) for member in tar if member.isfile()}


def pack(path, found, archive):
    """Make the archive, under its name only when it is complete.

    :raises OSError, tarfile.TarError: it could not be made, or does not hold what it should.
    """
    folder = os.path.dirname(archive)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    handle, scratch = tempfile.mkstemp(dir=folder)
    try:
        with os.fdopen(handle, "wb") as stream:
            with tarfile.open(fileobj=stream, mode="w:gz") as tar:
                for name in found:
                    tar.add(os.path.join(path, name), arcname=name, recursive=False)
            stream.flush()
            os.fsync(stream.fileno())
        if packed(scratch) != found:
            raise OSError(0, "the files changed meanwhile, run again")
        os.replace(scratch, archive)
    except BaseException:
        os.unlink(scratch)
        raise


def main():
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "backup_dir": {"type": "path", "required": True},
            "name": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    path, backup_dir = (os.path.realpath(module.params[key]) for key in ("path", "backup_dir"))
    if os.path.commonpath([path, backup_dir]) == path:
        module.fail_json(
            msg="backup_dir %s is within %s, and would be removed with it. Name another one."
            % (backup_dir, path)
        )
    try:
        found = content(path)
        if not found:
            module.exit_json(changed=False, archive="", files=0)
        listing = "".join("%s  %s\n" % (found[name], name) for name in sorted(found))
        archive = os.path.join(
            backup_dir,
            "%s-%s.tar.gz"
            % (module.params["name"], hashlib.sha256(listing.encode()).hexdigest()[:12]),
        )
        missing = not os.path.exists(archive)
        if missing and not module.check_mode:
            pack(path, found, archive)
    except (OSError, tarfile.TarError) as error:
        module.fail_json(
            msg="%s was not archived: %s. Nothing was removed. Make room in %s or name another "
            "directory." % (path, error, backup_dir)
        )
    module.exit_json(
        changed=missing,
        archive=archive,
        files=len(found),
        diff={"before": "", "after": archive + "\n" if missing else ""},
    )


if __name__ == "__main__":
    main()
