# SPDX-License-Identifier: GPL-3.0-or-later
"""pip's and uv's own configuration, as pip and uv read it, in the home of a login that is thrown
away."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import find_uv
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.pip_config import (
    set_option,
)
from helpers.index_server import IndexServer, make_wheel
from helpers.run_module import run_module

TOKEN = "canary%0123456789canary0123456789canary"
LAB = {
    "name": "lab",
    "url": "https://index.example.org/simple/",
    "username": "reader",
    "token": TOKEN,
}
PIP, UV, NETRC = ".config/pip/pip.conf", ".config/uv/uv.toml", ".netrc"


@pytest.fixture(name="environment")
def environment_of_a_login(tmp_path):
    found = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PIP_", "UV_", "XDG_", "NETRC"))
    }
    return dict(found, HOME=str(tmp_path), UV_SYSTEM_CERTS="1")


@pytest.fixture(name="settle")
def settle_in_home(tmp_path, environment):
    def settle(indexes=(LAB,), check=False, diff=False, **more):
        arguments = {
            "scope": "user",
            "owner": "swf-testbed",
            "record": str(tmp_path / ".config/swf-testbed/pip-settings.json"),
            "indexes": list(indexes),
            **more,
        }
        answer = run_module("pip_config", arguments, check=check, diff=diff, env=environment)
        assert TOKEN not in json.dumps(answer)
        return answer

    return settle


def content(folder):
    """All files below a folder, with their texts."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def test_is_idempotent_honest_in_check_mode_and_leaves_nothing(settle, tmp_path):
    predicted = settle(check=True)
    assert predicted["changed"] and content(tmp_path) == {}
    done = settle()
    assert done["changed"] and done["files"] == predicted["files"] == [
        str(tmp_path / name) for name in (PIP, UV, NETRC)
    ]
    assert (tmp_path / NETRC).stat().st_mode & 0o777 == 0o600
    assert [name for name, text in content(tmp_path).items() if TOKEN in text] == [NETRC]
    assert not settle()["changed"] and not settle(check=True)["changed"]
    assert settle(scope="none", check=True)["changed"]
    assert settle(scope="none")["changed"]
    assert content(tmp_path) == {}


def test_what_others_wrote_stays(settle, tmp_path):
    write(tmp_path / PIP, "# mine\n[global]\ntimeout = 60\n\n[install]\nuser = true\n")
    write(tmp_path / UV, 'python-preference = "system"\n')
    write(tmp_path / NETRC, "machine git.example.org login me password mine\n", 0o600)
    before = content(tmp_path)
    settle()
    assert "index-url = https://index.example.org/simple/" in (tmp_path / PIP).read_text()
    settle([dict(LAB, url="https://other.example.org/simple/")])
    assert (
        "index.example.org"
        not in (tmp_path / PIP).read_text()
        + (tmp_path / UV).read_text()
        + (tmp_path / NETRC).read_text()
    )
    settle(scope="none")
    assert content(tmp_path) == before


BYTES = {
    "no end of the last line": (
        b"[global]\ntimeout = 60",
        b"offline = false",
        b"machine git.example.org login me password mine",
    ),
    "ends of lines as on Windows": (
        b"[install]\r\nuser = true\r\n",
        b"offline = false\r\n",
        b"machine git.example.org login me password mine\r\n",
    ),
    "only comments": (b"# mine", b"# mine\n\n", b"# mine"),
    "empty": (b"", b"", b""),
    "an empty section, a table, a macro": (
        b"[global]",
        b"[pip]\nstrict = true",
        b"macdef init\ncd /pub\n\nmachine a login b password c",
    ),
    "not ASCII": (
        "[list]\n# \u00fc".encode(),
        "# \u00fc\n".encode(),
        "# \u00fc\nmachine a login b password c".encode(),
    ),
}


@pytest.mark.parametrize("case", sorted(BYTES))
def test_every_byte_of_theirs_comes_back(settle, environment, tmp_path, case):
    paths = [tmp_path / name for name in (PIP, UV, NETRC)]
    for path, theirs in zip(paths, BYTES[case]):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(theirs)
    assert settle()["changed"] and not settle()["changed"]
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        env=environment,
        text=True,
        capture_output=True,
        check=True,
    ).stdout
    assert "global.index-url='https://index.example.org/simple/'" in listed
    assert settle(scope="none")["changed"]
    assert tuple(path.read_bytes() for path in paths) == BYTES[case]
    assert not (tmp_path / ".config/swf-testbed/pip-settings.json").exists()


def test_an_interrupted_run_is_taken_back(settle, tmp_path):
    """The record is written first: here the files could not be written after it."""
    write(tmp_path / PIP, "[global]\ntimeout = 60")
    before = content(tmp_path)
    (tmp_path / NETRC).symlink_to("/proc/nothing/netrc")
    assert settle()["failed"]
    (tmp_path / NETRC).unlink()
    assert not settle(scope="none")["failed"] and content(tmp_path) == before


@pytest.mark.parametrize(
    "name,text",
    [
        (PIP, "[install]\nextra-index-url = https://me:hidden@other.example.org/simple\n"),
        (
            "system/pip/pip.conf",
            "[download]\nfind-links = https://me:hidden@other.example.org/simple\n",
        ),
        (".pip/pip.conf", "[wheel]\nindex_url = https://me:hidden@other.example.org/simple\n"),
        ("system/uv/uv.toml", 'index = [{ url = "https://me:hidden@other.example.org/simple" }]'),
    ],
)
def test_what_would_be_asked_in_addition_is_named(settle, environment, tmp_path, name, text):
    environment["XDG_CONFIG_DIRS"] = str(tmp_path / "system")
    write(tmp_path / name, text)
    before = content(tmp_path)
    answer = settle()
    assert (
        answer["failed"] and str(tmp_path / name) in answer["msg"] and "hidden" not in answer["msg"]
    ), answer
    assert content(tmp_path) == before


def test_a_variable_that_leads_elsewhere_is_warned_of(settle, environment):
    environment.update(PIP_FIND_LINKS="/srv/hidden", UV_INDEX="https://hidden.example.org/simple")
    answer = settle()
    assert not answer["failed"] and "hidden" not in json.dumps(answer)
    assert all(name in json.dumps(answer["warnings"]) for name in ("PIP_FIND_LINKS", "UV_INDEX"))


@pytest.mark.parametrize(
    "text,left",
    [
        # comments and empty lines do not end a value
        ("[global]\nindex_url =\n# why\n\n    x\ntimeout = 9\n", "[global]\ntimeout = 9\n"),
        (
            "[global]\nIndex-URL: x\n\n# of the next\n[install]\nuser = true\n",
            "[global]\n\n# of the next\n[install]\nuser = true\n",
        ),
        ("[install]\nindex-url = x\n", "[install]\nindex-url = x\n"),
    ],
)
def test_an_option_is_taken_out_as_a_whole(text, left):
    assert set_option(text, "global", "index-url", None) == left


def test_an_option_that_somebody_changed_is_not_taken_out(settle, tmp_path):
    settle()
    conf = tmp_path / PIP
    conf.write_text(conf.read_text().replace("no-input = true", "no-input = false"))
    settle(scope="none")
    assert conf.read_text() == "[global]\nno-input = false\n"


@pytest.mark.parametrize(
    "name,text,message",
    [
        (
            PIP,
            "[global]\nindex_url = https://me:hidden@other.example.org/simple\n",
            "sets [global] index-url to https://***@other.example.org",
        ),
        (PIP, "index-url = x\n", "pip cannot parse it"),
        (UV, '[[index]]\nurl = "https://other.example.org"\n', "it sets index, and"),
        (
            UV,
            'index = [{ url = "https://other.example.org" }]',
            "add the missing lines of these:\nindex = [",
        ),
        (UV, "offline = \n", "it is not TOML"),
        (
            NETRC,
            "machine index.example.org login other password mine\n",
            "another login for index.example.org",
        ),
        (NETRC, "machine git.example.org login me password mine\noops\n", "Evidence: line 2"),
    ],
)
def test_what_contradicts_is_named_and_nothing_changes(settle, tmp_path, name, text, message):
    write(tmp_path / name, text)
    before = content(tmp_path)
    answer = settle()
    assert answer["failed"] and message in answer["msg"] and "hidden" not in answer["msg"]
    assert content(tmp_path) == before


def test_bound_names_are_no_matter_for_pip(settle, tmp_path):
    answer = settle([dict(LAB, packages=["swf-*"]), {"name": "pypi"}])
    assert answer["failed"] and "pip cannot bind names" in answer["msg"] and content(tmp_path) == {}


def test_the_risk_can_be_taken_and_is_warned_of(settle, tmp_path):
    answer = settle([dict(LAB, role="extra", allow_unsafe_extra_index=True), {"name": "pypi"}])
    assert not answer["failed"] and "dependency confusion" in json.dumps(answer["warnings"])
    assert "extra-index-url = https://index.example.org/simple/" in (tmp_path / PIP).read_text()


def test_plain_http_can_be_accepted_and_is_warned_of(settle, tmp_path):
    index = dict(LAB, url="http://index.example.org:8004/simple/")
    assert "would be sent unencrypted" in settle([index])["msg"]
    answer = settle([dict(index, allow_insecure_http=True)])
    assert not answer["failed"], answer
    assert "can read and change the connection to the index lab" in json.dumps(answer["warnings"])
    assert "trusted-host = index.example.org:8004" in (tmp_path / PIP).read_text()


def test_site_scope_is_that_of_one_environment(settle, tmp_path):
    site = tmp_path / "venv"
    site.mkdir()
    assert settle(scope="site", site=str(site))["files"] == [
        str(site / "pip.conf"),
        str(tmp_path / NETRC),
    ]
    assert not (tmp_path / PIP).exists()


def test_github_packages_are_reported_and_removed_when_asked(settle, tmp_path):
    write(
        tmp_path / ".pip/pip.conf",
        "[global]\nextra-index-url = https://me:%s@pypi.pkg.github.com/bnlnpps/\ntimeout = 9\n"
        % TOKEN,
    )
    write(
        tmp_path / ".pypirc",
        "[distutils]\nindex-servers =\n    github\n    lab\n[github]\nrepository = "
        "https://pypi.pkg.github.com/x\n"
        "password = %s\n[lab]\nrepository = https://index.example.org/\n" % TOKEN,
        0o600,
    )
    before = content(tmp_path)
    found = settle(scope="none")
    assert len(found["github"]) == 2 and not found["changed"] and content(tmp_path) == before
    assert (
        settle(scope="none", remove_github=True, check=True)["changed"]
        and content(tmp_path) == before
    )
    assert settle(scope="none", remove_github=True, diff=True)["changed"]
    after = content(tmp_path)
    assert (
        "github" not in json.dumps(after)
        and "timeout = 9" in after[".pip/pip.conf"]
        and "[lab]" in after[".pypirc"]
    )


@pytest.fixture(name="lab_index")
def index_of_the_lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab") / "packages"
    folder.mkdir()
    make_wheel(folder, "swf-testbed", "0.1.0")
    server = IndexServer(folder, TOKEN)
    yield server
    server.stop()


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_a_person_types_install(settle, lab_index, environment, tmp_path, installer):
    settle([lab_index.as_index("lab")])
    command = {
        "pip": [sys.executable, "-m", "pip", "install"],
        "uv": [find_uv(), "pip", "install", "--python", sys.executable],
    }
    done = subprocess.run(
        [*command[installer], "--target", str(tmp_path / "there"), "swf-testbed"],
        env=environment,
        text=True,
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "there/swf_testbed/__init__.py").exists()
