# SPDX-License-Identifier: GPL-3.0-or-later
"""A token for an index at an IPv6 address is found by the programs that read netrc files, each of
them the real one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    netrc,
    normalised,
)
from helpers.index_server import IndexServer, make_wheel

TOKEN = "0123456789abcdef0123456789abcdef01234567"
BIN = Path(sys.executable).parent
READERS = {
    "uv": [
        str(BIN / "uv"),
        "pip",
        "install",
        "--no-config",
        "--no-cache",
        "--target",
        "{there}",
        "--index-url",
        "{url}",
        "swf-six",
    ],
    "pip": [
        str(BIN / "python"),
        "-m",
        "pip",
        "--isolated",
        "--no-cache-dir",
        "download",
        "--dest",
        "{there}",
        "--index-url",
        "{url}",
        "swf-six",
    ],
    "curl": [
        "curl",
        "--silent",
        "--show-error",
        "--fail",
        "--netrc-file",
        "{netrc}",
        "--create-dirs",
        "--output",
        "{there}/page",
        "{url}swf-six/",
    ],
}


@pytest.fixture(name="server", scope="module")
def index_at_ipv6(tmp_path_factory):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    folder = tmp_path_factory.mktemp("index") / "packages"
    folder.mkdir()
    make_wheel(folder, "swf-six", "1.0")
    server = IndexServer(folder, TOKEN, address="::1")
    yield server
    server.stop()


@pytest.mark.parametrize("reader", READERS)
def test_the_token_is_found(reader, server, tmp_path):
    if not shutil.which(READERS[reader][0]) and not os.environ.get("CI"):
        pytest.skip("there is no " + reader)
    path = tmp_path / "netrc"
    indexes = normalised([server.as_index("lab")])
    path.write_text(netrc(indexes))
    path.chmod(0o600)
    values = {"there": tmp_path / "there", "url": server.url, "netrc": path}
    command = [word.format(**values) for word in READERS[reader]]

    def run(**more):
        environment = dict(
            {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ},
            HOME=str(tmp_path),
            **more,
        )
        return subprocess.run(
            command,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )

    done = run(NETRC=str(path))
    assert done.returncode == 0, done.stdout
    assert list((tmp_path / "there").iterdir())
