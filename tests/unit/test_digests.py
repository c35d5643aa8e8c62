# SPDX-License-Identifier: GPL-3.0-or-later
"""A host in FIPS mode has no MD5, unless a call says that it is not for security."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("plugins", "roles", "packages/*/src")


def weak_digests(source: str) -> list[int]:
    """The lines that call ``md5`` or ``sha1`` of hashlib without ``usedforsecurity=False``."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        of_hashlib = isinstance(node.func.value, ast.Name) and node.func.value.id == "hashlib"
        name = node.func.attr
        if name == "new" and node.args and isinstance(node.args[0], ast.Constant):
            name = str(node.args[0].value)
        if not of_hashlib or name not in ("md5", "sha1"):
            continue
        if not any(
            word.arg == "usedforsecurity" and ast.unparse(word.value) == "False"
            for word in node.keywords
        ):
            found.append(node.lineno)
    return found


def test_the_rule_itself():
    source = (
        "import hashlib\nhashlib.md5(b'')\nhashlib.new('sha1')\nhashlib.sha256(b'')\n"
        "hashlib.md5(b'', usedforsecurity=False)\n"
    )
    assert weak_digests(source) == [2, 3]


def test_no_digest_that_fips_mode_refuses():
    files = [path for place in PLACES for path in ROOT.glob(place + "/**/*.py")]
    assert len(files) > 300
    found = {str(path.relative_to(ROOT)): weak_digests(path.read_text()) for path in files}
    assert {path: lines for path, lines in found.items() if lines} == {}
