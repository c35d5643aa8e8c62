# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The question for the state of a host as one program for standard input: with the sources of the
modules that it asks, without their documentation, compressed.

Compressing takes half a second, so it is done once for each version of the sources.
"""

from __future__ import annotations

import ast
import base64
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
#: Reads the request and, if the host does not have them from the last question, the sources. The
#: code of another Python must not be loaded.
START = """
import sys,zlib,json,marshal,hashlib
g=json.loads(zlib.decompress(sys.stdin.buffer.read()))
k=g["stored"] or {}
c=None
try:
    if k and k["version"]==sys.version:
        t=open(k["path"],"rb").read()
        if hashlib.sha256(t).hexdigest()==k["digest"]: c=marshal.loads(t)
except OSError: pass
h=bool(c)
if not c and g["sources"]:
    s=json.loads(zlib.decompress(__import__("base64").b64decode(g["sources"])))
    c={n:compile(t,n,"exec",dont_inherit=True) for n,t in s.items()}
if c:
    m={"__name__":"bootstrap"}
    exec(c["bootstrap"],m)
    m["main"](c,g,h)
else: print("MARK{}")
""".replace("MARK", bootstrap.MARK)


def payload(request: Mapping[str, Any], stored: Mapping[str, str] | None, sources: bytes) -> bytes:
    """Standard input of the program :data:`START`.

    :param stored: what the host has of an earlier question.
    :param sources: of :func:`compressed`, or nothing.
    """
    given = {"request": request, "stored": stored, "sources": base64.b64encode(sources).decode()}
    return zlib.compress(json.dumps(given).encode(), 6 if not sources else 1)


def compressed(folder: str, version: str) -> bytes:
    """The sources of the question.

    :param folder: on the controller, where they are.
    :param version: a text that is different for other sources.
    """
    path = os.path.join(folder, "question-%s.zlib" % version[:16])
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        content = zlib.compress(json.dumps(program_of()).encode(), 9)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with replacing(path) as stream:
        stream.buffer.write(content)
    return content


def program_of() -> dict[str, str]:
    """{name: source} of all that the host needs."""
    wanted = [PLUGINS + "modules." + name for name in question.MODULES]
    sources = sources_of([question.__name__, *wanted])
    sources[BASIC] = stripped(text_of(stand_in.__name__))
    return {**sources, "bootstrap": stripped(text_of(bootstrap.__name__))}


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
