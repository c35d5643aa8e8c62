# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages of this repository pass every check, and a copy that is broken in one place fails
for that and nothing else."""

from __future__ import annotations

import shutil

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.checks import (
    findings,
    line,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.project import Project
from helpers.index_server import IndexServer
from helpers.package_sources import edit, make_source
from helpers.run_module import run_module

TOKEN = "canary0123456789canary0123456789canary01"
SCRIPT = '"swf_thing.cli:main"'


@pytest.fixture(name="source")
def source_folder(tmp_path):
    return make_source(tmp_path / "swf-thing")


def lines(folder):
    return [line(finding) for finding in findings(Project(str(folder)))]


def test_the_packages_of_this_repository_pass(root):
    packages = sorted(path.parent for path in (root / "packages").glob("*/pyproject.toml"))
    assert len(packages) == 9
    answer = run_module("package_check", {"sources": [str(path) for path in packages]})
    assert not answer["failed"] and answer["findings"] == [], answer
    assert len(answer["packages"]) == 9


def test_a_good_package_passes(source):
    assert lines(source) == []
    # a checkout may be called as one likes: the repository's name counts
    source.rename(source.parent / "work")
    assert lines(source.parent / "work") == []
    edit(source.parent / "work", 'version = "1.0"', 'dynamic = ["version"]')
    assert lines(source.parent / "work") == []


@pytest.mark.parametrize(
    "before,after,part",
    [
        ("[build-system]", "[other]", "there is no [build-system]"),
        ('build-backend = "hatchling.build"', "", "has no build-backend"),
        ('requires = ["hatchling>=1.27"]', "", "has no requires"),
        ('name = "swf-thing"', "", "name is missing"),
        ('name = "swf-thing"', 'name = "swf thing"', "which indexes reject"),
        ('name = "swf-thing"', 'name = "Swf_Thing"', "indexes normalise it to 'swf-thing'"),
        ('name = "swf-thing"', 'name = "swf-thong"', "and its repository 'swf-thing'"),
        ('version = "1.0"', "", "has no version"),
        ('version = "1.0"', 'version = "one"', "is not valid (PEP 440)"),
        ('version = "1.0"', 'version = "1.0+lab"', "Fix: Write 1.0"),
        ('version = "1.0"', 'version = "1.0"\ndynamic = ["version"]', "Remove one of them"),
        ('description = "A thing."', "", "no description"),
        ('requires-python = ">=3.9"', "", "no requires-python"),
        (
            'requires-python = ">=3.9"',
            'requires-python = "three"',
            "requires-python 'three' is not valid",
        ),
        ('dependencies = ["swf-common-lib>=0.1"]', "", "no dependencies"),
        (
            'dependencies = ["swf-common-lib>=0.1"]',
            'dependencies = "swf-common-lib"',
            "dependencies is not a list",
        ),
        ("swf-common-lib>=0.1", "swf common lib", "is not a valid requirement (PEP 508)"),
        (
            "swf-common-lib>=0.1",
            "swf-common-lib @ git+https://secret@github.com/x/y",
            "swf-common-lib comes from a URL",
        ),
        ('readme = "README.md"', "", "no readme"),
        ('readme = "README.md"', 'readme = "READ.md"', "names READ.md, which does not exist"),
        ('license = "GPL-3.0-or-later"', "", "no license"),
        ('license = "GPL-3.0-or-later"', 'license = {file = "MINE"}', "license names MINE"),
        ('Repository = "https://github.com/bnlnpps/swf-thing"', "", "no Repository"),
        (
            "https://github.com/bnlnpps/swf-thing",
            "https://github.com/<OWNER>/swf-thing",
            "is not an https address",
        ),
        (SCRIPT, '"swf_thing.cli"', "not of the form module:function"),
        (SCRIPT, '"swf_thing.program:main"', "there is no module swf_thing.program under src/"),
        (SCRIPT, '"swf_thing.cli:run"', "cli.py does not define run"),
        (
            "[project.scripts]",
            '[project.entry-points."swf.plugins"]\nx = "swf_other"\n[project.scripts]',
            "no module swf_other",
        ),
    ],
)
def test_each_finding_in_pyproject(source, before, after, part):
    edit(source, before, after)
    found = lines(source)
    assert len(found) == 1 and part in found[0], found
    assert (
        found[0].startswith(str(source / "pyproject.toml") + ": ")
        and "\n" not in found[0]
        and "secret" not in found[0]
    )


def broken(source, what):
    """Break one thing outside of pyproject.toml."""
    if what == "no src":
        (source / "src/swf_thing").rename(source / "swf_thing")
        (source / "src").rmdir()
    elif what == "empty src":
        shutil.rmtree(source / "src/swf_thing")
    elif what == "code beside src":
        (source / "helpers.py").touch()
        # these are tools and tests, and may be there
        for name in ("setup.py", "conftest.py", "tests/__init__.py"):
            (source / name).parent.mkdir(exist_ok=True)
            (source / name).touch()
    elif what == "src is a package":
        (source / "src/__init__.py").touch()
    elif what == "no license":
        (source / "LICENSE").unlink()
    elif what == "syntax":
        (source / "src/swf_thing/cli.py").write_text("def main(:\n")
    elif what == "no pyproject":
        (source / "pyproject.toml").unlink()
    else:
        (source / "pyproject.toml").write_text("[project\n")


@pytest.mark.parametrize(
    "what,parts",
    [
        (
            "no src",
            [
                "src: the directory does not exist",
                "swf_thing: it is importable",
                "no module swf_thing.cli under src/",
            ],
        ),
        ("empty src", ["src: there is no package in it", "no module swf_thing.cli under src/"]),
        ("code beside src", ["helpers.py: it is importable and not in src/"]),
        ("src is a package", ["src/__init__.py: it makes src a package"]),
        ("no license", ["LICENSE: the file does not exist"]),
        ("syntax", ["is not valid Python"]),
        ("no pyproject", ["pyproject.toml: the file does not exist"]),
        ("no toml", ["is not valid TOML"]),
    ],
)
def test_each_finding_in_the_files(source, what, parts):
    broken(source, what)
    found = lines(source)
    assert len(found) == len(parts), found
    for text, part in zip(found, parts):
        assert part in text


def test_all_findings_come_together(source, tmp_path):
    other = make_source(tmp_path / "swf-other")
    edit(source, 'description = "A thing."', "")
    broken(source, "no license")
    answer = run_module(
        "package_check", {"sources": [str(source), str(other), str(tmp_path / "nowhere")]}
    )
    assert answer["failed"] and len(answer["findings"]) == 4, answer
    for part in ("description", "LICENSE", "there is no directory", "has the same name, swf-thing"):
        assert part in answer["msg"]


def test_the_content_of_a_version_that_the_index_has(source, tmp_path):
    server = IndexServer(tmp_path / "packages", TOKEN)
    try:
        index = server.as_index("lab", preset="pypiserver", packages=["swf-*"])
        arguments = {"sources": [str(source)], "indexes": [index], "formats": ["wheel"]}
        # nothing there: nothing is built
        assert not run_module("package_check", arguments)["failed"]
        assert run_module("package_publish", dict(arguments, wait=0))["changed"]
        assert not run_module("package_check", arguments)["failed"]
        (source / "src/swf_thing/cli.py").write_text("def main():\n    print('changed')\n")
        answer = run_module("package_check", arguments)
        assert (
            answer["failed"]
            and "swf_thing/cli.py differs. Fix: Increase the version" in answer["msg"]
        ), answer
        wrong = run_module("package_check", dict(arguments, indexes=[dict(index, token="wrong")]))
        assert wrong["failed"] and "rejected the credentials" in wrong["msg"]
    finally:
        server.stop()
    unreachable = run_module("package_check", arguments)
    assert not unreachable["failed"] and "is unavailable" in str(unreachable["warnings"])
