# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a source directory can be published: the metadata in pyproject.toml. Nothing is built or
run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

try:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import Version
except ImportError:
    Requirement = None  # type: ignore[assignment,misc]

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.names import canonical
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.layout import (
    layout_findings,
    script_findings,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.project import (
    CREDENTIALS,
    Problem,
    Project,
    normal_version,
)

NAME = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
LICENSES = re.compile(r"^(LICEN[CS]E|COPYING)([.-].*)?$", re.IGNORECASE)
READMES = ("README.md", "README.rst", "README.txt", "README")


def findings(project: Project) -> list[Problem]:
    """All problems, as (file, cause, fix) triples; the file is the label for messages."""
    if project.problem:
        return [(project.file, *project.problem)]
    checks = (build_system, name, description, version, requires_python, dependencies, readme)
    found = [
        (project.file, cause, fix)
        for check in (*checks, repository)
        for cause, fix in check(project)
    ]
    found += license_findings(project)
    found += layout_findings(project)
    found += script_findings(project)
    return found


def line(finding: Problem) -> str:
    """A finding as one line of text."""
    return "%s: %s. Fix: %s" % finding


def build_system(project: Project) -> Iterator[tuple[str, str]]:
    table = project.section("build-system")
    example = (
        'Add: [build-system] requires = ["hatchling>=1.27"], build-backend = "hatchling.build"'
    )
    if not table:
        yield (
            "there is no [build-system], so that each tool builds the package differently",
            example,
        )
        return
    for key in ("requires", "build-backend"):
        if not table.get(key):
            yield "[build-system] has no %s" % key, example


def name(project: Project) -> Iterator[tuple[str, str]]:
    if not project.section("project"):
        yield (
            "there is no [project]",
            "Add it, with name, version, description, requires-python and dependencies",
        )
        return
    given = project.section("project").get("name")
    if not isinstance(given, str) or not NAME.match(given):
        yield (
            "[project] name is %s"
            % ("missing" if not given else "%r, which indexes reject" % (given,)),
            'Set a name of letters, digits and dashes, for example name = "swf-thing"',
        )
        return
    if given != canonical(given):
        yield (
            "[project] name is %r, and indexes normalise it to %r" % (given, canonical(given)),
            'Write name = "%s"' % canonical(given),
        )
    hint = repository_name(project) or os.path.basename(os.path.abspath(project.folder))
    if canonical(given) != canonical(hint):
        yield (
            "the package is named %r and its repository %r" % (given, hint),
            "Use one name for both, so that readers of a dependency find its sources",
        )


def description(project: Project) -> Iterator[tuple[str, str]]:
    if not project.section("project").get("description") and not project.dynamic("description"):
        yield "[project] has no description", "Describe the purpose of the package in one line"


def version(project: Project) -> Iterator[tuple[str, str]]:
    given = project.section("project").get("version")
    if given is not None and project.dynamic("version"):
        yield "[project] sets version and also lists it in dynamic", "Remove one of them"
    elif given is None:
        if not project.dynamic("version"):
            yield (
                "[project] has no version",
                'Add version = "0.1.0", or dynamic = ["version"] if the build sets it',
            )
    elif normal_version(given) is None:
        yield (
            "[project] version %r is not valid (PEP 440)" % (given,),
            "Write it like 0.1.0, 0.2.0rc1 or 1.0.post1",
        )
    elif Version(given).local:
        yield (
            "[project] version %r has a local part, which indexes reject" % given,
            "Write %s" % Version(given).public,
        )


def requires_python(project: Project) -> Iterator[tuple[str, str]]:
    given = project.section("project").get("requires-python")
    if given is None:
        if not project.dynamic("requires-python"):
            yield (
                "[project] has no requires-python, so that pip installs it on unsupported Pythons",
                "Add the oldest version that the tests run on, for example requires-python = "
                '">=3.10"',
            )
        return
    try:
        SpecifierSet(given)
    except (InvalidSpecifier, TypeError, AttributeError):
        yield (
            "[project] requires-python %r is not valid (PEP 440)" % (given,),
            'Write it like ">=3.10"',
        )


def dependencies(project: Project) -> Iterator[tuple[str, str]]:
    table = project.section("project")
    if "dependencies" not in table and not project.dynamic("dependencies"):
        yield (
            "[project] has no dependencies",
            "List the packages that it imports; if there are none, dependencies = []",
        )
    groups = {
        "dependencies": table.get("dependencies", []),
        **project.section("project", "optional-dependencies"),
    }
    for group, listed in groups.items():
        if not isinstance(listed, list):
            yield "%s is not a list" % group, 'Write it like ["swf-common-lib>=0.1"]'
            continue
        for text in listed:
            yield from dependency(group, text)


def dependency(group: str, text: str) -> Iterator[tuple[str, str]]:
    shown = CREDENTIALS.sub("***@", str(text))
    try:
        requirement = Requirement(text)
    except (InvalidRequirement, TypeError):
        yield (
            "%s: %r is not a valid requirement (PEP 508)" % (group, shown),
            'Write it like "swf-common-lib>=0.1"',
        )
        return
    if requirement.url:
        yield (
            "%s: %s comes from a URL, and indexes reject packages with such a dependency"
            % (group, requirement.name),
            (
                'Write "%s" with a version; the index in swf_testbed_pip_indexes that claims the '
                "name serves it" % requirement.name
            ),
        )


def readme(project: Project) -> Iterator[tuple[str, str]]:
    given = project.section("project").get("readme")
    if given is None:
        there = next(
            (item for item in READMES if os.path.isfile(os.path.join(project.folder, item))), None
        )
        if not project.dynamic("readme"):
            yield (
                "[project] has no readme, so that the package's page on an index is empty",
                'Add readme = "%s"' % (there or "README.md, and that file"),
            )
        return
    path = given.get("file") if isinstance(given, dict) else given
    if path and not os.path.isfile(os.path.join(project.folder, str(path))):
        yield (
            "[project] readme names %s, which does not exist" % path,
            "Write that file, or name an existing one",
        )


def license_findings(project: Project) -> Iterator[Problem]:
    table = project.section("project")
    given = table.get("license")
    if not given and not project.dynamic("license"):
        yield (
            project.file,
            "[project] has no license, so that nobody may use the package",
            'Add license = "GPL-3.0-or-later", or the SPDX name of your license',
        )
    if isinstance(given, dict) and given.get("text"):
        return
    listed = os.listdir(project.folder)
    if isinstance(given, dict) and given.get("file"):
        if not os.path.isfile(os.path.join(project.folder, given["file"])):
            yield (
                project.file,
                "[project] license names %s, which does not exist" % given["file"],
                "Add that file",
            )
    elif not any(LICENSES.match(item) for item in listed):
        yield (
            project.named("LICENSE"),
            "the file does not exist",
            "Add the text of the license, so that the package contains it",
        )


def repository_url(project: Project) -> Any:
    urls = project.section("project", "urls")
    names = ("repository", "source", "source code")
    return next((value for key, value in urls.items() if key.lower() in names), None)


def repository_name(project: Project) -> str | None:
    """Last part of the repository's URL, or None."""
    url = repository_url(project)
    if not isinstance(url, str):
        return None
    return re.sub(r"\.git$", "", urlsplit(url).path.rstrip("/").rpartition("/")[2]) or None


def repository(project: Project) -> Iterator[tuple[str, str]]:
    url = repository_url(project)
    example = 'Add: [project.urls] Repository = "https://github.com/OWNER/%s"' % (
        project.name or "NAME"
    )
    if not url:
        yield "[project.urls] has no Repository, so that users cannot find the sources", example
    elif not re.match(r"^https?://[^/@\s<>]+/[^@\s<>]+$", str(url)):
        yield "[project.urls] Repository is not an https address that others can open", example
