# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The version of this collection: from the manifest of an installed one, from galaxy.yml in a
checkout."""

from __future__ import annotations

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def collection_version() -> str:
    installed = ROOT / "MANIFEST.json"
    if installed.exists():
        return yaml.safe_load(installed.read_text(encoding="utf-8"))["collection_info"]["version"]
    return yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
