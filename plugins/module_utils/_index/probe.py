# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks package indexes for packages, with and without credentials, and reports problems.

A name is looked up only at its own index: a lookup elsewhere would reveal a private name.
"""

from __future__ import annotations

import concurrent.futures
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import urljoin, urlsplit

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import message
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.access import (
    Access,
    AccessError,
    address_of_pip,
    without_login,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.classify import (
    Asked,
    Seen,
    is_private,
    of_answers,
    of_index,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.client import (
    Answer,
    CaCertificateError,
    Client,
    place,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    IndexesError,
    is_github,
    normalised,
    warnings,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.files import File, choose
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.lock import claiming
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.names import canonical
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.page import (
    Page,
    from_directory,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.secrets import Scrubber
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.verdicts import (
    OF_AN_INDEX,
    explained,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.versions import (
    newest_first,
)

WANTED = re.compile(
    r"^(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:==(?P<version>[^\s=]+))?$"
)
PYTHON = re.compile(r"^\d+\.\d+(\.\w+)?$")
AT_ONCE = 16
# of an index, and of the packages on it
Report = tuple[dict[str, Any], list[dict[str, Any]]]
Wish = tuple[str, "str | None"]
# the beginning of the list of all packages is enough; PyPI's has 30 MB
BEGINNING = 65536
# where a simple API may be below a wrong address
DEEPER = ("simple/", "+simple/")


class ProbeError(ValueError):
    """The input is invalid."""


def diagnose(
    indexes: Sequence[Mapping[str, Any]],
    names: list[str],
    access_dir: str | None = None,
    python: str | None = None,
    timeout: float = 10,
) -> list[str]:
    """The problems of the indexes, for the message of a failed installation.

    :param indexes: items of ``swf_testbed_pip_indexes``, with or without their credentials.
    :param names: packages, as ``name`` or ``name==version``.
    :param access_dir: directory that the role pip_index wrote on this machine.
    :param python: version of the Python to install for; None for the running one.
    :param timeout: seconds per request.
    :returns: list of texts, each with cause, evidence and fix and without credentials.
    """
    try:
        return probe([dict(index) for index in indexes], names, access_dir, python, timeout)[
            "problems"
        ]
    except (ProbeError, IndexesError, AccessError) as error:
        return str(error).splitlines()


def probe(
    indexes: list[dict[str, Any]],
    names: list[str],
    access_dir: str | None = None,
    python: str | None = None,
    timeout: float = 10,
) -> dict[str, Any]:
    """Ask every index, and each package's index for the package. Parameters as of :func:`diagnose`.

    :returns: dict with ``indexes``, ``packages``, ``problems``, ``unsafe`` and ``ok``; no
        credential is in it.
    :raises ProbeError, IndexesError, AccessError: invalid input, before any request.
    """
    python = python or platform.python_version()
    if not PYTHON.match(python):
        raise ProbeError(
            "python: %r is not a version of Python. Fix: use one like 3.11 or 3.11.7" % python
        )
    wanted = [wish(name) for name in names]
    entries = filled_in(indexes)
    scrub = Scrubber()
    access = Access(access_dir)
    for entry in entries:
        equip(entry, access, scrub)
    bound = [
        (entry, name, version) for name, version in wanted for entry in places_of(name, entries)
    ]
    with concurrent.futures.ThreadPoolExecutor(max_workers=AT_ONCE) as pool:

        def report(entry: Mapping[str, Any]) -> Report:
            names = [item[1:] for item in bound if item[0] is entry]
            return report_on(entry, names, python, timeout)

        reports = list(pool.map(report, entries))
    return summary(entries, wanted, scrub(reports))


def wish(text: str) -> Wish:
    match = WANTED.match(text)
    if not match:
        raise ProbeError("packages: %r is neither a name nor name==version" % text)
    return canonical(match["name"]), match["version"]


def filled_in(indexes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The normalised entries, including those of GitHub: they also claim names, which must not be
    looked up elsewhere."""

    def github(index: Mapping[str, Any]) -> bool:
        return index.get("preset") == "github" or is_github(index.get("url"))

    usable = iter(normalised([index for index in indexes if not github(index)]))
    return [
        {
            "name": index["name"],
            "preset": "github",
            "url": index.get("url"),
            "username": None,
            "token": None,
            "ca_cert": None,
            "packages": [canonical(pattern) for pattern in index.get("packages") or []],
            "role": index.get("role") or "primary",
        }
        if github(index)
        else next(usable)
        for index in indexes
    ]


def equip(entry: dict[str, Any], access: Access, scrub: Scrubber) -> None:
    """Add ``address``, ``login`` and ``ca`` to an entry, for requests, and ``host`` and ``netloc``,
    for messages."""
    entry["login"] = access.login(entry)
    entry["address"] = entry["url"]
    if entry["preset"] == "pypi" and not entry["url"]:
        address, login = without_login(address_of_pip() or "")
        entry["address"] = address.rstrip("/") + "/" if address else None
        entry["login"] = entry["login"] or login
    parts = urlsplit(entry["address"] or "")
    entry["ca"] = access.ca_cert(entry) if parts.scheme == "https" else None
    entry["placed"] = access.folder
    entry["host"], entry["netloc"] = parts.hostname, parts.netloc
    if entry["login"]:
        scrub.learn(*entry["login"])


def places_of(name: str, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries that may serve a name: like :func:`lock.index_of`, but more than one is a finding
    and no error."""
    return claiming(name, entries) or [entry for entry in entries if not entry["packages"]]


def report_on(entry: Mapping[str, Any], wanted: list[Wish], python: str, timeout: float) -> Report:
    """(index, pairs): the reports on one index and on the packages asked of it."""
    if entry["preset"] == "github":
        address = "its address is %s" % (entry["url"] or "not given")
        return everywhere(entry, wanted, "github", address)
    if entry["preset"] == "directory":
        return report_on_directory(entry, wanted, python)
    if not entry["address"]:
        return everywhere(
            entry, wanted, "unknown_default", "it has no url, and no pip on this host has one"
        )
    seen = look(entry, [name for name, _version in wanted], timeout)
    pairs = []
    for (name, version), asked in zip(wanted, seen.pages):
        verdict, evidence = of_answers(seen, asked)
        page = asked.page(asked.best)
        files, where = page.files if page else [], place(asked.best.url)
        anonymous = is_private(entry) and bool(asked.page(asked.anonymous))
        pairs.append(pair(entry, name, version, verdict, evidence, files, python, anonymous, where))
    reachable = any(asked.best.status for asked in [seen.root, *seen.pages])
    return index_report(entry, *of_index(seen), reachable, seen.open), pairs


def look(entry: Mapping[str, Any], names: list[str], timeout: float) -> Seen:
    """All answers of one index, as :class:`Seen`."""
    try:
        client = Client(entry["ca"], timeout)
    except CaCertificateError as error:
        answer = Answer(entry["address"], verdict="tls_unknown_ca", evidence=str(error))
        return unreached(entry, names, answer)
    # without private names, follow redirects to other origins like installers do
    follow = not is_private(entry)

    def ask(url: str, login: tuple[str, str] | None = None, longest: int | None = None) -> Answer:
        return client.get(url, login, follow=follow, **({"longest": longest} if longest else {}))

    root = Asked(
        None,
        ask(entry["address"], longest=BEGINNING),
        ask(entry["address"], entry["login"], BEGINNING) if entry["login"] else None,
    )
    if root.best.verdict and root.best.verdict != "timeout":
        return unreached(entry, names, root.anonymous, root.login)

    def page(name: str) -> Asked:
        url = urljoin(entry["address"], name + "/")
        # do not retry rejected credentials: servers lock accounts after a few attempts
        login = (
            root.login
            if root.login and root.login.status == 401
            else entry["login"] and ask(url, entry["login"])
        )
        return Asked(name, ask(url), login or None)

    with concurrent.futures.ThreadPoolExecutor(max_workers=AT_ONCE // 2) as pool:
        seen = Seen(entry, root, list(pool.map(page, names)))
    if (
        not seen.alive
        and entry["preset"] in ("simple", "pypi")
        and root.best.status in (200, 404, 410)
    ):
        urls = [urljoin(entry["address"], deeper) for deeper in DEEPER]
        hints = (url for url in urls if is_simple(ask(url, entry["login"], BEGINNING)))
        seen.hint = next(hints, None)
    return seen


def unreached(
    entry: Mapping[str, Any], names: list[str], anonymous: Answer, login: Answer | None = None
) -> Seen:
    return Seen(
        entry, Asked(None, anonymous, login), [Asked(name, anonymous, login) for name in names]
    )


def is_simple(answer: Answer) -> bool:
    return Asked(None, answer).page(answer) is not None


def report_on_directory(entry: Mapping[str, Any], wanted: list[Wish], python: str) -> Report:
    path = entry["address"]
    try:
        os.listdir(path)
    except OSError as error:
        return everywhere(entry, wanted, "wrong_url", "%s: %s" % (path, error.strerror))
    pairs = []
    for name, version in wanted:
        try:
            page = from_directory(path, name)
        except OSError as error:
            page = Page("other", evidence="%s: %s" % (error.filename, error.strerror))
        verdict, evidence = "ok" if page.type == "package" else "wrong_url", page.evidence or path
        pairs.append(pair(entry, name, version, verdict, evidence, page.files, python, where=path))
    return index_report(entry, "ok", path, True, False), pairs


def everywhere(entry: Mapping[str, Any], wanted: list[Wish], verdict: str, evidence: str) -> Report:
    """The reports for an index to which no request was sent."""
    return (
        index_report(entry, verdict, evidence, False, False),
        [pair(entry, name, version, verdict, evidence) for name, version in wanted],
    )


def index_report(
    entry: Mapping[str, Any], verdict: str, evidence: str, reachable: bool, anonymous: bool
) -> dict[str, Any]:
    return {
        "name": entry["name"],
        "preset": entry["preset"],
        "url": entry["address"],
        "login": bool(entry["login"]),
        "reachable": reachable,
        "anonymous": anonymous,
        **explained(verdict, evidence, entry),
    }


def pair(
    entry: Mapping[str, Any],
    name: str,
    version: str | None,
    verdict: str,
    evidence: str,
    files: Sequence[File] = (),
    python: str = "",
    anonymous: bool = False,
    where: str | None = None,
) -> dict[str, Any]:
    """The report on a package of an index; the files decide whether ``ok`` stays."""
    chosen = None
    if verdict == "ok" and not files:
        verdict, evidence = "not_found", "%s lists no files of the package" % where
    elif verdict == "ok":
        verdict, chosen, found = choose(files, python, version)
        evidence = evidence if verdict == "ok" else found
    fine = verdict == "ok"
    if fine and anonymous:
        verdict, evidence = "anonymous", "HTTP 200 for %s without a login" % where
    return {
        "index": entry["name"],
        "package": name,
        "wanted": version,
        "versions": newest_first({file.version for file in files}),
        "latest": chosen if fine else None,
        "files": [asdict(file) for file in files if file.version == chosen],
        **explained(
            verdict, evidence, entry, package=name if version is None else "%s %s" % (name, version)
        ),
    }


def summary(
    entries: list[dict[str, Any]], wanted: list[Wish], reports: list[Report]
) -> dict[str, Any]:
    """The whole report; findings across indexes are added here."""
    indexes = [index for index, _pairs in reports]
    every = [item for _index, pairs in reports for item in pairs]
    packages = []
    for name, version in wanted:
        several = [item for item in every if item["package"] == name and item["wanted"] == version]
        packages += several or [nowhere(name, version)]
        if len(several) > 1:
            compare(name, several, entries)
    problems = [message(report) for report in faults(indexes, packages)]
    unsafe = warnings([entry for entry in entries if entry["preset"] != "github"])
    unsafe += [message(index) for index in indexes if index["verdict"] == "anonymous"]
    return {
        "indexes": indexes,
        "packages": packages,
        "problems": list(dict.fromkeys(problems)),
        "unsafe": unsafe,
        "ok": not problems,
    }


def faults(indexes: list[dict[str, Any]], packages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The reports that prevent an installation. Problems of a whole index appear once."""
    reported = {
        (index["name"], index["verdict"]) for index in indexes if index["verdict"] in OF_AN_INDEX
    }
    return [index for index in indexes if not index["ok"]] + [
        item
        for item in packages
        if not item["ok"] and (item["index"], item["verdict"]) not in reported
    ]


def nowhere(name: str, version: str | None) -> dict[str, Any]:
    nobody = {"name": None, "preset": None}
    return {
        "index": None,
        "package": name,
        "wanted": version,
        "versions": [],
        "latest": None,
        "files": [],
        **explained("no_index", "every index claims other names", nobody, package=name),
    }


def compare(name: str, several: list[dict[str, Any]], entries: list[dict[str, Any]]) -> None:
    """Change the reports on a package that several indexes may serve."""
    having = [item for item in several if item["versions"]]
    names = {item["index"] for item in several}
    entries = [entry for entry in entries if entry["name"] in names]
    claimed = all(entry["packages"] for entry in entries)
    if len(having) > 1 or claimed:
        there = "; ".join(
            "%s has %s" % (item["index"], item["versions"][0] if item["versions"] else "none")
            for item in several
        )
        text = "%s, and %s" % (
            "each of them claims it" if claimed else "none of them claims it",
            there,
        )
        listed = ", ".join(item["index"] for item in several)
        for item in several:
            entry = next(entry for entry in entries if entry["name"] == item["index"])
            item.update(explained("duplicate", text, entry, package=name, indexes=listed))
    elif having:
        for item in several:
            # one index that has it is enough
            item["ok"] = item["ok"] or item["verdict"] == "not_found"
