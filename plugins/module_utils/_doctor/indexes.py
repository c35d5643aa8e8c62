# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings on package indexes: those of pip_index_info, and certificates that expire soon."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    WARNING,
    Finding,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.reach import tls_problems
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.access import (
    Access,
    AccessError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    IndexesError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.probe import (
    ProbeError,
    faults,
    probe,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.verdicts import explained

# verdicts of an index that may not be installed yet
NOBODY = ("refused",)


def examine(
    indexes: list[dict[str, Any]],
    packages: list[str],
    access_dir: str | None,
    python: str | None,
    options: Mapping[str, Any],
) -> list[Finding]:
    """Findings on the indexes of this host.

    :param indexes: items of ``swf_testbed_pip_indexes``; ``ca_cert`` is a path on this host.
    :param python: version of the Python to install for, or None.
    :param options: of the module host_check.
    """
    try:
        seen = probe(indexes, packages, access_dir, python, options["timeout"])
    except (ProbeError, IndexesError, AccessError) as error:
        cause, fix = "the package indexes cannot be checked", "Correct swf_testbed_pip_indexes"
        return [finding("index", cause, line, fix) for line in str(error).splitlines()]
    reports = together(faults(seen["indexes"], seen["packages"]))
    found = [of_report(item, options["provided_index"], seen["indexes"]) for item in reports]
    found += [of_warning(line) for line in seen["unsafe"]]
    return found + expiring(seen["indexes"], indexes, access_dir, options)


def together(reports: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The reports, grouped: one for all packages of an index with the same verdict."""
    groups: dict[Any, list[dict[str, Any]]] = {}
    for item in reports:
        groups.setdefault(
            (item.get("index", item.get("name")), item["verdict"], "package" in item), []
        ).append(item)
    for (index, verdict, of_package), items in groups.items():
        if of_package and len(items) > 1 and index:
            names = ", ".join(item["package"] for item in items)
            # here the text of a verdict needs only the name
            text = explained(
                verdict,
                items[0]["evidence"],
                {"name": index, "preset": None},
                package=names,
                indexes=index,
            )
            yield dict(
                items[0],
                cause=text["cause"],
                evidence="%s, and so on" % items[0]["evidence"].rstrip("."),
            )
        else:
            yield from items


def of_report(item: Mapping[str, Any], provided: str, indexes: list[dict[str, Any]]) -> Finding:
    name = item.get("index", item.get("name"))
    url = next((index["url"] for index in indexes if index["name"] == name), None) or ""
    ours = bool(provided) and url.startswith(provided.rstrip("/") + "/")
    return finding(
        "index",
        item["cause"],
        item["evidence"],
        item["fix"],
        provider="index" if ours and item["verdict"] in NOBODY else None,
    )


def of_warning(text: str) -> Finding:
    """The finding for a text of :func:`message`."""
    cause, evidence, fix = re.split(r"\. (?:Evidence|Fix): ", text, maxsplit=2)
    return finding("index", cause, evidence, fix, WARNING)


def expiring(
    seen: list[dict[str, Any]],
    indexes: list[dict[str, Any]],
    access_dir: str | None,
    options: Mapping[str, Any],
) -> list[Finding]:
    """Warnings for certificates that expire soon."""
    access, found = Access(access_dir), []
    for index, entry in zip(seen, indexes):
        parts = urlsplit(index["url"] or "")
        if parts.scheme != "https" or not parts.hostname or not index["reachable"]:
            continue
        item = {
            "name": "index " + index["name"],
            "port": parts.port or 443,
            "tls": "on",
            "ca": "",
            "variable": "swf_testbed_pip_indexes",
        }
        path = access.ca_cert(entry)
        if path:
            with open(path, encoding="ascii", errors="replace") as stream:
                item["ca"] = stream.read()
        where = "%s:%d" % (parts.hostname, item["port"])
        # the probe has already reported current problems
        limits = options["timeout"], options["expiry_days"]
        problems = tls_problems(item, parts.hostname, where, *limits)
        found += [problem for problem in problems if problem["severity"] == WARNING]
    return found
