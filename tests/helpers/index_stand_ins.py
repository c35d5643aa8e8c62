# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for servers that no test can run (GitLab, Artifactory, Nexus, a proxy), a
static simple API with chosen content, and the real pypiserver behind real TLS.

The stand-ins answer as the servers' documentation says. Each remembers what it was asked.
"""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import ssl
import threading
import urllib.request
import wsgiref.simple_server

import pypiserver

USER, TOKEN = "reader", "canary-0123456789+/canary=0123456789&canary"
JSON = "application/vnd.pypi.simple.v1+json"


def html(*anchors, title="Links"):
    return (
        "<!DOCTYPE html><html><head><meta name='pypi:repository-version' "
        "content='1.0'><title>%s</title></head>"
        "<body>%s</body></html>" % (title, "\n".join(anchors))
    )


def anchor(filename, **attributes):
    extra = "".join(
        ' data-%s="%s"' % (name.replace("_", "-"), text.replace(">", "&gt;").replace("<", "&lt;"))
        for name, text in attributes.items()
    )
    return '<a href="../../files/%s#sha256=00"%s>%s</a>' % (filename, extra, filename)


def page(name, *versions):
    return html(
        *(
            anchor("%s-%s-py3-none-any.whl" % (name.replace("-", "_"), version))
            for version in versions
        )
    )


class StandIn:
    """A server on 127.0.0.1 that answers with what ``answer(path, login)`` returns: (status, body)
    or (status, body, headers).

    ``login`` is (user, token) of the request, or None. ``asked`` has (path, login) of every
    request.
    """

    def __init__(self, answer, prefix="/simple/", context=None):
        self.asked = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                header = self.headers.get("Authorization")
                login = (
                    tuple(base64.b64decode(header.split()[1]).decode().split(":", 1))
                    if header
                    else None
                )
                outer.asked.append((self.path, login))
                status, body, *headers = answer(self.path, login)
                self.send_response(status)
                for name, value in {
                    "Content-Type": "text/html",
                    **(headers[0] if headers else {}),
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body.encode())

            def do_CONNECT(self):
                outer.asked.append((self.path, None))
                self.send_error(407)

            def log_message(self, *_arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        self.url = "%s://127.0.0.1:%d%s" % ("https" if context else "http", self.port, prefix)
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    def names(self):
        """The names that were asked for."""
        return {path.rstrip("/").rpartition("/")[2] for path, _login in self.asked}

    def as_index(self, **more):
        return {"name": "lab", "url": self.url, "packages": ["swf-*"], **more}

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.server.shutdown()
        self.server.server_close()


def pages(content, prefix="/simple/"):
    """A simple API that anybody may read, from {name: HTML}, or a list of files for JSON."""

    def answer(path, _login):
        name = path[len(prefix) :].strip("/")
        if not path.startswith(prefix) or (name and name not in content):
            return 404, "not here"
        if not name:
            return 200, html(*('<a href="%s/">%s</a>' % (item, item) for item in content))
        if isinstance(content[name], list):
            return (
                200,
                json.dumps({"meta": {"api-version": "1.1"}, "name": name, "files": content[name]}),
                {"Content-Type": JSON},
            )
        return 200, content[name]

    return answer


def gitlab(packages=("swf-testbed",), member=True, forwards_to=None, scope=True, public=False):
    """GitLab's package registry of one project. It answers 404 to logins that are no members, and
    403 without the right scope."""
    listing = pages({name: page(name, "1.0") for name in packages}, GITLAB)

    def answer(path, login):
        if login and login != (USER, TOKEN):
            return 401, '{"message":"401 Unauthorized"}', {"Content-Type": "application/json"}
        if not login and not public:
            return 401, "", {"WWW-Authenticate": 'Basic realm="GitLab Packages Registry"'}
        if login and not member:
            return 404, '{"message":"404 Project Not Found"}', {"Content-Type": "application/json"}
        if login and not scope:
            return 403, '{"error":"insufficient_scope"}', {"Content-Type": "application/json"}
        found = listing(path, login)
        if found[0] == 404 and forwards_to and path.startswith(GITLAB):
            return 302, "", {"Location": forwards_to + path[len(GITLAB) :]}
        return found

    return StandIn(answer, GITLAB)


GITLAB = "/api/v4/projects/7/packages/pypi/simple/"


def artifactory(hides=True):
    """Artifactory, where it hides what one may not see: 404 to a wrong login too."""
    prefix = "/artifactory/api/pypi/lab/simple/"
    listing = pages({"swf-testbed": page("swf-testbed", "1.0")}, prefix)

    def answer(path, login):
        if login != (USER, TOKEN):
            return (404 if hides else 401), '{"errors":[]}', {"Content-Type": "application/json"}
        return listing(path, login)

    return StandIn(answer, prefix)


def nexus(anonymous=False):
    """Nexus Repository: 401 without and with a wrong login, 403 to a user without the privilege."""
    prefix = "/repository/lab/simple/"
    listing = pages({"swf-testbed": page("swf-testbed", "1.0")}, prefix)

    def answer(path, login):
        if login == ("guest", TOKEN):
            return 403, "Forbidden"
        if login != (USER, TOKEN) and (login or not anonymous):
            return 401, "", {"WWW-Authenticate": 'BASIC realm="Sonatype Nexus Repository Manager"'}
        return listing(path, login)

    return StandIn(answer, prefix)


def server_context(certificate, folder):
    """A TLS context for a server with a certificate of trustme."""
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(folder / "server.pem"))
    return context


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_arguments):
        pass


@contextlib.contextmanager
def pypiserver_app(folder, context=None, **settings):
    """The real pypiserver in this process, behind TLS with a context. Gives the address of its
    simple API."""
    app = pypiserver.app(roots=[folder], password_file=".", authenticate=[], **settings)
    server = wsgiref.simple_server.make_server("127.0.0.1", 0, app, handler_class=Quiet)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    ).start()
    try:
        yield "%s://127.0.0.1:%d/simple/" % ("https" if context else "http", server.server_port)
    finally:
        server.shutdown()
        server.server_close()


def put_json(url, content, headers=None, method="POST"):
    """Send JSON and return the JSON answer, for servers that are set up that way."""
    request = urllib.request.Request(
        url,
        json.dumps(content).encode(),
        {"Content-Type": "application/json", **(headers or {})},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)
