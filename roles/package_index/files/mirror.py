# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A caching mirror of the upstream index: its pages and files are kept on disk, and served from
there when it is away."""

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

import simple_page
from downloads import PARTIAL, Download
from room import Room
from upstream import UpstreamNotFound, UpstreamUnavailable

LOG = logging.getLogger("index.mirror")
FILE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.!+-]*$")
#: keys of a page's files that lead to the upstream
LEAD_AWAY = ("url", "provenance", "gpg-sig")
METADATA = ".metadata"


class Mirror:
    """
    :param upstream: an :class:`upstream.Upstream`.
    :param directory: where pages and files are kept.
    :param page_seconds: age from which on a page is asked for again.
    :param max_bytes: the pages and files that were not asked for longest go when there are more
        bytes than that.
    """

    def __init__(self, upstream, directory, page_seconds, max_bytes):
        self.upstream, self.page_seconds = upstream, page_seconds
        self.pages, self.files = os.path.join(directory, "pages"), os.path.join(directory, "files")
        for folder in (self.pages, self.files):
            os.makedirs(folder, exist_ok=True)
        self.running, self.lock = {}, threading.Lock()
        self.page_locks = [threading.Lock() for _number in range(64)]
        for folder, _folders, names in os.walk(directory):
            for name in names:
                if name.startswith(PARTIAL):
                    # of a process that was killed
                    os.unlink(os.path.join(folder, name))
        self.room = Room(directory, max_bytes)

    def page(self, name):
        """The page of a project, its links to this index.

        :raises UpstreamNotFound: there is no such project.
        :raises UpstreamUnavailable: the upstream does not answer, and the page was never asked for
            before.
        """
        page = self._page(name)
        files = []
        for item in page["files"]:
            if FILE_NAME.match(item["filename"]):
                kept = {key: value for key, value in item.items() if key not in LEAD_AWAY}
                files.append(dict(kept, url="../../mirror/%s/%s" % (name, item["filename"])))
        return dict(page, files=files)

    def _page(self, name):
        path = os.path.join(self.pages, name + ".json")
        with self.page_locks[hash(name) % len(self.page_locks)]:
            kept = read(path)
            if kept and 0 <= time.time() - kept["asked_at"] < self.page_seconds:
                used(path)
                return kept["page"]
            url = "%s%s/" % (self.upstream.url, name)
            headers = {"Accept": simple_page.ACCEPT}
            # an upstream that was changed has other pages
            kept = kept if kept and kept["url"] == url else None
            if kept and kept["etag"]:
                headers["If-None-Match"] = kept["etag"]
            try:
                new = self._fetch(url, headers, name) or dict(kept, asked_at=time.time())
            except UpstreamUnavailable as error:
                if not kept:
                    raise
                LOG.warning(
                    "the page of %s is %d s old, and the upstream index is away: %s",
                    name,
                    time.time() - kept["asked_at"],
                    error,
                )
                used(path)
                return kept["page"]
            size = write(path, new)
        # not while others wait for a page: there may be many files to count
        self.room.written(size)
        return new["page"]

    def _fetch(self, url, headers, name):
        """A new page with what is to be known of it, None if it is what we have."""
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
                raise UpstreamUnavailable(
                    "its page of %s cannot be read: %s" % (name, error)
                ) from None
            return {
                "url": url,
                "etag": response.headers.get("ETag"),
                "asked_at": time.time(),
                "page": page,
            }

    def file(self, name, filename):
        """A file, or with C(.metadata) at its end the metadata beside it: (size or None, iterator
        of its parts).

        :raises UpstreamNotFound: the page does not list it.
        :raises UpstreamUnavailable: it was never downloaded, and cannot be now.
        """
        wanted = filename[: -len(METADATA)] if filename.endswith(METADATA) else filename
        item = next(
            (item for item in self._page(name)["files"] if item["filename"] == wanted), None
        )
        if item is None or not FILE_NAME.match(wanted):
            raise UpstreamNotFound(filename)
        url, hashes = item["url"], item.get("hashes")
        if wanted != filename:
            url, hashes = url + METADATA, simple_page.core_metadata(item)
            if not hashes:
                raise UpstreamNotFound(filename)
        sha256 = hashes.get("sha256") if isinstance(hashes, dict) else None
        # named for the content, so that a file that the upstream replaced is another file
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

    def _finished(self, download):
        with self.lock:
            self.running.pop(download.path, None)
        if download.error:
            LOG.warning(
                "%s was not downloaded: %s", os.path.basename(download.path), download.error
            )
        else:
            self.room.written(download.available)


def used(file):
    """Note that a file was asked for; it may have been removed just now."""
    with contextlib.suppress(FileNotFoundError):
        os.utime(file)


def parts(stream):
    with stream:
        while part := stream.read(256 * 1024):
            yield part


def read(path):
    """What is kept in a file, None if it is not there or was not written by this version."""
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except (FileNotFoundError, ValueError):
        return None


def write(path, content):
    """Write a page; returns its size."""
    handle, scratch = tempfile.mkstemp(prefix=PARTIAL, dir=os.path.dirname(path))
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(content, stream)
        size = stream.tell()
    os.replace(scratch, path)
    return size
