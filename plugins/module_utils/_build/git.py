# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""One commit of a git repository, over https with a token or over ssh, on the controller.

The token reaches git through git's own credential store in a file of a temporary directory that
only its owner can enter: it is in no URL, on no command line, in no environment, and not in what is
checked out.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from urllib.parse import quote, urlsplit

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.errors import diagnosis
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import run
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.clean_environment import (
    environment_for_git,
)

COMMIT = re.compile(r"^([0-9a-f]{40}|[0-9a-f]{64})$")
SSH = re.compile(r"^(ssh://|[^/@:]+@[^/:]+:)")

# (pattern, cause, fix); the first one that matches is used
CAUSES = (
    (
        r"Authentication failed|Invalid username or (password|token)|HTTP Basic: Access "
        r"denied|requested URL returned error: 403",
        "the server rejected the credentials",
        "check the token, that it has not expired, and that it may read the repository",
    ),
    (
        r"could not read Username|terminal prompts disabled",
        "the server asks for a login and none is given",
        "give a user name and a token for it",
    ),
    (
        r"[Rr]epository .*not found|does not appear to be a git repository|The requested URL returned "
        r"error: 404",
        "there is no such repository, or this login may not see it",
        "check the url; a private repository answers the same to a login without permission",
    ),
    (
        r"Permission denied \(|publickey",
        "the server accepted no ssh key of this login",
        "load the key (ssh-add), or add its public half to the repository's host",
    ),
    (
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        "the ssh key of the server is not trusted here, or it has changed",
        "compare it with the one that the server publishes, then add it to ~/.ssh/known_hosts "
        "(ssh-keyscan HOST)",
    ),
    (
        r"not our ref|upload-pack: not our ref|bad object|couldn't find remote ref|reference is not a "
        r"tree|unable to read tree",
        "the repository does not have that commit",
        "look for the right one: git ls-remote {url}",
    ),
    (
        r"dubious ownership",
        "the repository belongs to another login",
        "git config --global --add safe.directory PATH, with the path of the repository",
    ),
    (
        r"Could not resolve host",
        "the name of the server cannot be resolved",
        "check the host name in the url, and the DNS of this machine",
    ),
    (
        r"SSL certificate problem|certificate (verify|verification) failed",
        "the server's TLS certificate is not trusted here",
        "add its CA to the machine's certificates (update-ca-certificates)",
    ),
    (
        r"Connection refused|Failed to connect|Connection timed out|Could not connect",
        "nothing answers at the server's address",
        "check the url, the network and the proxy settings",
    ),
)


class GitError(Exception):
    """A commit cannot be fetched; the text has cause, evidence and fix."""


def checked(url: str, commit: str | None) -> None:
    """Refuse anything but a pinned commit of a repository, before a command is run.

    :raises GitError:
    """
    if not COMMIT.match(commit or ""):
        raise GitError(
            "%r is not a commit. Branches and tags move. Fix: pin the full commit: git ls-remote %s"
            % (commit, shown(url))
        )
    problem = refusal(url)
    if problem:
        raise GitError(problem)


def refusal(url: str) -> str | None:
    """Why an address is not accepted, or None."""
    parts = urlsplit(url)
    if "@" in parts.netloc and (parts.scheme != "ssh" or parts.password):
        return (
            "the address %s has credentials in it, and addresses end up in logs. Fix: give the user "
            "name and the token separately" % shown(url)
        )
    # git would read an address that begins with a dash as an option
    if url.startswith("-") or (parts.scheme not in ("https", "ssh", "file") and not SSH.match(url)):
        return "%s is neither an https nor an ssh address of a git repository" % shown(url)
    return None


def shown(url: str) -> str:
    """The address without credentials."""
    return re.sub(r"(?<=://)[^/@]+@", "***@", url) if "://" in url else url


def checkout(
    url: str,
    commit: str,
    target: str,
    username: str | None = None,
    token: str | None = None,
    ca_cert: str | None = None,
) -> int:
    """Check out the files of one commit into a new directory ``target``; returns the time of the
    commit.

    :param url: https, ssh or file address of the repository, without credentials.
    :param commit: full id of the commit.
    :param ca_cert: path of the CA certificates for https, if they are not those of the machine.
    :raises GitError:
    """
    checked(url, commit)
    os.makedirs(target)
    with tempfile.TemporaryDirectory() as scratch:
        git = client(target, url, scratch, username, token, ca_cert)
        git("init", "--quiet")
        done = git("fetch", "--quiet", "--depth", "1", url, commit)
        if done.returncode != 0 and re.search("not our ref|unadvertised object", done.stdout):
            # the server refuses to send a commit by its id: fetch its branches and tags
            refs = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
            done = git("fetch", "--quiet", url, *refs)
        if done.returncode == 0:
            done = git("checkout", "--quiet", "--detach", commit)
        if done.returncode == 0:
            done = git("show", "--no-patch", "--format=%ct", commit)
        if done.returncode != 0:
            raise GitError(explain(url, commit, done.stdout, token))
        return int(done.stdout.split()[-1])


def client(
    folder: str,
    url: str,
    scratch: str,
    username: str | None,
    token: str | None,
    ca_cert: str | None,
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that runs git in a folder with this login, and returns the completed process.

    :param scratch: a directory that nobody else may enter, for the token.
    """
    environment = environment_for(url, scratch, username, token, ca_cert)

    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return run(["git", *arguments], environment, folder)
        except FileNotFoundError:
            raise GitError(
                "there is no git on the controller. Fix: sudo apt-get install git"
            ) from None

    return git


def environment_for(
    url: str, scratch: str, username: str | None, token: str | None, ca_cert: str | None
) -> dict[str, str]:
    environment = environment_for_git()
    # an empty helper resets those of the login, which would store a copy of the token
    settings = [("credential.helper", ""), ("advice.detachedHead", "false")]
    if token:
        store = os.path.join(scratch, "credentials")
        login = "%s:%s" % (quote(username or "x-access-token", safe=""), quote(token, safe=""))
        with open(store, "w", encoding="utf-8") as stream:
            stream.write("https://%s@%s\n" % (login, urlsplit(url).netloc))
        settings.append(("credential.helper", "store --file=" + store))
    if ca_cert:
        # the variable has precedence over the setting of the same meaning
        environment["GIT_SSL_CAINFO"] = os.path.expanduser(ca_cert)
    environment.update(
        GIT_TERMINAL_PROMPT="0",
        GIT_ASKPASS="",
        SSH_ASKPASS="",
        LC_ALL="C",
        GIT_CONFIG_COUNT=str(len(settings)),
    )
    environment.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    for number, (key, value) in enumerate(settings):
        environment["GIT_CONFIG_KEY_%d" % number] = key
        environment["GIT_CONFIG_VALUE_%d" % number] = value
    return environment


def explain(url: str, commit: str, output: str, token: str | None) -> str:
    if token:
        output = output.replace(token, "***").replace(quote(token, safe=""), "***")
    doing = "fetch %s at %s" % (shown(url), commit[:12])
    return diagnosis(doing, shown(output).strip(), CAUSES, url=shown(url))
