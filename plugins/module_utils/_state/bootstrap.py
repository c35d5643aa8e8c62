# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the host as a program, with the compiled modules of the collection that the question needs.

The host keeps them for the next question, which then has a tenth of the size, and need not compile
them. The controller has their digest, and the host runs nothing else. This module imports nothing of
the collection.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.machinery
import json
import marshal
import os
import sys
import tempfile
from types import CodeType, ModuleType
from typing import Any

QUESTION = "ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._state.question"
# before the answer: a login shell may print something first
MARK = "swf-testbed-state:"
FILE = "question.code"


class Codes:
    """A finder and loader of compiled modules. Its base classes would take a fifth of the time of the
    question to import.

    :param codes: {name of a module: its code}. Packages are what their modules are in.
    """

    def __init__(self, codes: dict[str, CodeType]) -> None:
        self._codes = codes
        self._packages = {
            name[:index] for name in codes for index, letter in enumerate(name) if letter == "."
        }

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name in self._codes or name in self._packages:
            return importlib.machinery.ModuleSpec(name, self, is_package=name in self._packages)  # type: ignore[arg-type]
        return None

    def create_module(self, spec: Any) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        if module.__name__ in self._codes:
            exec(self._codes[module.__name__], module.__dict__)


def main(codes: dict[str, CodeType], given: dict[str, Any], is_stored: bool) -> None:
    sys.meta_path.insert(0, Codes(codes))  # type: ignore[arg-type]
    found = importlib.import_module(QUESTION).answer(given["request"])
    folder = found.pop("folder", None)
    found["stored"] = given["stored"] if is_stored else store(codes, folder)
    print("\n" + MARK + json.dumps(found))


def store(codes: dict[str, CodeType], folder: str | None) -> dict[str, str] | None:
    """Write the modules to a directory of the instance; what the controller must know of them."""
    if not folder or not os.path.isdir(folder):
        return None
    content = marshal.dumps(codes)
    path = os.path.join(folder, FILE)
    with contextlib.suppress(OSError):
        # not opened under its name, which may be a link in a directory of another user
        handle, scratch = tempfile.mkstemp(prefix=".ansible-", dir=folder)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.replace(scratch, path)
        return {
            "path": path,
            "digest": hashlib.sha256(content).hexdigest(),
            "version": sys.version,
        }
    return None
