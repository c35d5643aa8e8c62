# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers with a range, sizes, shares of hosts, versions and names of accounts."""

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
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _known
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import problem
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import whole

#: (least, greatest) of the numbers that have no other check; None is no limit
RANGES = {
    "swf_testbed_min_uptime": (0, None),
    "swf_testbed_wait_timeout": (1, None),
    "swf_testbed_log_tail": (0, None),
    "swf_testbed_health_timeout": (1, None),
    "swf_testbed_keep_releases": (1, None),
    "swf_testbed_status_log_tail": (0, None),
    "swf_testbed_max_unreachable": (0, None),
    "swf_testbed_cache_max_mb": (0, None),
    "swf_testbed_keep_locks": (1, None),
    "swf_testbed_log_backups": (0, None),
    "swf_testbed_preflight_min_free_mb": (0, None),
    "swf_testbed_systemd_limit_nofile": (1024, None),
    "swf_testbed_broker_heap_mb": (64, None),
    "swf_testbed_broker_disk_mb": (1, None),
    "swf_testbed_package_index_mirror_page_seconds": (0, None),
    "swf_testbed_package_index_mirror_max_mb": (1, None),
    "swf_testbed_doctor_expiry_days": (0, None),
    "swf_testbed_doctor_min_free_mb": (0, None),
    "swf_testbed_doctor_timeout": (1, None),
    "swf_testbed_doctor_host_timeout": (1, None),
    "swf_testbed_database_version": (0, 99),
    "swf_testbed_doctor_max_clock_offset": (0, None),
}
SERIALS = ("swf_testbed_agents_serial", "swf_testbed_upgrade_serial")
INSTANCES = ("swf_testbed_instance", "swf_testbed_index_instance")
ACCOUNTS = ("swf_testbed_user", "swf_testbed_index_system_user", "swf_testbed_operators")
ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
#: accounts and groups that are there for others, on every host
TAKEN = (
    "root",
    "nobody",
    "nogroup",
    "daemon",
    "bin",
    "sys",
    "adm",
    "wheel",
    "sudo",
    "shadow",
    "users",
    "www-data",
)
SIZE = re.compile(r"([0-9]+)(KB|MB|GB)?", re.IGNORECASE)
PYTHON = re.compile(r"/[^\s]+|python[0-9.]*|pypy[0-9.]*")


def wrong_numbers(values: Values) -> Iterator[Problem]:
    for name, (least, greatest) in RANGES.items():
        number = values.get(name) if values.given(name) else None
        number = number if isinstance(number, float) else whole(number)
        if number is not None and (number < least or (greatest is not None and number > greatest)):
            yield problem(
                name,
                number,
                "is out of range",
                "write a number from %d %s"
                % (least, "on" if greatest is None else "to %d" % greatest),
            )
    least, patience = (
        values.number("swf_testbed_min_uptime"),
        values.number("swf_testbed_wait_timeout"),
    )
    if (
        (values.given("swf_testbed_min_uptime") or values.given("swf_testbed_wait_timeout"))
        and None not in (least, patience)
        and (0 < patience <= least)
    ):
        yield problem(
            "swf_testbed_wait_timeout",
            patience,
            "contradicts swf_testbed_min_uptime, which is %d: no program could run that long in "
            "time" % least,
            "make it greater than swf_testbed_min_uptime",
        )
    if values.given("swf_testbed_log_max_bytes"):
        yield from of_size("swf_testbed_log_max_bytes", values.get("swf_testbed_log_max_bytes"))
    for name in SERIALS:
        if values.given(name):
            yield from of_serial(name, values.get(name))


def of_size(name: str, value: Any) -> Iterator[Problem]:
    found = (
        SIZE.fullmatch(str(value))
        if isinstance(value, (str, int)) and not isinstance(value, bool)
        else None
    )
    if not found:
        yield problem(
            name, value, "is not a size", "write a whole number and KB, MB or GB, such as 10MB"
        )
    elif int(found[1]) == 0:
        yield problem(name, value, "would let logs grow without end", "write a size, such as 10MB")


def of_serial(name: str, value: Any) -> Iterator[Problem]:
    for item in value if isinstance(value, list) else [value]:
        share = (
            re.fullmatch("([0-9]+)(%?)", str(item))
            if isinstance(item, (str, int)) and not isinstance(item, bool)
            else None
        )
        if not share or int(share[1]) < 1 or (share[2] and int(share[1]) > 100):
            yield problem(
                name,
                value,
                "is no number or share of hosts",
                "write a number from 1 on, 1% to 100%, or a list of these",
            )
            return
    if value == []:
        yield problem(
            name, value, "is empty", "write a number from 1 on, 1% to 100%, or a list of these"
        )


def wrong_names(values: Values) -> Iterator[Problem]:
    """Names of instances, which are the names of their directories."""
    for name in INSTANCES:
        value = values.get(name)
        if values.given(name) and isinstance(value, str) and not re.fullmatch(PATTERN, value):
            yield problem(name, value, "is not the name of an instance", "use " + RULE)
    if values.text("swf_testbed_instance") and values.text("swf_testbed_instance") == values.text(
        "swf_testbed_index_instance"
    ):
        yield problem(
            "swf_testbed_instance",
            values["swf_testbed_instance"],
            "is the name of the index too (swf_testbed_index_instance)",
            "give one of them another name: they would share their directories",
        )


def wrong_accounts(values: Values) -> Iterator[Problem]:
    """Not for playbooks that stop or remove an instance: one that an older version made must not be
    in their way."""
    for name in ACCOUNTS if values.get("swf_testbed_scope") == "system" else ():
        value = values.get(name)
        if not values.given(name) or not isinstance(value, str):
            continue
        if value in TAKEN:
            yield problem(
                name,
                value,
                "is there for other things, and would get the rights of the testbed or give it "
                "theirs",
                "remove the line, and %s is made; or name one that is for the testbed alone"
                % _known.defaults()[name],
            )
        elif not ACCOUNT.fullmatch(value):
            yield problem(
                name,
                value,
                "is not the name of an account",
                "use up to 32 lowercase letters, digits, _ and -, no digit first",
            )


def wrong_versions(values: Values) -> Iterator[Problem]:
    version = values.get("swf_testbed_release_version")
    if values.given("swf_testbed_release_version") and isinstance(version, str):
        try:
            Version(version)
            plain = re.fullmatch("[0-9A-Za-z.+!_-]+", version)
        except InvalidVersion:
            plain = False
        if not plain:
            yield problem(
                "swf_testbed_release_version",
                version,
                "is not a version",
                "write one that the index has, such as 0.1.0",
            )
    for place, text in enumerate(
        values.entries("swf_testbed_release_requirements")
        if values.given("swf_testbed_release_requirements")
        else ()
    ):
        if isinstance(text, str):
            try:
                Requirement(text)
            except InvalidRequirement:
                yield problem(
                    "swf_testbed_release_requirements[%d]" % place,
                    text,
                    "is not a requirement",
                    "write NAME, NAME==VERSION or NAME[EXTRA]",
                )
    for name in ("swf_testbed_release_wheelhouse_glibc", "swf_testbed_release_wheelhouse_pythons"):
        for item in (values.entries(name) or [values.get(name)]) if values.given(name) else ():
            if isinstance(item, str) and not re.fullmatch(r"[0-9]+\.[0-9]+", item):
                yield problem(
                    name, item, "is not a version", 'write it as two numbers, such as "3.11"'
                )
    python = values.get("swf_testbed_python")
    if (
        values.given("swf_testbed_python")
        and isinstance(python, str)
        and not PYTHON.fullmatch(python)
    ):
        yield problem(
            "swf_testbed_python",
            python,
            "is neither the name of a Python nor an absolute path",
            "write python3.12, or the path from / on, without arguments",
        )
