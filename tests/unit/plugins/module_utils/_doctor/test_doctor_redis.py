# SPDX-License-Identifier: GPL-3.0-or-later
"""What an external Redis does for the login of the programs: against a real one."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor import cache
from helpers.certificates import Ca
from helpers.ports import free_port
from helpers.used_services import findings, texts

USERS = """
user default on >canary:with/odd ~* &* +@all
user reader on >canary ~* &* +@read +@connection +select
"""


@pytest.fixture(name="server", scope="module")
def a_server(tmp_path_factory):
    program = shutil.which("redis-server")
    if not program and not os.environ.get("CI"):
        pytest.skip("needs Redis: apt-get install redis-server")
    folder = tmp_path_factory.mktemp("redis")
    ca = Ca(folder)
    certificate, key = ca.issued("server")
    (folder / "users").write_text(USERS)
    ports = {"plain": free_port(), "tls": free_port(), "ca": ca.pem}
    settings = {
        "port": ports["plain"],
        "tls-port": ports["tls"],
        "tls-cert-file": certificate,
        "tls-key-file": key,
        "tls-ca-cert-file": ca.path,
        "tls-auth-clients": "no",
        "bind": "127.0.0.1",
        "dir": folder,
        "save": '""',
        "aclfile": folder / "users",
    }
    (folder / "conf").write_text("".join("%s %s\n" % item for item in settings.items()))
    process = subprocess.Popen([program, folder / "conf"], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while "nothing listens" in str(texts(ports["plain"])) and time.monotonic() < deadline:
        time.sleep(0.1)
    yield ports
    process.terminate()
    process.wait(10)


def ask(port, login=":canary%3Awith%2Fodd", path="/0", **item):
    url = "redis://%s@127.0.0.1:%d%s" % (login, port, path)
    return texts(port, protocol="redis", password=url, **item)


def test_a_server_that_does_what_is_needed(server):
    assert ask(server["plain"]) == []
    assert ask(server["tls"], tls="on", ca=server["ca"]) == []


@pytest.mark.parametrize(
    "login, why",
    [(":wrong", "WRONGPASS"), ("nobody:canary", "WRONGPASS"), ("", "NOAUTH")],
)
def test_a_refused_login(server, login, why):
    (text,) = ask(server["plain"], login)
    assert "Redis refuses the login of the programs" in text and why in text
    assert "swf_testbed_redis_password" in text and "canary" not in text


def test_a_database_that_is_not_there(server):
    (text,) = ask(server["plain"], path="/99")
    assert "out of range" in text


def test_a_login_that_may_only_read(server):
    (text,) = ask(server["plain"], "reader:canary")
    assert "the programs cannot write to Redis" in text and "NOPERM" in text


def test_a_clock_that_differs(server, monkeypatch):
    now = time.time
    monkeypatch.setattr(cache.time, "time", lambda: now() + 50)
    url = "redis://:canary%%3Awith%%2Fodd@127.0.0.1:%d/0" % server["plain"]
    (found,) = findings(server["plain"], protocol="redis", password=url)
    assert found["severity"] == "warning" and "it is behind by 50 s" in found["evidence"]


def test_a_server_of_another_kind(server):
    (text,) = ask(server["tls"])
    assert "Redis refuses the login" in text
