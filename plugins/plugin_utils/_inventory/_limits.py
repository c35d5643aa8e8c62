# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ranges of numbers, sizes, shares of hosts, versions and names of accounts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import Problem
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values

try:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.version import InvalidVersion, Version
except ImportError:
    # ansible-core depends on it; only ansible-test imports plugins without
    pass

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.instance_name import (
    PATTERN,
    RULE,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _variables
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import problem
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import whole

#: (least, greatest) of the numbers that have no other check; None for no limit
RANGES: dict[str, tuple[int, int | None]] = {
    "swf_testbed_min_uptime": (0, None),
    "swf_testbed_wait_timeout": (1, None),
    "swf_testbed_log_tail": (0, None),
    "swf_testbed_health_timeout": (1, None),
    "swf_testbed_keep_releases": (1, None),
    "swf_testbed_status_log_tail": (0, None),
    "swf_testbed_max_unreachable": (0, None),
    "swf_testbed_cache_max_mb": (0, None),
    "swf_testbed_namespace_keep_days": (0, None),
    "swf_testbed_keep_locks": (1, None),
    "swf_testbed_keep_database_backups": (0, None),
    "swf_testbed_log_backups": (0, None),
    "swf_testbed_preflight_min_free_mb": (0, None),
    "swf_testbed_systemd_limit_nofile": (1024, None),
    "swf_testbed_broker_heap_mb": (64, None),
    "swf_testbed_broker_disk_mb": (1, None),
    "swf_testbed_broker_disk_percent": (1, 100),
    "swf_testbed_redis_max_memory_mb": (1, None),
    "swf_testbed_package_index_mirror_page_seconds": (0, None),
    "swf_testbed_package_index_mirror_max_mb": (1, None),
    "swf_testbed_doctor_expiry_days": (0, None),
    "swf_testbed_doctor_min_free_mb": (0, None),
    "swf_testbed_doctor_timeout": (1, None),
    "swf_testbed_doctor_host_timeout": (1, None),
    "swf_testbed_database_version": (0, 99),
    "swf_testbed_stf_interval": (0, None),
    "swf_testbed_stf_size": (1, None),
    "swf_testbed_stf_per_run": (1, None),
    "swf_testbed_run_count": (0, None),
    "swf_testbed_run_pause": (0, None),
    "swf_testbed_doctor_max_clock_offset": (0, None),
}
SERIALS = ("swf_testbed_agents_serial", "swf_testbed_upgrade_serial")
INSTANCES = ("swf_testbed_instance", "swf_testbed_index_instance")
ACCOUNTS = ("swf_testbed_user", "swf_testbed_index_system_user", "swf_testbed_operators")
ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
#: accounts and groups of the system
SYSTEM = "root nobody nogroup daemon bin sys adm wheel sudo shadow users www-data".split()
#: as the packages have it
NAMESPACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
SIZE = re.compile(r"([0-9]+)(KB|MB|GB)?", re.IGNORECASE)
PYTHON = re.compile(r"/[^\s]+|python[0-9.]*|pypy[0-9.]*")


def wrong_numbers(values: Values) -> Iterator[Problem]:
    for name, (least, greatest) in RANGES.items():
        value = values.given_value(name)
        number = value if isinstance(value, float) else whole(value)
        if number is not None and not least <= number <= (greatest or number):
            yield problem(
                name,
                number,
                "is out of range",
                "write a number of %d or more" % least
                if greatest is None
                else "write a number from %d to %d" % (least, greatest),
            )
    uptime, timeout = (
        values.number("swf_testbed_min_uptime"),
        values.number("swf_testbed_wait_timeout"),
    )
    if (
        (values.given("swf_testbed_min_uptime") or values.given("swf_testbed_wait_timeout"))
        and uptime is not None
        and timeout is not None
        and 0 < timeout <= uptime
    ):
        yield problem(
            "swf_testbed_wait_timeout",
            timeout,
            "contradicts swf_testbed_min_uptime, which is %d: no program can run that long before "
            "the timeout" % uptime,
            "make it greater than swf_testbed_min_uptime",
        )
    if values.given("swf_testbed_log_max_bytes"):
        yield from of_size("swf_testbed_log_max_bytes", values.get("swf_testbed_log_max_bytes"))
    for name in SERIALS:
        if values.given(name):
            yield from of_serial(name, values.get(name))


def of_size(name: str, value: Any) -> Iterator[Problem]:
    found = SIZE.fullmatch(text_of(value))
    if not found:
        yield problem(
            name, value, "is not a size", "write a whole number with KB, MB or GB, such as 10MB"
        )
    elif int(found[1]) == 0:
        yield problem(
            name, value, "sets no limit to the size of logs", "write a size, such as 10MB"
        )


def text_of(value: Any) -> str:
    """A text or a whole number as text, "" for other values."""
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""


def of_serial(name: str, value: Any) -> Iterator[Problem]:
    fix = "write a number of 1 or more, 1% to 100%, or a list of these"
    if value == []:
        yield problem(name, value, "is empty", fix)
    for item in value if isinstance(value, list) else [value]:
        share = re.fullmatch("([0-9]+)(%?)", text_of(item))
        if not share or int(share[1]) < 1 or (share[2] and int(share[1]) > 100):
            yield problem(name, value, "is not a number or share of hosts", fix)
            return


def wrong_names(values: Values) -> Iterator[Problem]:
    """Names of instances, which are also the names of their directories, and of namespaces."""
    for name in INSTANCES:
        value = values.given_value(name)
        if isinstance(value, str) and not re.fullmatch(PATTERN, value):
            yield problem(name, value, "is not the name of an instance", "use " + RULE)
    namespace = values.given_value("swf_testbed_namespace")
    if isinstance(namespace, str) and not NAMESPACE.fullmatch(namespace):
        yield problem(
            "swf_testbed_namespace",
            namespace,
            "is not the name of a namespace: it is a word in the addresses of the broker",
            "use 1 to 100 lowercase letters, digits, - and _, the first a letter or a digit",
        )
    if values.text("swf_testbed_instance") and values.text("swf_testbed_instance") == values.text(
        "swf_testbed_index_instance"
    ):
        yield problem(
            "swf_testbed_instance",
            values["swf_testbed_instance"],
            "is also the name of the index instance (swf_testbed_index_instance)",
            "rename one of them: they would share their directories",
        )


def wrong_accounts(values: Values) -> Iterator[Problem]:
    """Not for playbooks that stop or remove an instance: they must work for the accounts of an older
    version, too."""
    for name in ACCOUNTS if values.get("swf_testbed_scope") == "system" else ():
        value = values.given_value(name)
        if not isinstance(value, str):
            continue
        if value in SYSTEM:
            yield problem(
                name,
                value,
                "is a system account or group, and would share its permissions with the testbed",
                "remove the line, and %s is created; or name one that only the testbed uses"
                % _variables.defaults()[name],
            )
        elif not ACCOUNT.fullmatch(value):
            yield problem(
                name,
                value,
                "is not the name of an account",
                "use up to 32 lowercase letters, digits, _ and -, the first not a digit",
            )


def wrong_versions(values: Values) -> Iterator[Problem]:
    version = values.given_value("swf_testbed_release_version")
    if isinstance(version, str):
        try:
            Version(version)
            valid = bool(re.fullmatch("[0-9A-Za-z.+!_-]+", version))
        except InvalidVersion:
            valid = False
        if not valid:
            yield problem(
                "swf_testbed_release_version",
                version,
                "is not a version",
                "write a version of the index, such as 0.1.0",
            )
    for where, text in values.given_items("swf_testbed_release_requirements"):
        if isinstance(text, str):
            try:
                Requirement(text)
            except InvalidRequirement:
                yield problem(
                    where, text, "is not a requirement", "write NAME, NAME==VERSION or NAME[EXTRA]"
                )
    for name in (
        "swf_testbed_release_wheelhouse_glibc",
        "swf_testbed_release_wheelhouse_pythons",
        "swf_testbed_release_lock_pythons",
    ):
        for item in (values.entries(name) or [values.get(name)]) if values.given(name) else ():
            if isinstance(item, str) and not re.fullmatch(r"[0-9]+\.[0-9]+", item):
                yield problem(
                    name, item, "is not a version", 'write it as two numbers, such as "3.11"'
                )
    for where, item in values.given_items("swf_testbed_release_lock_architectures"):
        if isinstance(item, str) and not re.fullmatch(r"\w+", item):
            yield problem(
                where, item, "is not an architecture", "write it as uname -m prints it: x86_64"
            )
    python = values.given_value("swf_testbed_python")
    if isinstance(python, str) and not PYTHON.fullmatch(python):
        yield problem(
            "swf_testbed_python",
            python,
            "is neither the name of a Python interpreter nor an absolute path",
            "write python3.12, or the path from / on, without arguments",
        )
