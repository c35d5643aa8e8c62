#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: unpacked_archive
short_description: Copy an archive to the host and unpack it into a separate directory
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Checks the checksum of a tar archive on the controller, copies the archive to the host, unpacks it
    next to O(dest), and renames the result to O(dest). So an interrupted run never leaves an
    incomplete directory at O(dest), in contrast to M(ansible.builtin.unarchive) with C(creates). The
    host needs no internet access.
  - An existing directory is not changed, so the name of O(dest) should contain the version or the
    checksum.
  - If the archive has a single directory at the top, its content is unpacked.
options:
  src:
    description: Path of the archive on the controller.
    type: path
    required: true
  checksum:
    description: C(sha256:) or C(sha512:) and the hexadecimal digits.
    type: str
    required: true
  dest:
    description: Directory to create.
    type: path
    required: true
  keep:
    description: After unpacking, remove the oldest directories next to O(dest), so that this many
      remain, O(dest) included. V(0) removes none. The directory above O(dest) must then contain
      nothing else.
    type: int
    default: 0
attributes:
  check_mode:
    support: full
    description: Predicts whether the directory would be created. Copies nothing, and does not need
      O(src).
  diff_mode:
    support: none
    description: The content of an archive is not text.
  action:
    support: full
    description: Has a corresponding action plugin, which copies the archive.
notes:
  - Entries outside of O(dest), links out of it, and device files are refused. Owners and special
    modes in the archive are ignored.
"""

EXAMPLES = r"""
- name: Unpack a broker
  bnlnpps.swf_testbed.unpacked_archive:
    src: /srv/archives/apache-artemis-2.56.0-bin.tar.gz
    checksum: "sha512:{{ artemis_checksum }}"
    dest: /opt/broker/artemis-2.56.0
    keep: 2
"""

RETURN = r"""
dest:
  description: The directory.
  returned: always
  type: str
  sample: /opt/broker/artemis-2.56.0
removed:
  description: The directories that were removed.
  returned: when an archive was unpacked
  type: list
  elements: str
  sample: [/opt/broker/artemis-2.40.0]
"""

import os
import shutil
import tarfile
import tempfile

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.checksums import (
    CHECKSUM,
    mismatch,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.modes import set_umask
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold


class ArchiveError(Exception):
    """The archive is not the expected one, or has harmful members."""


def is_inside(path: str) -> bool:
    """Whether a path relative to the directory stays in it."""
    path = os.path.normpath(path)
    return not (os.path.isabs(path) or path == ".." or path.startswith("../"))


def checked(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A member with a harmless mode and owner.

    :raises ArchiveError: it would be outside of the directory, or is no file.
    """
    # the target of a hard link is relative to the top of the archive, that of a symbolic link to its
    # directory
    target = (
        member.linkname
        if member.islnk()
        else os.path.join(os.path.dirname(member.name), member.linkname)
    )
    if not is_inside(member.name) or (
        (member.issym() or member.islnk())
        and (os.path.isabs(member.linkname) or not is_inside(target))
    ):
        raise ArchiveError("%s in the archive would be outside of the directory" % member.name)
    if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
        raise ArchiveError("%s in the archive is neither a file nor a directory" % member.name)
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    # as root, tarfile would give the files to the user with that number on this host
    member.uid, member.gid = os.getuid(), os.getgid()
    member.uname = member.gname = ""
    return member


def unpack(archive: str, dest: str) -> None:
    """Unpack next to the directory, and rename the result to it at the end."""
    parent = os.path.dirname(dest)
    os.makedirs(parent, mode=0o755, exist_ok=True)
    scratch = tempfile.mkdtemp(prefix=".unpacking-", dir=parent)
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                # one by one: links out are refused before a later member could follow them
                tar.extract(checked(member), scratch)
        entries = os.listdir(scratch)
        top = os.path.join(scratch, entries[0]) if len(entries) == 1 else scratch
        if not os.path.isdir(top) or os.path.islink(top):
            top = scratch
        os.chmod(top, 0o755)
        os.rename(top, dest)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def prune(dest: str, keep: int) -> list[str]:
    """Remove the oldest directories next to one, and return their paths."""
    parent = os.path.dirname(dest)
    others = [os.path.join(parent, name) for name in os.listdir(parent)]
    oldest_first = sorted((path for path in others if path != dest), key=os.path.getctime)
    removed = oldest_first[: max(0, len(oldest_first) + 1 - keep)]
    for path in removed:
        shutil.rmtree(path)
    return removed


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "src": {"type": "path", "required": True},
            "checksum": {"type": "str", "required": True},
            "dest": {"type": "path", "required": True},
            "keep": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    hold(module)
    set_umask()
    parameters, dest = module.params, module.params["dest"].rstrip("/")
    if not CHECKSUM.fullmatch(parameters["checksum"]):
        module.fail_json(
            msg="checksum must be sha256: and 64 hexadecimal digits, or sha512: and 128. It is %r."
            % (parameters["checksum"])
        )
    if os.path.isdir(dest):
        module.exit_json(changed=False, dest=dest)
    if os.path.lexists(dest):
        module.fail_json(msg="%s is not a directory. Fix: move it away, then run again" % dest)
    if module.check_mode:
        module.exit_json(changed=True, dest=dest)
    try:
        problem = mismatch(parameters["src"], parameters["checksum"])
        if problem:
            raise ArchiveError(problem)
        unpack(parameters["src"], dest)
        removed = prune(dest, parameters["keep"]) if parameters["keep"] else []
    except ArchiveError as error:
        module.fail_json(msg="The archive was not unpacked. Evidence: %s." % error)
    except tarfile.TarError as error:
        module.fail_json(
            msg="%s is not a readable tar archive. Evidence: %s" % (parameters["src"], error)
        )
    except OSError as error:
        module.fail_json(
            msg="%s was not unpacked into %s. Evidence: %s. Fix: check the disk of the host (df -h)."
            % (parameters["src"], dest, error)
        )
    module.exit_json(changed=True, dest=dest, removed=removed)


if __name__ == "__main__":
    main()
