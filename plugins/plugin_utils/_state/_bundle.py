# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The question for the state of a host as one program for standard input: with the sources of the
modules that it asks, without their documentation, compressed.

Compressing takes half a second, so it is done once for each version of the sources.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import replacing
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._state import (
    bootstrap,
    question,
    stand_in,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._collection import ROOT

PLUGINS = "ansible_collections.bnlnpps.swf_testbed.plugins."
DOCUMENTATION = ("DOCUMENTATION", "EXAMPLES", "RETURN")
# what the modules import of Ansible: this class stands in for it
BASIC = "ansible.module_utils.basic"
#: reads the program: its length, then its compressed text, then the compressed request
START = (
    "import sys,zlib,json;i=sys.stdin.buffer;n=int(i.readline());p=json.loads(zlib.decompress(i.read(n)));"
    "p['request']=json.loads(zlib.decompress(i.read()));g={'__name__':'bootstrap'};"
    "exec(p['bootstrap'],g);g['main'](p)"
)


def payload(request: Mapping[str, Any], folder: str, version: str) -> bytes:
    """Standard input of the program :data:`START`.

    :param folder: on the controller, for the compressed sources.
    :param version: a text that is different for other sources.
    """
    path = os.path.join(folder, "question-%s.zlib" % version[:16])
    try:
        program = Path(path).read_bytes()
    except FileNotFoundError:
        program = zlib.compress(json.dumps(program_of()).encode(), 9)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        with replacing(path) as stream:
            stream.buffer.write(program)
    return b"%d\n" % len(program) + program + zlib.compress(json.dumps(request).encode())


def program_of() -> dict[str, Any]:
    wanted = [PLUGINS + "modules." + name for name in question.MODULES]
    sources = sources_of([question.__name__, *wanted])
    sources[BASIC] = stripped(text_of(stand_in.__name__))
    return {"bootstrap": stripped(text_of(bootstrap.__name__)), "sources": sources}


def sources_of(names: Iterable[str]) -> dict[str, str]:
    """{name: source} of modules of the collection, and of all that they import of it."""
    found: dict[str, str] = {}
    left = list(names)
    while left:
        name = left.pop()
        if name in found or not path_of(name).is_file():
            continue
        found[name] = stripped(text_of(name))
        for node in ast.walk(ast.parse(found[name])):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PLUGINS):
                base = str(node.module)
                left += [base, *(base + "." + item.name for item in node.names)]
    return found


def path_of(name: str) -> Path:
    return ROOT / "plugins" / (name[len(PLUGINS) :].replace(".", "/") + ".py")


def text_of(name: str) -> str:
    return path_of(name).read_text(encoding="utf-8")


def stripped(text: str) -> str:
    """A source without docstrings, comments, annotations of functions, and documentation."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            node.body = [item for item in node.body if not is_text(item)] or [ast.Pass()]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            given = node.args
            for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs):
                argument.annotation = None
            for rest in (given.vararg, given.kwarg):
                if rest:
                    rest.annotation = None
    return ast.unparse(tree)


def is_text(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id in DOCUMENTATION
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def old_programs(folder: str, version: str) -> None:
    """Remove the programs of other versions."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(folder):
            if name.startswith("question-") and version[:16] not in name:
                os.unlink(os.path.join(folder, name))
