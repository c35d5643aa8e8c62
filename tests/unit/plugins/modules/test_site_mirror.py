# SPDX-License-Identifier: GPL-3.0-or-later
"""A mirror with a login that is configured for pip alone, without other access to the internet: the
lock, the hosts and the builds use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from urllib.parse import quote, urlsplit

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build import installers, wheels
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index import pip_upstream
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    IndexesError,
    normalised,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.host_index import (
    HostIndexError,
    resolved,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import lock_file
from helpers.index_server import IndexServer, make_wheel, sha256
from helpers.run_module import run_release_build

TOKEN = "canary/@:%0123456789canary0123456789"
BACKEND = """
import zipfile

def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = "built_here-1.0-py3-none-any.whl"
    with zipfile.ZipFile(directory + "/" + name, "w") as archive:
        archive.writestr("built_here.py", "")
        archive.writestr("built_here-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: built-here\\nVersion: 1.0\\n")
        archive.writestr("built_here-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        archive.writestr("built_here-1.0.dist-info/RECORD", "")
    return name
"""


@pytest.fixture(name="mirror", scope="module")
def mirror_with_a_login(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mirror") / "packages"
    folder.mkdir()
    make_wheel(folder, "only-on-the-mirror", "1.0")
    make_wheel(folder, "backend-on-the-mirror", "1.0", body=BACKEND)
    server = IndexServer(folder, TOKEN, "site+user")
    yield server
    server.stop()


def with_login(mirror):
    return mirror.url.replace(
        "://", "://%s:%s@" % (quote(mirror.user, safe=""), quote(TOKEN, safe=""))
    )


def in_file(section):
    def write(home, mirror, _monkeypatch):
        path = home / ".config/pip/pip.conf"
        path.parent.mkdir(parents=True)
        path.write_text("[%s]\nindex-url = %s\n" % (section, with_login(mirror)))

    return write


def in_environment(_home, mirror, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", with_login(mirror))


def with_netrc(home, mirror, monkeypatch):
    (home / "pip.conf").write_text("[global]\nindex_url = %s\n" % mirror.url)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(home / "pip.conf"))
    (home / ".netrc").write_text("machine 127.0.0.1 login %s password %s\n" % (mirror.user, TOKEN))


PLACES = {
    "global": in_file("global"),
    "install": in_file("install"),
    "environment": in_environment,
    "netrc": with_netrc,
}


@pytest.fixture(name="home")
def home_of_a_login(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_", "XDG_", "NETRC")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    # nothing else can be reached
    for name in ("http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    return tmp_path


@pytest.fixture(name="site", params=sorted(PLACES))
def site_with_a_mirror_for_pip(request, home, mirror, monkeypatch):
    PLACES[request.param](home, mirror, monkeypatch)
    return home


@pytest.fixture(name="commands")
def commands_that_are_run(monkeypatch):
    """The command lines and environments of what is run, as text."""
    found, run = [], subprocess.run

    def recorded(command, **more):
        # pip, when it is asked how it is set up, has the login's own variables
        if command[-2:] != ["config", "debug"]:
            found.append(json.dumps([command, more.get("env")]))
        return run(command, check=more.pop("check", False), **more)

    monkeypatch.setattr(installers.subprocess, "run", recorded)
    return found


def lock_of_the_controller(folder):
    indexes = normalised([{"name": "pypi"}])
    return lock_file.obtain(
        str(folder / "lock.txt"),
        ["only-on-the-mirror"],
        indexes,
        None,
        lock_file.Hosts("3.10"),
        False,
    )


def release(root, lock, tool, environment=None):
    return run_release_build(
        {
            "root": str(root),
            "version": "1",
            "lock_file": "x",
            "tools_lock_file": "x",
            "lock": lock,
            "tools_lock": lock,
            "python": sys.executable,
            "indexes": [{"name": "pypi"}],
            "installer": tool,
        },
        env=environment,
    )


@pytest.mark.usefixtures("site")
def test_the_lock_of_the_controller(mirror, tmp_path, commands):
    text = lock_of_the_controller(tmp_path)
    assert sha256(mirror.folder / "only_on_the_mirror-1.0-py3-none-any.whl") in text
    assert commands and not any(
        secret in text + "".join(commands) for secret in (TOKEN, quote(TOKEN, safe=""))
    )


@pytest.mark.parametrize(
    "site,tool",
    [
        *((place, "uv") for place in sorted(PLACES)),
        pytest.param("netrc", "pip", marks=pytest.mark.nightly),
        pytest.param("install", "pip", marks=pytest.mark.nightly),
    ],
    indirect=["site"],
)
@pytest.mark.usefixtures("site")
def test_a_host(mirror, tmp_path, tool):
    lock = "only-on-the-mirror==1.0 --hash=sha256:%s\n" % sha256(
        mirror.folder / "only_on_the_mirror-1.0-py3-none-any.whl"
    )
    answer = release(tmp_path / "root", lock, tool)
    assert answer.get("built") == ["tools", "release"], answer
    assert TOKEN not in json.dumps(answer)
    assert TOKEN not in "".join(
        path.read_text(errors="replace") for path in (tmp_path / "root").rglob("*.json")
    )


@pytest.mark.parametrize("site", ["install"], indirect=True)
@pytest.mark.usefixtures("site")
def test_the_build_tools_of_a_package(tmp_path, commands, monkeypatch):
    source = tmp_path / "source"
    source.mkdir()
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["backend-on-the-mirror"]\nbuild-backend = '
        '"backend_on_the_mirror"\n'
    )
    monkeypatch.chdir(tmp_path)
    # the login's own folder has a module of that name, and python -m looks there first
    (tmp_path / "build.py").write_text("raise SystemExit('a module of the working directory')\n")
    assert wheels.build("source", ["wheel"], "out")["wheel"].endswith(
        "built_here-1.0-py3-none-any.whl"
    )
    assert TOKEN not in "".join(commands)


@pytest.mark.nightly
def test_other_settings_of_pip_and_uv_do_not_count(home, mirror, tmp_path, monkeypatch):
    """What the issue names, and relatives: platform, only-binary, cache, uv's own file."""
    in_file("global")(home, mirror, monkeypatch)
    conf = home / ".config/pip/pip.conf"
    conf.write_text(
        conf.read_text() + "extra-index-url = http://127.0.0.1:9/other\n[install]\nuser = true\n"
        "prefix = /nonexistent\nno-binary = :all:\nimplementation = pp\n[download]\nfind-links = "
        "http://127.0.0.1:9/\n"
    )
    (home / ".config/uv").mkdir()
    (home / ".config/uv/uv.toml").write_text(
        'exclude-newer = "2001-01-01T00:00:00Z"\nno-binary = true\n'
    )
    for name, value in (
        ("PIP_TARGET", "/nonexistent"),
        ("UV_EXCLUDE_NEWER", "2001-01-01T00:00:00Z"),
        ("PYTHONPATH", str(home)),
        ("UV_INDEX", "http://127.0.0.1:9/other"),
        ("UV_NO_BINARY", "1"),
        ("PIP_REQUIRE_VIRTUALENV", "1"),
    ):
        monkeypatch.setenv(name, value)
    (home / "pip.py").write_text("raise SystemExit('wrong pip from PYTHONPATH')\n")
    lock = lock_of_the_controller(tmp_path)
    for tool in ("uv", "pip"):
        # with this PYTHONPATH, the module itself would not start
        answer = release(
            tmp_path / tool,
            lock,
            tool,
            {key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        )
        assert answer.get("built") == ["tools", "release"], answer


def test_a_proxy_and_certificates_of_pip_are_handed_on(home):
    conf = home / ".config/pip/pip.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(
        "[global]\nproxy = http://proxy.example.org:3128\ncert = /etc/lab.pem\ntrusted-host = "
        "mirror.example.org\n"
    )
    index = resolved(normalised([{"name": "pypi"}]))[0]
    found = installers.environment(index)
    assert (
        index["url"] is None
        and found["https_proxy"] == found["PIP_PROXY"] == "http://proxy.example.org:3128"
    )
    assert (
        found["SSL_CERT_FILE"] == "/etc/lab.pem"
        and found["UV_INSECURE_HOST"] == "mirror.example.org"
    )
    assert "PIP_INDEX_URL" not in found and found["PIP_CONFIG_FILE"] == os.devnull
    # a private index is not pip's: it is asked directly
    private = normalised([{"name": "lab", "url": "https://lab.example.org/simple/"}])
    assert "PIP_PROXY" not in installers.environment(resolved(private)[0])


def test_a_folder_instead_of_an_index(home, mirror):
    conf = home / ".config/pip/pip.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("[install]\nno-index = yes\nfind-links = file://%s/\n" % mirror.folder)
    index = resolved(normalised([{"name": "pypi"}]))[0]
    assert (index["preset"], index["url"]) == ("directory", str(mirror.folder))
    conf.write_text("[install]\nno-index = yes\nfind-links = /a /b\n")
    with pytest.raises(
        HostIndexError, match="find-links with 2 places.*Fix: set the url of the index"
    ):
        resolved(normalised([{"name": "pypi"}]))


def test_a_login_that_cannot_be_handed_on_is_named(home, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:can%5Cary@mirror.example.org/simple")
    with pytest.raises(
        HostIndexError,
        match="https://mirror.example.org/simple/.*a backslash.*Fix: use another token",
    ) as caught:
        resolved(normalised([{"name": "pypi"}]))
    assert "ary" not in str(caught.value) and home


@pytest.mark.usefixtures("home")
def test_a_machine_with_configuration_and_no_pip(tmp_path, monkeypatch):
    (tmp_path / ".pip").mkdir()
    monkeypatch.setattr(pip_upstream, "output", lambda *_any: None)
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path))
    if not os.path.exists("/etc/pip.conf"):
        assert resolved(normalised([{"name": "pypi"}]))[0]["url"] is None
    (tmp_path / ".pip/pip.conf").write_text(
        "[global]\nindex-url = https://mirror.example.org/simple/\n"
    )
    assert (
        resolved(normalised([{"name": "pypi"}]))[0]["url"] == "https://mirror.example.org/simple/"
    )
    (tmp_path / ".pip/pip.conf").write_text(
        "index-url = https://me:canary@mirror.example.org/simple/\n"
    )
    with pytest.raises(
        ValueError,
        match=r"\.pip/pip\.conf: pip cannot parse it. Evidence: MissingSectionHeaderError, line 1",
    ) as caught:
        resolved(normalised([{"name": "pypi"}]))
    assert "canary" not in str(caught.value)


def test_one_login_per_host_also_with_the_mirror_s(mirror, home, monkeypatch, tmp_path):
    in_environment(home, mirror, monkeypatch)
    other = "http://%s/private/" % urlsplit(mirror.url).netloc
    indexes = normalised(
        [
            {"name": "swf", "url": other, "username": "me", "token": "x", "packages": ["swf-*"]},
            {"name": "pypi"},
        ]
    )
    with pytest.raises(IndexesError, match="two indexes on 127.0.0.1"):
        lock_file.make(["only-on-the-mirror"], indexes, None, "3.10")
