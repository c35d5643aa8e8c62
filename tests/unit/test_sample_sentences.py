# SPDX-License-Identifier: GPL-3.0-or-later
"""tools/sample_sentences: the texts that it reads, and that a seed always gives the same ones."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

MARKDOWN = """# A heading with four words

A first sentence that wraps
over two lines. The second sentence is here.

    a block of code is not read

- an item of some list
```
another block of code is not
```
| a cell with four words | `x` |
"""

PYTHON = '''
"""The docstring of the file is not read."""
DOCUMENTATION = r"""
short_description: Install one or more packages
options:
  name:
    description:
      - The name of the package. It has no default value.
    type: str
"""
EXAMPLES = r"""
- name: Install the first of them
  x:
"""
# A comment that goes on
# over two lines.
TEXT = "there is no index at %s, look at it"
NAMES = f"the package {TEXT} was not found"
SHORT = "a b"
'''


@pytest.fixture(name="tool", scope="module")
def the_tool() -> Any:
    path = str(ROOT / "tools" / "sample_sentences")
    loader = importlib.machinery.SourceFileLoader("sample_sentences", path)
    spec = importlib.util.spec_from_loader("sample_sentences", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        # NamedTuple looks its module up
        sys.modules["sample_sentences"] = module
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


def read(tool: Any, pieces: Any) -> list[tuple[int, str]]:
    return [(line, text) for line, _source, piece in pieces for text in tool.sentences(piece)]


def test_markdown(tool: Any) -> None:
    assert read(tool, tool.markdown(MARKDOWN)) == [
        (1, "A heading with four words"),
        (3, "A first sentence that wraps over two lines."),
        (3, "The second sentence is here."),
        (8, "an item of some list"),
        (12, "a cell with four words"),
    ]


def test_python(tool: Any) -> None:
    assert sorted(read(tool, tool.python(PYTHON))) == [
        (4, "Install one or more packages"),
        (8, "It has no default value."),
        (8, "The name of the package."),
        (12, "Install the first of them"),
        (15, "A comment that goes on over two lines."),
        (17, "there is no index at %s, look at it"),
        (18, "the package {} was not found"),
    ]


def test_names_of_tasks_and_comments(tool: Any) -> None:
    text = "# a comment of four words\n- name: Install the first package\n  x:\n"
    assert sorted(read(tool, tool.yaml_file(text))) == [
        (1, "a comment of four words"),
        (2, "Install the first package"),
    ]


def test_a_seed_gives_the_same_sentences(
    tool: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    every = [
        tool.Sentence("README.md", line, "message", "sentence %d" % line) for line in range(50)
    ]
    monkeypatch.setattr(tool, "collected", lambda: every)
    outputs = []
    for seed in ("1", "1", "2"):
        tool.main([seed, "5"])
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] != outputs[2] and len(outputs[0].splitlines()) == 5
