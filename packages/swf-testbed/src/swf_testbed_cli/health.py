# SPDX-License-Identifier: GPL-3.0-or-later
"""What the monitor of the testbed says of its health; what is healthy is defined there, and only
there."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from swf_testbed_cli.instance import Instance

TIMEOUT_SECONDS = 5.0


def health_problems(instance: Instance) -> list[str]:
    """What the monitor says is not well; empty if all is, or if this testbed tells no monitor's
    address.

    What is no answer of a monitor tells nothing of the testbed: `status` shows whether its program
    runs.
    """
    environment = instance.monitor_environment
    url = environment.get("SWF_MONITOR_URL", "")
    if not url.startswith(("http://", "https://")):
        return []
    certificates = environment.get("SWF_MONITOR_CA_CERTS", "")
    try:
        context = ssl.create_default_context(
            cafile=certificates if Path(certificates).is_file() else None
        )
        # A monitor is never behind the proxy that leads to the outside.
        handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        address = f"{url.rstrip('/')}/api/health/"
        try:
            with urllib.request.build_opener(*handlers).open(
                address, timeout=TIMEOUT_SECONDS
            ) as reply:
                answer = json.load(reply)
        except urllib.error.HTTPError as error:
            if error.code != 503:
                return []
            answer = json.load(error)
    except (OSError, ValueError):
        return []
    return _causes(answer) if isinstance(answer, dict) and answer.get("status") == "error" else []


def _causes(answer: dict[str, Any]) -> list[str]:
    parts = {name: answer.get(name) or {} for name in ("database", "listener", "agents")}
    found = [
        f"{name}: {part.get('error') or part.get('detail') or 'no details'}"
        for name, part in parts.items()
        if not part.get("ok", True)
    ]
    return found or ["the monitor says that it is not healthy"]
