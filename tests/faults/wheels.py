# SPDX-License-Identifier: GPL-3.0-or-later
"""Wheels of the real packages, and variants of them: another version, and files that were
changed."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import yaml

UMBRELLA = "swf-testbed"
STACK = yaml.safe_load((Path(__file__).parents[2] / "stacks/reference.yml").read_text())
PACKAGES = [
    *STACK["distributions"]["libraries"],
    *(item["package"] for item in STACK["components"]),
]
# each once, and in their order
COMPONENTS = [name for name in dict.fromkeys(PACKAGES) if name != UMBRELLA]


def build_all(packages: Path, folder: Path) -> None:
    """Build the wheels of all packages that are not in the folder yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*COMPONENTS, UMBRELLA):
        if not find(folder, name):
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "build",
                    "--wheel",
                    "--installer",
                    "uv",
                    "--outdir",
                    str(folder),
                    str(packages / name),
                ],
                check=True,
                stdout=subprocess.DEVNULL,
            )


def find(folder: Path, name: str, version: str = "*") -> list[Path]:
    return sorted(folder.glob("%s-%s-*.whl" % (name.replace("-", "_"), version)))


def variant(wheel: Path, folder: Path, version: str, files=None, pins=None) -> Path:
    """The wheel under another version.

    :param files: {path in the wheel: its text, or a function that makes the new text of the old
        one}.
    :param pins: {name of a dependency: the one version of it that is wanted}.
    """
    name, old = wheel.name.split("-")[:2]
    with zipfile.ZipFile(wheel) as archive:
        content = {member: archive.read(member) for member in archive.namelist()}
    before, after = ("%s-%s.dist-info" % (name, number) for number in (old, version))
    content = {path.replace(before, after): data for path, data in content.items()}
    metadata = content[after + "/METADATA"].decode()
    metadata = re.sub(r"(?m)^Version: .*$", "Version: " + version, metadata)
    for dependency, pin in (pins or {}).items():
        metadata = re.sub(
            r"(?m)^Requires-Dist: %s\b[^;\n]*" % re.escape(dependency),
            "Requires-Dist: %s==%s" % (dependency, pin),
            metadata,
        )
    content[after + "/METADATA"] = metadata.encode()
    for path, change in (files or {}).items():
        content[path] = (
            change if isinstance(change, str) else change(content[path].decode())
        ).encode()
    del content[after + "/RECORD"]
    lines = []
    for path, data in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append("%s,sha256=%s,%d" % (path, digest, len(data)))
    content[after + "/RECORD"] = "\n".join([*lines, after + "/RECORD,,", ""]).encode()
    target = folder / wheel.name.replace("-%s-" % old, "-%s-" % version)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in content.items():
            archive.writestr(path, data)
    return target


class Versions:
    """Makes versions of the testbed in which components differ, and puts them into an index's
    folder."""

    def __init__(self, wheels: Path, index: Path):
        self.wheels, self.index = wheels, index
        self.base = find(wheels, UMBRELLA)[0].name.split("-")[1]
        for path in wheels.glob("*.whl"):
            (index / path.name).write_bytes(path.read_bytes())

    def publish(self, version: str, **changes) -> str:
        """A version of the testbed; ``changes`` are {component with _ for -: {path: text}}."""
        pins = dict.fromkeys(COMPONENTS, self.base)
        for name, files in changes.items():
            name = name.replace("_", "-")
            variant(find(self.wheels, name)[0], self.index, version, files)
            pins[name] = version
        variant(find(self.wheels, UMBRELLA)[0], self.index, version, pins=pins)
        return version
