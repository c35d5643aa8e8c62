# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs the collections of requirements.yml into .ansible/collections, without Galaxy.

Usage: .venv/bin/python tools/fetch_collections.py

The package ansible on PyPI contains them. It is pinned, and only the needed collections are
unpacked. An installed collection stays if requirements.yml accepts its version.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / ".ansible" / "collections"
PIN = "ansible==12.3.0 --hash=sha256:cd156f82fa87f7a899212b0efa9f7ca3a24d609212de9f78428a572eb01e5414\n"
# this release of ansible requires this Python; its collections do not
PYTHON = "3.11"


def missing(wanted: dict[str, str]) -> dict[str, str]:
    """The collections that are not installed in a version that is wanted."""
    return {folder: versions for folder, versions in wanted.items() if not fits(folder, versions)}


def fits(folder: str, versions: str) -> bool:
    try:
        manifest = (TARGET / folder / "MANIFEST.json").read_text()
    except OSError:
        return False
    return json.loads(manifest)["collection_info"]["version"] in SpecifierSet(versions)


def unpack(folders: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        pin = Path(scratch, "pin.txt")
        pin.write_text(PIN)
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "--require-hashes",
                "--only-binary",
                ":all:",
                "--python-version",
                PYTHON,
                "--dest",
                scratch,
                "-r",
                pin,
            ],
            check=True,
        )
        wheel = next(Path(scratch).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(
                TARGET, [name for name in archive.namelist() if name.startswith(tuple(folders))]
            )


def main() -> None:
    collections = yaml.safe_load((ROOT / "requirements.yml").read_text())["collections"]
    wanted = {
        "ansible_collections/%s/" % item["name"].replace(".", "/"): item["version"]
        for item in collections
    }
    lacking = missing(wanted)
    if lacking:
        unpack(lacking)
    lacking = missing(wanted)
    if lacking:
        sys.exit(
            "error: %s has no version that requirements.yml takes of: %s. Pin another ansible in "
            "%s." % (PIN.split()[0], ", ".join(lacking), Path(__file__).name)
        )


if __name__ == "__main__":
    main()
