# SPDX-License-Identifier: GPL-3.0-or-later
"""The wheel runs in an environment that contains nothing else."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from stomp_client import RawClient

PACKAGE = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="the build backend is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    build = "import sys, hatchling.build; hatchling.build.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=PACKAGE, check=True, timeout=60)
    return next(folder.glob("*.whl"))


def test_every_file_of_the_source_is_in_the_wheel_and_no_other(wheel: Path) -> None:
    source = PACKAGE / "src"
    wanted = {
        str(path.relative_to(source))
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    contained = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert contained == wanted
    assert "swf_broker/py.typed" in contained


def test_it_needs_no_other_package(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    pip = [home / "bin/python", "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-index", wheel], check=True, timeout=120)
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
