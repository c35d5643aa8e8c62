# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package index: one address and one login for the packages of the lab and, with the mirror, for
all others.

A name that matches a private pattern comes only from the packages on disk (pypiserver). With the
mirror, every other name comes only from the mirror.
"""

from __future__ import annotations

import filecmp
import fnmatch
import io
import json
import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

import pypiserver
import simple_page
from accounts import Accounts
from mirror import Mirror
from pypiserver.bottle_wrapper import HTTPError
from upstream import Upstream, UpstreamNotFound, UpstreamUnavailable

LOG = logging.getLogger("index")
NAME = re.compile(r"^[a-z0-9]+(-[a-z0-9]+)*$")
PROJECT = re.compile(r"^/simple/([^/]+)(/?)$")
MIRRORED = re.compile(r"^/mirror/([^/]+)/([^/]+)$")

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


class Answer(Exception):
    """Ends a request with a status and a line of text."""

    def __init__(self, status: str, text: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, list(headers)


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
        # the rights are checked here and not by pypiserver; store checks the content of a file
        # before it replaces another
        self.pypiserver = pypiserver.app(
            roots=[Path(packages)],
            password_file=".",
            authenticate=[],
            disable_fallback=True,
            hash_algo="sha256",
            overwrite=True,
        )
        self.pypiserver._pypiserver_config.backend.add_package = self.store
        self.packages = packages

    def store(self, filename: str, stream: IO[bytes]) -> None:
        """Store an uploaded file. pypiserver's own method shows a file before it is complete.

        It never replaces a file. The same content is not an error: two clients may publish at once.
        """
        name = canonical(
            filename.split("-")[0] if filename.endswith(".whl") else filename.rpartition("-")[0]
        )
        if self.mirror and not self.is_private(name):
            raise HTTPError(
                400,
                "%s is not one of the names that come from the disk of this index (%s), so no "
                "client would get it from there." % (name, ", ".join(self.private)),
            )
        # pypiserver does not list names that begin with a dot
        handle, scratch = tempfile.mkstemp(prefix=".upload-", dir=self.packages)
        try:
            with os.fdopen(handle, "wb") as target:
                shutil.copyfileobj(stream, target)
            os.chmod(scratch, 0o640)
            there = next(Path(self.packages).rglob(filename), None)
            if there is None:
                try:
                    # a link, unlike a rename, replaces nothing
                    os.link(scratch, os.path.join(self.packages, filename))
                except FileExistsError:
                    there = Path(self.packages, filename)
            if there is not None and not filecmp.cmp(scratch, there, shallow=False):
                raise HTTPError(
                    409,
                    "%s already exists with other content, and this index replaces no file. Fix: "
                    "raise the version." % filename,
                )
        finally:
            os.unlink(scratch)

    def is_private(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.private)

    def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        try:
            self._authorize(environ)
            return self._route(environ, start_response)
        except Answer as answer:
            status, text, headers = answer.status, answer.text, answer.headers
        except UpstreamNotFound:
            status, text, headers = "404 Not Found", "the upstream index does not have it", []
        except UpstreamUnavailable as error:
            LOG.warning("%s: %s", environ.get("PATH_INFO"), error)
            status, text, headers = "502 Bad Gateway", "the upstream index: %s" % error, []
        drain(environ)
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
        project = PROJECT.match(path)
        if project and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return self._project(project.group(1), project.group(2), environ, start_response)
        mirrored = MIRRORED.match(path)
        if mirrored and self.mirror and environ["REQUEST_METHOD"] == "GET":
            return self._file(self.mirror, mirrored.group(1), mirrored.group(2), start_response)
        return self.pypiserver(environ, start_response)

    def _project(
        self, name: str, slash: str, environ: Environ, start_response: Start
    ) -> Iterable[bytes]:
        if not NAME.match(canonical(name)):
            raise Answer("404 Not Found", "this is not the name of a package")
        if name != canonical(name) or not slash:
            target = "%s/simple/%s/" % (environ.get("SCRIPT_NAME", ""), canonical(name))
            raise Answer("301 Moved Permanently", "see %s" % target, [("Location", target)])
        if self.mirror and not self.is_private(name):
            page = self.mirror.page(name)
        else:
            page = self._private_page(name, environ)
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

    def _private_page(self, name: str, environ: Environ) -> simple_page.Page:
        """The page of pypiserver, which has HTML only."""
        seen: dict[str, str] = {}

        def start(status: str, _headers: Any, _error: Any = None) -> None:
            seen.update(status=status)

        asked = dict(
            environ,
            PATH_INFO="/simple/%s/" % name,
            REQUEST_METHOD="GET",
            QUERY_STRING="",
            CONTENT_LENGTH="0",
        )
        asked["wsgi.input"] = io.BytesIO()
        text = b"".join(self.pypiserver(asked, start)).decode()
        if not seen["status"].startswith("200"):
            raise Answer("404 Not Found", "this index does not have %s" % name)
        # the links of pypiserver remain paths on this host
        return simple_page.parse(text, "text/html", "", name)

    def _file(
        self, mirror: Mirror, name: str, filename: str, start_response: Start
    ) -> Iterable[bytes]:
        if self.is_private(name) or name != canonical(name) or not NAME.match(name):
            raise Answer("404 Not Found", "this index does not have %s" % filename)
        size, parts = mirror.file(name, filename)
        start_response(
            "200 OK",
            [
                ("Content-Type", "application/octet-stream"),
                ("Cache-Control", "private, max-age=31536000"),
            ]
            + ([("Content-Length", str(size))] if size is not None else []),
        )
        return parts


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
