# SPDX-License-Identifier: GPL-3.0-or-later
"""The health report of the testbed's monitor, which has the only definition of healthy."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import Any

from swf_testbed_cli.instance import Instance

TIMEOUT_SECONDS = 5.0


def health_problems(instance: Instance) -> list[str] | None:
    """The problems that the monitor reports; None without a report.

    A response that is not a monitor's report is none: `status` shows whether the program runs.
    """
    url = instance.health_url or ""
    if not url.startswith(("http://", "https://")):
        return None
    certificates = instance.ca_certificates
    try:
        context = ssl.create_default_context(
            cafile=str(certificates) if certificates.is_file() else None
        )
        # The monitor is never behind a proxy.
        handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        request = urllib.request.Request(url)  # noqa: S310 (checked above)
        if instance.api_token:
            # not to another server, to which this one redirects
            request.add_unredirected_header("Authorization", f"Token {instance.api_token}")
        opener = urllib.request.build_opener(*handlers)
        try:
            with opener.open(request, timeout=TIMEOUT_SECONDS) as reply:
                answer = json.load(reply)
        except urllib.error.HTTPError as error:
            if error.code != 503:
                return None
            answer = json.load(error)
    except (OSError, ValueError):
        return None
    status = answer.get("status") if isinstance(answer, dict) else None
    if status not in ("ok", "error"):
        return None
    return _causes(answer) if status == "error" else []


def _causes(answer: dict[str, Any]) -> list[str]:
    if set(answer) == {"status"}:
        return ["the monitor shows the cause only to clients with its API token"]
    parts = {
        name: answer.get(name) or {} for name in ("database", "listener", "agents", "messages")
    }
    found = [
        f"{name}: {part.get('error') or part.get('detail') or 'no details'}"
        for name, part in parts.items()
        if not part.get("ok", True)
    ]
    return found or ["the monitor reports an error without a cause"]
