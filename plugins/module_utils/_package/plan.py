# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out which packages an index lacks: check the sources, query the index, build, compare.
Nothing is uploaded here."""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Mapping

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.build import (
    build,
    difference,
    metadata_problem,
    missing_packages,
    sha256,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.checks import (
    findings,
    line,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.lookup import (
    Index,
    parsed,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.project import (
    Problem,
    Project,
    PublishError,
)

BY_THE_BUILD = "(the build sets the version)"


class Package:
    """One project: the files of its version on the index, and the built files."""

    def __init__(self, project: Project) -> None:
        self.project, self.version = project, project.version
        self.there: dict[str, tuple[str, str, str | None]] = {}
        self.built: dict[str, str] = {}

    def __str__(self) -> str:
        return "%s %s" % (self.project.name, self.version or BY_THE_BUILD)

    def missing(self, formats: list[str]) -> list[str]:
        return [name for name in formats if name not in self.there]

    def look(self, files: Mapping[str, tuple[str, str | None]]) -> None:
        """Record the files of this version; ``files`` is the result of :meth:`Index.files`."""
        for file, (url, digest) in files.items():
            found = parsed(file)
            if found and found[1:] == (self.project.name, self.version):
                self.there[found[0]] = (file, url, digest)

    def made(self, files: dict[str, str]) -> None:
        self.built = files
        found = parsed(os.path.basename(next(iter(files.values()))))
        self.version = self.version or (found and found[2])


def refuse(problems: list[Problem]) -> None:
    """Raise one error for all (file, cause, fix) problems, if there are any."""
    if problems:
        raise PublishError(
            "%d finding%s, and nothing was uploaded:\n%s"
            % (len(problems), "" if len(problems) == 1 else "s", "\n".join(map(line, problems)))
        )


def check_sources(projects: list[Project]) -> list[Problem]:
    """All findings on the sources, including duplicate names."""
    problems = [finding for project in projects for finding in findings(project)]
    names: dict[str, Project] = {}
    for project in projects:
        if project.name:
            first = names.setdefault(project.name, project)
            if first is not project:
                problems.append(
                    (
                        project.file,
                        "%s has the same name, %s" % (first.label, project.name),
                        "Publish one of them",
                    )
                )
    return problems


def must_be_readable(projects: list[Project]) -> None:
    """Reject projects without name or version, if the checks are disabled."""
    problems = []
    for project in projects:
        if project.problem:
            problems.append((project.file, *project.problem))
        elif not project.name or (
            project.section("project").get("version") is None and not project.dynamic("version")
        ):
            problems.append((project.file, "[project] lacks name or version", "Add them"))
    refuse(problems)


def build_all(packages: list[Package], formats: list[str], scratch: str) -> None:
    """Build several packages, as many at a time as there are cores."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        jobs = [
            pool.submit(build, package.project, formats, os.path.join(scratch, str(number)))
            for number, package in enumerate(packages)
        ]
        for package, job in zip(packages, jobs):
            package.made(job.result())


def built_problems(packages: list[Package], index: Index, scratch: str) -> list[Problem]:
    """Problems of built packages: their metadata, missing packages, or other content than the same
    version on the index."""
    problems: list[Problem] = []
    for package in packages:
        found = [metadata_problem(package.project, sorted(package.built.values()))]
        if "wheel" in package.built:
            found.append(missing_packages(package.project, package.built["wheel"]))
        problems += filter(None, found)
        problems += other_content(package, index, scratch)
    return problems


def other_content(package: Package, index: Index, scratch: str) -> list[Problem]:
    """Problems for files of a built package whose content on the index differs."""
    problems = []
    for name, (file, url, digest) in package.there.items():
        ours = package.built.get(name)
        if ours and digest != sha256(ours):
            theirs = os.path.join(scratch, "of-the-index-" + file)
            index.download(url, theirs)
            where = difference(ours, theirs)
            os.unlink(theirs)
            if where:
                problems.append(
                    (
                        package.project.file,
                        "the index %s has %s with other content: %s differs"
                        % (index.entry["name"], package, where),
                        "Increase the version; an index never replaces a file",
                    )
                )
    return problems
