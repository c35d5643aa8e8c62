# SPDX-License-Identifier: GPL-3.0-or-later
"""The site that the role monitor_proxy renders from the routes of a stack, in a real nginx."""

from __future__ import annotations

import http.client
import json
import os
import shutil

import pytest
import yaml

from helpers.monitor_site import MINE, Backend, Site, two_programs
from helpers.ports import free_port

NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
pytestmark = pytest.mark.skipif(
    not os.environ.get("CI") and not NGINX, reason="needs nginx: apt-get install nginx-light"
)
MAIN = """
%(user)s
pid %(folder)s/pid;
error_log %(folder)s/error.log;
events {}
http {
    access_log off;
    client_body_temp_path %(folder)s/body;
    proxy_temp_path %(folder)s/proxy;
    fastcgi_temp_path %(folder)s/fastcgi;
    uwsgi_temp_path %(folder)s/uwsgi;
    scgi_temp_path %(folder)s/scgi;
    include %(folder)s/site.conf;
}
"""


class Nginx(Site):
    template = "nginx.conf.j2"

    def render(self, **variables):
        shutil.copy(self.certificate, self.folder / "swf-monitor.pem")
        shutil.copy(self.key, self.folder / "swf-monitor.key")
        super().render(**variables, __monitor_proxy_config=str(self.folder))

    def command(self):
        user = "user root;" if os.geteuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(MAIN % {"folder": self.folder, "user": user})
        return [NGINX, "-c", str(self.folder / "nginx.conf"), "-g", "daemon off;"]


@pytest.fixture(name="backends", scope="module")
def the_programs():
    with two_programs() as ports:
        yield ports


@pytest.fixture(name="site")
def a_site(tmp_path, backends):
    running = []

    def start(**variables):
        running.append(Nginx(tmp_path, backends, **variables))
        return running[0]

    yield start
    Backend.may_end.set()
    for site in running:
        site.stop()


def test_the_reference_stack(site, backends):
    nginx = site()
    # no client may name a user that the program trusts: neither of these headers arrives
    named = {"X-Remote-User": "alice", "X_Remote_User": "alice"}
    with nginx.ask("/api/x?y=1", Authorization="Token abc", **named) as response:
        seen = json.load(response)
        assert response.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert response.headers["Server"] == "nginx"
    assert seen["path"] == "/api/x?y=1" and seen["port"] == backends[0]
    assert seen["headers"] == {
        "authorization": "Token abc",
        "accept-encoding": "identity",
        "host": "localhost:%d" % nginx.port,
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "https",
    }
    assert nginx.ask("/api/x", body=b"x" * 1_000_000).status == 200
    assert nginx.ask("/api/x", body=b"x" * 1_100_000).status == 413


def plain(port, path, host="127.0.0.1"):
    """(status, address of a redirection) of a request without TLS."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Host": host})
    with connection.getresponse() as response:
        return response.status, response.headers["Location"]


def test_http_redirects_to_https(site):
    port = free_port()
    nginx = site(__monitor_proxy_http_port=port, __monitor_proxy_redirects=True)
    where = "https://localhost/files/?status=failed"
    assert plain(port, "/files/?status=failed", "localhost") == (301, where)
    # on the port of https, which need not be the standard one
    named = "localhost:%d" % nginx.port
    assert plain(nginx.port, "/files/", named) == (301, "https://%s/files/" % named)


def test_only_the_standard_port_of_https_has_one_for_http(site):
    nginx = site()
    assert "listen 127.0.0.1:80" not in (nginx.folder / "site.conf").read_text()
    nginx.render(
        swf_testbed_monitor_url="https://monitor.example.org",
        swf_testbed_monitor_proxy_listen=["192.0.2.1", "2001:db8::1"],
        swf_testbed_layout={"state_dir": "/x"},
    )
    text = (nginx.folder / "site.conf").read_text()
    assert "listen 192.0.2.1:80;" in text and "listen [2001:db8::1]:80;" in text


def test_the_public_testbed_below_a_path(site, tmp_path):
    static = tmp_path / "state/static"
    static.mkdir(parents=True)
    (static / "site.css").write_text("body {}")
    (tmp_path / "state/secret").write_text("a file of the instance")
    (static / "link.css").symlink_to(tmp_path / "state/secret")
    nginx = site(
        swf_testbed_stack="bnlnpps", swf_testbed_monitor_url="https://localhost/swf-monitor/"
    )

    # the program gets the path as it is
    assert nginx.json("/swf-monitor/api/")["path"] == "/swf-monitor/api/"
    assert nginx.ask("/swf-monitor/api/", body=b"x" * 2_000_000).status == 200
    redirected = nginx.ask("/swf-monitor")
    assert redirected.status == 301
    assert redirected.headers["Location"] == "https://localhost:%d/swf-monitor/" % nginx.port
    # others' paths
    assert nginx.ask("/").status == nginx.ask("/api/").status == 404

    with nginx.ask("/swf-monitor/static/site.css") as response:
        assert (response.status, response.read()) == (200, b"body {}")
        assert response.headers["Strict-Transport-Security"]
    assert nginx.ask("/swf-monitor/static/link.css").status == 403
    assert nginx.ask("/swf-monitor/static../secret").status == 200, "not of the directory"
    assert nginx.ask("/swf-monitor/static/%2e%2e/secret").status == 200, "not of the directory"

    # the first part of a stream arrives before the second is sent
    Backend.may_end.clear()
    with nginx.ask("/swf-monitor/api/messages/stream/", Authorization="Token abc") as response:
        seen = json.loads(response.read1())
        assert seen["headers"]["connection"] == "close"
        assert seen["headers"]["authorization"] == "Token abc"
        Backend.may_end.set()
        assert response.read() == b"last"


def test_a_stack_of_ones_own(site, backends, tmp_path):
    path = tmp_path / "stack.yml"
    path.write_text(yaml.safe_dump(MINE))
    nginx = site(swf_testbed_stack=str(path))
    assert nginx.json("/mcp/x")["port"] == backends[1]
    assert nginx.json("/x")["port"] == backends[0]
    assert nginx.json("/slow")["port"] == backends[0]
    assert nginx.ask("/mcp/slow").status == 504


def test_without_routes_all_goes_to_the_monitor(site, backends, tmp_path):
    path = tmp_path / "stack.yml"
    path.write_text(yaml.safe_dump({key: MINE[key] for key in MINE if key != "routes"}))
    assert site(swf_testbed_stack=str(path)).json("/mcp/x")["port"] == backends[0]
