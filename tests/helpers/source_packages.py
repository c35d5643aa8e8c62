# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages as source: git repositories and sdists. Their build needs no tool of an index, because the
builder is one of their files."""

from __future__ import annotations

import io
import tarfile

from helpers.git_servers import commit_all, git

BACKEND = """
import pathlib, sys, zipfile

NAME, VERSION, REQUIRES, TAG = %r
TOP = pathlib.Path(__file__).parent


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    print("this is the builder of " + NAME)
    if (TOP / "broken").exists():
        raise SystemExit("the builder of %%s fails" %% NAME)
    module = NAME.replace("-", "_")
    info = "%%s-%%s.dist-info/" %% (module, VERSION)
    metadata = "Metadata-Version: 2.1\\nName: %%s\\nVersion: %%s\\n" %% (NAME, VERSION)
    files = {
        module + "/__init__.py": (TOP / module / "__init__.py").read_text(),
        info + "METADATA": metadata + "".join("Requires-Dist: %%s\\n" %% item for item in REQUIRES),
        info + "WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: " + TAG,
        info + "entry_points.txt": "[console_scripts]\\n%%s = %%s:main\\n" %% (NAME, module),
    }
    files[info + "RECORD"] = "".join(name + ",,\\n" for name in [*files, info + "RECORD"])
    name = "%%s-%%s-%%s.whl" %% (module, VERSION, TAG)
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / name, "w") as archive:
        for member, text in files.items():
            archive.writestr(zipfile.ZipInfo(member), text)
    return name
"""
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
MAIN = "def main():\n    print('hello')\n"


def files(name, version, requires=(), body=MAIN, tag="py3-none-any"):
    """{path: text} of a package."""
    return {
        "pyproject.toml": PROJECT,
        "backend.py": BACKEND % ((name, version, list(requires), tag),),
        name.replace("-", "_") + "/__init__.py": body,
    }


def make_sdist(folder, name, version, **more):
    """An sdist in a directory; returns its path."""
    top = "%s-%s" % (name.replace("-", "_"), version)
    content = {
        "PKG-INFO": "Metadata-Version: 2.1\nName: %s\nVersion: %s\n" % (name, version),
        **files(name, version, **more),
    }
    path = folder / (top + ".tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        for member, text in content.items():
            info = tarfile.TarInfo("%s/%s" % (top, member))
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


class Repository:
    """A bare git repository, and the directory that is committed to it."""

    def __init__(self, folder, name):
        self.work, self.bare = folder / (name + "-work"), folder / (name + ".git")
        self.work.mkdir(parents=True)
        git(folder, "init", "--quiet", "--bare", str(self.bare))
        self.url = "file://%s" % self.bare

    def commit(self, content):
        """Write files and push a commit with them; returns its id."""
        for path, text in content.items():
            (self.work / path).parent.mkdir(parents=True, exist_ok=True)
            (self.work / path).write_text(text)
        commit = commit_all(self.work)
        git(self.work, "push", "--quiet", str(self.bare), "HEAD:refs/heads/main")
        return commit
