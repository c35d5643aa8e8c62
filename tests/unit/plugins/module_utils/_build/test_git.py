# SPDX-License-Identifier: GPL-3.0-or-later
"""Commits out of real git servers, with a token over https and with a key over ssh."""

from __future__ import annotations

import getpass
import os
import shutil

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.git import (
    GitError,
    checked,
    checkout,
)
from helpers.git_servers import GitHttps, GitSsh, commit_all, git

TOKEN = "canary/%:@0123456789canary"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(name="folder", scope="module")
def folder_of_repositories(tmp_path_factory):
    return tmp_path_factory.mktemp("git")


@pytest.fixture(name="commits", scope="module")
def two_commits(folder):
    source = folder / "component"
    source.mkdir()
    (source / "version").write_text("1\n")
    first = commit_all(source)
    (source / "version").write_text("2\n")
    return first, commit_all(source)


@pytest.fixture(name="https", scope="module")
def git_over_https(folder, commits):
    server = GitHttps(folder, folder / "ca.pem", "me", TOKEN)
    yield server
    server.stop()


@pytest.fixture(name="login")
def login_of_the_server(folder):
    return {"username": "me", "token": TOKEN, "ca_cert": str(folder / "ca.pem")}


def everything(folder):
    return "".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


def test_each_commit_is_the_one_that_was_asked_for(https, login, commits, tmp_path):
    for number, commit in enumerate(commits, start=1):
        target = tmp_path / str(number)
        checkout(https.url + "/component/.git", commit, str(target), **login)
        assert (target / "version").read_text() == "%d\n" % number
        assert git(target, "rev-parse", "HEAD") == commit
        assert TOKEN not in everything(target)


def test_the_token_does_not_get_into_the_login_s_own_store(
    https, login, commits, tmp_path, monkeypatch
):
    (tmp_path / ".gitconfig").write_text("[credential]\n\thelper = store\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    checkout(https.url + "/component/.git", commits[0], str(tmp_path / "there"), **login)
    assert not (tmp_path / ".git-credentials").exists()


@pytest.mark.parametrize(
    "path,change,cause",
    [
        ("component", {"token": "wrong" + TOKEN}, "the server rejected the credentials"),
        ("component", {"token": None}, "asks for a login and none is given"),
        ("nothing", {}, "there is no such repository, or this login may not see it"),
        ("component", {"ca_cert": None}, "TLS certificate is not trusted"),
        ("component", {"commit": COMMIT}, "does not have that commit"),
    ],
)
def test_what_is_wrong_is_named_without_the_token(
    https, login, commits, tmp_path, path, change, cause
):
    options = {**login, "commit": commits[0], **change}
    with pytest.raises(GitError) as caught:
        checkout(
            "%s/%s/.git" % (https.url, path),
            options.pop("commit"),
            str(tmp_path / "there"),
            **options,
        )
    assert cause in str(caught.value) and "Fix: " in str(caught.value)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    "url,cause",
    [
        ("https://127.0.0.1:9/x.git", "nothing answers"),
        ("https://no-such-host.invalid/x.git", "cannot be resolved"),
    ],
)
def test_an_address_that_is_wrong_is_named(url, cause, tmp_path):
    with pytest.raises(GitError, match=cause):
        checkout(url, COMMIT, str(tmp_path / "there"))


@pytest.mark.parametrize(
    "url,commit,message",
    [
        ("https://example.org/x.git", "main", "Branches and tags move"),
        ("https://example.org/x.git", COMMIT[:12], "pin the full commit"),
        ("https://me:%s@example.org/x.git" % COMMIT, COMMIT, "has credentials in it"),
        ("http://example.org/x.git", COMMIT, "neither an https nor an ssh"),
        ("--upload-pack=evil", COMMIT, "neither an https nor an ssh"),
        ("--upload-pack=evil@host:x", COMMIT, "neither an https nor an ssh"),
        ("ssh://me:%s@example.org/x.git" % COMMIT, COMMIT, "has credentials in it"),
    ],
)
def test_what_is_no_pinned_commit_is_refused_first(url, commit, message):
    with pytest.raises(GitError, match=message) as caught:
        checked(url, commit)
    assert "me:" not in str(caught.value)


@pytest.fixture(name="ssh", scope="module")
def git_over_ssh(folder):
    # where everything is tested, what is missing is a mistake
    if not os.environ.get("CI") and not (os.path.exists("/usr/sbin/sshd") and shutil.which("ssh")):
        pytest.skip("needs sshd: apt-get install openssh-server openssh-client")
    server = GitSsh(folder / "ssh")
    yield server
    server.stop()


def test_ssh_takes_the_keys_of_the_login(ssh, folder, commits, tmp_path, monkeypatch):
    url = "ssh://%s@127.0.0.1:%d%s/component" % (getpass.getuser(), ssh.port, folder)
    monkeypatch.setenv("GIT_SSH_COMMAND", ssh.command)
    checkout(url, commits[0], str(tmp_path / "there"))
    assert (tmp_path / "there/version").read_text() == "1\n"
    monkeypatch.setenv("GIT_SSH_COMMAND", ssh.command_without_key)
    with pytest.raises(GitError, match="accepted no ssh key"):
        checkout(url, commits[0], str(tmp_path / "again"))
    monkeypatch.setenv("GIT_SSH_COMMAND", ssh.command.replace("/known ", "/unknown "))
    with pytest.raises(GitError, match="ssh key of the server is not trusted"):
        checkout(url, commits[0], str(tmp_path / "once-more"))
