# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of the simple API in both forms, HTML and JSON. The internal form of a page is that of
JSON."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"
ACCEPT = "%s, %s;q=0.2, text/html;q=0.1" % (JSON, HTML)

ADDRESSES = ("url", "provenance")

Page = dict[str, Any]
Item = Mapping[str, Any]


class _Links(HTMLParser):
    """The links of an HTML page, each with its attributes and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[tuple[dict[str, str | None], list[str]]] = []
        self.open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links.append((dict(attrs), []))
            self.open = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self.open = False

    def handle_data(self, data: str) -> None:
        if self.open:
            self.links[-1][1].append(data)


def parse(text: str, content_type: str, url: str, name: str) -> Page:
    """The page of a project, with absolute addresses.

    :param url: its own address.
    :raises ValueError: it is no such page.
    """
    if content_type.split(";")[0].strip().endswith("json"):
        page = json.loads(text)
        files = [
            dict(item, **{key: urljoin(url, item[key]) for key in ADDRESSES if item.get(key)})
            for item in page["files"]
        ]
        return dict(page, name=name, files=files)
    links = _Links()
    links.feed(text)
    files = [
        _file(attributes, "".join(label).strip(), url)
        for attributes, label in links.links
        if attributes.get("href")
    ]
    return {"meta": {"api-version": "1.0"}, "name": name, "files": files}


def _file(attributes: Mapping[str, str | None], label: str, url: str) -> dict[str, Any]:
    """An entry of the JSON form, from a link of the HTML form."""
    address, _hash, fragment = urljoin(url, attributes["href"] or "").partition("#")
    found: dict[str, Any] = {
        "filename": label or unquote(os.path.basename(urlsplit(address).path)),
        "url": address,
        "hashes": _hashes(fragment),
    }
    if attributes.get("data-requires-python"):
        found["requires-python"] = attributes["data-requires-python"]
    if "data-yanked" in attributes:
        found["yanked"] = attributes["data-yanked"] or True
    metadata = attributes.get("data-core-metadata", attributes.get("data-dist-info-metadata"))
    if metadata is not None:
        found["core-metadata"] = _hashes(metadata) or True
    if attributes.get("data-provenance"):
        found["provenance"] = urljoin(url, attributes["data-provenance"] or "")
    return found


def _hashes(text: str) -> dict[str, str]:
    algorithm, equals, value = text.partition("=")
    return {algorithm: value} if equals else {}


def wants_json(accept: str | None) -> bool:
    """Whether a client with this Accept header prefers JSON to HTML."""
    weights: dict[str, float] = {}
    for part in (accept or "").split(","):
        media_type, *parameters = [word.strip() for word in part.split(";")]
        weight = next((word[2:] for word in parameters if word.startswith("q=")), "1")
        try:
            weights[media_type] = float(weight)
        except ValueError:
            weights[media_type] = 0.0
    return weights.get(JSON, 0) > 0 and weights[JSON] >= max(
        weights.get("text/html", 0), weights.get(HTML, 0)
    )


def as_json(page: Page) -> bytes:
    return json.dumps(page).encode()


def as_html(page: Page) -> bytes:
    lines = [
        "<!DOCTYPE html>",
        "<html><head>",
        '<meta name="pypi:repository-version" content="1.0">',
        "<title>%s</title>" % html.escape(page["name"]),
        "</head><body>",
    ]
    lines += [_link(item) for item in page["files"]]
    return "\n".join([*lines, "</body></html>", ""]).encode()


def _link(item: Item) -> str:
    fragment = _text(item.get("hashes"))
    attributes = {"href": item["url"] + ("#" + fragment if fragment else "")}
    if item.get("requires-python"):
        attributes["data-requires-python"] = item["requires-python"]
    if item.get("yanked"):
        attributes["data-yanked"] = item["yanked"] if isinstance(item["yanked"], str) else ""
    metadata = core_metadata(item)
    if metadata:
        attributes["data-core-metadata"] = attributes["data-dist-info-metadata"] = (
            _text(metadata) or "true"
        )
    if item.get("provenance"):
        attributes["data-provenance"] = item["provenance"]
    return "<a %s>%s</a><br>" % (
        " ".join('%s="%s"' % (key, html.escape(value)) for key, value in attributes.items()),
        html.escape(item["filename"]),
    )


def core_metadata(item: Item) -> Any:
    """True, or the hashes, if the metadata of a file is available separately. The key has two
    names."""
    return item.get("core-metadata", item.get("dist-info-metadata"))


def _text(hashes: Any) -> str:
    """The hash in its HTML form, preferably SHA-256."""
    if not isinstance(hashes, dict) or not hashes:
        return ""
    algorithm = "sha256" if "sha256" in hashes else sorted(hashes)[0]
    return "%s=%s" % (algorithm, hashes[algorithm])
