# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sub-package of plugins/module_utils may import which other one, read from the source.

An arrow that is not allowed is most often a sign that a function is in the wrong file: move that
first.
"""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4] / "plugins/module_utils"
COLLECTION = "ansible_collections.bnlnpps.swf_testbed"
HERE = COLLECTION + ".plugins.module_utils"
ALLOWED = {
    "_common": set(),
    "_host": {"_common"},
    "_index": {"_common", "_host"},
    "_build": {"_common", "_index"},
    "_package": {"_common", "_build", "_index"},
    "_release": {"_common", "_build", "_host", "_index"},
    "_supervisor": {"_common"},
    "_instance": {"_common", "_release", "_supervisor"},
    # the list of what the roles made, and its removal. As a part of _instance it would need two
    # more arrows there, for it alone; and nothing else here imports it
    "_manifest": {"_common", "_host", "_index"},
    # the present state of an instance; the modules that the question asks, it calls by their names
    "_state": {"_host", "_manifest", "_release"},
    # clients of the services that the programs use
    "_service": {"_common"},
    "_doctor": {
        "_common",
        "_host",
        "_index",
        "_instance",
        "_release",
        "_service",
        "_supervisor",
    },
}


def imported(path, root):
    """Full names of what a file imports of this collection, wherever in the file it does so."""
    package = [HERE, *path.relative_to(root).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(package).split(".")
            above = above[: len(above) - node.level + 1] if node.level else []
            module = ".".join(above + [node.module] * bool(node.module))
            names = ["%s.%s" % (module, alias.name) for alias in node.names]
        else:
            continue
        yield from (name for name in names if (name + ".").startswith(COLLECTION + "."))


def arrows(root):
    """{(sub-package, what it imports): a file that does so}; what is no sub-package is named in
    full."""
    found = {}
    for path in sorted(root.glob("*/**/*.py")):
        source = path.relative_to(root).parts[0]
        for name in imported(path, root):
            inside = name[len(HERE) + 1 :].partition(".")[0] if name.startswith(HERE + ".") else ""
            target = inside if inside in ALLOWED else name
            if target != source:
                found.setdefault((source, target), str(path.relative_to(root)))
    return found


def test_arrows_are_allowed():
    refused = [
        "%s must not import %s" % (path, target)
        for (source, target), path in arrows(ROOT).items()
        if target not in ALLOWED.get(source, ())
    ]
    assert not refused, "\n".join(refused)


def test_allowed_arrows_have_no_cycle():
    graphlib.TopologicalSorter(ALLOWED).prepare()


def test_files_have_no_cycle():
    """Nor have the files of one sub-package: which of two is imported first must not matter."""
    files = {
        ".".join([HERE, *path.relative_to(ROOT).with_suffix("").parts]): path
        for path in ROOT.glob("*/*.py")
    }
    graph = {
        name: {
            candidate
            for found in imported(path, ROOT)
            for candidate in (found, found.rpartition(".")[0])
            if candidate in files
        }
        for name, path in files.items()
    }
    graphlib.TopologicalSorter(graph).prepare()


def test_every_file_is_in_a_sub_package():
    flat = [path.name for path in ROOT.glob("*.py")]
    assert not flat, "%s belongs into one of %s" % (flat, ", ".join(ALLOWED))
    assert {
        path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"
    } == set(ALLOWED)
    # AnsiballZ sends a package only with its __init__.py, and what that says would run before every
    # module
    assert [name for name in ALLOWED if (ROOT / name / "__init__.py").read_bytes()] == []


@pytest.mark.parametrize(
    "line, target",
    [
        ("from %s._doctor import clock" % HERE, "_doctor"),
        ("from %s import _doctor" % HERE, "_doctor"),
        ("from %s._doctor.clock import unsynchronised as clock" % HERE, "_doctor"),
        ("import %s._doctor.clock" % HERE, "_doctor"),
        ("def late():\n    from .._doctor import clock", "_doctor"),
        ("from ..new import thing", HERE + ".new.thing"),
        (
            "from %s.plugins.plugin_utils import _run" % COLLECTION,
            COLLECTION + ".plugins.plugin_utils._run",
        ),
    ],
)
def test_every_way_to_import_is_an_arrow(tmp_path, line, target):
    (tmp_path / "_host").mkdir()
    (tmp_path / "_host/ports.py").write_text(
        "from .layout import xdg\nfrom ansible.module_utils import basic\n" + line
    )
    assert arrows(tmp_path) == {("_host", target): "_host/ports.py"}
