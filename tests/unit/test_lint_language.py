# SPDX-License-Identifier: GPL-3.0-or-later
"""tools/lint_language: the words that it finds, where, and those that it leaves alone."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]

VOCABULARY = """
always:
  words:
    - {write: fix, not: [cure, cures, cured]}
    - {write: interrupted, not: [cut off]}
    - {write: unavailable, not: ["(is|are) away"]}
    - {write: verified, not: [proven]}
  exceptions:
    - {text: copyright holder and you cure, reason: a license}
    - {text: "proven_*", files: [docs/*], reason: names of files on hosts}
names:
  words:
    - {write: "retain, save", not: [keep, kept]}
    - {write: type, not: [kind]}
    - {write: recorded, not: [know, known]}
    - {write: roll back, not: ["(go|goes) back"]}
    - {write: exclusive lock, not: [only one]}
  exceptions:
    - {text: known_hosts, reason: a file of OpenSSH}
    - {text: "swf_testbed_keep_*", reason: public variables}
    - {text: kind, files: [plugins/manifest.py], reason: a key that hosts have}
    - {text: test_*, files: [tests/*], reason: sentences}
"""


@pytest.fixture(name="tool", scope="module")
def the_tool() -> Any:
    loader = importlib.machinery.SourceFileLoader(
        "lint_language", str(ROOT / "tools" / "lint_language")
    )
    spec = importlib.util.spec_from_loader("lint_language", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


@pytest.fixture(name="linter")
def a_linter(tool: Any) -> Any:
    return tool.Linter(yaml.safe_load(VOCABULARY))


# file, its text, and line and word of each finding
FAILS: list[tuple[str, str, list[tuple[int, str]]]] = [
    ("README.md", "A title\n\nThe cure is to restart.\n", [(3, "cure")]),
    ("page.md", "It cures and CURED and Cured.", [(1, "cured"), (1, "cured"), (1, "cures")]),
    ("page.md", "a run that was cut\noff is repeated", [(1, "cut off")]),
    ("roles/x/tasks/main.yml", "# a run that was cut\n  # off\na: b\n", [(1, "cut off")]),
    ("plugins/x.py", 'TEXT = (\n    "the broker is "\n    "away"\n)\n', [(2, "is away")]),
    ("plugins/x.py", "def cut_off(): pass\n", [(1, "cut off")]),
    ("plugins/x.py", "class UpstreamCured: pass\n", [(1, "cured")]),
    ("plugins/x.py", 'key = result["proven"]\n', [(1, "proven")]),
    ("roles/x/templates/a.j2", "{# hosts that are away #}", [(1, "are away")]),
    ("roles/x/files/cure.sh", "true\n", [(1, "cure")]),
    ("packages/x/src/app.js", "// the cure\n", [(1, "cure")]),
    # the second list: names
    ("plugins/x.py", "def why_kept(path):\n    return path\n", [(1, "kept")]),
    ("plugins/x.py", "def f(\n    kind: str,\n) -> str:\n    return kind\n", [(2, "kind")]),
    ("plugins/x.py", "class Known:\n    pass\n", [(1, "known")]),
    ("plugins/x.py", "class WellKnown:\n    pass\n", [(1, "known")]),
    ("plugins/x.py", "KEPT = 3\n", [(1, "kept")]),
    ("plugins/x.py", "self.kept = 3\n", [(1, "kept")]),
    ("plugins/x.py", "self.kept: int = 3\n", [(1, "kept")]),
    ("plugins/x.py", "from other import snapshot as kept\n", [(1, "kept")]),
    ("plugins/x.py", "for known in items:\n    pass\n", [(1, "known")]),
    ("plugins/x.py", "with only_one(path):\n    pass\n", [(1, "only one")]),
    ("plugins/known.py", "", [(1, "known")]),
    (
        "plugins/modules/x.py",
        'DOCUMENTATION = r"""\nmodule: x\nshort_description: Go back to a release\n'
        'options:\n  kept:\n    type: str\n"""\n',
        [(3, "go back"), (5, "kept")],
    ),
    ("plugins/modules/x.py", 'EXAMPLES = r"""\n- name: Keep it\n  x:\n"""\n', [(2, "keep")]),
    ("roles/x/tasks/main.yml", "- name: Know the ports\n  a.b.c:\n", [(1, "know")]),
    ("roles/x/tasks/main.yml", "- name: Run\n  a.b.c:\n  register: what_kept\n", [(3, "kept")]),
    ("roles/x/tasks/main.yml", "- block:\n    - name: Go back\n      a: {}\n", [(2, "go back")]),
    ("roles/x/vars/main.yml", "__kind: 1\n", [(1, "kind")]),
    ("roles/x/templates/a.yml.j2", "{% set kept = 1 %}\n{{ a }}: {{ b }}: c\n", [(1, "kept")]),
    ("page.md", "# What is kept\n", [(1, "kept")]),
    ("packages/x/page.html", "<h2 class=big>What is known</h2>", [(1, "known")]),
    ("tools/x", "#!/bin/sh\nkept=3\n", [(2, "kept")]),
    ("tools/x", "#!/usr/bin/env bash\ngo_back() {\n", [(2, "go back")]),
    ("pyproject.toml", "kept = 3\n", [(1, "kept")]),
    ("Makefile", "go-back: setup\n", [(1, "go back")]),
    ("tests/unit/test_x.py", "def helper_of_kind(): pass\n", [(1, "kind")]),
]

PASSES = [
    ("README.md", "Releases are kept. It is known. Programs of a kind go back to it.\n"),
    ("README.md", "secure, obscure, curell, precured, a cutoff, away\n"),
    ("README.md", "unproven\n"),
    ("LICENSE.md", "copyright holder and you\n  cure the violation"),
    ("docs" + "/page.md", "the file proven_release\n"),
    ("page.md", "```sh\n# what is kept\n```\n"),
    ("plugins/x.py", '"""What is kept."""\n# known\nNAME = "kept"\n'),
    ("plugins/x.py", "from other import kept\n\nimport known\n\nkept(known)\n"),
    ("plugins/x.py", "from other import (\n    kept,\n    known,\n)\n"),
    ("plugins/x.py", "unknown = stream.kept == known_hosts\n"),
    ("plugins/x.py", "value = module.kept(module.known)\n"),
    ("plugins/manifest.py", "kind = 1\n"),
    ("roles/x/defaults/main.yml", "swf_testbed_keep_releases: 3\n"),
    ("roles/x/tasks/main.yml", "- name: Run\n  a.b.c:\n    text: what is kept\n"),
    ("roles/x/tasks/main.yml", "- name: Run\n  a.b.c:\n    name: known\n"),
    ("tests/unit/test_x.py", "def test_a_file_that_is_kept(): pass\n"),
    ("tools/x", "#!/bin/sh\n# kept=3\necho kept\n"),
]


@pytest.mark.parametrize(("path", "text", "wanted"), FAILS)
def test_a_word_is_found(linter: Any, path: str, text: str, wanted: list[tuple[int, str]]) -> None:
    found = [(item.line, item.text.split('"')[1]) for item in linter.check(path, text)]
    assert found == wanted


@pytest.mark.parametrize(("path", "text"), PASSES)
def test_other_words_and_exceptions_are_not(linter: Any, path: str, text: str) -> None:
    assert linter.check(path, text) == []


def test_a_finding_has_the_word_to_write(linter: Any) -> None:
    (always,) = linter.check("README.md", "the cure")
    assert str(always) == 'README.md:1: "cure" is not used here; write "fix"'
    (name,) = linter.check("roles/x/tasks/main.yml", "- name: Keep it\n  x:\n")
    assert str(name).endswith('"keep" is not used in the task name "Keep it"; write "retain, save"')


def test_an_exception_that_nothing_needs_is_named(linter: Any) -> None:
    linter.check("docs" + "/page.md", "the file proven_release")
    linter.check("plugins/x.py", "known_hosts = 1\n")
    assert linter.unneeded() == [
        "copyright holder and you cure",
        "swf_testbed_keep_*",
        "kind",
        "test_*",
    ]


def test_the_command_names_file_and_line(
    tool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(tool, "VOCABULARY", tmp_path / "vocabulary.yml")
    tool.VOCABULARY.write_text(VOCABULARY)
    bad, good = tmp_path / "bad.md", tmp_path / "good.md"
    bad.write_text("\nthe cure\n")
    good.write_text("the fix\n")
    assert tool.main([str(good)]) == 0
    assert capsys.readouterr().out == ""
    assert tool.main([str(bad), str(good)]) == 1
    assert capsys.readouterr().out.startswith('bad.md:2: "cure" is not used here; write "fix"\n')


def test_every_entry_and_exception_of_the_vocabulary_is_complete() -> None:
    vocabulary = yaml.safe_load((ROOT / "tools/vocabulary.yml").read_text())
    assert set(vocabulary) == {"always", "names"}
    for entries in vocabulary.values():
        assert all(set(item) == {"write", "not"} and item["write"] for item in entries["words"])
        for item in entries.get("exceptions") or []:
            assert item["reason"] and set(item) <= {"text", "files", "reason"}, item
