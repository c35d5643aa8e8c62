# SPDX-License-Identifier: GPL-3.0-or-later
"""The site that the role monitor_proxy renders from the routes of a stack, in a real web server
before programs that report the requests they get."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from helpers.certificates import Ca
from helpers.ports import free_port
from helpers.reach import ROOT
from helpers.supervisord_host import until

ROLES = ("common", "monitor_proxy")
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
        {"path": "/mcp/", "component": "tools", "timeout": 1, "max_request_mb": 3},
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


@contextlib.contextmanager
def two_programs() -> Iterator[list[int]]:
    """Their ports."""
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend) for _number in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield [server.server_port for server in servers]
    for server in servers:
        server.shutdown()
        server.server_close()


class Site:
    """A web server with the rendered site."""

    template = ""

    def __init__(self, folder, ports, **variables):
        self.folder, self.port, self.ca = folder, free_port(), Ca(folder)
        self.certificate, self.key = self.ca.issued("monitor")
        self.render(
            swf_testbed_monitor_proxy_port=self.port,
            swf_testbed_monitor_proxy_listen=["127.0.0.1"],
            **{"swf_testbed_monitor_url": "https://localhost", **variables},
            swf_testbed_monitor_port=ports[0],
            my_tools_port=ports[1],
            swf_testbed_layout={"state_dir": str(folder / "state")},
        )
        command = self.command()
        done = subprocess.run([*command, "-t"], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        self.process = subprocess.Popen(command)
        until(self.accepts)

    def command(self):
        """The command that runs the server; its main file is written."""
        raise NotImplementedError

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
                        "src": str(ROOT / "roles/monitor_proxy/templates" / self.template),
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
