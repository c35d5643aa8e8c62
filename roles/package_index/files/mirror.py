# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A caching mirror of the upstream index: pages and files are stored on disk, and served from there
while the upstream is unavailable."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from typing import IO, Any

import simple_page
from downloads import PARTIAL, Download
from room import Room
from upstream import Upstream, UpstreamNotFound, UpstreamUnavailable

LOG = logging.getLogger("index.mirror")
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.!+-]*")
#: keys with addresses at the upstream
UPSTREAM_KEYS = ("url", "provenance", "gpg-sig")
METADATA, PROVENANCE = ".metadata", ".provenance"


class Mirror:
    """
    :param upstream: an :class:`upstream.Upstream`.
    :param directory: of the stored pages and files.
    :param page_seconds: age after which a page is requested again.
    :param max_bytes: limit; the least recently used pages and files are removed above it.
    """

    def __init__(
        self, upstream: Upstream, directory: str, page_seconds: float, max_bytes: int
    ) -> None:
        self.upstream, self.page_seconds = upstream, page_seconds
        self.pages, self.files = os.path.join(directory, "pages"), os.path.join(directory, "files")
        for folder in (self.pages, self.files):
            os.makedirs(folder, exist_ok=True)
        self.running: dict[str, Download] = {}
        self.lock = threading.Lock()
        self.page_locks = [threading.Lock() for _number in range(64)]
        for folder, _folders, names in os.walk(directory):
            for name in names:
                if name.startswith(PARTIAL):
                    # of a killed process
                    os.unlink(os.path.join(folder, name))
        self.room = Room(directory, max_bytes)

    def page(self, name: str) -> simple_page.Page:
        """The page of a project, with links to this index.

        :raises UpstreamNotFound: there is no such project.
        :raises UpstreamUnavailable: the upstream does not answer, and the page is not stored.
        """
        page = self._page(name)
        files = []
        for item in page["files"]:
            if FILE_NAME.fullmatch(item["filename"]):
                rest = {key: value for key, value in item.items() if key not in UPSTREAM_KEYS}
                path = "/mirror/%s/%s" % (name, item["filename"])
                if item.get("provenance"):
                    rest["provenance"] = path + PROVENANCE
                files.append(dict(rest, url="../.." + path))
        return dict(page, files=files)

    def _page(self, name: str) -> simple_page.Page:
        path = os.path.join(self.pages, name + ".json")
        with self.page_locks[hash(name) % len(self.page_locks)]:
            stored = read(path)
            if stored and 0 <= time.time() - stored["asked_at"] < self.page_seconds:
                used(path)
                return stored["page"]
            url = "%s%s/" % (self.upstream.url, name)
            headers = {"Accept": simple_page.ACCEPT}
            # another upstream has other pages
            stored = stored if stored and stored["url"] == url else None
            if stored and stored["etag"]:
                headers["If-None-Match"] = stored["etag"]
            try:
                new = self._fetch(url, headers, name) or dict(stored or {}, asked_at=time.time())
            except UpstreamUnavailable as error:
                if not stored:
                    raise
                LOG.warning(
                    "the upstream index is unavailable: %s; the page of %s is %d s old",
                    error,
                    name,
                    time.time() - stored["asked_at"],
                )
                used(path)
                return stored["page"]
            size = write(path, new)
        # after the lock, because it may have to count many files
        self.room.written(size)
        return new["page"]

    def _fetch(self, url: str, headers: Mapping[str, str], name: str) -> dict[str, Any] | None:
        """A new page with its address, ETag and time; None if the stored one is current."""
        response = self.upstream.open(url, headers)
        if response is None:
            return None
        with response:
            try:
                text = response.read().decode()
                page = simple_page.parse(
                    text, response.headers.get("Content-Type") or "", response.geturl(), name
                )
            except (OSError, ValueError, KeyError) as error:
                raise UpstreamUnavailable("its page of %s is invalid: %s" % (name, error)) from None
            return {
                "url": url,
                "etag": response.headers.get("ETag"),
                "asked_at": time.time(),
                "page": page,
            }

    def file(self, name: str, filename: str) -> tuple[int | None, Iterator[bytes]]:
        """A file, or its metadata or attestations if the name ends with C(.metadata) or
        C(.provenance): (size or None, iterator of its parts).

        :raises UpstreamNotFound: the page does not list it.
        :raises UpstreamUnavailable: it is not stored, and the download fails.
        """
        wanted = filename.removesuffix(METADATA).removesuffix(PROVENANCE)
        item = next(
            (item for item in self._page(name)["files"] if item["filename"] == wanted), None
        )
        if item is None or not FILE_NAME.fullmatch(wanted):
            raise UpstreamNotFound(filename)
        url, hashes = item["url"], item.get("hashes")
        part = filename[len(wanted) :]
        if part == PROVENANCE:
            url, hashes = item.get("provenance"), True
        elif part:
            url, hashes = url + part, simple_page.core_metadata(item) if part == METADATA else None
        if not url or part and not hashes:
            raise UpstreamNotFound(filename)
        sha256 = hashes.get("sha256") if isinstance(hashes, dict) else None
        # the name contains the hash, so a file that the upstream replaced is another file
        path = os.path.join(
            self.files, name, (sha256 or hashlib.sha256(url.encode()).hexdigest())[:32], filename
        )
        with self.lock:
            try:
                stream = open(path, "rb")
            except FileNotFoundError:
                download = self.running.get(path)
                if download is None:
                    download = self.running[path] = Download(
                        self.upstream, url, path, sha256, self._finished
                    )
            else:
                used(stream.fileno())
                return os.fstat(stream.fileno()).st_size, parts(stream)
        return download.follow()

    def _finished(self, download: Download) -> None:
        with self.lock:
            self.running.pop(download.path, None)
        if download.error:
            LOG.warning(
                "the download of %s failed: %s", os.path.basename(download.path), download.error
            )
        else:
            self.room.written(download.available)


def used(file: str | int) -> None:
    """Mark a file as used; it may have been removed just now."""
    with contextlib.suppress(FileNotFoundError):
        os.utime(file)


def parts(stream: IO[bytes]) -> Iterator[bytes]:
    with stream:
        while part := stream.read(256 * 1024):
            yield part


def read(path: str) -> dict[str, Any] | None:
    """The content of a stored page, None without one or if another version wrote it."""
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except (FileNotFoundError, ValueError):
        return None


def write(path: str, content: dict[str, Any]) -> int:
    """Store a page; return its size."""
    handle, scratch = tempfile.mkstemp(prefix=PARTIAL, dir=os.path.dirname(path))
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(content, stream)
        size = stream.tell()
    os.replace(scratch, path)
    return size
