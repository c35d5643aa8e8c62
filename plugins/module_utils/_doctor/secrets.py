# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes the secrets of a host from findings: these quote logs, and a program may have logged a
secret."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import Finding
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.secrets import Scrubber

# shorter secrets would damage ordinary words
SHORTEST = 6
LONGEST_FILE = 100000
TEXTS = ("cause", "evidence", "fix")


def scrubber(folders: Iterable[str], tokens: Iterable[str]) -> Scrubber:
    """A scrubber for the tokens and the files of the directories."""
    scrub = Scrubber()
    for text in [*tokens, *(text for folder in folders for text in texts_of(folder))]:
        if len(text) >= SHORTEST:
            scrub.learn(None, text)
    return scrub


def texts_of(folder: str) -> Iterator[str]:
    """The secrets in a directory: every line, and the text after a colon or an equals sign; in a
    netrc file the passwords."""
    try:
        paths = sorted(entry.path for entry in os.scandir(folder) if entry.is_file())
    except OSError:
        return
    for path in paths:
        # certificates are public, and pip configuration contains addresses
        if path.endswith((".pem", ".conf", ".toml")):
            continue
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                text = stream.read(LONGEST_FILE)
        except OSError:
            continue
        if os.path.basename(path) == "netrc":
            yield from re.findall(r"password\s+(\S+)", text)
            continue
        for line in text.splitlines():
            if not line.startswith("-----"):
                yield line.strip()
                yield from (part.strip() for part in re.split("[:=]", line, maxsplit=1)[1:])


def without_secrets(findings: Iterable[Finding], scrub: Scrubber) -> list[Finding]:
    return [dict(item, **{name: scrub.text(item[name]) for name in TEXTS}) for item in findings]
