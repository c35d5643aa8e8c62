# SPDX-License-Identifier: GPL-3.0-or-later
"""After the failed run with another password of Redis."""

from __future__ import annotations


def test_redis_and_its_programs_have_the_former_password(site):
    former = (site.secrets / "redis_password").read_text().strip()
    placed = site.on("lab-services", "cat", "/etc/swf-redis/secrets/password.conf")
    assert former in placed and "another-password" not in placed
    assert former in site.on("lab-monitor", "cat", "/etc/swf-testbed/secrets/redis_url")
    left = site.on("lab-services", "ls", "/etc/swf-redis")
    assert left.split() == ["redis.conf", "secrets"]
    site.wait_for_messages()
