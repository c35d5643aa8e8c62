# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From sources to what an index lacks of them: check, look, build, compare. Nothing is uploaded
here."""

from __future__ import annotations

import concurrent.futures
import os

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
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.lookup import parsed
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.project import (
    PublishError,
)

BY_THE_BUILD = "(the build makes the version)"


class Package:
    """One project on its way: what the index has of its version, and what was built."""

    def __init__(self, project):
        self.project, self.version = project, project.version
        self.there, self.built = {}, {}

    def __str__(self):
        return "%s %s" % (self.project.name, self.version or BY_THE_BUILD)

    def missing(self, formats):
        return [name for name in formats if name not in self.there]

    def look(self, files):
        """Note what is there of this version; ``files`` as :meth:`Index.files` returns them."""
        for file, (url, digest) in files.items():
            found = parsed(file)
            if found and found[1:] == (self.project.name, self.version):
                self.there[found[0]] = (file, url, digest)

    def made(self, files):
        self.built = files
        if self.version is None:
            self.version = parsed(os.path.basename(next(iter(files.values()))))[2]


def refuse(problems):
    """Raise all (file, cause, fix) problems at once, if there are any."""
    if problems:
        raise PublishError(
            "%d finding%s, and nothing was uploaded:\n%s"
            % (len(problems), "" if len(problems) == 1 else "s", "\n".join(map(line, problems)))
        )


def check_sources(projects):
    """All findings on the sources, and names that two of them have."""
    problems = [finding for project in projects for finding in findings(project)]
    names = {}
    for project in projects:
        if project.name:
            first = names.setdefault(project.name, project)
            if first is not project:
                problems.append(
                    (
                        project.file,
                        "%s is called %s too" % (first.label, project.name),
                        "Publish one of them",
                    )
                )
    return problems


def must_be_readable(projects):
    """Refuse projects that cannot even be named, where the checks are left out."""
    problems = []
    for project in projects:
        if project.problem:
            problems.append((project.file, *project.problem))
        elif not project.name or (
            project.section("project").get("version") is None and not project.dynamic("version")
        ):
            problems.append(
                (project.file, "[project] must give name and version", "Add what is missing")
            )
    refuse(problems)


def build_all(packages, formats, scratch):
    """Build several packages, as many at a time as there are cores."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        jobs = [
            pool.submit(build, package.project, formats, os.path.join(scratch, str(number)))
            for number, package in enumerate(packages)
        ]
        for package, job in zip(packages, jobs):
            package.made(job.result())


def built_problems(packages, index, scratch):
    """What is wrong with built packages: their metadata, what they lack, or other content under a
    version that the index has."""
    problems = []
    for package in packages:
        found = [metadata_problem(package.project, sorted(package.built.values()))]
        if "wheel" in package.built:
            found.append(missing_packages(package.project, package.built["wheel"]))
        problems += filter(None, found)
        problems += other_content(package, index, scratch)
    return problems


def other_content(package, index, scratch):
    """Files of a built package that the index has with other content, as problems."""
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
                        "Raise the version; an index keeps what it has",
                    )
                )
    return problems
