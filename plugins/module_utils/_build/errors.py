# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installer's output means: the cause, the evidence and the next step, for somebody who has
never seen it."""

from __future__ import annotations

import re

# (pattern, cause, fix); the first that matches is taken. uv's and pip's words are both there.
CAUSES = (
    (r"[Qq]uota exceeded|os error 122\b|Errno 122\b",
     "the disk quota is used up",
     "free some space of this user (quota -s), or have the quota raised, and run again. What was "
     "half built is removed, and "
     "running programs were left as they are"),
    (r"[Nn]o space left on device|os error 28\b|Errno 28\b",
     "the disk is full",
     "free some space there (sudo du -xh --max-depth=2 MOUNT | sort -h | tail) and run again. What "
     "was half built is removed, "
     "and running programs were left as they are"),
    (r"HTTP status code: 40[13]|40[13] (Unauthorized|Forbidden|Client Error)|status code: "
     r"40[13]|credentials|User for ",
     "the index refused the user name or the token",
     "check username and token of the index {index} in swf_testbed_pip_indexes"),
    (r"UnknownIssuer|CERTIFICATE_VERIFY_FAILED|invalid peer certificate|certificate verify failed",
     "the index's TLS certificate is not trusted here",
     "add the CA to the host's certificates (update-ca-certificates), or fix the index's "
     "certificate"),
    (r"[Nn]ame or service not known|failed to lookup address|Temporary failure in name "
     r"resolution|dns error",
     "the name of the index cannot be resolved",
     "check the host name in the url of the index {index}, and the host's DNS"),
    (r"Connection refused|tcp connect error|Failed to establish a new connection|actively refused",
     "nothing answers at the index's address",
     "check the url of the index {index}, and that the index runs: ansible-playbook "
     "playbooks/status.yml"),
    (r"[Hh]ash mismatch|DO NOT MATCH THE HASHES",
     "the index serves another file than the one that was locked",
     "if the package was rebuilt on purpose, remove the lock on the controller ({lock}) and run "
     "again; if not, find out who "
     "replaced it"),
    (r"was not found in the package registry|No matching distribution found|no version of|there "
     r"are no versions|no versions of",
     "the index does not have the package, or not for this Python and platform",
     "look at the index {index} for the name and version; publish it first, or mend the version "
     "asked for"),
    (r"operation timed out|[Rr]ead timed out|timed out",
     "the index did not answer in time",
     "check the network and proxy settings of the host, then run again"),
)
# user:password@ in a URL, should an index put one into a message
CREDENTIALS = re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+@")
EVIDENCE_LINES = 12


def explain(error, lock="see swf_testbed_release_lock_file"):
    """The message for an :class:`InstallError`: what was done, the cause, the evidence, the next
    step.

    :param lock: path of the lock on the controller, for a message that needs it.
    """
    output = CREDENTIALS.sub("***@", error.output)
    index = error.index["name"] if error.index else "in use"
    cause, fix = "see the output below", "read the output, mend what it names, then run again"
    for pattern, meaning, mend in CAUSES:
        if re.search(pattern, output):
            cause, fix = meaning, mend.format(index=index, lock=lock)
            break
    where = " (%s)" % error.index["url"] if error.index and error.index.get("url") else ""
    evidence = "\n".join("  " + line for line in output.splitlines()[-EVIDENCE_LINES:])
    return "could not %s%s: %s.\nEvidence:\n%s\nNext: %s." % (error.doing, where, cause, evidence, fix)
