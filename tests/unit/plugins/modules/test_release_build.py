# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks and releases against real indexes: a private one with a password, and one that plays the
public one."""

from __future__ import annotations

import concurrent.futures
import json
import os
import socket
import subprocess
import sys
import time

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.errors import explain
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    InstallError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    normalised,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import (
    lock_file,
    wheelhouse,
)
from helpers.index_server import IndexServer, make_wheel, sha256
from helpers.run_module import run_module, run_release_build

TOKEN = "canary0123456789canary0123456789canary01"


@pytest.fixture(name="indexes", scope="module")
def two_indexes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("indexes")
    private, public = folder / "private", folder / "public"
    private.mkdir()
    public.mkdir()
    make_wheel(
        private, "swf-testbed", "0.1.0", ["swf-common-lib", "public-thing"], script="swf-testbed"
    )
    make_wheel(private, "swf-common-lib", "0.1.0", ["public-thing>=1"])
    make_wheel(public, "public-thing", "1.0")
    # no index has these two
    absent = ["absent; sys_platform == 'win32'", "too-old; python_version < '3.11'"]
    make_wheel(private, "swf-split", "0.1.0", ["public-thing", *absent])
    # what an attacker would publish
    make_wheel(public, "swf-common-lib", "99.0", body="raise SystemExit('dependency confusion')\n")
    make_wheel(public, "swf-testbed", "99.0", body="raise SystemExit('dependency confusion')\n")
    servers = IndexServer(private, TOKEN), IndexServer(public)
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture(name="both")
def both_as_indexes(indexes):
    return [indexes[0].as_index("swf", packages=["swf-*"]), indexes[1].as_index("public")]


def lock(both, path, requirements=("swf-testbed",), check_mode=False, **hosts):
    return lock_file.obtain(
        str(path),
        list(requirements),
        normalised(both),
        None,
        lock_file.Hosts("3.10", **hosts),
        check_mode,
    )


def tools_lock(indexes):
    """Stands in for the lock of supervisord and uv, which are not what is tested here."""
    return "public-thing==1.0 --hash=sha256:%s\n" % sha256(
        indexes[1].folder / "public_thing-1.0-py3-none-any.whl"
    )


@pytest.fixture(name="build")
def build_a_release(tmp_path, indexes, both):
    access = tmp_path / "access"
    access.mkdir()
    (access / "netrc").write_text("machine 127.0.0.1 login reader password %s\n" % TOKEN)

    def build(check=False, diff=False, **overrides):
        arguments = {
            "root": str(tmp_path / "root"),
            "version": "0.1.0",
            "lock_file": "x",
            "tools_lock_file": "x",
            "tools_lock": tools_lock(indexes),
            "python": sys.executable,
            "access_dir": str(access),
            "import_check": ["swf-testbed"],
            "indexes": [
                {key: value for key, value in index.items() if key not in ("username", "token")}
                for index in both
            ],
        }
        arguments.update(overrides)
        return run_release_build(arguments, check=check, diff=diff)

    return build


def test_lock_takes_each_name_from_its_own_index(indexes, both, tmp_path):
    text = lock(both, tmp_path / "lock.txt")
    assert (
        "swf-common-lib==0.1.0" in text
        and "swf-testbed==0.1.0" in text
        and "public-thing==1.0" in text
    )
    assert "99.0" not in text and "http" not in text
    # and the public side was never even asked
    assert "public-thing" in indexes[1].asked_for()
    assert "/simple/swf-" not in indexes[1].asked_for()


def test_a_lock_is_for_the_hosts_only(both, tmp_path):
    """An index needs no files for other Pythons and systems than those of the hosts."""
    with pytest.raises(InstallError, match="no versions of too-old"):
        lock(both, tmp_path / "all.txt", ["swf-split"])
    text = lock(
        both,
        tmp_path / "lock.txt",
        ["swf-split"],
        pythons=["3.13", "3.11"],
        architectures=["x86_64"],
    )
    lines = [line for line in text.splitlines() if "==" in line and line[0] not in "# "]
    assert [line.split("==")[0] for line in lines] == ["public-thing", "swf-split"]
    for line in lines:
        wanted = [
            wheelhouse.applies(line.split(";")[1].rstrip(" \\"), *host)
            for host in (("3.11", "x86_64"), ("3.12", "x86_64"), ("3.13", "x86_64"))
        ]
        assert wanted == [True, False, True], line
        assert not wheelhouse.applies(line.split(";")[1].rstrip(" \\"), "3.13", "aarch64")
    assert lock_file.Hosts("3.10", pythons=["3.13", "3.9"]).oldest == "3.9"
    with pytest.raises(lock_file.LockError, match="is no version of Python"):
        lock(both, tmp_path / "wrong.txt", ["swf-split"], pythons=["3.11' or '1' == '1"])


@pytest.mark.parametrize("installer", ["uv", pytest.param("pip", marks=pytest.mark.nightly)])
def test_a_host_that_a_lock_is_not_for_gets_no_release(build, indexes, tmp_path, installer):
    requirement, digest = tools_lock(indexes).split(" ")
    other = "%s ; python_version < '3.0' %s" % (requirement, digest)
    answer = build(lock=other, installer=installer, import_check=[])
    assert answer["failed"] and "no requirement of the lock is for this host" in answer["msg"]
    assert "swf_testbed_release_lock_pythons" in answer["msg"], answer
    assert not [name for name in os.listdir(tmp_path / "root/releases") if name[0] != "."]


@pytest.mark.parametrize("installer", ["uv", pytest.param("pip", marks=pytest.mark.nightly)])
def test_plain_http_is_used_with_consent(build, both, tmp_path, installer):
    """The index has the name of this machine, which is no loopback name for pip and uv."""
    name = socket.gethostname()
    try:
        here = socket.gethostbyname(name).startswith("127.")
    except OSError:
        here = False
    if not here:
        pytest.skip("the name of this machine does not lead to a loopback address")
    there = [dict(index, url=index["url"].replace("127.0.0.1", name)) for index in both]
    with pytest.raises(ValueError, match="allow_insecure_http"):
        normalised(there)
    there = [dict(index, allow_insecure_http=True) for index in there]
    (tmp_path / "access/netrc").write_text("machine %s login reader password %s\n" % (name, TOKEN))
    public = [{key: index[key] for key in index.keys() - {"username", "token"}} for index in there]
    answer = build(lock=lock(there, tmp_path / "lock.txt"), indexes=public, installer=installer)
    assert answer.get("built") == ["tools", "release"], answer


def test_lock_is_kept(both, tmp_path):
    first = lock(both, tmp_path / "lock.txt")
    assert lock([], tmp_path / "lock.txt") == first == (tmp_path / "lock.txt").read_text()


def test_hosts_of_a_play_that_come_for_the_lock_together_make_it_once(tmp_path, monkeypatch):
    made = []

    def make(*_options):
        made.append(1)
        time.sleep(0.3)
        return "x==1 --hash=sha256:00\n"

    monkeypatch.setattr(lock_file, "make", make)
    with concurrent.futures.ThreadPoolExecutor(4) as hosts:
        asked = [hosts.submit(lock, [], tmp_path / "lock.txt") for _host in range(4)]
        assert {answer.result() for answer in asked} == {"x==1 --hash=sha256:00\n"}
    assert len(made) == 1 and os.listdir(tmp_path) == ["lock.txt"]


def test_check_mode_makes_no_lock(both, tmp_path):
    assert lock(both, tmp_path / "lock.txt", check_mode=True) is None
    assert os.listdir(tmp_path) == []


def test_a_name_from_the_wrong_index_is_refused(both):
    text = "swf-extra==1.0 \\\n    --hash=sha256:00\n    # from %s\n" % both[1]["url"]
    with pytest.raises(lock_file.LockError, match="swf-extra belongs to the index swf"):
        lock_file.refuse_strangers(text, {}, normalised(both))
    text = "public-thing==1.0 \\\n    --hash=sha256:00\n    # from %s\n" % both[0]["url"].rstrip(
        "/"
    )
    with pytest.raises(lock_file.LockError, match="public-thing belongs to the index public"):
        lock_file.refuse_strangers(text, {}, normalised(both))


def test_private_name_that_only_the_public_side_has_is_not_found(indexes, both, tmp_path):
    make_wheel(indexes[1].folder, "swf-extra", "1.0")
    with pytest.raises(InstallError) as caught:
        lock(both, tmp_path / "lock.txt", ["swf-extra"])
    assert "the index does not have the package" in explain(caught.value)
    assert "/simple/swf-extra" not in indexes[1].asked_for()


@pytest.mark.parametrize(
    "change,cause",
    [
        ({"token": "wrong"}, "the index rejected the credentials"),
        ({"url": "http://127.0.0.1:9/simple/"}, "nothing answers at the index's address"),
        (
            {"url": "https://no-such-host.invalid/simple/"},
            "the name of the index cannot be resolved",
        ),
    ],
)
def test_what_is_wrong_with_an_index_is_named(both, tmp_path, change, cause):
    both[0].update(change)
    with pytest.raises(InstallError) as caught:
        lock(both, tmp_path / "lock.txt")
    text = explain(caught.value)
    assert cause in text and "index swf" in text and TOKEN not in text
    assert not (tmp_path / "lock.txt").exists()


def test_builds_and_activates(build, both, tmp_path):
    text = lock(both, tmp_path / "lock.txt")
    predicted = build(lock=text, check=True, diff=True)
    assert (
        predicted["changed"]
        and predicted["diff"]["before"] == ""
        and not (tmp_path / "root").exists()
    )
    assert "swf-testbed==0.1.0\n" in predicted["diff"]["after"]
    answer = build(lock=text)
    assert answer["built"] == ["tools", "release"] and answer["id"] == predicted["id"], answer
    assert (
        json.load(open(answer["path"] + "/release.json"))["packages"]["swf-common-lib"] == "0.1.0"
    )
    assert subprocess.check_output([answer["path"] + "/bin/swf-testbed"], text=True) == "hello\n"
    assert not build(lock=text)["changed"]

    activation = {"root": str(tmp_path / "root"), "id": answer["id"]}
    assert run_module("release_activate", activation, check=True)["changed"]
    assert not os.path.lexists(tmp_path / "root/current")
    assert run_module("release_activate", activation)["changed"]
    assert os.path.realpath(tmp_path / "root/current") == os.path.realpath(answer["path"])
    assert not run_module("release_activate", activation)["changed"]


def test_bytecode_is_compiled(build, both, tmp_path):
    path = build(lock=lock(both, tmp_path / "lock.txt"))["path"]
    assert any(
        name.endswith(".pyc")
        for _place, _folders, names in os.walk(path + "/lib")
        for name in names
    )


@pytest.mark.nightly
def test_builds_with_pip_too(build, both, tmp_path):
    answer = build(lock=lock(both, tmp_path / "lock.txt"), installer="pip")
    assert answer["built"] == ["tools", "release"], answer
    assert subprocess.check_output([answer["path"] + "/bin/swf-testbed"], text=True) == "hello\n"


def test_half_built_release_is_replaced(build, both, tmp_path):
    text = lock(both, tmp_path / "lock.txt")
    path = build(lock=text)["path"]
    os.unlink(path + "/release.json")
    (tmp_path / "root/releases").joinpath(os.path.basename(path), "rubbish").touch()
    assert build(lock=text)["built"] == ["release"]
    assert not os.path.exists(path + "/rubbish")


def test_broken_python_means_a_rebuild(build, both, tmp_path):
    text = lock(both, tmp_path / "lock.txt")
    python = build(lock=text)["path"] + "/bin/python"
    os.unlink(python)
    os.symlink("/nonexistent/python", python)
    assert build(lock=text)["built"] == ["release"]


def test_release_that_does_not_import_is_not_complete(build, indexes, both, tmp_path):
    make_wheel(
        indexes[0].folder, "swf-broken", "1.0", body="import no_such_module\n", script="swf-broken"
    )
    text = lock(both, tmp_path / "lock.txt", ["swf-broken"])
    answer = build(lock=text, import_check=["swf-broken"])
    assert answer["failed"] and "swf-broken = swf_broken:main) does not import" in answer["msg"], (
        answer
    )
    assert "No module named 'no_such_module'" in answer["msg"]
    assert build(lock=text, check=True, import_check=[])["built"] == ["release"]


def test_changed_file_is_refused(build, indexes, both, tmp_path):
    make_wheel(indexes[0].folder, "swf-moving", "1.0")
    text = lock(both, tmp_path / "lock.txt", ["swf-moving"])
    make_wheel(indexes[0].folder, "swf-moving", "1.0", body="stolen = True\n")
    answer = build(lock=text, import_check=[], lock_file="/the/lock.txt")
    assert answer["failed"] and "another file than the one that was locked" in answer["msg"], answer
    assert "/the/lock.txt" in answer["msg"]


def test_wrong_token_on_the_host_is_named(build, both, tmp_path):
    text = lock(both, tmp_path / "lock.txt")
    (tmp_path / "access/netrc").write_text("machine 127.0.0.1 login reader password nonsense\n")
    answer = build(lock=text)
    assert answer["failed"] and "the index rejected the credentials" in answer["msg"], answer
    assert (
        "Verdict (pip_index_info): the index swf rejected the credentials (401/403). Evidence: HTTP 403"
        in answer["msg"]
    )
    assert "nonsense" not in json.dumps(answer)


def test_incomplete_release_is_not_activated(tmp_path):
    (tmp_path / "releases/x").mkdir(parents=True)
    answer = run_module("release_activate", {"root": str(tmp_path), "id": "x"})
    assert answer["failed"] and "no complete release" in answer["msg"]
    assert not os.path.lexists(tmp_path / "current")


def test_a_broken_release_that_is_active_is_built_again_beside_it(build, both, tmp_path):
    text = lock(both, tmp_path / "lock.txt")
    first = build(lock=text)
    run_module("release_activate", {"root": str(tmp_path / "root"), "id": first["id"]})
    python = first["path"] + "/bin/python"
    os.unlink(python)
    os.symlink("/nonexistent/python", python)
    second = build(lock=text)
    assert (
        second["built"] == ["release"]
        and second["id"] == first["id"] + ".2"
        and os.path.isdir(first["path"])
    )
    assert not build(lock=text)["changed"]
    manifest = json.load(open(second["path"] + "/release.json"))
    assert (
        manifest["executable"] == os.path.realpath(sys.executable)
        and manifest["id"] == second["id"]
    )


def test_the_output_of_uv_is_shown_without_noise():
    output = (
        "error: No solution found when resolving dependencies for split (markers: x >= '3.12')\n"
        "  cause: Because lock depends on django{python_full_version >= '3.12'}<3 and a, we can "
        "conclude that your requirements are unsatisfiable.\n\n"
        "hint: While the active Python version is 3.11, the resolution failed for other versions.\n"
    )
    assert lock_file.readable(output) == (
        "error: No solution found when resolving dependencies\n  cause: Because the release requires "
        "django<3 and a, we can conclude that the requirements are unsatisfiable."
    )
    assert lock_file.shortened(list("abcdefgh")) == "lock a, b, c, d, e, f and 2 more"
