# SPDX-License-Identifier: GPL-3.0-or-later
"""The style and the script of all pages, and the policy that allows them and nothing else."""

import base64
import hashlib
from importlib.resources import files
from typing import Any

from django.urls import get_script_prefix, reverse
from django.utils.safestring import mark_safe

from swf_monitor import __version__

_templates = files("swf_monitor") / "templates" / "swf_monitor"
CSS = (_templates / "style.css").read_text(encoding="utf-8")
JAVASCRIPT = (_templates / "refresh.js").read_text(encoding="utf-8")


def _source(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


# Each page is one response: it contains its style and script, and the browser loads no others.
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src {_source(CSS)}; script-src {_source(JAVASCRIPT)}; "
    "connect-src 'self'; img-src data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)


# The names of the URLs in the navigation.
PAGES = ("overview", "history", "runs", "files", "agents", "messages")


def page_parts() -> dict[str, Any]:
    """The part of a template's context that all pages share."""
    return {
        "pages": [(name, reverse(name)) for name in PAGES],
        "root": get_script_prefix(),
        "version": __version__,
        # Both are files of this package.
        "css": mark_safe(CSS),  # noqa: S308
        "javascript": mark_safe(JAVASCRIPT),  # noqa: S308
    }
