# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases from git repositories, with wheels and source trees, and from sdists: real git, real uv
and pip, and a real index that has the same names with higher versions."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.drift import differences
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.environments import (
    manifest,
)
from helpers.index_server import IndexServer, make_wheel, sha256
from helpers.source_packages import Repository, files, make_sdist

EVIL = "raise SystemExit('dependency confusion')\n"
PAGE = """
import os
def main():
    with open(os.path.join(os.path.dirname(__file__), "page.html")) as stream:
        print(stream.read())
"""
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - bnlnpps.swf_testbed.wheelhouse: "{{ common | combine(house) }}"
      when: step == 'wheelhouse'
    - bnlnpps.swf_testbed.release_build: "{{ common | combine(release) }}"
      when: step == 'release'
      register: built
    - ansible.builtin.copy:
        dest: "{{ folder }}/built.json"
        content: "{{ built | to_json }}"
      when: step == 'release'
"""


class Lab:
    """A controller and a host in one directory, with the public index and the repositories."""

    def __init__(self, folder, collections):
        self.folder, self.collections = folder, collections
        self.play = folder / "play.yml"
        self.play.write_text(PLAY)
        public = folder / "public"
        public.mkdir()
        for name in ("acme-monitor", "acme-common", "acme-agents"):
            make_wheel(public, name, "99.0", body=EVIL)
        thing = make_wheel(public, "public-thing", "1.0")
        # leads back to a name from git
        make_wheel(public, "public-user", "1.0", ["acme-common", "old-thing"])
        make_sdist(public, "old-thing", "0.6.1")
        make_sdist(public, "old-thing", "0.6.2")
        make_sdist(public, "other-sdist", "1.0")
        make_sdist(public, "platform-thing", "1.0", tag="cp39-cp39-linux_x86_64")
        (folder / "tools.txt").write_text("public-thing==1.0 --hash=sha256:%s\n" % sha256(thing))
        self.index = IndexServer(public)
        self.monitor, self.common = (
            Repository(folder, name) for name in ("acme-monitor", "acme-common")
        )
        requires = ["acme-common", "public-user"]
        content = files("acme-monitor", "0.1.0", requires=requires, body=PAGE)
        content["acme_monitor/page.html"] = "one"
        content["requirements.txt"] = "# what the settings import\npublic-thing==1.0  # so\n"
        content["not_python.py"] = "{% if x %}\n"
        content[".github/x.yml"] = "a: 1\n"
        self.one = self.monitor.commit(content)
        # a commit that changes nothing in the wheel
        self.two = self.monitor.commit({"acme_monitor/page.html": "two"})
        self.library = self.common.commit(files("acme-common", "0.1.0"))

    def sources(self, commit=None, **more):
        return [
            {
                "name": "acme-monitor",
                "url": self.monitor.url,
                "commit": commit or self.one,
                "install": ["wheel", "tree"],
                **more,
            },
            {"name": "acme-common", "url": self.common.url, "commit": self.library},
        ]

    def run(self, step="release", lock="lock.txt", house=False, *options, **more):
        """(result or None, output) of a step."""
        python = "%d.%d" % sys.version_info[:2]
        common = {
            "lock_file": str(self.folder / lock),
            "tools_lock_file": str(self.folder / "tools.txt"),
            "indexes": [self.index.as_index("public")],
            "repositories": self.sources(),
            "requirements": ["acme-monitor"],
            "build_from_source": ["old-thing"],
            "wheels_dir": str(self.folder / "wheels"),
            **more,
        }
        archive = str(self.folder / "house.tar")
        release = {
            "root": str(self.folder / "root"),
            "version": "0.1.0",
            "python": sys.executable,
            "import_check": ["acme-monitor"],
        }
        variables = {
            "step": step,
            "folder": str(self.folder),
            "common": common,
            "house": {"dest": archive, "pythons": [python]},
            "release": dict(release, wheelhouse=archive) if house else release,
            "ansible_python_interpreter": sys.executable,
        }
        (self.folder / "variables.yml").write_text(yaml.safe_dump(variables))
        (self.folder / "built.json").unlink(missing_ok=True)
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                *("-i", "localhost,", "-c", "local", str(self.play)),
                *("-e", "@%s" % (self.folder / "variables.yml")),
                *options,
            ],
            cwd=self.folder,
            env=dict(
                os.environ,
                ANSIBLE_COLLECTIONS_PATH=str(self.collections),
                ANSIBLE_NOCOLOR="1",
                ANSIBLE_HOME=str(self.folder / "ansible"),
                ANSIBLE_LOCALHOST_WARNING="0",
            ),
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
        )
        built = self.folder / "built.json"
        result = json.loads(built.read_text()) if built.exists() else None
        return (result if done.returncode == 0 else None), done.stdout

    def asked(self):
        return set(re.findall("/simple/([a-z-]+)/", self.index.asked_for()))


@pytest.fixture(name="lab", scope="module")
def a_lab(tmp_path_factory, request):
    root = Path(request.config.rootpath)
    lab = Lab(tmp_path_factory.mktemp("lab"), root / ".ansible/collections")
    yield lab
    lab.index.stop()


def output_of(*command):
    return subprocess.check_output([str(item) for item in command], text=True).strip()


@pytest.fixture(name="release", scope="module")
def the_first_release(lab):
    result, output = lab.run(
        constraints=["old-thing<0.6.2"],
        requirement_files=[{"source": "acme-monitor", "path": "requirements.txt"}],
    )
    assert result, output
    return result


def test_the_release_has_wheels_and_trees(lab, release):
    path = Path(release["path"])
    packages = manifest(str(path))["packages"]
    assert packages["acme-common"] == packages["acme-monitor"] == "0.1.0"
    assert packages["old-thing"] == "0.6.1" and packages["public-thing"] == "1.0"
    tree = path / "src/acme-monitor"
    # not from the wheel, which lacks the page
    code = "import acme_monitor; acme_monitor.main()"
    done = subprocess.run([path / "bin/acme-monitor"], capture_output=True, text=True, check=False)
    assert "page.html" in done.stderr
    environment = dict(os.environ, PYTHONPATH=str(tree))
    assert subprocess.check_output([path / "bin/python", "-c", code], env=environment) == b"one\n"
    assert (tree / ".github/x.yml").exists() and not (tree / ".git").exists()
    assert list(tree.glob("acme_monitor/__pycache__/*.pyc"))
    for file in [tree, *tree.rglob("*")]:
        assert file.stat().st_mode & 0o022 == 0 and file.stat().st_uid == os.getuid(), file
    assert manifest(str(path))["sources"] == {"acme-monitor": lab.one}


def test_no_index_is_asked_for_a_name_from_git(lab, release):
    assert {"public-user", "old-thing"} <= lab.asked()
    assert not {"acme-monitor", "acme-common"} & lab.asked()


@pytest.mark.nightly
def test_a_second_run_changes_nothing(lab, release):
    result, output = lab.run(constraints=["old-thing<0.6.2"])
    assert result and not result["changed"] and result["id"] == release["id"], output


@pytest.mark.nightly
def test_another_commit_of_the_tree_is_another_release(lab, release):
    result, output = lab.run(lock="two.txt", repositories=lab.sources(lab.two))
    assert result and result["built"] == ["release"] and result["id"] != release["id"], output
    assert (Path(result["path"]) / "src/acme-monitor/acme_monitor/page.html").read_text() == "two"
    assert (Path(release["path"]) / "src/acme-monitor/acme_monitor/page.html").read_text() == "one"


def test_a_lock_of_other_commits_is_refused(lab, release):
    result, output = lab.run(repositories=lab.sources(lab.two))
    assert result is None and "was made from other sources" in output, output
    assert lab.one in output and lab.two in output and "remove the lock" in output


def test_changes_of_a_tree_are_found(lab, release):
    path = release["path"]
    tree = Path(path) / "src/acme-monitor"
    assert differences(path, manifest(path)) == []
    page = tree / "acme_monitor/page.html"
    page.write_text("other")
    (tree / "added.py").touch()
    assert differences(path, manifest(path)) == [
        "%s has 5 bytes, and had 3" % page,
        "%s was added" % (tree / "added.py"),
    ]
    (tree / "added.py").unlink()
    page.unlink()
    assert differences(path, manifest(path)) == ["%s is gone" % page]
    page.write_text("one")
    assert differences(path, manifest(path)) == []


@pytest.mark.nightly
def test_an_air_gapped_host_gets_them_from_the_wheelhouse(lab, release):
    more = {"constraints": ["old-thing<0.6.2"]}
    _result, output = lab.run("wheelhouse", **more)
    assert "changed=1" in output and "failed=0" in output, output
    shutil.rmtree(lab.folder / "root")
    asked, wheels = lab.index.asked_for(), lab.folder / "wheels"
    wheels.rename(lab.folder / "elsewhere")
    try:
        result, output = lab.run("release", "lock.txt", True, **more)
        assert result and result["id"] == release["id"], output
        assert (Path(result["path"]) / "src/acme-monitor/acme_monitor/page.html").exists()
        assert lab.index.asked_for() == asked and not wheels.exists()
        # of another commit
        result, output = lab.run(
            "release", "two.txt", True, repositories=lab.sources(lab.two), **more
        )
        assert result is None and "lacks source trees of the stack" in output, output
    finally:
        (lab.folder / "elsewhere").rename(wheels)


def test_in_check_mode_nothing_is_made(lab):
    before = {path for path in lab.folder.rglob("*") if "ansible" not in path.parts}
    result, output = lab.run("release", "new.txt", False, "--check", wheels_dir="/none/wheels")
    assert result is None or result["changed"], output
    assert "failed=0" in output, output
    after = {path for path in lab.folder.rglob("*") if "ansible" not in path.parts}
    assert {path.name for path in after - before} <= {"variables.yml"}


MISSING = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    "change,messages",
    [
        (
            lambda lab: {"repositories": lab.sources(MISSING)},
            [
                "the repository does not have that commit",
                "swf_testbed_stack_sources (acme-monitor)",
            ],
        ),
        (
            lambda lab: {"repositories": lab.sources(url="file:///none/x.git")},
            ["there is no such repository", "/none/x.git", "(acme-monitor)"],
        ),
        (
            lambda lab: {"repositories": lab.sources(name="acme-web")},
            ["the source acme-web of the stack is the distribution acme-monitor", "name it acme-m"],
        ),
        (
            lambda lab: {"build_from_source": []},
            ["old-thing has no wheel", "add old-thing to distributions.build_from_source"],
        ),
        (
            lambda lab: {
                "build_from_source": ["platform-thing", "old-thing"],
                "requirements": ["platform-thing"],
            },
            ["is for one platform only", "publish wheels of it"],
        ),
        (
            lambda lab: {"constraints": ["public-thing>1", "public-user<2"]},
            ["public-thing>1"],
        ),
        (
            lambda lab: {"requirement_files": [{"source": "acme-monitor", "path": "none.txt"}]},
            ["there is no file none.txt of file://", "distributions.requirement_files"],
        ),
        (
            lambda lab: {
                "requirement_files": [{"source": "acme-monitor", "path": "pyproject.toml"}]
            },
            ["line 1 of pyproject.toml of file://", "is not a requirement"],
        ),
    ],
)
def test_an_error_names_the_repository_and_the_setting(lab, change, messages, tmp_path):
    before = set((lab.folder / "root").rglob("*"))
    more = {
        "requirements": ["acme-monitor", "public-thing"],
        "wheels_dir": str(tmp_path / "wheels"),
        **change(lab),
    }
    result, output = lab.run("release", "failed.txt", **more)
    text = re.sub(r"\s+", " ", output.replace("\\n", " "))
    assert result is None and [item for item in messages if item not in text] == [], output
    assert "/tmp" not in text.replace(str(lab.folder), "") or "python_full_version" not in text
    assert not (lab.folder / "failed.txt").exists()
    assert set((lab.folder / "root").rglob("*")) == before


def test_a_wheel_that_does_not_build_is_named(lab, tmp_path):
    broken = lab.common.commit({"broken": "x"})
    (lab.common.work / "broken").unlink()
    sources = lab.sources()
    sources[1]["commit"] = broken
    result, output = lab.run(
        "release", "failed.txt", repositories=sources, wheels_dir=str(tmp_path / "wheels")
    )
    assert result is None and "could not build the wheel of file://" in output, output
    assert "the builder of acme-common fails" in output
    assert "swf_testbed_stack_sources (acme-common)" in output
    assert os.listdir(tmp_path / "wheels") == []


def test_requirements_that_contradict_each_other_are_named(lab, tmp_path):
    make_wheel(lab.index.folder, "wants-old", "1.0", ["public-thing<1"])
    result, output = lab.run(
        "release",
        "failed.txt",
        repositories=[],
        build_from_source=[],
        requirements=["wants-old", "public-thing==1.0"],
    )
    assert result is None and "the requirements contradict each other" in output, output
    assert "wants-old" in output and "requirement_files or constraints" in output
    assert "python_full_version" not in output and "lock depends" not in output
