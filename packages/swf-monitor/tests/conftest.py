# SPDX-License-Identifier: GPL-3.0-or-later
"""Real components: processes of the installed `swf-monitor`, a real broker, a real PostgreSQL."""

import contextlib
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

TOKEN = "c0ffee0000c0ffee0000c0ffee0000c0ffee0000"
SECRET_KEY = "canary-secret-key-of-the-tests"
PASSWORDS = {
    "ACTIVEMQ_PASSWORD": "canary-broker-password",
    "DB_PASSWORD": "canary-database-password",
}
# The variables that a process inherits. The test sets all others.
INHERITED = (
    "PATH",
    "HOME",
    "LANG",
    "PYTHONPATH",
    "PYTHONDONTWRITEBYTECODE",
    "VIRTUAL_ENV",
    "TMPDIR",
)


def need(there: object, what: str) -> None:
    """Skip tests whose requirements this machine lacks. In CI, that is a failure."""
    if not there and os.environ.get("CI"):
        pytest.fail(what)
    if not there:
        pytest.skip(what, allow_module_level=True)


def wait_until(condition: Callable[[], Any], what: str, timeout: float = 30.0) -> Any:
    """Wait until `condition` is true; return its value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"within {timeout:.0f} s there was no {what}"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Answer:
    status: int
    text: str
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Api:
    """An HTTP client of one monitor."""

    url: str
    token: str | None = TOKEN

    def request(
        self, method: str, path: str, body: Any = None, raw: bytes | None = None, **headers: str
    ) -> Answer:
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=named)
        if data is not None and not request.has_header("Content-type"):
            request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_header("Authorization", f"Token {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return Answer(response.status, response.read().decode(), dict(response.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode(), dict(error.headers))

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def post(self, path: str, body: Any) -> Answer:
        return self.request("POST", path, body)

    def patch(self, path: str, body: Any) -> Answer:
        return self.request("PATCH", path, body)

    def answers(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.get("/api/summary/").status)
        return False


class Program:
    """A process whose output is in a file."""

    def __init__(
        self,
        arguments: list[str],
        environment: dict[str, str],
        log: Path,
        python: str = sys.executable,
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [python, "-m", *arguments], env=environment, stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8")

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.splitlines()]

    def has_output(self, text: str) -> bool:
        assert self.process.poll() is None, f"the program ended:\n{self.output}"
        return text in self.output

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(10)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


@dataclass
class Site:
    """One monitor: its settings, its processes."""

    folder: Path
    environment: dict[str, str]
    programs: list[Program] = field(default_factory=list)

    def command(
        self, *arguments: str, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "swf_monitor.cli", *arguments],
            env=self.environment | environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def set_up(self) -> dict[str, Any]:
        done = self.command("setup")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(
        self, *arguments: str, module: str = "swf_monitor.cli", **environment: str
    ) -> Program:
        log = self.folder / f"{len(self.programs)}.log"
        program = Program([module, *arguments], self.environment | environment, log)
        self.programs.append(program)
        return program

    def serve(self, *options: str, **environment: str) -> tuple[Program, Api]:
        port = free_port()
        program = self.start("serve", "--port", str(port), *options, **environment)
        api = Api(f"http://127.0.0.1:{port}")
        wait_until(
            lambda: program.has_output('"serving"') and api.answers(), "answer of the server"
        )
        return program, api

    def start_broker(self, port: int) -> Program:
        program = self.start(
            "--port",
            str(port),
            module="swf_broker",
            SWF_BROKER_DATA_DIR=str(self.folder / "broker"),
        )
        wait_until(lambda: program.has_output('"listening"'), "broker")
        return program

    def python(self, code: str) -> str:
        """Run code in a process of its own, with the site's database."""
        done = subprocess.run(
            [sys.executable, "-c", f"import django\ndjango.setup()\n{code}"],
            env=self.environment | {"DJANGO_SETTINGS_MODULE": "swf_monitor.settings"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def close(self) -> None:
        for program in self.programs:
            program.kill()


def make_site(folder: Path, **environment: str) -> Site:
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    own = {
        "SECRET_KEY": SECRET_KEY,
        "SWF_API_TOKEN": TOKEN,
        "SWF_MONITOR_DATA_DIR": str(folder / "monitor"),
        "PYTHONUNBUFFERED": "1",
    }
    return Site(folder, inherited | own | environment)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A monitor with SQLite, not set up yet."""
    made = make_site(tmp_path)
    yield made
    made.close()


class Testbed:
    """Server, listener and broker of one site."""

    __test__ = False

    def __init__(self, site: Site) -> None:
        self.site = site
        self.port = free_port()
        site.environment["ACTIVEMQ_PORT"] = str(self.port)
        self.broker = site.start_broker(self.port)
        _, self.api = site.serve("--setup")
        claimed = self.api.post(
            "/api/namespaces/claim/", {"name": "testbed", "owner": "me", "agent": "data@here"}
        )
        assert claimed.status == 200, claimed.text
        self.listener = self.listen()

    def listen(self) -> Program:
        program = self.site.start("listen")
        self.wait_until_healthy()
        return program

    def health(self) -> dict[str, Any]:
        return self.api.get("/api/health/").json

    def wait_until_healthy(self) -> None:
        wait_until(lambda: self.health()["status"] == "ok", "health")

    def count(self) -> int:
        return self.api.get("/api/summary/").json["messages"]

    def rows(self, path: str) -> list[dict[str, Any]]:
        return self.api.get(f"/api/{path}").json["results"]

    def wait_for(self, number: int) -> None:
        wait_until(lambda: self.count() >= number, f"{number} messages")


@pytest.fixture
def testbed(site: Site) -> Testbed:
    return Testbed(site)


@dataclass
class PostgreSQL:
    """A private cluster, on a port of 127.0.0.1, that may be stopped and started."""

    folder: Path
    binaries: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        return {
            "DB_HOST": "127.0.0.1",
            "DB_PORT": str(self.port),
            "DB_NAME": "postgres",
            "DB_USER": "swf",
            "DB_PASSWORD": PASSWORDS["DB_PASSWORD"],
        }

    def run(self, *command: str) -> None:
        # PostgreSQL does not run as root.
        user = "nobody" if os.getuid() == 0 else None
        subprocess.run(
            [str(self.binaries / command[0]), *command[1:]],
            user=user,
            cwd=self.folder,
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=60,
        )

    def sql(self, statement: str) -> None:
        """Run one statement as the owner of the cluster."""
        import psycopg

        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            dbname="postgres",
            user="swf",
            password=PASSWORDS["DB_PASSWORD"],
            autocommit=True,
        ) as connection:
            connection.execute(statement)  # type: ignore[arg-type]

    def start(self) -> None:
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        )
        self.run("pg_ctl", "-w", "-D", "data", "-l", "log", "-o", options, "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-w", "-D", "data", "-m", "immediate", "stop")


def _postgresql_binaries() -> Path | None:
    found = shutil.which("pg_ctl")
    places = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name)
    )
    return Path(found).parent if found else places[-1] if places else None


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    binaries = _postgresql_binaries()
    need(binaries, "no PostgreSQL server on this machine: apt-get install postgresql")
    assert binaries
    need(find_spec("psycopg"), "psycopg is not installed: pip install 'swf-monitor[postgresql]'")
    # not the directory of pytest, which other users cannot enter
    folder = Path(tempfile.mkdtemp(prefix="swf-monitor-postgresql-"))
    (folder / "password").write_text(PASSWORDS["DB_PASSWORD"])
    if os.getuid() == 0:
        nobody = pwd.getpwnam("nobody")
        for path in (folder, folder / "password"):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
    cluster = PostgreSQL(folder, binaries, free_port())
    cluster.run(
        "initdb",
        "-D",
        "data",
        "-U",
        "swf",
        "--auth=scram-sha-256",
        "--pwfile=password",
        "--no-sync",
        "-E",
        "UTF8",
    )
    cluster.start()
    yield cluster
    cluster.stop()
    shutil.rmtree(folder)


@pytest.fixture
def postgresql_site(postgresql: PostgreSQL, tmp_path: Path) -> Iterator[Site]:
    """A monitor with PostgreSQL and a database of its own: agents of another test would not be
    alive here."""
    name = f"site_{secrets.token_hex(4)}"
    postgresql.sql(f"CREATE DATABASE {name}")
    made = make_site(tmp_path, **postgresql.environment | {"DB_NAME": name})
    yield made
    made.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A running server per database engine, shared by the tests of a module."""
    environment = {}
    if request.param == "postgresql":
        environment = request.getfixturevalue("postgresql").environment
    made = make_site(tmp_path_factory.mktemp(request.param), **environment)
    yield made.serve("--setup")[1]
    made.close()


@pytest.fixture(scope="session")
def django_site(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Django in this process, with a SQLite database of its own."""
    os.environ |= {
        "SECRET_KEY": SECRET_KEY,
        "SWF_MONITOR_DATA_DIR": str(tmp_path_factory.mktemp("in-process")),
        "DJANGO_SETTINGS_MODULE": "swf_monitor.settings",
        "ALLOWED_HOSTS": "testserver",
    }
    import django

    django.setup()
    from swf_monitor.provision import set_up

    set_up(TOKEN)
    # each request sees the changes of its test
    from swf_monitor.pages import history, overview

    for shared in (overview.shared, *history.recent.values()):
        shared.seconds = 0.0


@pytest.fixture
def database(django_site: None) -> Iterator[None]:
    """An empty database in this process."""
    yield
    from swf_monitor.models import (
        ListenerState,
        Message,
        Namespace,
        Run,
        SetAsideMessage,
        SystemAgent,
    )

    for model in (ListenerState, Message, Namespace, Run, SetAsideMessage, SystemAgent):
        model.objects.all().delete()
