# SPDX-License-Identifier: GPL-3.0-or-later
"""Real package indexes on loopback (pypiserver), and tiny wheels to put into them."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile

from passlib.apache import HtpasswdFile

from helpers.ports import free_port


def make_wheel(
    folder, name, version, requires=(), body="def main():\n    print('hello')\n", script=None
):
    """A wheel with one module, and a console script if its name is given. Returns its path."""
    module = name.replace("-", "_")
    info = "%s-%s.dist-info" % (module, version)
    files = {
        module + "/__init__.py": body,
        info + "/METADATA": "Metadata-Version: 2.1\nName: %s\nVersion: %s\n" % (name, version)
        + "".join("Requires-Dist: %s\n" % item for item in requires),
        info + "/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: "
        "py3-none-any\n",
    }
    if script:
        files[info + "/entry_points.txt"] = "[console_scripts]\n%s = %s:main\n" % (script, module)
    files[info + "/RECORD"] = "".join(map(record, files.items())) + info + "/RECORD,,\n"
    path = folder / ("%s-%s-py3-none-any.whl" % (module, version))
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in files.items():
            # a fixed time: the same wheel has the same hash
            archive.writestr(zipfile.ZipInfo(member), text)
    return path


def record(member):
    """The line of a file in RECORD."""
    name, text = member
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    return "%s,sha256=%s,%d\n" % (name, digest, len(text.encode()))


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class IndexServer:
    """pypiserver over a folder, with or without a password; remembers in its log which names it was
    asked for."""

    def __init__(self, folder, token=None, user="reader", address="127.0.0.1"):
        self.folder, self.token, self.user = folder, token, user
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder.parent / (folder.name + ".log")
        self.port = free_port()
        root = "http://%s:%d/" % ("[%s]" % address if ":" in address else address, self.port)
        self.url = root + "simple/"
        access = ["-P", ".", "-a", "."]
        if token:
            htpasswd = folder.parent / (folder.name + ".htpasswd")
            accounts = HtpasswdFile(str(htpasswd), new=True, default_scheme="ldap_sha1")
            accounts.set_password(user, token)
            accounts.save()
            access = ["-P", str(htpasswd), "-a", "list,download,update"]
        command = [
            sys.executable,
            "-m",
            "pypiserver",
            "run",
            "-i",
            address,
            "-p",
            str(self.port),
            "--disable-fallback",
            "--hash-algo",
            "sha256",
            "--log-file",
            str(self.log),
            "-v",
            *access,
            str(folder),
        ]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(root, timeout=5).close()
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                assert self.process.poll() is None, "the index ended at its start"
                time.sleep(0.1)
        raise AssertionError("the index does not answer")

    def as_index(self, name, **more):
        index = {"name": name, "url": self.url, "packages": []}
        if self.token:
            index.update(username=self.user, token=self.token)
        return dict(index, **more)

    def asked_for(self):
        return self.log.read_text() if self.log.exists() else ""

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
