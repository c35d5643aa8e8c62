# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that the role monitor_proxy renders for a host whose Apache httpd serves others already,
in a real httpd as Debian packages it."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
import yaml

from helpers.monitor_site import MINE, Backend, Site, two_programs
from helpers.ports import free_port

HTTPD = shutil.which("apache2", path=os.environ["PATH"] + ":/usr/sbin")
MODULES = Path(HTTPD or "/").resolve().parent.parent / "lib/apache2/modules"
pytestmark = pytest.mark.skipif(
    not os.environ.get("CI") and not HTTPD, reason="needs httpd: apt-get install apache2-bin"
)
# the administrators', with a site of their own, before ours is included
MAIN = """
ServerName localhost
PidFile %(folder)s/pid
ErrorLog %(folder)s/error.log
%(user)s
LoadModule mpm_event_module %(modules)s/mod_mpm_event.so
LoadModule authz_core_module %(modules)s/mod_authz_core.so
LoadModule ssl_module %(modules)s/mod_ssl.so
LoadModule headers_module %(modules)s/mod_headers.so
Listen 127.0.0.1:%(port)d
Listen 127.0.0.1:%(plain)d
DocumentRoot %(folder)s/others
<Directory />
    AllowOverride None
    Require all denied
</Directory>
<Directory %(folder)s/others>
    Require all granted
</Directory>
<VirtualHost 127.0.0.1:%(port)d>
    SSLEngine on
    SSLCertificateFile %(certificate)s
    SSLCertificateKeyFile %(key)s
    <Location /swf-monitor/login>
        RequestHeader set X-Remote-User bob
    </Location>
</VirtualHost>
Include %(folder)s/site.conf
"""
URL = {"swf_testbed_monitor_url": "https://localhost/swf-monitor"}


class Httpd(Site):
    template = "httpd.conf.j2"

    def render(self, **variables):
        super().render(**variables, __monitor_proxy_of={"modules": str(MODULES)})

    def command(self):
        self.plain = free_port()
        (self.folder / "others").mkdir()
        (self.folder / "others/index.txt").write_text("a page of others")
        values = {
            "folder": self.folder,
            "modules": MODULES,
            "user": "User nobody\nGroup nogroup" if os.geteuid() == 0 else "",
            "port": self.port,
            "plain": self.plain,
            "certificate": self.certificate,
            "key": self.key,
        }
        (self.folder / "httpd.conf").write_text(MAIN % values)
        return [HTTPD, "-f", str(self.folder / "httpd.conf"), "-DFOREGROUND"]


@pytest.fixture(name="backends", scope="module")
def the_programs():
    with two_programs() as ports:
        yield ports


@pytest.fixture(name="folder")
def a_folder_that_all_can_enter():
    with tempfile.TemporaryDirectory() as path:
        Path(path).chmod(0o755)
        yield Path(path)


@pytest.fixture(name="site")
def a_site(folder, backends):
    running = []

    def start(**variables):
        running.append(Httpd(folder, backends, **variables))
        return running[0]

    yield start
    Backend.may_end.set()
    for site in running:
        site.stop()


def test_the_reference_stack_below_a_path(site, backends):
    httpd = site(**URL)
    # no client may name a user that the program trusts: none of these headers arrives
    named = {"X-Remote-User": "alice", "X_Remote_User": "alice", "X-Remote_User": "alice"}
    forged = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "http"}
    with httpd.ask(
        "/swf-monitor/api/x?y=1", Authorization="Token abc", **named, **forged
    ) as response:
        seen = json.load(response)
    assert seen["path"] == "/swf-monitor/api/x?y=1" and seen["port"] == backends[0]
    assert {key: value for key, value in seen["headers"].items() if key != "connection"} == {
        "authorization": "Token abc",
        "accept-encoding": "identity",
        "host": "localhost:%d" % httpd.port,
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "https",
    }
    # the administrators' own settings apply after ours
    assert httpd.json("/swf-monitor/login", **named)["headers"]["x-remote-user"] == "bob"
    redirected = httpd.ask("/swf-monitor")
    assert redirected.status == 301
    assert redirected.headers["Location"] == "https://localhost:%d/swf-monitor/" % httpd.port


def test_pages_of_others_stay_as_they_are(site):
    httpd = site(**URL)
    with httpd.ask("/index.txt") as response:
        assert (response.status, response.read()) == (200, b"a page of others")
        assert "Strict-Transport-Security" not in response.headers
    assert httpd.ask("/swf-monitors/").status == 404


def test_without_tls_the_monitor_is_not_served(site):
    httpd = site(**URL)
    plain = http.client.HTTPConnection("127.0.0.1", httpd.plain, timeout=10)
    plain.request("GET", "/swf-monitor/api/")
    assert plain.getresponse().status == 403


def test_requests_have_a_limit(site):
    httpd = site(**URL)
    assert httpd.ask("/swf-monitor/api/x", body=b"x" * 1_000_000).status == 200
    assert httpd.ask("/swf-monitor/api/x", body=b"x" * 1_100_000).status == 413
    # of unknown length
    assert httpd.ask("/swf-monitor/api/x", body=iter([b"x"])).status == 411


def test_static_files_and_a_stream(site, folder):
    static = folder / "state/static"
    static.mkdir(parents=True)
    (static / "site.css").write_text("body {}")
    (folder / "state/secret").write_text("a file of the instance")
    (static / "link.css").symlink_to(folder / "state/secret")
    httpd = site(**URL, swf_testbed_stack="bnlnpps")

    with httpd.ask("/swf-monitor/static/site.css") as response:
        assert (response.status, response.read()) == (200, b"body {}")
    assert httpd.ask("/swf-monitor/static/").status in (403, 404)
    assert httpd.ask("/swf-monitor/static/link.css").status == 403
    for path in ("static../secret", "static/../secret", "static/%2e%2e/secret"):
        assert httpd.ask("/swf-monitor/" + path).read() != b"a file of the instance"
    assert httpd.ask("/swf-monitor/api/", body=b"x" * 2_000_000).status == 200

    # the first part of a stream arrives before the second is sent
    Backend.may_end.clear()
    with httpd.ask("/swf-monitor/api/messages/stream/", Authorization="Token abc") as response:
        seen = json.loads(response.read1())
        assert seen["headers"]["authorization"] == "Token abc"
        Backend.may_end.set()
        assert response.read() == b"last"


def test_of_several_routes_the_longest_counts(site, backends, tmp_path):
    path = tmp_path / "stack.yml"
    path.write_text(yaml.safe_dump(MINE))
    httpd = site(**URL, swf_testbed_stack=str(path))
    assert httpd.json("/swf-monitor/mcp/x")["port"] == backends[1]
    assert httpd.json("/swf-monitor/x")["port"] == backends[0]
    assert httpd.json("/swf-monitor/slow")["port"] == backends[0]
    assert httpd.ask("/swf-monitor/mcp/slow").status in (502, 504)
    assert httpd.ask("/swf-monitor/mcp/x", body=b"x" * 2_000_000).status == 200
    assert httpd.ask("/swf-monitor/x", body=b"x" * 2_000_000).status == 413
