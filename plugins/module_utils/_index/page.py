# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of the simple API, HTML (PEP 503, 592) and JSON (PEP 691, 700), and how to recognise other
pages."""

from __future__ import annotations

import json
import os
import re
import zipfile
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.files import (
    SDIST,
    File,
    file_of,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.names import canonical

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"
JSON_TYPE = "application/vnd.pypi.simple.v1+json"
# titles of servers without the mark of PEP 629: pypiserver, devpi, nginx, Apache, http.server
TITLES = re.compile(r"links for|simple|index of|directory listing", re.I)


@dataclass
class Page:
    """A parsed page: ``package`` (of a package, maybe without files), ``root`` (list of packages),
    ``login`` (for browsers) or ``other``."""

    type: str
    files: list[File] = field(default_factory=list)
    evidence: str = ""


class Reader(HTMLParser):
    """Collects the links of a page and the marks of its type."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title, self.marked, self.password = "", False, False
        self.anchors: list[list[Any]] = []
        self._in: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "a":
            self.anchors.append([attributes, ""])
        if tag in ("a", "title"):
            self._in = tag
        elif tag == "meta" and attributes.get("name") == "pypi:repository-version":
            self.marked = True
        elif tag == "input" and (attributes.get("type") or "").lower() == "password":
            self.password = True

    def handle_endtag(self, tag: str) -> None:
        if tag == self._in:
            self._in = None

    def handle_data(self, data: str) -> None:
        if self._in == "a":
            self.anchors[-1][1] += data
        elif self._in == "title":
            self.title += data


def parse(content_type: str | None, body: bytes, name: str | None = None) -> Page:
    """The :class:`Page` of a body.

    :param content_type: the header's text.
    :param body: bytes; for a root maybe only the beginning.
    :param name: the package; None for the root.
    """
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type == JSON_TYPE or (media_type == "application/json" and b'"api-version"' in body):
        return parse_json(body, name)
    if media_type and media_type not in (
        "text/html",
        "application/vnd.pypi.simple.v1+html",
        "application/vnd.pypi.simple.latest+html",
        "application/xhtml+xml",
    ):
        return Page("other", evidence="it has the content type %s" % media_type[:60])
    return parse_html(body.decode("utf-8", "replace"), name)


def parse_json(body: bytes, name: str | None) -> Page:
    if name is None:
        # the list of all packages may be long, and truncated
        return Page("root")
    try:
        content = json.loads(body)
        api = str(content["meta"]["api-version"])
        if api.partition(".")[0] != "1":
            return Page(
                "other",
                evidence="it has version %s of the simple API, and installers support version 1"
                % api[:20],
            )
        files = []
        for item in content["files"]:
            # yanked is true, or the reason
            yanked = item.get("yanked")
            yanked = ("" if yanked is True else str(yanked)) if yanked else None
            requires_python = str(item.get("requires-python") or "") or None
            files.append(file_of(item["filename"], name, requires_python, yanked))
        return Page("package", [file for file in files if file])
    except (ValueError, KeyError, TypeError, AttributeError):
        return Page("other", evidence="it is JSON, but not of the simple API")


def read(text: str) -> Reader:
    """A :class:`Reader` that has read a page."""
    reader = Reader()
    try:
        reader.feed(text)
        reader.close()
    except (AssertionError, NotImplementedError):
        # html.parser rejects a declaration; the content before it counts
        pass
    return reader


def links(text: str, url: str) -> dict[str, tuple[str, str | None]]:
    """The links of an HTML page, as {file name: (URL, sha256 or None)}.

    :param url: of the page.
    """
    found = {}
    for attributes, _text in read(text).anchors:
        if attributes.get("href"):
            address, fragment = urldefrag(urljoin(url, attributes["href"]))
            algorithm, equals, digest = fragment.partition("=")
            found[last_part(address)] = (
                address,
                digest if algorithm == "sha256" and equals else None,
            )
    return found


def parse_html(text: str, name: str | None) -> Page:
    reader = read(text)
    title = " ".join(reader.title.split())[:80]
    if reader.password:
        return Page("login", evidence="it is a login page (%r)" % title)
    marked = reader.marked or bool(TITLES.search(title))
    if name is None:
        return root_page(reader, marked, title)
    files = []
    for attributes, _text in reader.anchors:
        yanked = (attributes["data-yanked"] or "") if "data-yanked" in attributes else None
        requires_python = attributes.get("data-requires-python")
        files.append(file_of(last_part(attributes.get("href")), name, requires_python, yanked))
    found = [file for file in files if file]
    if found or marked:
        return Page("package", found)
    return Page("other", evidence="it is a page that lists no files (%r)" % title)


def root_page(reader: Reader, marked: bool, title: str) -> Page:
    links = [
        (last_part(attributes.get("href")), text.strip()) for attributes, text in reader.anchors
    ]
    if any(part.endswith((".whl", *SDIST)) for part, _text in links):
        return Page(
            "other",
            evidence="it lists files and not packages: it is the page of one package, or a "
            "directory of wheels",
        )
    if marked or any(
        part and canonical(part) == canonical(text.rstrip("/")) for part, text in links
    ):
        return Page("root")
    return Page("other", evidence="it is a page that lists no packages (%r)" % title)


def last_part(href: str | None) -> str:
    """The last part of a link's path, without the slash at its end."""
    try:
        return unquote(urlsplit(href or "").path.rstrip("/").rpartition("/")[2])
    except ValueError:
        return ""


def from_directory(path: str, name: str) -> Page:
    """The :class:`Page` of a package in a directory: a static tree of the simple API, or plain
    wheels.

    :raises OSError: the directory cannot be read.
    """
    entries = os.listdir(path)
    for entry in entries:
        page = os.path.join(path, entry, "index.html")
        if canonical(entry) == canonical(name) and os.path.isfile(page):
            with open(page, encoding="utf-8", errors="replace") as stream:
                return parse_html(stream.read(), name)
    files = [file for file in (file_of(entry, name) for entry in entries) if file]
    for file in files:
        if file.tags:
            file.requires_python = requires_python_of(os.path.join(path, file.filename))
    return Page("package", files)


def requires_python_of(wheel: str) -> str | None:
    """Requires-Python from a wheel's metadata, or None."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            member = next(
                item for item in archive.namelist() if item.endswith(".dist-info/METADATA")
            )
            head = archive.read(member).decode("utf-8", "replace").partition("\n\n")[0]
    except (OSError, zipfile.BadZipFile, StopIteration, KeyError):
        return None
    match = re.search(r"^Requires-Python:\s*(.+)$", head, re.M | re.I)
    return match[1].strip() if match else None
