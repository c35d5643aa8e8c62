# SPDX-License-Identifier: GPL-3.0-or-later
"""The wheel runs in an environment that contains nothing else."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from stomp_client import RawClient

PACKAGE = Path(__file__).parent.parent


def test_it_needs_no_other_package(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="the build backend is not installed")
    build = "import sys, hatchling.build; hatchling.build.build_wheel(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=PACKAGE, check=True, timeout=60
    )
    (wheel,) = tmp_path.glob("*.whl")
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    pip = [home / "bin/python", "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-index", wheel], check=True, timeout=120)
    assert list(home.glob("lib/python*/site-packages/swf_broker/py.typed"))
    listed = subprocess.run(
        [*pip, "list", "--format=json"], check=True, capture_output=True, timeout=60
    ).stdout
    assert {item["name"] for item in json.loads(listed)} <= {"pip", "setuptools", "swf-broker"}
    process = subprocess.Popen(
        [home / "bin/swf-broker", "--port", "0"],
        env={"SWF_BROKER_DATA_DIR": str(tmp_path / "data")},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        line = json.loads(process.stdout.readline())
        assert line["message"] == "listening"
        client = RawClient(line["port"])
        client.put("/queue/q", "kept", persistent="true")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait(10)
