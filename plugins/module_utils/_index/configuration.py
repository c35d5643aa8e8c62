# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entries of swf_testbed_pip_indexes: the differences between servers, filled in and checked in
one place.

All readers of ``swf_testbed_pip_indexes``, on the controller or on a host, use :func:`normalised`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.text import not_text
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.names import canonical

LOOPBACK = re.compile(r"^(localhost|127(\.\d+){3}|::1)$")
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
GITHUB_HOSTS = ("pypi.pkg.github.com", "npm.pkg.github.com", "maven.pkg.github.com")
GITHUB = (
    "GitHub Packages has no registry for Python packages: all its addresses answer 404, with any "
    "token, and no setting changes that. Publish to a private index instead (the role "
    "package_index serves one; GitLab, Artifactory, Nexus, Pulp and devpi have one), or to "
    "TestPyPI and PyPI, and name that index here; publish.yml uploads to it, also from GitHub "
    "Actions. Until then, install from git: swf_testbed_release_source: git"
)

# Per server: ``shape`` is the pattern of the path of its simple API, ``example`` an address for
# messages, ``username`` the fixed user name of a token, ``upload`` a (pattern, replacement) that
# derives the upload address. Sources: the servers' documentation, linked in
# docs/reference/package_indexes.md.
PRESETS: dict[str, dict[str, Any]] = {
    # PyPI, or the mirror in the machine's pip configuration; pip, uv and twine know its addresses
    "pypi": {"username": "__token__"},
    "testpypi": {
        "username": "__token__",
        "url": "https://test.pypi.org/simple/",
        "shape": r"/simple/$",
        "example": "https://test.pypi.org/simple/",
        "upload": (r"/simple/$", "/legacy/"),
    },
    "pypiserver": {
        "shape": r"/simple/$",
        "example": "https://HOST:PORT/simple/",
        "upload": (r"/simple/$", "/"),
    },
    "devpi": {
        "shape": r"/[^/]+/[^/]+/\+simple/$",
        "example": "https://HOST/USER/INDEX/+simple/",
        "upload": (r"/\+simple/$", "/"),
    },
    "gitlab": {
        "username": "__token__",
        "shape": r"/api/v4/(projects/[^/]+|groups/[^/]+/-)/packages/pypi/simple/$",
        "example": "https://HOST/api/v4/projects/ID/packages/pypi/simple/",
        "upload": (r"(/api/v4/projects/[^/]+/packages/pypi)/simple/$", r"\1"),
    },
    "artifactory": {
        "shape": r"/api/pypi/[^/]+/simple/$",
        "example": "https://HOST/artifactory/api/pypi/REPOSITORY/simple/",
        "upload": (r"(/api/pypi/[^/]+)/simple/$", r"\1"),
    },
    "nexus": {
        "shape": r"/repository/[^/]+/simple/$",
        "example": "https://HOST/repository/REPOSITORY/simple/",
        "upload": (r"(/repository/[^/]+/)simple/$", r"\1"),
    },
    "pulp": {
        "shape": r"/pypi/(.+/)?[^/]+/simple/$",
        "example": "https://HOST/pypi/DISTRIBUTION/simple/",
        "upload": (r"/simple/$", "/legacy/"),
    },
    # wheels in a directory, or a static tree of the simple API, on the machine that installs
    "directory": {"example": "/srv/wheelhouse"},
    # any other server of the simple API (PEP 503)
    "simple": {"example": "https://HOST/simple/"},
}
# texts on which readers of netrc differ: (description for a message, pattern)
NOT_IN_NETRC = (
    ("no characters", r"\A\Z"),
    ("a space, a line end or a control character", r"[\s\x00-\x1f\x7f]"),
    ("a character that is not ASCII", r"[^\x00-\x7f]"),
    ("a backslash", r"\\"),
    ("a double quote at its beginning", r'\A"'),
    ("a # at its beginning", r"\A#"),
)
# pip splits its options at spaces, and the configuration files have lines and quotes
NOT_IN_URL = re.compile(r"""[^\x21-\x7e]|["'<>\\^`{|}]""")
NOT_IN_PATH = re.compile(r"[\s#?%\x00-\x1f\x7f]")
TWO_LOGINS = (
    "two indexes on %s have different credentials, and netrc holds one login per host. Fix: use "
    "the same for both"
)
#: the suboptions of the option indexes of a module
ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "preset": {"type": "str", "choices": [*sorted(PRESETS), "github"]},
    "url": {"type": "str"},
    "upload_url": {"type": "str"},
    "username": {"type": "str"},
    "token": {"type": "str", "no_log": True},
    "packages": {"type": "list", "elements": "str", "default": []},
    "role": {"type": "str", "choices": ["primary", "extra"]},
    "ca_cert": {"type": "path"},
    "allow_unsafe_extra_index": {"type": "bool", "default": False},
    "allow_insecure_http": {"type": "bool", "default": False},
}


KEYS = tuple(ARGUMENTS)
#: the options of a module that takes indexes
OPTIONS: dict[str, Any] = {
    "indexes": {"type": "list", "elements": "dict", "options": ARGUMENTS},
    "indexes_of": {"type": "str"},
}


class IndexesError(ValueError):
    """The entries are invalid; the text has one line per problem."""


def normalised(indexes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The entries with all defaults filled in.

    :param indexes: the items of ``swf_testbed_pip_indexes``.
    :returns: list of dicts with all of :data:`KEYS` and ``extra_urls``. ``preset`` is never None;
        ``url`` ends in a slash, is None for PyPI and a path for a directory; ``upload_url`` is None
        without an upload address, or if twine knows it; ``packages`` are patterns of canonical
        names; ``role`` is ``primary`` (serves the names that no index claims) or ``extra``;
        ``extra_urls`` of the primary are the addresses of the unsafe extra indexes, those that
        claim no names.
    :raises IndexesError: with all problems, and no credential in the text.
    """
    problems, found = [], []
    for index in indexes:
        item = {key: index.get(key) for key in KEYS}
        item["name"] = str(item["name"] or "")
        found.append(item)
        problems += ["swf_testbed_pip_indexes: %s" % text for text in fill_in(item)]
    problems += ["swf_testbed_pip_indexes: %s" % text for text in together(found)]
    if problems:
        raise IndexesError("\n".join(problems))
    return found


def warnings(indexes: list[dict[str, Any]]) -> list[str]:
    """Warnings of risks that the user accepted, for normalised indexes."""
    return [
        "Anyone on the network can read and change the connection to the index %s. Evidence: %s is "
        "http, and allow_insecure_http is true. Fix: serve the index over https"
        % (index["name"], url)
        for index in indexes
        for url in (index["url"], index["upload_url"])
        if is_insecure(url)
    ] + [
        "The index %s can replace packages of the primary index, and the other way round "
        "(dependency confusion). Evidence: it is an extra index that claims no names. Fix: let it "
        "claim its names in packages" % index["name"]
        for index in indexes
        if is_unsafe(index)
    ]


def netrc(indexes: Sequence[Mapping[str, Any]]) -> str:
    """The credentials of normalised indexes, by host, as pip, uv and curl read them.

    :raises IndexesError: when one of two logins for a host would be lost, or a reader would misread
        one.
    """
    logins: dict[str, tuple[str, str]] = {}
    for host, login, name in logins_of(indexes):
        problem = unusable_login(*login)
        if problem:
            raise IndexesError("swf_testbed_pip_indexes: %s: %s" % (name, problem))
        if logins.setdefault(host, login) != login:
            raise IndexesError("swf_testbed_pip_indexes: " + TWO_LOGINS % host)
    names = sorted((name, login) for host, login in logins.items() for name in netrc_names(host))
    return "".join("machine %s login %s password %s\n" % (name, *login) for name, login in names)


def unusable_login(username: str | None, token: str | None) -> str | None:
    """Why a login cannot be stored in netrc for all readers, or sent by HTTP; None if it can.

    Python before and since 3.11, uv and curl read the accepted texts alike. They differ in the
    meaning of backslashes and quotes, in the characters that begin a comment, and in the encoding,
    and would send a wrong password without a message.
    """
    for what, text in (("user name", username), ("token", token)):
        problem = next(
            (name for name, pattern in NOT_IN_NETRC if re.search(pattern, text or "")), None
        )
        if problem:
            return (
                "the %s has %s, which pip, uv and curl read differently from a netrc file. Fix: "
                "use another %s, for example of letters, digits and - _ . ~" % (what, problem, what)
            )
    if ":" in (username or ""):
        return (
            "the user name has a colon, which ends a user name in HTTP. Fix: use another user name"
        )
    return None


def netrc_names(host: str) -> tuple[str, ...]:
    """The names under which readers look up a host: uv uses brackets around an IPv6 address, pip
    and curl do not."""
    return (host, "[%s]" % host) if host and ":" in host else (host,)


def is_unsafe(index: Mapping[str, Any]) -> bool:
    return index["role"] == "extra" and not index["packages"]


def is_insecure(url: str | None) -> bool:
    """Whether an address is plain http to another machine."""
    parts = urlsplit(url or "")
    return parts.scheme == "http" and not LOOPBACK.match(parts.hostname or "")


def insecure_hosts(indexes: Sequence[Mapping[str, Any]]) -> list[str]:
    """The hosts of normalised indexes with accepted plain http, as in trusted-host of pip, which
    ignores such an index without it."""
    # that of pip's own configuration has the trusted hosts of that configuration
    accepted = [index["url"] for index in indexes if index.get("allow_insecure_http")]
    urls = itertools.chain(accepted, *(index.get("extra_urls") or () for index in indexes))
    return sorted({urlsplit(url).netloc for url in urls if is_insecure(url)})


def is_github(url: str | None) -> bool:
    return bool(url) and (urlsplit(url).hostname or "").lower() in GITHUB_HOSTS


def fill_in(item: dict[str, Any]) -> Iterator[str]:
    """Fill in one entry; yield its problems."""
    name = item["name"]
    if not NAME.match(name):
        yield (
            "%r is not a valid name of an index. Fix: use letters, digits, dot, dash and "
            "underscore, because it becomes a file name" % name
        )
        return
    if item["preset"] == "github" or is_github(item["url"]):
        yield "%s: %s" % (name, GITHUB)
        return
    item["preset"] = item["preset"] or ("simple" if item["url"] else "pypi")
    if item["preset"] not in PRESETS:
        yield "%s has the unknown preset %r. Fix: use one of %s" % (
            name,
            item["preset"],
            ", ".join(sorted(PRESETS)),
        )
        return
    preset = PRESETS[item["preset"]]
    item["url"] = item["url"] or preset.get("url")
    item["packages"] = [canonical(pattern) for pattern in item["packages"] or []]
    item["role"] = item["role"] or ("extra" if item["packages"] else "primary")
    item["allow_unsafe_extra_index"] = bool(item["allow_unsafe_extra_index"])
    item["allow_insecure_http"] = bool(item["allow_insecure_http"])
    item["extra_urls"] = []
    yield from fill_in_address(item, preset)
    yield from fill_in_login(item, preset)
    if item["role"] == "primary" and item["packages"]:
        yield (
            "%s is primary and claims packages. Fix: remove one of the two: the primary index "
            "serves all names that no index claims, and an index that claims names is an extra one"
            % name
        )
    if is_unsafe(item) and not item["allow_unsafe_extra_index"]:
        yield (
            "%s is an extra index that claims no packages, and pip installs the highest version of "
            "any index, so that anyone who publishes a private name elsewhere can replace it "
            "(dependency confusion). Fix: let it claim its names, for example packages: "
            '["swf-*"]. To accept the risk: allow_unsafe_extra_index: true' % name
        )


def fill_in_address(item: dict[str, Any], preset: Mapping[str, Any]) -> Iterator[str]:
    name, url = item["name"], item["url"]
    if item["preset"] == "directory":
        item["url"] = re.sub(r"^file://", "", str(url or "")).rstrip("/")
        if not item["url"].startswith("/"):
            yield (
                "%s is a directory, and its url is not an absolute path. Fix: use one, for example "
                "%s" % (name, preset["example"])
            )
        elif NOT_IN_PATH.search(item["url"]):
            yield (
                "the path of the directory %s contains a space or one of # ? %%, which pip or uv "
                "would misread. Fix: use another path, or a link to it" % name
            )
        return
    if item["preset"] == "pypi" and not url:
        return
    if not url:
        yield "%s has no url. Fix: set it; a %s index has one like %s" % (
            name,
            item["preset"],
            preset["example"],
        )
        return
    for key in ("url", "upload_url"):
        if item[key]:
            yield from wrong_address(name, key, item[key], item["allow_insecure_http"])
    item["url"] = url = url.rstrip("/") + "/"
    shape = preset.get("shape")
    if shape and not re.search(shape, urlsplit(url).path):
        yield "the url of %s does not have the form of the preset %s. Fix: use one like %s" % (
            name,
            item["preset"],
            preset["example"],
        )
    elif not item["upload_url"] and preset.get("upload"):
        pattern, replacement = preset["upload"]
        made = re.sub(pattern, replacement, url)
        item["upload_url"] = made if made != url else None


def wrong_address(name: str, key: str, url: str, insecure: bool) -> Iterator[str]:
    try:
        parts, _port = urlsplit(url), urlsplit(url).port
    except ValueError as error:
        yield "the %s of %s is not a URL. Evidence: %s" % (key, name, error)
        return
    if "@" in parts.netloc:
        yield (
            "the %s of %s contains credentials, and URLs end up in logs. Fix: set username and "
            "token instead" % (key, name)
        )
    elif NOT_IN_URL.search(url):
        yield (
            "the %s of %s contains a space, a quote or another character that is invalid in a URL. "
            "Fix: percent-encode it, for example as %%20" % (key, name)
        )
    elif parts.scheme not in ("http", "https") or not parts.hostname:
        yield "the %s of %s is not an http or https URL" % (key, name)
    elif is_insecure(url) and not insecure:
        yield (
            "the %s of %s is http, and not on this machine: the token would be sent unencrypted, "
            "and pip ignores such an index. Fix: serve it over https (the role package_index "
            "issues certificates). To accept the risk: allow_insecure_http: true" % (key, name)
        )


def fill_in_login(item: dict[str, Any], preset: Mapping[str, Any]) -> Iterator[str]:
    name = item["name"]
    if item["token"] and not item["username"]:
        item["username"] = preset.get("username")
    if bool(item["username"]) != bool(item["token"]):
        yield "%s has only one of username and token. Fix: set both, or neither" % name
    if item["token"] and item["preset"] == "directory":
        yield "%s is a directory and has a token. Fix: remove the token" % name
    wrong_type = item["token"] is not None and not_text("the token of %s" % name, item["token"])
    if wrong_type:
        yield wrong_type
        return
    if item["username"] and item["token"]:
        problem = unusable_login(str(item["username"]), str(item["token"]))
        if problem:
            yield "%s: %s" % (name, problem)


def together(found: list[dict[str, Any]]) -> Iterator[str]:
    """Problems between entries; assigns the unsafe extra indexes to the primary one."""
    names = [item["name"] for item in found]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield "two indexes are named %s. Fix: rename one" % name
    primaries = [item for item in found if item["role"] == "primary"]
    if len(primaries) > 1:
        yield (
            "%s are all primary. Fix: let one index serve the names that no other claims, and the "
            "others claim theirs in packages" % (" and ".join(item["name"] for item in primaries))
        )
    elif primaries:
        primaries[0]["extra_urls"] = [
            item["url"] for item in found if is_unsafe(item) and item["preset"] != "directory"
        ]
    logins: dict[str, tuple[str, str]] = {}
    for host, login, _name in logins_of(found):
        if logins.setdefault(host, login) != login:
            yield TWO_LOGINS % host


def logins_of(indexes: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, tuple[str, str], str]]:
    """(host, (user name, token), name of the index): netrc has hosts, and no ports or paths."""
    for index in indexes:
        host = urlsplit(index["url"] or "").hostname
        if host and index["username"]:
            yield host, (index["username"], index["token"]), index["name"]
