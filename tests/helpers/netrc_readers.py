# SPDX-License-Identifier: GPL-3.0-or-later
"""What the real readers of a netrc file send for a host: Python before and since 3.11, uv, curl,
and pip."""

from __future__ import annotations

import base64
import glob
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import find_uv

# one line in, one line out: to start a Python for each example would take minutes
ASKED = """
import json, netrc, sys
for line in sys.stdin:
    path, host = json.loads(line)
    try:
        found = netrc.netrc(path).hosts.get(host)
        answer = [found[0], found[2]] if found else None
    except Exception as error:
        answer = type(error).__name__
    print(json.dumps(answer), flush=True)
"""


def pythons():
    """A Python before 3.11 and one since, as paths; of this machine's, those that there are."""
    found = {}
    for path in [
        sys.executable,
        *map(shutil.which, ("python3.9", "python3.10", "python3.12", "python3.13")),
        *glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin/python")),
    ]:
        if path:
            done = subprocess.run(
                [path, "-I", "-c", "import sys; print(sys.version_info[1])"],
                text=True,
                capture_output=True,
                check=False,
                stdin=subprocess.DEVNULL,
            )
            if done.returncode == 0 and int(done.stdout) >= 9:
                found.setdefault(int(done.stdout) >= 11, path)
    return [found[name] for name in sorted(found)]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        sent = self.headers.get("Authorization")
        if sent:
            self.server.logins.append(base64.b64decode(sent.split()[1]).decode("utf-8", "replace"))
        self.send_response(200 if sent else 401)
        if not sent:
            self.send_header("WWW-Authenticate", "Basic realm=test")
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *args):  # pylint: disable=arguments-differ
        del args


class Readers:
    """Asks all of them. The host is 127.0.0.1, where a server notes what uv, curl and pip send."""

    def __init__(self, folder):
        self.folder = folder
        self.pythons = [
            subprocess.Popen(
                [path, "-I", "-c", ASKED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for path in pythons()
        ]
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.logins = []
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = "http://127.0.0.1:%d/" % self.server.server_port

    def stop(self):
        for process in self.pythons:
            process.communicate()
        self.server.shutdown()
        self.server.server_close()

    def of_pythons(self, path):
        answers = []
        for process in self.pythons:
            process.stdin.write(json.dumps([str(path), "127.0.0.1"]) + "\n")
            process.stdin.flush()
            answers.append(json.loads(process.stdout.readline()))
        return [tuple(answer) if isinstance(answer, list) else answer for answer in answers]

    def of(self, *command, **variables):
        """The login that a command sends, as (user name, password), or None."""
        del self.server.logins[:]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **variables}
        subprocess.run(
            command,
            env=environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        return tuple(self.server.logins[-1].split(":", 1)) if self.server.logins else None

    def of_curl(self, path):
        return self.of("curl", "--silent", "--netrc-file", str(path), self.url)

    def of_uv(self, path):
        return self.of(
            find_uv(),
            "pip",
            "install",
            "--no-cache",
            "--python",
            sys.executable,
            "--target",
            str(self.folder / "t"),
            "no-such-thing",
            NETRC=str(path),
            UV_NO_CONFIG="1",
            UV_DEFAULT_INDEX=self.url,
        )

    def of_pip(self, path):
        return self.of(
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "no-such-thing",
            NETRC=str(path),
            PIP_NO_INPUT="1",
            PIP_CONFIG_FILE=os.devnull,
            PIP_INDEX_URL=self.url,
        )

    def all(self, path):
        return [*self.of_pythons(path), self.of_curl(path), self.of_uv(path), self.of_pip(path)]
