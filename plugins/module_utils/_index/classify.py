# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns the answers of one index into verdicts. 401, 403 and 404 mean different things on different
servers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.client import (
    Answer,
    place,
    proxy_of,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    is_github,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.names import canonical
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.page import (
    Page,
    last_part,
    parse,
)

LOGIN_PATH = re.compile(r"log[-_]?in|sign[-_]?in|/sso|oauth|saml|openid|/auth(/|$|\?)", re.I)
# servers that answer 404 without read permission, to hide which packages exist
HIDING = ("gitlab", "artifactory")
#: servers that anyone can read
PUBLIC = ("pypi", "testpypi")


@dataclass
class Asked:
    """The answers for one page, without and with the login. ``package`` is None for the root,
    ``login`` without credentials."""

    package: str | None
    anonymous: Answer
    login: Answer | None = None

    def __post_init__(self) -> None:
        self._pages: dict[int, Page] = {}

    @property
    def best(self) -> Answer:
        return self.login or self.anonymous

    def read(self, answer: Answer) -> Page | None:
        """The :class:`Page` of an answer, or None if it is an error."""
        if answer.status != 200 or answer.verdict:
            return None
        if id(answer) not in self._pages:
            # parse a page of a few MB only once
            self._pages[id(answer)] = parse(
                answer.headers.get("content-type"), answer.body, self.package
            )
        return self._pages[id(answer)]

    def page(self, answer: Answer) -> Page | None:
        """The :class:`Page` of an answer, or None if it is not a page of the simple API."""
        found = self.read(answer)
        return found if found and found.type in ("root", "package") else None


@dataclass
class Seen:
    """All answers of an index."""

    index: Mapping[str, Any]
    root: Asked
    pages: list[Asked]
    hint: str | None = None

    def __post_init__(self) -> None:
        everything = [self.root, *self.pages]
        #: some answer is a page of the simple API
        self.alive = any(asked.page(asked.best) for asked in everything)
        #: the login opens a page that is closed without it
        self.accepted = any(
            asked.login and asked.page(asked.login) and not asked.page(asked.anonymous)
            for asked in everything
        )
        self.open = any(asked.page(asked.anonymous) for asked in everything)


def of_index(seen: Seen) -> tuple[str, str]:
    """(verdict, evidence) for an index as a whole."""
    if seen.alive:
        if is_private(seen.index) and seen.open:
            asked = next(asked for asked in [seen.root, *seen.pages] if asked.page(asked.anonymous))
            return "anonymous", "HTTP 200 for %s without a login" % place(asked.anonymous.url)
        return "ok", "HTTP 200"
    return of_answers(seen, seen.root)


def is_private(index: Mapping[str, Any]) -> bool:
    """True for an index with a login, or one that serves private names."""
    return bool(index["packages"] or index["login"]) and index["preset"] not in PUBLIC


def of_answers(seen: Seen, asked: Asked) -> tuple[str, str]:
    """(verdict, evidence) for one page; ``ok`` if it is a page of the simple API."""
    answer = asked.best
    if answer.verdict:
        return answer.verdict, answer.evidence
    if answer.elsewhere:
        return of_redirect(answer, asked.package)
    found = evidence(seen, asked)
    page = asked.read(answer)
    if page:
        if page.type in ("root", "package"):
            return "ok", found
        return "wrong_url", "%s: %s%s" % (place(answer.url), page.evidence, hinted(seen))
    if answer.status == 407 or (answer.status in (502, 503, 504) and proxy_of(answer.url)):
        return "proxy", "%s; the proxy is %s" % (found, proxy_of(answer.url))
    if answer.status == 401:
        return ("auth_wrong" if asked.login else "auth_missing"), found
    if answer.status == 403:
        return of_403(seen, asked), found
    if answer.status in (404, 410):
        return of_404(seen, asked, found)
    if answer.status == 429 or answer.status >= 500:
        return "server_error", found
    return "wrong_url", found + hinted(seen)


def evidence(seen: Seen, asked: Asked) -> str:
    """The status with and without the login."""
    answer = asked.best
    if not asked.login:
        return "HTTP %d for %s without a login" % (answer.status, place(answer.url))
    anonymous = asked.anonymous
    without = "HTTP %d" % anonymous.status if anonymous.status else "no answer"
    return "HTTP %d for %s as user %s (without a login: %s)" % (
        answer.status,
        place(answer.url),
        seen.index["login"][0],
        without,
    )


def hinted(seen: Seen) -> str:
    return "; a simple API is at %s" % seen.hint if seen.hint else ""


def of_redirect(answer: Answer, package: str | None) -> tuple[str, str]:
    """The verdict on a redirect to another origin, which was not followed."""
    target = answer.elsewhere or ""
    found = "HTTP %d for %s redirects to %s" % (answer.status, place(answer.url), place(target))
    here, there = urlsplit(answer.url), urlsplit(target)
    if is_github(target):
        return "github", found
    if (
        package
        and canonical(last_part(target)) == canonical(package)
        and (here.scheme == there.scheme or here.hostname != there.hostname)
    ):
        return "forwarded", found
    if LOGIN_PATH.search(there.path):
        return "wrong_url", found + ", a login page"
    return "wrong_url", found


def of_403(seen: Seen, asked: Asked) -> str:
    if not asked.login:
        # no login is needed there: the network or the address is blocked
        return "auth_forbidden" if seen.index["preset"] in PUBLIC else "auth_missing"
    if seen.accepted:
        return "auth_forbidden"
    # pypiserver answers 401 without a password, and 403 with a wrong one
    realm = asked.anonymous.headers.get("www-authenticate") or ""
    pypiserver = seen.index["preset"] == "pypiserver" or (
        seen.index["preset"] == "simple" and re.search(r'realm="pypi"', realm, re.I)
    )
    return "auth_wrong" if pypiserver and asked.anonymous.status == 401 else "auth_forbidden"


def of_404(seen: Seen, asked: Asked, found: str) -> tuple[str, str]:
    """A 404 may mean a wrong password, missing permission, a missing package or a wrong address:
    use the other answers to decide."""
    index, root = seen.index, seen.root
    if seen.alive:
        return "not_found", found
    if asked.package and (
        root.best.verdict or root.best.elsewhere or root.best.status not in (0, 404, 410)
    ):
        # the error of the root says more than the package's 404
        return of_answers(seen, root)
    if seen.hint:
        return "wrong_url", found + hinted(seen)
    if index["preset"] in HIDING:
        if not asked.login:
            return "auth_missing", found
        # 401 without the login, and not with it: the login is valid
        if index["preset"] == "gitlab" or asked.anonymous.status == 401:
            return "auth_forbidden", found
        return (
            "auth_wrong",
            found + "; this server also answers 404 if the repository's name in the url is wrong",
        )
    return "wrong_url", found
