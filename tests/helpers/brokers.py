# SPDX-License-Identifier: GPL-3.0-or-later
"""Real brokers on ports of their own: that of the testbed, and Artemis as its administrators make
it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from helpers.ports import free_port
from helpers.unprivileged import as_myself
from helpers.used_services import texts

ROOT = Path(__file__).resolve().parents[2]
USER, PASSWORD = "swf", "canary-of-the-broker"
#: the group of the artifact before 2.45
ARTEMIS = {"2.40.0": "org.apache.activemq", "2.56.0": "org.apache.artemis"}
REPOSITORY = Path.home() / ".m2/repository"


@contextlib.contextmanager
def embedded(**environment):
    """The port of the testbed's own broker."""
    port = free_port()
    command = [sys.executable, "-m", "swf_broker", "--port", str(port)]
    variables = {"SWF_BROKER_USER": USER, "SWF_BROKER_PASSWORD": PASSWORD, "SWF_LOG_LEVEL": "ERROR"}
    with tempfile.TemporaryDirectory() as folder:
        # its version, which an installation would have
        metadata = Path(folder, "swf_broker-0.dist-info/METADATA")
        metadata.parent.mkdir()
        metadata.write_text("Metadata-Version: 2.1\nName: swf-broker\nVersion: 0\n")
        path = "%s:%s" % (ROOT / "packages/swf-broker/src", folder)
        variables.update(PYTHONPATH=path, PYTHONDONTWRITEBYTECODE="1")
        options = {"env": {**os.environ, **variables, **environment}, **as_myself()}
        with ended(subprocess.Popen(command, **options)):
            wait_for(port, 20)
            yield port


@contextlib.contextmanager
def ended(process):
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def wait_for(port, seconds):
    deadline = time.monotonic() + seconds
    while texts(port) and time.monotonic() < deadline:
        time.sleep(0.2)


def archive(version):
    """The archive of Artemis, from Maven's local repository or Maven Central."""
    group = ARTEMIS[version]
    name = "apache-artemis-%s-bin.tar.gz" % version
    path = REPOSITORY / group.replace(".", "/") / "apache-artemis" / version / name
    if not path.exists():
        artifact = "%s:apache-artemis:%s:tar.gz:bin" % (group, version)
        goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.0:get"
        subprocess.run(
            ["mvn", "-q", "-B", goal, "-Dtransitive=false", "-Dartifact=" + artifact], check=True
        )
    return path


class Artemis:
    """A broker as `artemis create` makes it, with STOMP alone.

    ``port`` is its acceptor without prefixes, ``prefixed`` one with them. The login ``guest`` may use
    addresses that begin with ``lab.`` alone.
    """

    def __init__(self, folder, version):
        programs = ("mvn", "java")
        if not all(map(shutil.which, programs)) and not os.environ.get("CI"):
            pytest.skip("needs Maven and Java: apt-get install maven openjdk-17-jre-headless")
        subprocess.run(["tar", "xzf", archive(version), "-C", folder], check=True)
        self.home, self.port, self.prefixed = folder / "broker", free_port(), free_port()
        create = folder / ("apache-artemis-%s/bin/artemis" % version)
        options = ["--silent", "--require-login", "--no-web", "--no-autotune", "--user", USER]
        options += ["--password", PASSWORD, "--host", "127.0.0.1"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([create, "create", self.home, *options], check=True, **quiet)
        self.settings = self.home / "etc/broker.xml"
        self._only_stomp()
        for name, line in (("users", "guest=canary"), ("roles", "guests=guest")):
            path = self.home / ("etc/artemis-%s.properties" % name)
            path.write_text(path.read_text().rstrip("\n") + "\n" + line + "\n")
        profile = self.home / "etc/artemis.profile"
        profile.write_text(re.sub(r"-Xms\w+ -Xmx\w+", "-Xms64M -Xmx256M", profile.read_text()))

    def _only_stomp(self):
        address = '<acceptor name="%s">tcp://127.0.0.1:%d?protocols=STOMP%s</acceptor>'
        acceptors = address % ("stomp", self.port, "")
        prefixes = ";anycastPrefix=/queue/;multicastPrefix=/topic/"
        acceptors += address % ("prefixed", self.prefixed, prefixes)
        text = self.settings.read_text()
        text = re.sub(
            "<acceptors>.*</acceptors>",
            "<acceptors>%s</acceptors>" % acceptors,
            text,
            flags=re.DOTALL,
        )
        rights = "".join(
            '<permission type="%s" roles="guests"/>' % name
            for name in ("createAddress", "createNonDurableQueue", "createDurableQueue")
            + ("deleteNonDurableQueue", "consume", "send")
        )
        for prefix in ("", "/queue/", "/topic/"):
            line = '<security-setting match="%slab.#">%s</security-setting>' % (prefix, rights)
            text = text.replace("<security-settings>", "<security-settings>" + line, 1)
        self.settings.write_text(text)

    @contextlib.contextmanager
    def running(self):
        log = self.home / "log/console.log"
        with open(log, "wb") as stream:
            command = [self.home / "bin/artemis", "run"]
            with ended(subprocess.Popen(command, stdout=stream, stderr=stream)):
                wait_for(self.port, 120)
                yield self

    def add(self, lines):
        """Add lines to broker.xml, as an administrator does, and let the broker read it."""
        text = self.settings.read_text()
        for section, line in lines:
            text = text.replace("</%s>" % section, line + "\n</%s>" % section, 1)
        self.settings.write_text(text)
        # it looks every 5 s
        time.sleep(8)


@contextlib.contextmanager
def scripted(answers):
    """The port of a server that answers the first frames of each connection with a script."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(client):
            with client, contextlib.suppress(OSError):
                for answer in answers:
                    if not client.recv(65536):
                        return
                    client.sendall(answer.encode() + b"\0")
                # until the client closes the connection
                while client.recv(65536):
                    pass

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    client, _address = listener.accept()
                    threading.Thread(target=serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
