# SPDX-License-Identifier: GPL-3.0-or-later
"""An ActiveMQ Artemis as `artemis create` makes it: without prefixes, and with a login."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from types import TracebackType

import pytest
from swf_common_lib.testing import answers, free_port, wait_until

VERSION = "2.56.0"
GROUP = "org.apache.artemis"


def installed() -> Path:
    """The directory of the unpacked archive, which Maven fetches from Maven Central once."""
    if not (shutil.which("mvn") and shutil.which("java")):
        if os.environ.get("CI"):
            pytest.fail("no Maven and Java: apt-get install maven")
        pytest.skip("no Maven and Java on this machine: apt-get install maven")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "swf-testbed"
    home = cache / f"apache-artemis-{VERSION}"
    if not home.exists():
        artifact = f"{GROUP}:apache-artemis:{VERSION}:tar.gz:bin"
        _run("mvn", "-q", "dependency:get", f"-Dartifact={artifact}", "-Dtransitive=false")
        repository = Path.home() / ".m2/repository" / GROUP.replace(".", "/") / "apache-artemis"
        archive = repository / VERSION / f"apache-artemis-{VERSION}-bin.tar.gz"
        scratch = cache / f"unpacking-{os.getpid()}"
        with tarfile.open(archive) as stream:
            stream.extractall(scratch, filter="data")
        (scratch / home.name).rename(home)
        scratch.rmdir()
    return home


class Artemis:
    """A broker in a `with` statement, with STOMP on a free port of 127.0.0.1.

    :param directory: for its instance
    :param home: the unpacked archive
    """

    def __init__(self, directory: Path, home: Path) -> None:
        self._instance = directory / "artemis"
        self._home = home
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.env = {
            "ACTIVEMQ_HOST": "127.0.0.1",
            "ACTIVEMQ_PORT": str(self._port),
            "ACTIVEMQ_USER": "swf",
            "ACTIVEMQ_PASSWORD": "only-for-this-test",
        }

    def __enter__(self) -> Artemis:
        login = ("--user", "swf", "--password", "only-for-this-test", "--require-login")
        _run(
            str(self._home / "bin/artemis"), "create", *login, "--no-autotune", str(self._instance)
        )
        configuration = self._instance / "etc/broker.xml"
        text = configuration.read_text(encoding="utf-8")
        (acceptor,) = re.findall(r'<acceptor name="stomp">.*?</acceptor>', text)
        only = re.sub(r"tcp://[^?]*", f"tcp://127.0.0.1:{self._port}", acceptor)
        text = re.sub(
            r"<acceptors>.*</acceptors>", f"<acceptors>{only}</acceptors>", text, flags=re.S
        )
        configuration.write_text(text, encoding="utf-8")
        # no console, whose port may be taken
        bootstrap = self._instance / "etc/bootstrap.xml"
        text = bootstrap.read_text(encoding="utf-8")
        bootstrap.write_text(re.sub(r"<web .*</web>", "", text, flags=re.S), encoding="utf-8")
        with (self._instance / "output").open("ab") as log:
            process = subprocess.Popen(
                [str(self._instance / "bin/artemis"), "run"], stdout=log, stderr=log
            )
        self._process = process
        wait_until(lambda: answers(self._port) or process.poll() is not None, timeout=120)
        return self

    def __exit__(
        self,
        exception: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(60)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
