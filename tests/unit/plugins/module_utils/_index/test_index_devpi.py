# SPDX-License-Identifier: GPL-3.0-or-later
"""Against a real devpi."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
import urllib.request

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.probe import probe
from helpers.index_server import make_wheel
from helpers.index_stand_ins import put_json
from helpers.ports import free_port

START_SECONDS = 90


def devpi(name, *arguments):
    """The command line of devpi-init or devpi-server."""
    return [
        sys.executable,
        "-c",
        "from devpi_server.%s import %s as main; main()" % (name, name),
        *arguments,
    ]


@pytest.fixture(name="lab", scope="module")
def devpi_index(tmp_path_factory):
    """An index root/lab with one package; its entry of swf_testbed_pip_indexes."""
    folder = tmp_path_factory.mktemp("devpi")
    port = free_port()
    common = ["--serverdir", str(folder / "server")]
    subprocess.run(
        devpi("init", *common, "--no-root-pypi"), check=True, capture_output=True, cwd=folder
    )
    (folder / "secret").write_text("0123456789" * 4)
    (folder / "secret").chmod(0o600)
    server = subprocess.Popen(
        devpi(
            "main",
            *common,
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--threads",
            "4",
            "--secretfile",
            str(folder / "secret"),
        ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
    )
    try:
        base = "http://127.0.0.1:%d" % port
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(base + "/+api", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < deadline, (
                    "devpi does not answer"
                )
                time.sleep(0.2)
        session = put_json(base + "/+login", {"user": "root", "password": ""})["result"]["password"]
        login = {"X-Devpi-Auth": base64.b64encode(("root:" + session).encode()).decode()}
        put_json(base + "/root/lab", {"type": "stage", "bases": [], "volatile": True}, login, "PUT")
        wheel = make_wheel(folder, "swf-testbed", "1.0")
        form = (
            b"".join(
                b'--x\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % item
                for item in (
                    (b":action", b"", b"file_upload"),
                    (b"name", b"", b"swf-testbed"),
                    (b"version", b"", b"1.0"),
                    (b"content", b'; filename="%s"' % wheel.name.encode(), wheel.read_bytes()),
                )
            )
            + b"--x--\r\n"
        )
        urllib.request.urlopen(
            urllib.request.Request(
                base + "/root/lab/",
                form,
                {"Content-Type": "multipart/form-data; boundary=x", **login},
            ),
            timeout=30,
        ).close()
        yield {
            "name": "lab",
            "preset": "devpi",
            "url": base + "/root/lab/+simple/",
            "packages": ["swf-*"],
        }
    finally:
        server.terminate()
        server.wait(30)


@pytest.mark.nightly
def test_devpi_reads_without_a_login_and_does_not_look_at_a_wrong_one(lab):
    report = probe([lab], ["swf-testbed==1.0", "swf-nothing"])
    assert [item["verdict"] for item in report["packages"]] == ["anonymous", "not_found"]
    assert report["packages"][0]["versions"] == ["1.0"] and "devpi-lockdown" in report["unsafe"][0]
    assert not report["ok"] and len(report["problems"]) == 1
    wrong = probe([dict(lab, username="root", token="wrong-token")], ["swf-testbed"])
    assert wrong["ok"] and wrong["packages"][0]["verdict"] == "anonymous"


@pytest.mark.nightly
def test_devpi_without_that_index(lab):
    report = probe([dict(lab, url=lab["url"].replace("/lab/", "/typo/"))], ["swf-testbed"])
    assert (
        report["indexes"][0]["verdict"] == "wrong_url"
        and "USER/INDEX/+simple/" in report["problems"][0]
    )
