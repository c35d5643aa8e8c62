# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of the simple API in both of its forms, HTML and JSON. In between a page is what the JSON
form says."""

from __future__ import annotations

import html
import json
import os
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"
ACCEPT = "%s, %s;q=0.2, text/html;q=0.1" % (JSON, HTML)


class _Links(HTMLParser):
    """The links of an HTML page, each with its attributes and its text."""

    def __init__(self):
        super().__init__()
        self.links = []
        self.open = False

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.links.append([dict(attrs), ""])
            self.open = True

    def handle_endtag(self, tag):
        if tag == "a":
            self.open = False

    def handle_data(self, data):
        if self.open:
            self.links[-1][1] += data


def parse(text, content_type, url, name):
    """The page of a project, with absolute addresses.

    :param url: the address that it came from.
    :raises ValueError: if it is no such page.
    """
    if content_type.split(";")[0].strip().endswith("json"):
        page = json.loads(text)
        files = [dict(item, url=urljoin(url, item["url"])) for item in page["files"]]
        return dict(page, name=name, files=files)
    links = _Links()
    links.feed(text)
    files = [
        _file(attributes, label.strip(), url)
        for attributes, label in links.links
        if attributes.get("href")
    ]
    return {"meta": {"api-version": "1.0"}, "name": name, "files": files}


def _file(attributes, label, url):
    """An entry of the JSON form, from a link of the HTML form."""
    address, _hash, fragment = urljoin(url, attributes["href"]).partition("#")
    found = {
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
    return found


def _hashes(text):
    kind, equals, value = text.partition("=")
    return {kind: value} if equals else {}


def wants_json(accept):
    """Whether a client with this Accept header takes the JSON form rather than HTML."""
    weights = {}
    for part in (accept or "").split(","):
        kind, *parameters = [word.strip() for word in part.split(";")]
        weight = next((word[2:] for word in parameters if word.startswith("q=")), "1")
        try:
            weights[kind] = float(weight)
        except ValueError:
            weights[kind] = 0.0
    return weights.get(JSON, 0) > 0 and weights[JSON] >= max(
        weights.get("text/html", 0), weights.get(HTML, 0)
    )


def as_json(page):
    return json.dumps(page).encode()


def as_html(page):
    lines = [
        "<!DOCTYPE html>",
        "<html><head>",
        '<meta name="pypi:repository-version" content="1.0">',
        "<title>%s</title>" % html.escape(page["name"]),
        "</head><body>",
    ]
    lines += [_link(item) for item in page["files"]]
    return "\n".join([*lines, "</body></html>", ""]).encode()


def _link(item):
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
    return "<a %s>%s</a><br>" % (
        " ".join('%s="%s"' % (key, html.escape(value)) for key, value in attributes.items()),
        html.escape(item["filename"]),
    )


def core_metadata(item):
    """True, or the hashes, if a file's metadata can be had beside it. The key was renamed."""
    return item.get("core-metadata", item.get("dist-info-metadata"))


def _text(hashes):
    """The hash as it stands in HTML, the best known one of several."""
    if not isinstance(hashes, dict) or not hashes:
        return ""
    kind = "sha256" if "sha256" in hashes else sorted(hashes)[0]
    return "%s=%s" % (kind, hashes[kind])
