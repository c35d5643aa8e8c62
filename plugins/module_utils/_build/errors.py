# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The meaning of an installer's output: cause, evidence and fix."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    InstallError,
)

# (pattern, cause, fix); the first one that matches is used. The patterns are those of uv and of pip.
CAUSES = (
    (
        r"[Qq]uota exceeded|os error 122\b|Errno 122\b",
        "the disk quota is used up",
        "free some space of this user (quota -s), or have the quota raised, and run again. The "
        "incomplete release is removed, and running programs were not changed",
    ),
    (
        r"[Nn]o space left on device|os error 28\b|Errno 28\b",
        "the disk is full",
        "free some space there (sudo du -xh --max-depth=2 MOUNT | sort -h | tail) and run again. The "
        "incomplete release is removed, and running programs were not changed",
    ),
    (
        r"HTTP status code: 40[13]|40[13] (Unauthorized|Forbidden|Client Error)|status code: "
        r"40[13]|credentials|User for ",
        "the index rejected the credentials",
        "check the username and the token of the index {index} in swf_testbed_pip_indexes",
    ),
    (
        r"UnknownIssuer|CERTIFICATE_VERIFY_FAILED|invalid peer certificate|certificate verify failed",
        "the index's TLS certificate is not trusted here",
        "add the CA to the host's certificates (update-ca-certificates), or fix the index's "
        "certificate",
    ),
    (
        r"[Nn]ame or service not known|failed to lookup address|Temporary failure in name "
        r"resolution|dns error",
        "the name of the index cannot be resolved",
        "check the host name in the url of the index {index}, and the host's DNS",
    ),
    (
        r"Connection refused|tcp connect error|Failed to establish a new connection|actively refused",
        "nothing answers at the index's address",
        "check the url of the index {index}, and that the index runs: ansible-playbook "
        "playbooks/status.yml",
    ),
    (
        r"[Hh]ash mismatch|DO NOT MATCH THE HASHES",
        "the index serves another file than the one that was locked",
        "if the package was rebuilt on purpose, remove the lock on the controller ({lock}) and run "
        "again; if not, find out who replaced it",
    ),
    (
        r"Wheels are required for `(?P<name>[^`]+)` because building from source is disabled",
        "{name} has no wheel, and building from source is not allowed for it",
        "add {name} to distributions.build_from_source of the stack file, which swf_testbed_stack "
        "names, or publish a wheel of it to an index",
    ),
    (
        r"\.whl is for one platform only",
        "hosts may have another platform or another Python",
        "publish wheels of it to an index of swf_testbed_pip_indexes",
    ),
    (
        r"(?P<python>\S+): No module named pip\b",
        "the Python of Ansible has no pip",
        "install it: {python} -m ensurepip",
    ),
    (
        r"Failed to build|subprocess-exited-with-error|Failed building wheel",
        "it does not build on the controller",
        "install the missing parts, choose another version in distributions.constraints of the "
        "stack file, or publish a wheel of it to an index",
    ),
    (
        r"was not found in the package registry|No matching distribution found|no version of|there "
        r"are no versions|no versions of",
        "the index does not have the package, or not for this Python and platform",
        "look for the name and version on the index {index}; publish it first, or correct the "
        "version",
    ),
    (
        r"No solution found when resolving dependencies|Cannot install .* because these package",
        "the requirements contradict each other",
        "change one of them: requirements, requirement_files or constraints in distributions of the "
        "stack file, swf_testbed_extra_components, or swf_testbed_release_requirements",
    ),
    (
        r"operation timed out|[Rr]ead timed out|timed out",
        "the index did not answer in time",
        "check the network and proxy settings of the host, then run again",
    ),
)
# user:password@ in a URL, should a message of an index contain one
CREDENTIALS = re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+@")
EVIDENCE_LINES = 12


def explain(error: InstallError, lock: str = "see swf_testbed_release_lock_file") -> str:
    """The message for an :class:`InstallError`.

    :param lock: path of the lock on the controller, for a message that needs it.
    """
    url = error.index.get("url") if error.index else None
    return diagnosis(
        error.doing + (" (%s)" % url if url else ""),
        CREDENTIALS.sub("***@", error.output),
        CAUSES,
        index=error.index["name"] if error.index else "in use",
        lock=lock,
    )


def diagnosis(doing: str, output: str, causes: Iterable[tuple[str, str, str]], **names: str) -> str:
    """The message for a failed command: cause, evidence and fix.

    :param output: of the command, without credentials.
    :param causes: (pattern, cause, fix); the first one that matches is used.
    :param names: for the texts of cause and fix, in addition to the named groups of the pattern.
    """
    cause, fix = "see the output below", "remove the cause that the output names, then run again"
    for pattern, meaning, template in causes:
        found = re.search(pattern, output)
        if found:
            names.update(found.groupdict())
            cause, fix = meaning.format(**names), template.format(**names)
            break
    evidence = "\n".join("  " + line for line in output.splitlines()[-EVIDENCE_LINES:])
    return "could not %s: %s.\nEvidence:\n%s\nFix: %s." % (doing, cause, evidence, fix)
