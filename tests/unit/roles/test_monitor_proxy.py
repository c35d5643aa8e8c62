# SPDX-License-Identifier: GPL-3.0-or-later
"""The site that the role monitor_proxy renders from the routes of a stack, in a real nginx before a
server that reports the requests it gets."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from helpers.certificates import Ca
from helpers.ports import free_port
from helpers.reach import ROOT
from helpers.supervisord_host import until

NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
pytestmark = pytest.mark.skipif(
    not os.environ.get("CI") and not NGINX, reason="needs nginx: apt-get install nginx-light"
)
ROLES = ("common", "monitor_proxy")
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
MINE = {
    "title": "A stack with routes of its own",
    "requires": {"python": "3.10"},
    "components": [
        {
            "name": name,
            "role": role,
            "command": name,
            "listens": {
                "host": "127.0.0.1",
                "port": "{{ %s }}" % variable,
                "variable": variable,
            },
        }
        for name, role, variable in (
            ("web", "monitor", "swf_testbed_monitor_port"),
            ("tools", "tool", "my_tools_port"),
        )
    ],
    "routes": [
        {"path": "/", "component": "web"},
        {"path": "/mcp/", "component": "tools", "timeout": 1},
    ],
}


class Backend(http.server.BaseHTTPRequestHandler):
    """A program: it reports the request, or sends a stream of two parts, or nothing."""

    protocol_version = "HTTP/1.1"
    may_end = threading.Event()

    def do_GET(self):
        if "slow" in self.path:
            time.sleep(2)
        length = int(self.headers.get("Content-Length", 0))
        self.rfile.read(length)
        text = json.dumps({"path": self.path, "port": self.server.server_port,
                           "headers": {k.lower(): v for k, v in self.headers.items()}}).encode()  # fmt: skip
        self.send_response(200)
        if "stream" in self.path:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
            self.may_end.wait(20)
            self.wfile.write(b"4\r\nlast\r\n0\r\n\r\n")
        else:
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    do_POST = do_GET

    def log_message(self, *_arguments):
        pass


@pytest.fixture(name="backends", scope="module")
def two_programs():
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend) for _number in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield [server.server_port for server in servers]
    for server in servers:
        server.shutdown()
        server.server_close()


class Site:
    """nginx with the rendered site."""

    def __init__(self, folder, ports, **variables):
        self.folder, self.port, self.ca = folder, free_port(), Ca(folder)
        certificate, key = self.ca.issued("monitor")
        shutil.copy(certificate, folder / "swf-monitor.pem")
        shutil.copy(key, folder / "swf-monitor.key")
        self.render(
            swf_testbed_monitor_proxy_port=self.port,
            swf_testbed_monitor_proxy_listen=["127.0.0.1"],
            **{"swf_testbed_monitor_url": "https://localhost", **variables},
            swf_testbed_monitor_port=ports[0],
            my_tools_port=ports[1],
            swf_testbed_layout={"state_dir": str(folder / "state")},
            __monitor_proxy_config=str(folder),
        )
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(MAIN % {"folder": folder, "user": user})
        self.command = [NGINX, "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
        subprocess.run([*self.command, "-t"], check=True, capture_output=True)
        self.process = subprocess.Popen(self.command)
        until(self.accepts)

    def accepts(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def render(self, **variables):
        play = {
            "hosts": "all",
            "gather_facts": False,
            "vars_files": [
                str(path)
                for role in ROLES
                for part in ("defaults", "vars")
                if (path := ROOT / "roles" / role / part / "main.yml").exists()
            ],
            "tasks": [
                {
                    "ansible.builtin.template": {
                        "src": str(ROOT / "roles/monitor_proxy/templates/nginx.conf.j2"),
                        "dest": str(self.folder / "site.conf"),
                        "mode": "0644",
                    }
                }
            ],
        }
        (self.folder / "play.yml").write_text(yaml.safe_dump([play]))
        variables["ansible_python_interpreter"] = sys.executable
        subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                "-c",
                "local",
                "-i",
                "localhost,",
            ]
            + ["-e", json.dumps(variables), str(self.folder / "play.yml")],
            check=True,
            cwd=self.folder,
            env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible/collections")},
        )

    def ask(self, path, body=None, **headers):
        """The response, of which nothing is read yet."""
        context = ssl.create_default_context(cafile=str(self.ca.path))
        connection = http.client.HTTPSConnection(
            "localhost", self.port, context=context, timeout=10
        )
        connection.request("POST" if body else "GET", path, body, headers)
        return connection.getresponse()

    def json(self, path, **headers):
        with self.ask(path, **headers) as response:
            assert response.status == 200, response.read()
            return json.load(response)

    def stop(self):
        self.process.terminate()
        self.process.wait()


@pytest.fixture(name="site")
def a_site(tmp_path, backends):
    running = []

    def start(**variables):
        running.append(Site(tmp_path, backends, **variables))
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
