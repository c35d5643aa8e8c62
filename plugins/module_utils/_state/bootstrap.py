# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the host as a program, which gets the sources of the collection that it needs with the
question. It imports nothing else of the collection."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import sys
from types import ModuleType
from typing import Any

QUESTION = "ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._state.question"
# before the answer: a login shell may print something first
MARK = "swf-testbed-state:"


class Sources(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports from texts.

    :param texts: {name of a module: its source}. Packages are what their modules are in.
    """

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts
        self._packages = {
            name[:index] for name in texts for index, letter in enumerate(name) if letter == "."
        }

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name in self._texts or name in self._packages:
            return importlib.machinery.ModuleSpec(name, self, is_package=name in self._packages)
        return None

    def create_module(self, spec: Any) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        text = self._texts.get(module.__name__, "")
        exec(compile(text, module.__name__, "exec"), module.__dict__)


def main(given: dict[str, Any]) -> None:
    sys.meta_path.insert(0, Sources(given["sources"]))
    found = importlib.import_module(QUESTION).answer(given["request"])
    print("\n" + MARK + json.dumps(found))
