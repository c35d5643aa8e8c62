# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Redis does for the login of the programs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    Finding,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.clock import different
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service.redis import (
    Connection,
    RedisError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service.sockets import opened

LOGIN = "Correct swf_testbed_redis_password, or the login in swf_testbed_redis_url"
#: the check stores a value for this many seconds
SECONDS = "10"


def examine(item: Mapping[str, Any], timeout: float, most: float) -> list[Finding]:
    """Findings of a server that can be reached.

    :param item: one of the option ``reach`` of the module host_check; its password is a URL.
    :param most: seconds by which the clocks may differ.
    """
    where, url = "%s:%d" % (item["host"], item["port"]), urlsplit(item["password"])
    try:
        session = Connection(opened(item, timeout))
    except OSError as error:
        return [refused(where, str(error))]
    try:
        if url.password:
            user = [unquote(url.username)] if url.username else []
            session.call("AUTH", *user, unquote(url.password))
        session.call("PING")
        if url.path.strip("/"):
            session.call("SELECT", url.path.strip("/"))
    except (RedisError, OSError) as error:
        session.close()
        return [refused(where, str(error))]
    try:
        return [*rights(where, session), *clock(session, most)]
    except (RedisError, OSError) as error:
        return [finding("redis", "Redis does not answer a check", "%s: %s" % (where, error), LOGIN)]
    finally:
        session.close()


def refused(where: str, why: str) -> Finding:
    return finding("login", "Redis refuses the login of the programs", where + ": " + why, LOGIN)


def rights(where: str, session: Connection) -> Iterator[Finding]:
    key = "swf-testbed-check-%s" % os.urandom(4).hex()
    try:
        session.call("SET", key, "1", "EX", SECONDS)
        session.call("DEL", key)
    except RedisError as error:
        yield finding(
            "rights",
            "the programs cannot write to Redis",
            "%s: %s" % (where, error),
            "Have the administrator of Redis allow the login to write (redis-cli ACL LIST), or give "
            "the programs another server",
        )


def clock(session: Connection, most: float) -> Iterator[Finding]:
    sent = time.time()
    try:
        seconds, parts = session.call("TIME")
    except RedisError:
        # a right that the programs do not need
        return
    yield from different("Redis", int(seconds) + int(parts) / 1e6, sent, time.time(), most)
