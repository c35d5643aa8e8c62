# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package index: one address and one login for the packages of the lab and, with the mirror, for
all others.

A name that matches a private pattern comes only from the packages on disk (pypiserver). With the
mirror, every other name comes only from the mirror.
"""

from __future__ import annotations

import fnmatch
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import distributions
import pypiserver
import sending
import simple_page
from accounts import Accounts
from distributions import Invalid
from mirror import Mirror, parts
from private_packages import MAX_NAME, Conflict, Packages
from pypiserver.bottle_wrapper import BaseRequest, HTTPResponse, request
from upstream import Upstream, UpstreamNotFound, UpstreamUnavailable

LOG = logging.getLogger("index")
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
PROJECT = re.compile(r"/simple/([^/]+)(/?)")
MIRRORED = re.compile(r"/mirror/([^/]+)/([^/]+)")
STORED = re.compile(r"/packages/(.+?)(\.metadata)?")
PROVENANCE = re.compile(r"/provenance/([0-9a-f]{64})")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")

DRAINED_BYTES = 256 << 20

Environ = dict[str, Any]
Start = Callable[..., Any]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def drain(environ: Environ) -> None:
    """Read the rest of the request: a client that is disconnected during an upload does not get the
    reason of the refusal."""
    left = min(int(environ.get("CONTENT_LENGTH") or 0), DRAINED_BYTES)
    while left > 0 and (part := environ["wsgi.input"].read(min(left, 1 << 16))):
        left -= len(part)


class Counted:
    """``wsgi.input`` that counts: a body that ends too early looks like a complete one."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.received = stream, 0

    def read(self, *size: int) -> bytes:
        part = self.stream.read(*size)
        self.received += len(part)
        return part


class Answer(Exception):
    """Ends a request with a status and a line of text."""

    def __init__(self, status: str, text: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, list(headers)


def refused(code: int, text: str) -> HTTPResponse:
    """The answer to an upload. twine shows the status line and not the body."""
    return HTTPResponse(
        text + "\n",
        status_line(code, text),
        {"Content-Type": "text/plain; charset=utf-8"},
    )


def status_line(code: int | str, text: str) -> str:
    return "%s %s" % (code, re.sub(r"[^ -~]", "?", text)[:400])


class Index:
    """A WSGI application.

    :param accounts: an :class:`accounts.Accounts`.
    :param packages: directory of the private packages.
    :param private: patterns of the private names.
    :param mirror: a :class:`mirror.Mirror`, None to serve only the directory.
    """

    def __init__(
        self,
        accounts: Accounts,
        packages: str,
        private: Iterable[str],
        mirror: Mirror | None = None,
    ) -> None:
        self.accounts, self.mirror = accounts, mirror
        self.private = [canonical(pattern) for pattern in private]
        # pypiserver reads the forms of uploads and shows the list of packages. The rights are
        # checked here, and pages and files come from here
        self.pypiserver = pypiserver.app(
            roots=[Path(packages)],
            password_file=".",
            authenticate=[],
            disable_fallback=True,
            hash_algo="sha256",
            overwrite=True,
        )
        self.pypiserver._pypiserver_config.backend.add_package = self.store
        self.packages = Packages(packages)

    def store(self, filename: str, stream: IO[bytes]) -> None:
        """Store an uploaded file. pypiserver's own method shows a file before it is complete, and
        whatever its content is."""
        try:
            name = distributions.identity(filename).name
            if self.mirror and not self.is_private(name):
                raise Invalid(
                    "%s is not one of the names that come from the disk of this index (%s), so no "
                    "client would get it from there" % (name, ", ".join(self.private))
                )
            self.packages.add(filename, stream, request.forms)
        except Invalid as error:
            raise refused(400, str(error)) from None
        except Conflict as error:
            raise refused(409, str(error)) from None

    def is_private(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.private)

    def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        try:
            self._authorize(environ)
            check_path(environ.get("PATH_INFO") or "/")
            return self._route(environ, start_response)
        except Answer as answer:
            status, text, headers = answer.status, answer.text, answer.headers
        except UpstreamNotFound:
            status, text, headers = "404 Not Found", "the upstream index does not have it", []
        except UpstreamUnavailable as error:
            LOG.warning("%s: %s", environ.get("PATH_INFO"), error)
            status, text, headers = "502 Bad Gateway", "the upstream index: %s" % error, []
        drain(environ)
        if environ["REQUEST_METHOD"] == "POST":
            status = status_line(status[:3], text)
        body = (text + "\n").encode()
        start_response(
            status,
            [
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Content-Length", str(len(body))),
                *headers,
            ],
        )
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _authorize(self, environ: Environ) -> None:
        name, rights = self.accounts.rights_of(environ.get("HTTP_AUTHORIZATION"))
        if rights is None:
            raise Answer(
                "401 Unauthorized",
                "this index requires a user name and a token"
                if name is None
                else "the user name or the token is wrong",
                [("WWW-Authenticate", 'Basic realm="package index"')],
            )
        needed = "read" if environ["REQUEST_METHOD"] in ("GET", "HEAD") else "upload"
        if needed not in rights:
            raise Answer(
                "403 Forbidden",
                "%s may %s and not %s" % (name, " and ".join(sorted(rights)), needed),
            )
        environ["REMOTE_USER"] = name

    def _route(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        path = environ.get("PATH_INFO") or "/"
        if environ["REQUEST_METHOD"] == "POST":
            receive(environ)
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            if found := PROJECT.fullmatch(path):
                return self._project(found[1], found[2], environ, start_response)
            if found := STORED.fullmatch(path):
                return self._stored(found[1], found[2], environ, start_response)
            if found := PROVENANCE.fullmatch(path):
                return self._provenance(found[1], environ, start_response)
            if self.mirror and (found := MIRRORED.fullmatch(path)):
                return self._mirrored(self.mirror, found[1], found[2], environ, start_response)
        return self.pypiserver(environ, start_response)

    def _project(
        self, name: str, slash: str, environ: Environ, start_response: Start
    ) -> Iterable[bytes]:
        if not NAME.fullmatch(canonical(name)):
            raise Answer("404 Not Found", "this is not the name of a package")
        if name != canonical(name) or not slash:
            target = "%s/simple/%s/" % (environ.get("SCRIPT_NAME", ""), canonical(name))
            raise Answer("301 Moved Permanently", "see %s" % target, [("Location", target)])
        if self.mirror and not self.is_private(name):
            page = self.mirror.page(name)
        else:
            page = self._private_page(name)
        page = with_provenance(page, environ)
        if simple_page.wants_json(environ.get("HTTP_ACCEPT")):
            content_type, body = simple_page.JSON, simple_page.as_json(page)
        else:
            content_type, body = "text/html; charset=utf-8", simple_page.as_html(page)
        start_response(
            "200 OK",
            [
                ("Content-Type", content_type),
                ("Content-Length", str(len(body))),
                ("Vary", "Accept"),
                ("Cache-Control", "no-cache"),
            ],
        )
        return [body] if environ["REQUEST_METHOD"] == "GET" else []

    def _private_page(self, name: str) -> simple_page.Page:
        try:
            page = self.packages.page(name)
        except Invalid as error:
            raise Answer("404 Not Found", str(error)) from None
        if page is None:
            raise Answer("404 Not Found", "this index does not have %s" % name)
        return dict(
            page, files=[dict(item, url="../.." + quote(item["url"])) for item in page["files"]]
        )

    def _stored(
        self, relative: str, metadata: str | None, environ: Environ, start_response: Start
    ) -> Iterable[bytes]:
        """A file of the disk, or the metadata of a wheel."""
        try:
            if relative not in (one for one, _identity in self.packages.files()):
                raise FileNotFoundError
            facts, path = self.packages.facts(relative), self.packages.path(relative)
            if not metadata:
                etag = '"%s"' % facts.sha256
                return sending.sent(
                    environ, start_response, facts.size, parts(open(path, "rb")), etag=etag
                )
            if not facts.metadata_sha256:
                raise FileNotFoundError
            text = distributions.metadata(path, os.path.basename(path), whole=False)
        except Invalid as error:
            raise Answer("404 Not Found", str(error)) from None
        except FileNotFoundError:
            raise Answer("404 Not Found", "this index does not have %s" % relative) from None
        return sending.sent(environ, start_response, len(text), iter([text]))

    def _provenance(self, sha256: str, environ: Environ, start_response: Start) -> Iterable[bytes]:
        try:
            with open(self.packages.provenance(sha256), "rb") as stream:
                text = stream.read()
        except FileNotFoundError:
            raise Answer("404 Not Found", "there is no attestation") from None
        headers = [
            ("Content-Type", "application/vnd.pypi.integrity.v1+json"),
            ("Content-Length", str(len(text))),
        ]
        start_response("200 OK", headers)
        return [text] if environ["REQUEST_METHOD"] == "GET" else []

    def _mirrored(
        self, mirror: Mirror, name: str, filename: str, environ: Environ, start_response: Start
    ) -> Iterable[bytes]:
        if self.is_private(name) or name != canonical(name) or not NAME.fullmatch(name):
            raise Answer("404 Not Found", "this index does not have %s" % filename)
        size, content = mirror.file(name, filename)
        headers = [("Cache-Control", "private, max-age=31536000")]
        return sending.sent(environ, start_response, size, content, headers)


def receive(environ: Environ) -> None:
    """Read the form of a request, which remains in the environment."""
    if not environ.get("CONTENT_LENGTH"):
        raise Answer("411 Length Required", "an upload needs the header Content-Length")
    length = int(environ["CONTENT_LENGTH"])
    body = environ["wsgi.input"] = Counted(environ["wsgi.input"])
    try:
        BaseRequest(environ).POST  # noqa: B018  reads it
    except (ValueError, HTTPResponse):
        raise Answer("400 Bad Request", "the form of the upload is invalid") from None
    if body.received != length:
        raise Answer(
            "400 Bad Request", "the upload ended after %d of %d bytes" % (body.received, length)
        )


def check_path(path: str) -> None:
    """Refuse what can be no name: it would fail in the file system."""
    if CONTROL.search(path):
        raise Answer("400 Bad Request", "the path has a control character")
    if max(map(len, path.split("/"))) > MAX_NAME:
        raise Answer("400 Bad Request", "a name may have %d characters" % MAX_NAME)


def with_provenance(page: simple_page.Page, environ: Environ) -> simple_page.Page:
    """The addresses of attestations have to be absolute (PEP 740)."""
    host = environ.get("HTTP_HOST") or "%s:%s" % (environ["SERVER_NAME"], environ["SERVER_PORT"])
    base = "%s://%s" % (environ["wsgi.url_scheme"], host)
    files = [
        dict(item, provenance=base + item["provenance"]) if item.get("provenance") else item
        for item in page["files"]
    ]
    return dict(page, files=files)


def create(path: str) -> Index:
    """The application, from the JSON file of its settings."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stdout, format="%(levelname)s %(name)s: %(message)s"
    )
    # gunicorn logs every request with its user
    logging.getLogger("pypiserver").setLevel(logging.WARNING)
    with open(path, encoding="utf-8") as stream:
        settings = json.load(stream)
    mirror = None
    if settings.get("mirror"):
        given = settings["mirror"]
        with open(given["upstream"], encoding="utf-8") as stream:
            upstream = Upstream(json.load(stream))
        mirror = Mirror(upstream, given["directory"], given["page_seconds"], given["max_bytes"])
    return Index(Accounts(settings["accounts"]), settings["packages"], settings["private"], mirror)
