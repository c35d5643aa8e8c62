#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: archive_unpacked
short_description: Unpack an archive of known content into a directory of its own
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Downloads a tar archive, compares its checksum, and unpacks it beside O(dest), which gets its
    name when all is there. A run that was cut off leaves no directory that looks complete.
  - A directory that is there is left alone, so O(dest) should have the version or the checksum in
    its name.
  - The one directory at the top of the archive, if there is just one, is left out.
options:
  url:
    description: Address of the archive. V(file:///PATH) names one that is on the host.
    type: str
    required: true
  checksum:
    description: C(sha256:) or C(sha512:) and the hexadecimal digits.
    type: str
    required: true
  dest:
    description: Directory to make.
    type: path
    required: true
  ca_cert:
    description: Path on the host of the CA certificates to trust, where the system's do not do.
    type: path
  timeout:
    description: Seconds without an answer after which the download is given up.
    type: int
    default: 60
attributes:
  check_mode:
    support: full
    description: Tells whether the directory would be made. Downloads nothing.
  diff_mode:
    support: none
    description: The content of an archive is no text to compare.
notes:
  - Entries that would be outside of O(dest), links out of it, and device files are refused. Owners
    and special modes in the archive are not taken over.
"""

EXAMPLES = r"""
- name: Unpack a broker
  bnlnpps.swf_testbed.archive_unpacked:
    url: https://files.example.org/apache-artemis-2.40.0-bin.tar.gz
    checksum: "sha512:{{ artemis_checksum }}"
    dest: /opt/artemis-2.40.0
"""

RETURN = r"""
dest:
  description: The directory.
  returned: always
  type: str
  sample: /opt/artemis-2.40.0
"""

import hashlib
import os
import re
import shutil
import tarfile
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.modes import set_umask
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold

CHECKSUM = re.compile(r"(sha256:[0-9a-fA-F]{64}|sha512:[0-9a-fA-F]{128})")
CHUNK = 1024 * 1024


class Refused(Exception):
    """The archive is not what it should be."""


def download(parameters, target):
    """Write the archive into a file that is open, and compare its checksum."""
    kind, wanted = parameters["checksum"].split(":")
    digest = hashlib.new(kind)
    source = open_url(
        parameters["url"],
        timeout=parameters["timeout"],
        ca_path=parameters["ca_cert"],
        follow_redirects="all",
    )
    for chunk in iter(lambda: source.read(CHUNK), b""):
        digest.update(chunk)
        target.write(chunk)
    target.flush()
    if digest.hexdigest() != wanted.lower():
        raise Refused(
            "the %s checksum of %s is %s, and %s was expected. Compare both with what its "
            "publisher says." % (kind, parameters["url"], digest.hexdigest(), wanted)
        )


def is_inside(path):
    """Whether a path relative to the directory stays in it."""
    path = os.path.normpath(path)
    return not (os.path.isabs(path) or path == ".." or path.startswith("../"))


def checked(member):
    """A member with a mode and an owner that do no harm.

    :raises Refused: it would be somewhere else, or is no file.
    """
    # the target of a hard link counts from the top of the archive, that of a symbolic link from
    # where it is
    target = (
        member.linkname
        if member.islnk()
        else os.path.join(os.path.dirname(member.name), member.linkname)
    )
    if not is_inside(member.name) or (
        (member.issym() or member.islnk())
        and (os.path.isabs(member.linkname) or not is_inside(target))
    ):
        raise Refused("%s in the archive would be outside of the directory" % member.name)
    if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
        raise Refused("%s in the archive is neither a file nor a directory" % member.name)
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    # as root, tarfile would give the files to whoever has that number here
    member.uid, member.gid = os.getuid(), os.getgid()
    member.uname = member.gname = ""
    return member


def unpack(archive, dest):
    """Unpack beside the directory, and give it its name at the end."""
    parent = os.path.dirname(dest)
    os.makedirs(parent, mode=0o755, exist_ok=True)
    scratch = tempfile.mkdtemp(prefix=".unpacking-", dir=parent)
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                # one by one: a link that was unpacked cannot lead a later member out, since links
                # out are refused
                tar.extract(checked(member), scratch)
        entries = os.listdir(scratch)
        top = os.path.join(scratch, entries[0]) if len(entries) == 1 else scratch
        if not os.path.isdir(top) or os.path.islink(top):
            top = scratch
        os.chmod(top, 0o755)
        os.rename(top, dest)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def main():
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "checksum": {"type": "str", "required": True},
            "dest": {"type": "path", "required": True},
            "ca_cert": {"type": "path"},
            "timeout": {"type": "int", "default": 60},
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
        module.fail_json(
            msg="%s must be a directory and is something else. Move it away, then run again." % dest
        )
    if module.check_mode:
        module.exit_json(changed=True, dest=dest)
    try:
        with tempfile.NamedTemporaryFile(dir=module.tmpdir) as archive:
            download(parameters, archive)
            unpack(archive.name, dest)
    except Refused as error:
        module.fail_json(msg="the archive is not used: %s" % error)
    except tarfile.TarError as error:
        module.fail_json(
            msg="%s is no tar archive that can be read: %s" % (parameters["url"], error)
        )
    except OSError as error:
        module.fail_json(
            msg="cannot get %s into %s: %s. Check the address, the host's network and proxy, and "
            "its disk "
            "(df -h)." % (parameters["url"], dest, error)
        )
    module.exit_json(changed=True, dest=dest)


if __name__ == "__main__":
    main()
