# SPDX-License-Identifier: GPL-3.0-or-later
"""Real git servers on loopback: git's own http-backend behind TLS and a password, and OpenSSH's
sshd."""

from __future__ import annotations

import base64
import http.server
import os
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import trustme

from helpers.ports import free_port

BACKEND = (
    Path(subprocess.check_output(["git", "--exec-path"], text=True).strip()) / "git-http-backend"
)
IDENTITY = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


def git(folder, *arguments):
    return subprocess.check_output(
        ["git", "-C", str(folder), *arguments], text=True, env=dict(os.environ, **IDENTITY)
    ).strip()


def commit_all(folder):
    """Commit what is in a folder, a repository already or not, and return the commit's id."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "--quiet", "-m", "a change")
    return git(folder, "rev-parse", "HEAD")


class GitHttps:
    """The repositories below a folder, over https, for one login."""

    def __init__(self, folder, ca_file, user, token):
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(ca_file))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        login = "Basic " + base64.b64encode(("%s:%s" % (user, token)).encode()).decode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_arguments):
                pass

            def answer(self):
                if self.headers.get("Authorization") != login:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="git"')
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                path, _mark, query = self.path.partition("?")
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                environment = dict(
                    os.environ,
                    GIT_PROJECT_ROOT=str(folder),
                    GIT_HTTP_EXPORT_ALL="1",
                    PATH_INFO=path,
                    QUERY_STRING=query,
                    REQUEST_METHOD=self.command,
                    CONTENT_TYPE=self.headers.get("Content-Type", ""),
                    REMOTE_USER=user,
                    CONTENT_LENGTH=str(len(body)),
                    HTTP_CONTENT_ENCODING=self.headers.get("Content-Encoding", ""),
                    GIT_PROTOCOL=self.headers.get("Git-Protocol", ""),
                )
                output = subprocess.run(
                    [str(BACKEND)], input=body, env=environment, stdout=subprocess.PIPE, check=False
                ).stdout
                heading, _gap, content = output.partition(b"\r\n\r\n")
                headers = dict(line.split(": ", 1) for line in heading.decode().splitlines())
                self.send_response(int(headers.pop("Status", "200 OK").split()[0]))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = answer

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = "https://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class GitSsh:
    """sshd for the login that runs the tests, with a key of its own. ``command`` is for
    GIT_SSH_COMMAND."""

    def __init__(self, folder):
        folder.mkdir(mode=0o700)
        for name in ("host", "client"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)],
                check=True,
            )
        (folder / "authorized").write_text((folder / "client.pub").read_text())
        self.port = free_port()
        (folder / "config").write_text(
            "ListenAddress 127.0.0.1\nPort %d\nHostKey %s\nAuthorizedKeysFile %s\nStrictModes "
            "no\nUsePAM no\n"
            "PidFile none\n"
            "PasswordAuthentication no\nPermitRootLogin prohibit-password\n"
            % (self.port, folder / "host", folder / "authorized")
        )
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        self.process = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "config")], stderr=subprocess.DEVNULL
        )
        key = (folder / "host.pub").read_text().split()
        (folder / "known").write_text("[127.0.0.1]:%d %s %s\n" % (self.port, key[0], key[1]))
        ssh = (
            "ssh -F none -o BatchMode=yes -o UserKnownHostsFile=%s -o "
            "GlobalKnownHostsFile=/dev/null" % (folder / "known")
        )
        self.command = "%s -o IdentitiesOnly=yes -i %s" % (ssh, folder / "client")
        self.command_without_key = (
            "%s -o IdentitiesOnly=yes -o IdentityAgent=none -i /dev/null" % ssh
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError("sshd does not answer")

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
