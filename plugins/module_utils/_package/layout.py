# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the code of a package is under src/, and its entry points exist. Nothing is imported."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.project import (
    Problem,
    Project,
)

# allowed outside of src/: tools use them in place
TOOLS_FILES = ("setup.py", "conftest.py", "noxfile.py", "tasks.py", "fabfile.py")
TOOLS_FOLDERS = ("test", "tests", "doc", "docs", "example", "examples", "benchmarks", "src")
TARGET = re.compile(
    r"^\s*(?P<module>[A-Za-z_][\w.]*)\s*(:\s*(?P<attribute>[A-Za-z_][\w.]*)\s*)?(\[.*\])?$"
)


def layout_findings(project: Project) -> Iterator[Problem]:
    """Problems with the location of the code, as (file, cause, fix) triples."""
    src = os.path.join(project.folder, "src")
    outside = [
        item
        for item in importable(project.folder)
        if item not in TOOLS_FILES and item not in TOOLS_FOLDERS
    ]
    expected = (project.name or "thing").replace("-", "_")
    if not os.path.isdir(src):
        yield (
            project.named("src"),
            "the directory does not exist",
            (
                "Move the code there, for example to src/%s/. Tests import code next to "
                "pyproject.toml from the checkout, and can pass although the built package is "
                "broken" % expected
            ),
        )
    else:
        if os.path.exists(os.path.join(src, "__init__.py")):
            yield project.named("src/__init__.py"), "it makes src a package", "Remove it"
        if not any(importable(src)):
            yield (
                project.named("src"),
                "there is no package in it",
                "Move the code to src/%s/ with an __init__.py" % expected,
            )
    for item in outside:
        yield (
            project.named(item),
            "it is importable and not in src/",
            "Move it to src/, or remove it",
        )


def importable(folder: str) -> list[str]:
    """The importable names in a directory, sorted."""
    return sorted(
        item
        for item in os.listdir(folder)
        if (
            item.endswith(".py")
            and item != "__init__.py"
            and os.path.isfile(os.path.join(folder, item))
        )
        or os.path.isfile(os.path.join(folder, item, "__init__.py"))
    )


def script_findings(project: Project) -> Iterator[Problem]:
    """Entry points without a target, as (file, cause, fix) triples."""
    programs = ("scripts", "gui-scripts")
    groups = {name: project.section("project", name) for name in programs}
    for group, entries in project.section("project", "entry-points").items():
        groups["entry-points.%s" % group] = entries if isinstance(entries, dict) else {}
    for group, entries in groups.items():
        for name, target in entries.items():
            cause = target_problem(project, str(target), needs_attribute=group in programs)
            if cause:
                yield (
                    project.file,
                    "[project.%s] %s = %r: %s" % (group, name, target, cause),
                    (
                        'Name a module under src/ and a function in it, like "%s.cli:main"'
                        % ((project.name or "thing").replace("-", "_"))
                    ),
                )


def target_problem(project: Project, target: str, needs_attribute: bool) -> str | None:
    """Why an entry point cannot be loaded, or None."""
    match = TARGET.match(target)
    if not match or (needs_attribute and not match["attribute"]):
        return "it is not of the form module:function"
    stem = os.path.join(project.folder, "src", *match["module"].split("."))
    paths = (stem + ".py", os.path.join(stem, "__init__.py"))
    path = next(filter(os.path.isfile, paths), None)
    if path is None:
        return "there is no module %s under src/" % match["module"]
    try:
        with open(path, "rb") as stream:
            names = top_level_names(ast.parse(stream.read()))
    except (SyntaxError, ValueError) as error:
        return "%s is not valid Python: %s" % (os.path.relpath(path, project.folder), error)
    attribute = (match["attribute"] or "").split(".")[0]
    if attribute and attribute not in names and "*" not in names:
        return "%s does not define %s" % (os.path.relpath(path, project.folder), attribute)
    return None


def top_level_names(tree: ast.Module) -> set[str]:
    """The names that a module binds outside of functions and classes; includes ``*`` after a star
    import."""
    names = set()
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        pending += ast.iter_child_nodes(node)
    return names
