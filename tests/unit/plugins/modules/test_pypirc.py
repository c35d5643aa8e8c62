# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written is read back by twine itself."""

from __future__ import annotations

import json
import stat

import pytest
from twine.utils import get_repository_from_config

from run_module import run_module

TOKEN = "canary%%s0123456789#;canary"
LAB = {"name": "lab", "preset": "pypiserver", "url": "https://index.example.org/simple/", "username": "me", "token": TOKEN,
       "packages": ["swf-*"], "ca_cert": "/etc/lab.pem"}
PYPI = {"name": "public", "preset": "pypi", "token": "pypi-" + TOKEN}
OTHERS = """\
# somebody's own
[distutils]
index-servers =
    other
    github

[other]
repository = https://other.example.org/
password = theirs

[github]
repository = https://pypi.pkg.github.com/bnlnpps
password = ghp_theirs
"""


@pytest.fixture(name="path")
def path_of_the_file(tmp_path):
    return tmp_path / ".pypirc"


def pypirc(path, indexes, **options):
    run = {key: options.pop(key) for key in ("check", "diff") if key in options}
    answer = run_module("pypirc", dict({"path": str(path), "indexes": indexes}, **options), **run)
    assert TOKEN not in json.dumps(answer).replace("\\\\", "\\") and "theirs" not in json.dumps(answer)
    return answer


def read_by_twine(path, name):
    return get_repository_from_config(str(path), name)


def test_a_new_file(path):
    assert pypirc(path, [LAB, PYPI], check=True)["changed"] and not path.exists()
    answer = pypirc(path, [LAB, PYPI], diff=True)
    assert answer["changed"] and answer["sections"] == ["lab", "pypi"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_by_twine(path, "lab") == {"repository": "https://index.example.org/", "username": "me", "password": TOKEN,
                                          "ca_cert": "/etc/lab.pem"}
    assert read_by_twine(path, "pypi")["password"] == "pypi-" + TOKEN and read_by_twine(path, "pypi")["username"] == "__token__"
    before = path.read_bytes()
    assert not pypirc(path, [LAB, PYPI])["changed"] and path.read_bytes() == before
    path.chmod(0o644)
    assert pypirc(path, [LAB, PYPI])["changed"] and stat.S_IMODE(path.stat().st_mode) == 0o600


def test_sections_of_others_stay(path):
    path.write_text(OTHERS)
    answer = pypirc(path, [LAB])
    assert answer["github"] == ["[github]"] and "GitHub Packages" in str(answer["warnings"])
    text = path.read_text()
    assert OTHERS.partition("[other]")[2] in text and "# somebody's own" in text
    assert read_by_twine(path, "other")["password"] == "theirs" and read_by_twine(path, "lab")["password"] == TOKEN
    answer = pypirc(path, [LAB], remove_github=True)
    assert answer["changed"] and "github" not in path.read_text() and read_by_twine(path, "other")["password"] == "theirs"


def test_an_index_that_is_gone_takes_its_section_along(path):
    path.write_text(OTHERS)
    pypirc(path, [LAB, PYPI])
    pypirc(path, [PYPI])
    assert "lab" not in path.read_text() and "[pypi]" in path.read_text()
    pypirc(path, [])
    assert path.read_text() == OTHERS and not pypirc(path, [])["changed"]


def test_a_list_is_only_made_of_what_was_known(path):
    # without index-servers twine knows [pypi] and [testpypi]; with it, only what is listed
    path.write_text("[pypi]\nusername = __token__\npassword = theirs\n")
    pypirc(path, [LAB])
    assert read_by_twine(path, "pypi")["password"] == "theirs"


def test_an_index_without_uploads_has_no_section(path):
    indexes = [{"name": "wheels", "preset": "directory", "url": "/srv/wheels", "packages": ["a-*"]}]
    assert not pypirc(path, indexes)["changed"] and not path.exists()


def test_bad_entries_are_refused(path):
    answer = pypirc(path, [dict(LAB, url="https://me:x@index.example.org/simple/")])
    assert answer["failed"] and "credentials in it" in answer["msg"] and not path.exists()
