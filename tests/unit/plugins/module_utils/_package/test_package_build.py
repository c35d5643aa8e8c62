# SPDX-License-Identifier: GPL-3.0-or-later
"""Two builds of one version are the same when they install the same."""

from __future__ import annotations

import io
import tarfile
import zipfile

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.build import difference

FILES = {
    "thing/__init__.py": "",
    "thing-1.dist-info/METADATA": "Metadata-Version: 2.4\nName: thing\n",
    "thing-1.dist-info/WHEEL": "Generator: a\n",
    "thing-1.dist-info/RECORD": "thing/__init__.py,,\n",
}


def wheel(path, **changes):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in dict(FILES, **changes).items():
            archive.writestr(name, text)
    return str(path)


def sdist(path, text):
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("thing-1/src/thing.py")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text.encode()))
    return str(path)


def test_what_the_build_tool_writes_does_not_count(tmp_path):
    ours = wheel(tmp_path / "a.whl")
    theirs = wheel(
        tmp_path / "b.whl",
        **{
            "thing-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: thing\n",
            "thing-1.dist-info/WHEEL": "Generator: b\n",
            "thing-1.dist-info/RECORD": "x",
        },
    )
    assert difference(ours, theirs) is None


def test_code_and_metadata_count(tmp_path):
    ours = wheel(tmp_path / "a.whl")
    assert (
        difference(ours, wheel(tmp_path / "b.whl", **{"thing/__init__.py": "x = 1\n"}))
        == "thing/__init__.py"
    )
    other = wheel(tmp_path / "c.whl", **{"thing-1.dist-info/METADATA": "Name: other\n"})
    assert difference(ours, other) == "thing-1.dist-info/METADATA"
    assert difference(ours, wheel(tmp_path / "d.whl", **{"thing/more.py": ""})) == "thing/more.py"
    assert (
        difference(sdist(tmp_path / "a.tar.gz", "x = 1\n"), sdist(tmp_path / "b.tar.gz", "x = 2\n"))
        == "thing-1/src/thing.py"
    )
