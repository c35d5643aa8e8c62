# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a monitor does for the API token of the programs."""

from __future__ import annotations

import email.utils
import http.client
import ssl
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    Finding,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.clock import different


def examine(item: Mapping[str, Any], timeout: float, most: float) -> list[Finding]:
    """Findings of a monitor that can be reached.

    :param item: one of the option ``reach`` of the module host_check.
    :param most: seconds by which the clocks may differ. The answer has whole seconds.
    """
    sent = time.time()
    try:
        status, date = answer(item, timeout)
    except (OSError, http.client.HTTPException) as error:
        status, date, why = 0, "", str(error) or type(error).__name__
    else:
        why = "it answers %d" % status
    where = "%s: %s" % (item["url"], why)
    if status in (401, 403):
        cause = "the monitor refuses the API token of the programs"
        return [finding("login", cause, where, "Correct swf_testbed_api_token")]
    if not 200 <= status < 400:
        cause = "the monitor does not answer its API"
        return [finding("monitor", cause, where, "Look at it, or correct %s" % item["variable"])]
    found = email.utils.parsedate_tz(date)
    if found is None:
        return []
    there = email.utils.mktime_tz(found)
    return list(different("the monitor", there, sent, time.time(), most + 1))


def answer(item: Mapping[str, Any], timeout: float) -> tuple[int, str]:
    """(status, time) of the answer to a request with the token. Redirections are not followed."""
    url, host = urlsplit(item["url"]), item["host"].strip("[]")
    connection: http.client.HTTPConnection
    if item["tls"] == "on":
        context = ssl.create_default_context(cadata=item["ca"] or None)
        connection = http.client.HTTPSConnection(
            host, item["port"], timeout=timeout, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, item["port"], timeout=timeout)
    try:
        connection.request(
            "GET", url.path or "/", headers={"Authorization": "Token " + item["password"]}
        )
        got = connection.getresponse()
        return got.status, got.headers.get("Date", "")
    finally:
        connection.close()
