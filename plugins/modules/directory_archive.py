#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: directory_archive
short_description: Archive a directory before it is removed
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Writes the files of a directory into a C(tar.gz) file of mode 0600, and reads it back. The
    archive gets its name when it is complete. Symbolic links and empty directories are not part of it.
  - The name ends in a digest of the paths, sizes and times of the files, so that the same content is
    archived once.
  - Nothing is done if the directory has no files or does not exist.
options:
  path:
    description: The directory.
    type: path
    required: true
  backup_dir:
    description: Directory of the archives. It is created, with mode 0700. It must not be inside
      O(path), also not through links.
    type: path
    required: true
  name:
    description: Beginning of the name of the archive.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: Predicts the archive.
  diff_mode:
    support: none
    description: The content of an archive is not text.
"""

EXAMPLES = r"""
- name: Archive the packages of the index
  bnlnpps.swf_testbed.directory_archive:
    path: ~/.local/state/swf-index/packages
    backup_dir: ~/.local/state/swf-index-backups
    name: swf-index-packages
"""

RETURN = r"""
archive:
  description: Path of the archive. Empty if there are no files.
  returned: success
  type: str
  sample: /home/me/.local/state/swf-index-backups/swf-index-packages-1f3870be274f.tar.gz
files:
  description: Number of files in the directory.
  returned: success
  type: int
  sample: 8
"""

import hashlib
import json
import os
import tarfile
import tempfile
from collections.abc import Mapping

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold


def contents(path: str) -> dict[str, tuple[int, int]]:
    """{path below the directory: (size, time of the last change)} of its files."""

    def fail(error: OSError) -> None:
        raise error

    found = {}
    for folder, _folders, names in os.walk(path, onerror=fail):
        for name in names:
            file = os.path.join(folder, name)
            if os.path.isfile(file) and not os.path.islink(file):
                status = os.stat(file)
                found[os.path.relpath(file, path)] = status.st_size, int(status.st_mtime)
    return found


def archived(archive: str) -> dict[str, tuple[int, int]]:
    """The content of an archive, which is read to its end, as of :func:`contents`."""
    with tarfile.open(archive) as tar:
        return {
            os.path.normpath(member.name): (member.size, int(member.mtime))
            for member in tar
            if member.isfile()
        }


def create(archive: str, path: str, files: Mapping[str, tuple[int, int]]) -> None:
    """Write the archive, read it back, and rename it to its name.

    :raises OSError, tarfile.TarError: it cannot be written, or files changed meanwhile.
    """
    folder = os.path.dirname(archive)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    handle, scratch = tempfile.mkstemp(prefix=".archive-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as stream:
            # dereference: a second hard link is a file, too. The files include no symbolic link.
            with tarfile.open(fileobj=stream, mode="w:gz", dereference=True) as tar:
                for name in sorted(files):
                    tar.add(os.path.join(path, name), os.path.join(".", name), recursive=False)
            stream.flush()
            os.fsync(handle)
        if archived(scratch) != files:
            raise OSError(0, "the files changed meanwhile")
        os.replace(scratch, archive)
    except BaseException:
        os.unlink(scratch)
        raise


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "backup_dir": {"type": "path", "required": True},
            "name": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    hold(module)
    path, backup_dir = (os.path.realpath(module.params[key]) for key in ("path", "backup_dir"))
    if os.path.commonpath([path, backup_dir]) == path:
        module.fail_json(
            msg="The backup directory would be removed with the archived one. Evidence: %s is inside "
            "%s. Fix: name another directory." % (backup_dir, path)
        )
    try:
        files = contents(path) if os.path.isdir(path) else {}
        if not files:
            module.exit_json(changed=False, archive="", files=0)
        digest = hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()[:12]
        archive = os.path.join(backup_dir, "%s-%s.tar.gz" % (module.params["name"], digest))
        changed = not os.path.exists(archive)
        if changed and not module.check_mode:
            create(archive, path, files)
    except (OSError, tarfile.TarError) as error:
        module.fail_json(
            msg="%s was not archived, and nothing was removed. Evidence: %s. Fix: check the files, and "
            "the free space in %s (df -h), then run again." % (path, error, backup_dir)
        )
    module.exit_json(changed=changed, archive=archive, files=len(files))


if __name__ == "__main__":
    main()
