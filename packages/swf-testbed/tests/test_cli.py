# SPDX-License-Identifier: GPL-3.0-or-later
"""The command, with a real supervisord and stand-ins for the testbed's programs."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swf_testbed_cli.errors import TestbedError
from swf_testbed_cli.init import (
    COPIES_RETAINED,
    UNFIT_CHARACTERS,
    _back_up,
    initialise,
)
from swf_testbed_cli.instance import Instance
from swf_testbed_cli.stack import program_of, read_stack

# The stand-in for each program: it logs its arguments, and waits.
STAND_IN = """\
#!/bin/sh
echo "{\\"message\\": \\"started\\", \\"arguments\\": \\"$*\\"}"
echo "a word on stderr" >&2
env | sort > "$PWD/logs/$(basename "$0").env"
[ "$1" = serve ] && "$(dirname "$0")/python" -m http.server --bind "$4" "$6" >/dev/null 2>&1 &
sleep 1000 &
trap 'echo "got TERM"; kill $!; exit 0' TERM
wait $!
"""
HANGS = """
import sys, time
from swf_common_lib.exclusive import exclusive
with exclusive(sys.argv[1], 5):
    print("held", flush=True)
    time.sleep(100)
"""
SYSTEMCTL = """\
#!/bin/sh
echo "$@" >> {folder}/asked
case "$*" in
*MainPID*) echo {pid} ;;
*stop*)
    [ -e {folder}/may ] || {{ echo "Access denied"; exit 1; }}
    kill {pid} ;;
esac
"""
EARLIER = """\
[unix_http_server]
file=%(here)s/supervisor.sock
chmod=0700

[supervisorctl]
serverurl=unix://%(here)s/supervisor.sock

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisord]
identifier=swf-testbed
directory=%(here)s
logfile=%(here)s/logs/supervisord.log
pidfile=%(here)s/supervisord.pid
childlogdir=%(here)s/logs
umask=077
environment=
    ACTIVEMQ_PASSWORD_FILE="%(here)s/secrets/broker-password",
    SWF_BROKER_PORT="{broker}",
    SWF_MONITOR_PORT="{monitor}"

[program:broker]
command={bin_dir}/swf-broker
priority=100
startsecs=0
stopasgroup=true
killasgroup=true
stdout_logfile=%(here)s/logs/%(program_name)s.log
stderr_logfile=%(here)s/logs/%(program_name)s.err.log

[program:monitor]
command={bin_dir}/swf-monitor serve --setup --host 127.0.0.1 --port {monitor}
environment=
    SECRET_KEY_FILE="%(here)s/secrets/django-secret-key"
priority=200
startsecs=0
stopasgroup=true
killasgroup=true
stdout_logfile=%(here)s/logs/%(program_name)s.log
stderr_logfile=%(here)s/logs/%(program_name)s.err.log
"""
ALL = len(read_stack()["components"])

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def venv_bin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A venv that has this package, supervisor and stand-ins for the other programs."""
    home = tmp_path_factory.mktemp("venv with space")
    venv.create(home, symlinks=True)
    site = next(home.glob("lib/python*/site-packages"))
    # addsitedir and not a plain path: an editable install is found through its .pth file.
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    site.joinpath("tests.pth").write_text(
        "".join(f"import site; site.addsitedir({p!r})\n" for p in paths)
    )
    for name in {program_of(item) for item in read_stack()["components"]}:
        script = home / "bin" / name
        script.write_text(STAND_IN)
        script.chmod(0o755)
    return home / "bin"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path, for its socket, and with a blank, as a home may have."""
    place = Path(tempfile.mkdtemp(prefix="swf tb-"))
    yield place
    pid_file = place / "supervisord.pid"
    if pid_file.exists() and alive(pid := int(pid_file.read_text())):
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not alive(pid))
    shutil.rmtree(place)


@pytest.fixture(scope="session")
def command_server(venv_bin: Path) -> Iterator[subprocess.Popen[str]]:
    server = Path(__file__).with_name("command_server.py")
    with subprocess.Popen(
        [str(venv_bin / "python"), str(server)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        assert process.stdin
        process.stdin.close()


@pytest.fixture
def run(command_server: subprocess.Popen[str], folder: Path, tmp_path: Path) -> Run:
    outputs = [tmp_path / "stdout", tmp_path / "stderr"]

    def run(
        *arguments: str, cwd: Path = folder, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        clean = {
            k: v for k, v in os.environ.items() if not k.startswith(("SWF_", "ACTIVEMQ_", "XDG_"))
        }
        clean |= {"HOME": str(folder / "home"), "COLUMNS": "150", **environment}
        request = {"arguments": arguments, "cwd": str(cwd), "environment": clean}
        request |= {"stdout": str(outputs[0]), "stderr": str(outputs[1])}
        assert command_server.stdin
        assert command_server.stdout
        command_server.stdin.write(json.dumps(request) + "\n")
        command_server.stdin.flush()
        status = int(command_server.stdout.readline())
        return subprocess.CompletedProcess(
            arguments, status, *(path.read_text() for path in outputs)
        )

    return run


def free_ports() -> list[str]:
    # below those of outgoing connections, which could take one while a test starts the programs again
    ports: list[str] = []
    for port in random.sample(range(20000, 32000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(str(port))
        if len(ports) == 3:
            break
    options = ("--broker-port", "--monitor-port", "--mcp-port")
    return [part for pair in zip(options, ports, strict=True) for part in pair]


@pytest.fixture
def made(run: Run, folder: Path) -> Path:
    done = run("init", *free_ports())
    assert done.returncode == 0, done.stderr
    configuration = folder / "supervisord.conf"
    configuration.write_text(configuration.read_text().replace("startsecs = ", "startsecs = 0 ;"))
    return configuration


@pytest.fixture
def started(run: Run, made: Path) -> Path:
    done = run("start")
    assert done.returncode == 0, done.stderr
    return made


def wait_until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "never came true"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def fails(
    done: subprocess.CompletedProcess[str], cause: str, next_command: str, status: int = 1
) -> None:
    """The two lines of a clear error, and no traceback."""
    assert done.returncode == status, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert lines[-2].startswith("swf-testbed: "), lines
    assert cause in lines[-2]
    assert lines[-1].startswith("  next: ")
    assert next_command in lines[-1]


def states(run: Run) -> dict[str, dict]:
    return {p["name"]: p for p in json.loads(run("status", "--json").stdout)["programs"]}


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


class TestInit:
    def test_the_files_that_it_creates(self, run: Run, folder: Path) -> None:
        done = run("init", "new")
        assert "swf-testbed start" in done.stdout
        new = folder / "new"
        assert stat.S_IMODE((new / "secrets").stat().st_mode) == 0o700
        secrets = {path.name: path.read_text().strip() for path in (new / "secrets").iterdir()}
        assert set(secrets) == {"api_token", "monitor_secret_key", "broker_password"}
        assert re.fullmatch("[0-9a-f]{40}", secrets["api_token"])
        assert len(secrets["monitor_secret_key"]) >= 50
        assert {stat.S_IMODE(path.stat().st_mode) for path in (new / "secrets").iterdir()} == {
            0o600
        }
        config = (new / "supervisord.conf").read_text()
        for secret in secrets.values():
            assert secret not in config + done.stdout + done.stderr
        assert {path.name for path in (new / "data").iterdir()} == {"stf", "monitor", "broker"}
        assert (new / "logs").is_dir()
        assert "{" not in config, "a placeholder was left"

    def test_nothing_is_overwritten(self, run: Run, made: Path) -> None:
        made.write_text("[supervisord]\n; mine")
        fails(run("init"), "already initialised", "init --force")
        assert made.read_text() == "[supervisord]\n; mine"

    def test_force_retains_secrets_and_data(self, run: Run, made: Path) -> None:
        made.write_text("broken")
        secrets = {path: path.read_text() for path in made.parent.glob("secrets/*")}
        next(iter(secrets)).chmod(0o644)
        data = made.parent / "data/stf/run-000001"
        data.mkdir()
        assert run("init", "--force").returncode == 0
        assert "[program:broker]" in made.read_text()
        assert {path: path.read_text() for path in made.parent.glob("secrets/*")} == secrets
        assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
        assert data.is_dir()

    def test_force_carries_over_the_secrets_of_an_earlier_version(
        self, run: Run, made: Path
    ) -> None:
        former = {
            "api_token": "api-token",
            "monitor_secret_key": "django-secret-key",
            "broker_password": "broker-password",
        }
        folder = made.parent / "secrets"
        secrets = {}
        for name, former_name in former.items():
            secrets[name] = (folder / name).read_text()
            (folder / name).rename(folder / former_name)
        made.write_text("; of an earlier version")
        done = run("init", "--force")
        assert done.returncode == 0, done.stderr
        assert "secrets/broker_password" in done.stdout
        for name, former_name in former.items():
            for path in (folder / name, folder / former_name):
                assert path.read_text() == secrets[name]
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
        # a secret that was replaced since stays
        (folder / "api_token").write_text("0" * 40)
        assert run("init", "--force").returncode == 0
        assert (folder / "api_token").read_text() == "0" * 40

    def test_force_copies_an_edited_file(self, run: Run, made: Path) -> None:
        edited = made.read_bytes() + b"; edited by hand, latin-1: \xe4\n"
        made.write_bytes(edited)
        made.chmod(0o640)
        done = run("init", "--force")
        assert done.returncode == 0, done.stderr
        found = re.search(r"Copied the former supervisord.conf to (.*)\n", done.stdout)
        assert found
        copy = Path(found[1])
        assert (copy.parent, copy.read_bytes()) == (made.parent, edited)
        assert stat.S_IMODE(copy.stat().st_mode) == 0o640
        assert made.read_bytes() != edited
        # the file is unchanged: no further copy
        assert "Copied" not in run("init", "--force").stdout
        assert list(made.parent.glob("supervisord.conf.*")) == [copy]

    def test_force_copies_a_linked_file_and_retains_few_copies(
        self, run: Run, made: Path, folder: Path
    ) -> None:
        target = folder / "mine.conf"
        target.write_text("; mine, elsewhere\n")
        made.unlink()
        made.symlink_to(target)
        mine = folder / "supervisord.conf.mine"
        mine.touch()
        assert "Copied" in run("init", "--force").stdout
        assert target.read_text() == "; mine, elsewhere\n"
        (linked,) = (path for path in folder.glob("supervisord.conf.2*"))
        assert linked.read_text() == "; mine, elsewhere\n"
        for number in range(COPIES_RETAINED + 2):
            made.write_text(f"; {number}")
            assert run("init", "--force").returncode == 0
        texts = {path.read_text() for path in folder.glob("supervisord.conf.2*")}
        assert texts == {f"; {number}" for number in range(2, COPIES_RETAINED + 2)}
        assert mine.exists()

    def test_every_copy_of_one_second_is_retained_in_order(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(time, "gmtime", lambda: (2026, 1, 1, 0, 0, 0, 3, 1, 0))
        conf = folder / "supervisord.conf"
        for number in range(2 * COPIES_RETAINED + 2):
            # a new file each time: the former copy is a link to the former file
            conf.unlink(missing_ok=True)
            conf.write_text(f"; {number}")
            assert _back_up(conf).read_text() == f"; {number}"
        texts = {path.read_text() for path in folder.glob("supervisord.conf.2*")}
        assert texts == {
            f"; {number}" for number in range(COPIES_RETAINED + 2, 2 * COPIES_RETAINED + 2)
        }

    def test_the_newest_copy_stays_where_the_clock_went_back(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        conf = folder / "supervisord.conf"
        for year in range(2026 + COPIES_RETAINED, 2024, -1):
            monkeypatch.setattr(time, "gmtime", lambda year=year: (year, 1, 1, 0, 0, 0, 3, 1, 0))
            # a new file each time: the former copy is a link to the former file
            conf.unlink(missing_ok=True)
            conf.write_text(f"; {year}")
            assert _back_up(conf).read_text() == f"; {year}"

    def test_a_path_that_is_too_long(self, run: Run, folder: Path) -> None:
        fails(run("init", "x" * 90), "99 is the limit", "swf-testbed init ~/testbed")
        assert not (folder / ("x" * 90)).exists()

    def test_the_longest_path_works(self, run: Run, folder: Path) -> None:
        deep = folder / ("x" * (99 - len(str(folder)) - len("/supervisor.sock") - 1))
        assert run("init", str(deep), *free_ports()).returncode == 0
        done = run("start", cwd=deep)
        assert done.returncode == 0, done.stderr
        assert run("stop", cwd=deep).stdout == "Stopped.\n"

    @pytest.mark.parametrize("character", UNFIT_CHARACTERS)
    def test_a_path_that_supervisor_cannot_hold(self, folder: Path, character: str) -> None:
        with pytest.raises(TestbedError, match="cannot hold a path with"):
            initialise(
                folder / f"a{character}b", force=False, broker_port=1, monitor_port=2, mcp_port=3
            )

    def test_a_program_that_is_not_installed(self, run: Run, venv_bin: Path) -> None:
        program = venv_bin / "swf-mcp-agent"
        program.rename(venv_bin / "renamed")
        try:
            fails(run("init"), "swf-mcp-agent is not installed", "pip install swf-testbed")
        finally:
            (venv_bin / "renamed").rename(program)

    def test_a_folder_that_cannot_be_written(self, run: Run) -> None:
        fails(run("init", "/proc/nothing"), "cannot write /proc/nothing", "init")


STACK = """\
title: A stack of a physicist
requires: {python: "3.10", sqlite: "3.31"}
generated_secrets: [admin_key]
state_directories: [pages]
health: {page: /health.json}
environment: {WHERE: "{{ swf_testbed_layout.state_dir }}/pages", EMPTY: "{{ swf_testbed_ca_cert }}"}
broker: {multicast: [all, others]}
components:
  - name: pages
    role: monitor
    package: my-pages
    command: "swf-monitor serve all at {{ swf_testbed_monitor_host }} port {{ swf_testbed_monitor_port }}"
    directory: "{{ swf_testbed_layout.state_dir }}/../"
    listens: {host: "{{ swf_testbed_monitor_host }}", port: "{{ swf_testbed_monitor_port }}",
              variable: swf_testbed_monitor_port}
    secrets: {ADMIN_KEY_FILE: admin_key, DB_PASSWORD_FILE: database_password}
  - {name: hub, role: broker, command: swf-broker, priority: 100}
  - {name: shell, role: tool, command: /bin/sleep 1000}
"""


class TestOtherStack:
    @pytest.fixture
    def stack(self, folder: Path) -> Path:
        path = folder / "my stack.yml"
        path.write_text(STACK)
        return path

    @pytest.fixture
    def made(self, run: Run, folder: Path, stack: Path) -> Path:
        done = run("init", "--stack", str(stack), *free_ports())
        assert done.returncode == 0, done.stderr
        return folder / "supervisord.conf"

    def test_from_init_to_stop(self, run: Run, made: Path) -> None:
        done = run("start")
        assert done.returncode == 0, done.stderr
        assert re.search(r"The monitor's page: http://127.0.0.1:\d+/\n", done.stdout)
        assert "3 programs are running; health not checked. To check it: " in done.stdout
        assert {name: p["state"] for name, p in states(run).items()} == {
            "pages": "RUNNING",
            "hub": "RUNNING",
            "shell": "RUNNING",
        }
        assert "Running; health not checked" in run("status").stdout
        (made.parent / "health.json").write_text(json.dumps({"status": "ok"}))
        assert "not checked" not in run("status").stdout
        self.with_probes(run, made)
        environment = (made.parent / "logs/swf-monitor.env").read_text()
        assert f"ADMIN_KEY_FILE={made.parent}/secrets/admin_key\n" in environment
        assert f"WHERE={made.parent}/data/pages\n" in environment
        assert "EMPTY" not in environment
        assert "DB_PASSWORD_FILE" not in environment
        assert (
            "SWF_BROKER_MULTICAST=all,others\n" in (made.parent / "logs/swf-broker.env").read_text()
        )
        assert stat.S_IMODE((made.parent / "secrets/admin_key").stat().st_mode) == 0o600
        assert (made.parent / "data/pages").is_dir()
        assert run("restart", "shell").returncode == 0
        assert run("stop").stdout == "Stopped.\n"
        assert '"serve all at 127.0.0.1' in run("logs", "pages").stdout

    @staticmethod
    def with_probes(run: Run, made: Path) -> None:
        """Of an instance that the collection deployed: only the collection can check them."""
        text, page = made.read_text(), made.parent / "health.json"
        report = page.read_text()
        made.write_text(text.replace("[swf-testbed]\n", "[swf-testbed]\nrelease = /opt/1\n"))
        page.write_text('# Written by somebody\n{"probes": [{"name": "one"}]}\n')
        assert (
            "Running; health not checked: the collection has 1 probes for it. To check it: "
            "ansible-playbook playbooks/status.yml\n" in run("status").stdout
        )
        assert json.loads(run("status", "--json").stdout)["health_checked"] is False
        made.write_text(text)
        page.write_text(report)

    def test_a_port_that_is_in_use(self, run: Run, made: Path) -> None:
        port = Instance(made).ports()["pages"][1]
        with socket.create_server(("127.0.0.1", port)):
            fails(run("start"), f"port {port} (pages) is in use", "ss -ltnp")

    @pytest.mark.parametrize(
        ("old", "new", "cause", "next_command"),
        [
            ("title:", "steps: [{name: x}]\ntitle:", "set up in a folder: it has steps", "ansible-playbook"),
            ("sqlite:", "postgresql:", "it has requires.postgresql without", "ansible-playbook"),
            ("title:", "secrets_in: environment\ntitle:", "it has secrets_in: ", "ansible-playbook"),
            ("swf_testbed_ca_cert", "my_ca", "'my_ca' is undefined", "ansible-playbook"),
            ("role: broker, ", "", "is not a stack file: each component has a name, a role",
            "edit"), ("components:", "parts:", "is not a stack file", "edit"),
            ("components:", "components: [", "cannot read the stack file", "edit"),
            ("swf-monitor serve", "my-pages serve", "my-pages is not installed for", "pip install my-pages"),
        ],
    )  # fmt: skip
    def test_a_stack_that_a_folder_cannot_have(
        self, run: Run, folder: Path, stack: Path, old: str, new: str, cause: str, next_command: str
    ) -> None:
        replace(stack, old, new)
        fails(run("init", "new", "--stack", str(stack)), cause, next_command)
        assert not (folder / "new").exists()


class TestLife:
    def test_from_start_to_stop(self, run: Run, made: Path) -> None:
        done = run("start", ACTIVEMQ_PASSWORD="of my shell", SWF_RUN_COUNT="3")
        assert done.returncode == 0, done.stderr
        assert f"{ALL} programs are running" in done.stdout
        page = re.search(r"http://127.0.0.1:(\d+)/\n", done.stdout)
        assert page, done.stdout
        socket.create_connection(("127.0.0.1", int(page[1]))).close()
        now = run("status")
        assert now.returncode == 0
        assert now.stdout.count("RUNNING") == ALL

        again = run("start")
        assert (again.returncode, "Already running." in again.stdout) == (0, True)
        assert len(states(run)) == ALL

        environment = (made.parent / "logs/swf-data-agent.env").read_text()
        assert f"ACTIVEMQ_PASSWORD_FILE={made.parent}/secrets/broker_password\n" in environment
        assert f"SWF_DATA_DIR={made.parent}/data/stf\n" in environment
        assert "of my shell" not in environment
        assert "SWF_RUN_COUNT" not in environment
        assert "SECRET_KEY" not in environment, "only the monitor needs it"
        assert "SECRET_KEY_FILE=" in (made.parent / "logs/swf-monitor.env").read_text()
        self.no_secret_on_a_command_line(made.parent)
        assert stat.S_IMODE((made.parent / "logs/broker.log").stat().st_mode) == 0o600

        pids = [p["pid"] for p in states(run).values()]
        done = run("stop")
        assert (done.returncode, done.stdout) == (0, "Stopped.\n")
        assert not any(alive(pid) for pid in pids)
        assert "got TERM" in (made.parent / "logs/monitor.log").read_text()
        assert run("stop").stdout == "It was not running.\n"
        fails(run("status"), "the testbed is not running", "swf-testbed start", status=4)

    def test_a_command_that_hangs_is_named(self, run: Run, made: Path) -> None:
        path = made.parent / "supervisor.sock.lock"
        holder = [sys.executable, "-c", HANGS, str(path)]
        with subprocess.Popen(holder, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout
            assert other.stdout.readline() == "held\n"
            for command in ("start", "stop"):
                done = run(command, "--timeout", "1")
                assert done.returncode != 0
                cause = f"another command is working on this testbed: process {other.pid} (user "
                assert cause in done.stderr
            other.kill()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        # a command does not wait for the lock of a file that any user may read
        with made.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            assert run("stop").stdout == "It was not running.\n"

    def test_systemd_stops_a_daemon_that_it_started(
        self, run: Run, started: Path, tmp_path: Path
    ) -> None:
        """With a stand-in for systemctl: these tests run without systemd. Molecule uses the real
        one."""
        pid = int((started.parent / "supervisord.pid").read_text())
        stand_in = tmp_path / "systemctl"
        stand_in.write_text(SYSTEMCTL.format(folder=tmp_path, pid=pid))
        stand_in.chmod(0o755)
        unit = "\n[swf-testbed]\nunit=thing.service\nunit_scope=system\n"
        started.write_text(started.read_text() + unit)
        path = f"{tmp_path}:{os.environ['PATH']}"
        done = run("stop", PATH=path)
        assert done.returncode != 0
        assert "systemd did not stop thing.service: Access denied" in done.stderr
        assert "sudo systemctl stop thing.service" in done.stderr
        assert alive(pid), (
            "systemd would restart it, but the command would report that it is stopped"
        )
        (tmp_path / "may").touch()
        done = run("stop", PATH=path)
        assert (done.returncode, done.stdout) == (0, "Stopped.\n")
        assert "--no-ask-password stop thing.service" in (tmp_path / "asked").read_text()

    @staticmethod
    def no_secret_on_a_command_line(folder: Path) -> None:
        secrets = [path.read_text().strip().encode() for path in folder.glob("secrets/*")]
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = path.read_bytes()
            except OSError:
                continue
            assert not any(secret in line for secret in secrets)

    def test_json(self, run: Run, started: Path) -> None:
        answer = json.loads(run("status", "--json").stdout)
        assert answer["configuration"] == str(started)
        assert answer["daemon"]["running"] is True
        assert {p["name"] for p in answer["programs"]} >= {
            "broker",
            "monitor",
            "monitor-listener",
            "mcp-agent",
        }
        program = answer["programs"][0]
        assert program["state"] == "RUNNING"
        assert program["pid"] > 0
        assert program["uptime_seconds"] >= 0
        run("stop")
        done = run("status", "--json")
        assert done.returncode == 4
        assert json.loads(done.stdout)["daemon"] == {
            "running": False,
            "cause": "the testbed is not running",
            "next": "swf-testbed start",
        }

    def test_some_not_running(self, run: Run, made: Path) -> None:
        replace(made, "[program:mcp-agent]", "[program:mcp-agent]\nautostart=false")
        made.write_text(made.read_text().replace("autostart = true\n", ""))
        done = run("start")
        assert done.returncode == 0, "a program without autostart is not waited for"
        done = run("status")
        assert done.returncode == 3
        assert "STOPPED" in done.stdout

    def test_restart_of_one(self, run: Run, started: Path) -> None:
        before = states(run)
        done = run("restart", "monitor")
        assert done.returncode == 0, done.stderr
        after = states(run)
        assert {n for n in after if after[n]["pid"] != before[n]["pid"]} == {"monitor"}

    def test_restart_of_all_reads_the_configuration(self, run: Run, started: Path) -> None:
        before = json.loads(run("status", "--json").stdout)
        replace(started, "[program:mcp-agent]", "[program:one-more]")
        done = run("restart")
        assert done.returncode == 0, done.stderr
        after = json.loads(run("status", "--json").stdout)
        assert after["daemon"]["pid"] == before["daemon"]["pid"]
        old = {p["pid"] for p in before["programs"]}
        assert not old & {p["pid"] for p in after["programs"]}
        assert "one-more" in {p["name"] for p in after["programs"]}

    def test_restart_with_a_broken_configuration_changes_nothing(
        self, run: Run, started: Path
    ) -> None:
        before = states(run)
        replace(
            started, "[program:mcp-agent]", "[program:bad]\nautostart=perhaps\n[program:mcp-agent]"
        )
        fails(run("restart"), "perhaps", "edit")
        assert {n: p["pid"] for n, p in states(run).items()} == {
            n: p["pid"] for n, p in before.items()
        }

    def test_restart_starts_a_stopped_testbed(self, run: Run, made: Path) -> None:
        done = run("restart")
        assert done.returncode == 0, done.stderr
        assert run("status").returncode == 0

    def test_two_starts_at_once(self, run: Run, made: Path, venv_bin: Path) -> None:
        command = [str(venv_bin / "python"), "-m", "swf_testbed_cli", "start"]
        both = [
            subprocess.Popen(command, cwd=made.parent, stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        answers = [process.communicate(timeout=60)[0] for process in both]
        assert [process.returncode for process in both] == [0, 0], answers
        assert sorted("Already running." in answer for answer in answers) == [False, True]

    def test_start_starts_a_program_that_ended(self, run: Run, started: Path) -> None:
        os.kill(
            states(run)["daqsim-agent"]["pid"], signal.SIGTERM
        )  # ends well: supervisor leaves it
        wait_until(lambda: states(run)["daqsim-agent"]["state"] == "EXITED")
        assert run("status").returncode == 3
        assert run("start").returncode == 0
        assert run("status").returncode == 0


class TestEarlierVersion:
    """A folder that an earlier version wrote: the ports are in [supervisord], and each program has
    two logs."""

    @pytest.fixture
    def made(self, made: Path, venv_bin: Path) -> Path:
        _, broker, _, monitor, *_ = free_ports()
        bin_dir = str(venv_bin).replace(" ", "\\ ")
        made.write_text(EARLIER.format(bin_dir=bin_dir, broker=broker, monitor=monitor))
        return made

    def test_from_start_to_stop(self, run: Run, made: Path) -> None:
        port = re.search(r'SWF_MONITOR_PORT="(\d+)"', made.read_text())
        assert port
        with socket.create_server(("127.0.0.1", int(port[1]))):
            fails(run("start"), f"port {port[1]} (SWF_MONITOR_PORT) is in use", "ss -ltnp")
        done = run("start")
        assert done.returncode == 0, done.stderr
        assert f"http://127.0.0.1:{port[1]}/" in done.stdout
        assert run("status").returncode == 0
        assert run("restart", "broker").returncode == 0
        assert run("restart").returncode == 0
        assert run("logs", "broker", "--stderr").stdout.startswith("a word on stderr\n")
        assert "a word" not in run("logs", "broker").stdout
        assert run("stop").stdout == "Stopped.\n"
        assert run("logs", "broker", "--stderr").stdout.startswith("a word on stderr\n")
        environment = (made.parent / "logs/swf-broker.env").read_text()
        assert f"ACTIVEMQ_PASSWORD_FILE={made.parent}/secrets/broker-password\n" in environment

    def test_a_program_that_fails(self, run: Run, made: Path) -> None:
        replace(made, "swf-broker", "not-there")
        fails(run("start"), "did not start: broker (FATAL)", "swf-testbed logs broker --stderr")


class TestHealth:
    """The stand-in for the monitor serves files, and the health report is one of them."""

    @pytest.mark.parametrize(
        ("answer", "cause"),
        [
            ({"status": "ok", "agents": {"ok": True}}, None),
            (
                {"status": "error", "agents": {"ok": False, "detail": "7 of 8 agents are alive"}},
                "agents: 7 of 8 agents are alive",
            ),
            (
                {"status": "error", "database": {"ok": False, "error": "read-only"}},
                "database: read-only",
            ),
            ({"status": "error"}, "the monitor shows the cause only to clients with its API token"),
            ({"another": "page"}, None),
        ],
    )
    def test_status_shows_the_health_report_of_the_monitor(
        self, run: Run, started: Path, answer: dict, cause: str | None
    ) -> None:
        page = started.parent / "api/health"
        page.mkdir(parents=True)
        (page / "index.html").write_text(json.dumps(answer))
        done = run("status")
        seen = json.loads(run("status", "--json").stdout)
        assert len(seen["programs"]) == ALL
        checked = "status" in answer
        assert seen["health_checked"] is checked
        assert ("Running; health not checked" in done.stdout) is not checked
        if cause:
            assert (done.returncode, seen["not_healthy"]) == (3, [cause])
            assert f"swf-testbed: not healthy: {cause}" in done.stderr
        else:
            assert (done.returncode, seen["not_healthy"], done.stderr) == (0, [], "")


class TestErrors:
    def test_not_initialised(self, run: Run) -> None:
        for command in (["start"], ["stop"], ["restart"], ["logs", "broker"]):
            fails(run(*command), "not initialised", "swf-testbed init")
        fails(run("status"), "not initialised", "swf-testbed init", status=4)
        fails(run("start", "--config", "elsewhere"), "there is no elsewhere", "swf-testbed init")

    def test_a_program_that_fails(self, run: Run, made: Path, folder: Path) -> None:
        bad = folder / "bad.sh"
        bad.write_text("#!/bin/sh\necho 'the cause of it all' >&2\nexit 3\n")
        bad.chmod(0o755)
        text = re.sub(r"command = .*swf-mcp-agent", f"command = /bin/sh '{bad}'", made.read_text())
        made.write_text(
            text.replace("startsecs = 0", "startsecs = 1").replace(
                "startretries = 3", "startretries = 0"
            )
        )
        done = run("start")
        fails(done, "did not start: mcp-agent (FATAL)", "swf-testbed logs mcp-agent")
        assert "    the cause of it all" in done.stderr
        assert run("status").returncode == 3
        assert run("logs", "mcp-agent", "--stderr").stdout.endswith("the cause of it all\n")

    def test_a_dead_daemon_that_left_its_socket_and_its_programs(
        self, run: Run, started: Path
    ) -> None:
        def kill_daemon() -> list[int]:
            answer = json.loads(run("status", "--json").stdout)
            os.kill(answer["daemon"]["pid"], signal.SIGKILL)
            wait_until(lambda: run("status").returncode == 4)
            return [program["pid"] for program in answer["programs"]]

        programs = kill_daemon()
        assert (started.parent / "supervisor.sock").exists()
        assert all(alive(pid) for pid in programs), "the programs of a killed daemon go on"
        fails(run("status"), "the daemon is dead, but its socket", "swf-testbed start", status=4)
        done = run("start")
        assert done.returncode == 0, done.stderr
        assert re.search(r"Ended \d+ processes of a dead daemon", done.stdout)
        assert "Removed the socket of a dead daemon" in done.stdout
        assert not any(alive(pid) for pid in programs), "they would run twice"
        assert run("status").returncode == 0

        programs = kill_daemon()
        assert run("stop").stdout == "Stopped.\n"
        assert not any(alive(pid) for pid in programs)

    @pytest.mark.parametrize(
        "loss", ["socket", "socket and pid file", "a file in the place of the socket"]
    )
    def test_a_daemon_that_lost_its_socket_is_found(
        self, run: Run, started: Path, loss: str
    ) -> None:
        pid = json.loads(run("status", "--json").stdout)["daemon"]["pid"]
        programs = [program["pid"] for program in states(run).values()]
        lose(started, loss)
        wait_until(lambda: f"(pid {pid})" in run("status").stderr)
        named = f"supervisord (pid {pid}) runs without its socket"
        fails(run("status"), named, "swf-testbed start", status=4)
        assert json.loads(run("status", "--json").stdout)["daemon"]["running"] is False
        done = run("start")
        assert done.returncode == 0, done.stderr
        assert f"{named}: ended it and its programs." in done.stdout
        assert not any(alive(old) for old in [pid, *programs]), "they would run twice"
        assert run("status").returncode == 0

        pid = json.loads(run("status", "--json").stdout)["daemon"]["pid"]
        programs = [program["pid"] for program in states(run).values()]
        lose(started, loss)
        wait_until(lambda: f"(pid {pid})" in run("status").stderr)
        assert run("stop").stdout == "Stopped.\n"
        assert not any(alive(old) for old in [pid, *programs])
        assert run("stop").stdout == "It was not running.\n"

    def test_a_second_daemon_while_one_lost_its_socket(
        self, run: Run, started: Path, venv_bin: Path
    ) -> None:
        first = json.loads(run("status", "--json").stdout)["daemon"]["pid"]
        lose(started, "socket and pid file")
        # as an earlier version of this command did, except for the relative path
        replace(started, "monitor 127.0.0.1 ", "monitor 127.0.0.1 1")
        command = [str(venv_bin / "python"), "-m", "supervisor.supervisord", "-csupervisord.conf"]
        subprocess.run(command, cwd=started.parent, check=True)
        wait_until(lambda: f"(pid {first})" in run("status").stderr)
        done = run("status")
        assert done.returncode == 3
        assert "its programs run twice" in done.stderr
        replace(started, "monitor 127.0.0.1 1", "monitor 127.0.0.1 ")
        done = run("start")
        assert done.returncode == 0, done.stderr
        assert not alive(first)
        assert (run("status").returncode, run("status").stderr) == (0, "")

    def test_other_processes_are_not_taken_for_the_daemon(self, run: Run, made: Path) -> None:
        """A process that reads the configuration, and the control program."""
        commands = [
            ["sh", "-c", "sleep 100; :", "supervisord", "-c", str(made)],
            [
                "sh",
                "-c",
                "sleep 100; :",
                "python",
                "-m",
                "supervisor.supervisorctl",
                "-c",
                str(made),
            ],
        ]
        others = [subprocess.Popen(command, start_new_session=True) for command in commands]
        try:
            time.sleep(2.5)
            fails(run("status"), "the testbed is not running", "swf-testbed start", status=4)
            assert run("stop").stdout == "It was not running.\n"
            assert all(other.poll() is None for other in others)
        finally:
            for other in others:
                os.killpg(other.pid, signal.SIGKILL)
                other.wait()

    def test_an_unknown_program(self, run: Run, started: Path) -> None:
        for command in ("restart", "logs"):
            fails(
                run(command, "monitr"),
                "no program 'monitr'; there are: broker, daqsim-agent",
                "status",
            )

    @pytest.mark.parametrize("program", ["broker", "monitor", "mcp-agent"])
    def test_a_port_that_is_in_use(self, run: Run, made: Path, program: str) -> None:
        port = re.search(rf"\n    {program} 127.0.0.1 (\d+)\n", made.read_text())
        assert port
        with socket.create_server(("127.0.0.1", int(port[1]))):
            fails(run("start"), f"port {port[1]} ({program}) is in use", "ss -ltnp")
        assert not (made.parent / "supervisord.pid").exists()

    def test_only_ports_of_the_stack_are_checked(self, folder: Path) -> None:
        conf = folder / "supervisord.conf"
        conf.write_text(
            "[program:mine]\nenvironment=N=%(process_num)02d,ACTIVEMQ_PORT=61613,SWF_MY_PORT=1\n"
            "[program:mcp]\nenvironment=SWF_MCP_HOST=::1,SWF_MCP_PORT=8003,SWF_BROKER_PORT=x\n"
        )
        assert Instance(conf).ports() == {"SWF_MCP_PORT": ("::1", 8003)}
        conf.write_text("[swf-testbed]\nlistens =\n    web ::1 8003\n    hub 127.0.0.1 8004\n")
        assert Instance(conf).ports() == {"web": ("::1", 8003), "hub": ("127.0.0.1", 8004)}
        conf.write_text("[swf-testbed]\nlistens = web:8003\n")
        with pytest.raises(TestbedError, match="listens has lines without a program"):
            Instance(conf).ports()

    def test_a_configuration_that_cannot_be_read(self, run: Run, made: Path) -> None:
        replace(made, "minfds = 1024", "minfds = many")
        fails(run("start"), "supervisord did not start: ", "supervisord.log")
        made.write_text("no section\n")
        fails(run("start"), "cannot read", "init --force")

    @pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
    def test_the_socket_of_another_user(self, run: Run, started: Path, venv_bin: Path) -> None:
        for path in [started.parent, venv_bin.parent.parent, venv_bin.parent, *venv_bin.parents]:
            if path.stat().st_uid == os.getuid() and str(path).startswith(
                tempfile.gettempdir() + "/"
            ):
                path.chmod(0o755)
        # First as root, which imports everything: that user may not reach the interpreter.
        code = """if True:
            import contextlib, os, sys
            from swf_testbed_cli.main import main
            sys.argv = ["swf-testbed", "status"]
            with contextlib.suppress(SystemExit):
                main()
            os.setgid(65534)
            os.setuid(65534)
            main()
        """
        done = subprocess.run(
            [str(venv_bin / "python"), "-c", code],
            cwd=started.parent,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        fails(done, "permission denied: the socket", "sudo -u root swf-testbed status", status=4)

    def test_something_else_answers(self, run: Run, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            (folder / "supervisord.conf").write_text(
                f"[supervisorctl]\nserverurl=http://127.0.0.1:{port}\n"
            )
            process = subprocess.Popen([sys.executable, "-c", ANSWER_ONCE], stdin=other.fileno())
            fails(run("status"), "is not supervisord (404", "edit", status=4)
            process.wait(20)


def lose(configuration: Path, what: str) -> None:
    """Remove the socket of a daemon; a daemon that is younger than 2 s may still create it."""
    socket_path = configuration.with_name("supervisor.sock")
    socket_path.unlink()
    if "pid file" in what:
        configuration.with_name("supervisord.pid").unlink()
    if "in the place" in what:
        socket_path.touch()


ANSWER_ONCE = """
import socket
client, _ = socket.socket(fileno=0).accept()
client.recv(4096)
client.sendall(b"HTTP/1.1 404 Nothing here\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
client.close()
"""


class TestLogs:
    def test_both_streams_and_lines(self, run: Run, started: Path) -> None:
        lines = run("logs", "monitor-listener").stdout.splitlines()
        assert json.loads(lines[0])["arguments"] == "listen"
        assert lines[1:] == ["a word on stderr"]
        assert run("logs", "broker", "--stderr").stdout == run("logs", "broker").stdout
        with (started.parent / "logs/broker.log").open("a") as log:
            log.writelines(f"line {n} \x1b[1m\n" for n in range(50_000))
        assert run("logs", "broker", "-n", "2").stdout == "line 49998 \x1b[1m\nline 49999 \x1b[1m\n"
        assert run("logs", "broker", "-n", "0").stdout == ""

    def test_of_all_programs(self, run: Run, started: Path) -> None:
        for second, name in enumerate(("monitor", "broker", "data-agent")):
            with (started.parent / f"logs/{name}.log").open("a") as log:
                log.write(f'{{"time": "2999-01-01T00:00:0{second}", "message": "m{second}"}}\n')
        with (started.parent / "logs/data-agent.log").open("a") as log:
            log.write("its last words")
        lines = run("logs", "--all", "-n", "4").stdout.splitlines()
        assert [line.split() for line in lines] == [
            ["monitor", "00:00:00", "m0"],
            ["broker", "00:00:01", "m1"],
            ["data-agent", "00:00:02", "m2"],
            ["data-agent", "its", "last", "words"],
        ]
        assert {line.index("00:00") for line in lines[:3]} == {len("processing-agent") + 2}
        run("stop")
        assert "got TERM" in run("logs", "--all", "-n", "100").stdout
        fails(run("logs", "--all", "-f"), "not running", "start")

    def test_of_all_programs_while_they_write(
        self, venv_bin: Path, started: Path, folder: Path
    ) -> None:
        command = [str(venv_bin / "python"), "-m", "swf_testbed_cli", "logs", "--all", "-f", "-n1"]
        with subprocess.Popen(
            command, cwd=folder, env=os.environ | {"HOME": str(folder)}, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout
            process.stdout.readline()
            for text in ("half of ", "a line\n"):
                with (started.parent / "logs/broker.log").open("a") as log:
                    log.write(text)
                time.sleep(0.7)
            assert process.stdout.readline().split(maxsplit=1) == [b"broker", b"half of a line\n"]
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 130

    def test_needs_a_program_or_all(self, run: Run, made: Path) -> None:
        fails(run("logs"), "either the name of a program or --all", "logs --all")
        fails(run("logs", "broker", "--all"), "either the name of a program or --all", "logs --all")

    def test_after_the_end(self, run: Run, started: Path) -> None:
        run("stop")
        # the shell may write a line about its job, too
        assert "got TERM\n" in run("logs", "monitor", "-n", "3").stdout
        fails(run("logs", "monitor", "-f"), "not running", "start")
        fails(run("logs", "monitr"), "no program 'monitr'", "status")

    @pytest.mark.parametrize(
        "loss", ["deleted", "renamed", "moved elsewhere", "replaced by an empty one"]
    )
    def test_a_log_that_is_not_in_its_place(
        self, run: Run, started: Path, folder: Path, loss: str
    ) -> None:
        log = started.parent / "logs/broker.log"
        pid = json.loads(run("status", "--json").stdout)["daemon"]["pid"]
        (folder / "elsewhere").mkdir()
        if loss == "deleted":
            log.unlink()
        else:
            log.rename(
                folder / "elsewhere/broker.log" if "elsewhere" in loss else f"{log}-20260102"
            )
        if "replaced" in loss:
            log.touch()
        done = run("logs", "broker")
        what = "deleted" if loss == "deleted" else "moved"
        fails(done, f"the log {log} was {what}", f"kill -USR2 {pid}")
        assert '"message": "started"' in done.stdout, "what can be read is shown all the same"
        seen = run("status")
        assert seen.returncode == 0, "the programs run"
        assert f"the log {log} was" in seen.stderr
        os.kill(pid, signal.SIGUSR2)
        wait_until(lambda: not run("status").stderr)
        assert run("logs", "broker").returncode == 0

    def test_a_log_that_cannot_be_found_again(self, run: Run, started: Path, folder: Path) -> None:
        log = started.parent / "logs/supervisord.log"
        log.rename(folder / "other name")
        assert (
            "moved or deleted while it is open; the open file was not found" in run("status").stderr
        )
        log = started.parent / "logs/broker.log"
        log.rename(folder / "also another name")
        done = run("logs", "broker")
        fails(done, f"the log {log} was moved or deleted", "kill -USR2")
        assert done.stdout == ""

    def test_a_log_that_was_deleted_while_the_program_is_down(
        self, run: Run, started: Path
    ) -> None:
        os.kill(states(run)["daqsim-agent"]["pid"], signal.SIGTERM)
        wait_until(lambda: states(run)["daqsim-agent"]["state"] == "EXITED")
        log = started.parent / "logs/daqsim-agent.log"
        log.unlink()
        fails(
            run("logs", "daqsim-agent"), f"daqsim-agent has no log: {log} does not exist", "status"
        )

    def test_follow_through_a_rotation(self, run: Run, started: Path, venv_bin: Path) -> None:
        log = started.parent / "logs/broker.log"
        process = subprocess.Popen(
            [
                str(venv_bin / "python"),
                "-u",
                "-m",
                "swf_testbed_cli",
                "logs",
                "broker",
                "-f",
                "-n",
                "1",
            ],
            cwd=started.parent,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        try:
            assert process.stdout.readline() == "a word on stderr\n"
            with log.open("a") as file:
                file.write("before\n")
            assert process.stdout.readline() == "before\n"
            log.rename(log.with_suffix(".1"))
            log.write_text("after\n")
            assert process.stdout.readline() == "after\n"
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 130
        finally:
            process.kill()


class TestEnv:
    @staticmethod
    def evaluated(output: str) -> dict[str, str]:
        """The variables of a shell that evaluates it, and has no other ones."""
        done = subprocess.run(
            ["/bin/sh", "-c", 'eval "$1"; env -0', "sh", output],
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        found = dict(item.split("=", 1) for item in done.stdout.split("\0") if item)
        assert found.pop("PATH") == "/usr/bin:/bin"
        return {name: value for name, value in found.items() if name not in ("PWD", "_", "SHLVL")}

    def test_a_program_and_a_script_have_the_same(
        self, run: Run, started: Path, folder: Path
    ) -> None:
        found = self.evaluated(run("env", "data-agent").stdout)
        program = folder / "logs/swf-data-agent.env"
        wait_until(lambda: program.exists() and program.read_text())
        assert found
        assert {f"{name}={value}" for name, value in found.items()} <= set(
            program.read_text().splitlines()
        )

    def test_without_a_program_it_has_what_all_programs_share(self, run: Run, made: Path) -> None:
        names = [program.name for program in Instance(made).programs()]
        each = [set(self.evaluated(run("env", name).stdout).items()) for name in names]
        shared = self.evaluated(run("env").stdout)
        assert set(shared.items()) == set.intersection(*each)
        assert "SWF_MONITOR_URL" in shared

    def test_it_prints_no_secret(self, run: Run, made: Path) -> None:
        secrets = [path.read_text().strip() for path in (made.parent / "secrets").iterdir()]
        for program in Instance(made).programs():
            output = run("env", program.name).stdout
            assert not any(secret in output for secret in secrets)

    def test_another_name(self, run: Run, made: Path) -> None:
        fails(run("env", "data-agnt"), "no program 'data-agnt'; there are: ", "status")


class TestCompletion:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_names_of_programs_of_a_stopped_testbed(
        self, venv_bin: Path, made: Path, shell: str
    ) -> None:
        completed = [
            self.complete(venv_bin, shell, f"swf-testbed {command} mo", made.parent)
            for command in ("logs", "restart", "env")
        ]
        assert completed == [["monitor", "monitor-listener"]] * 3

    def test_of_the_testbed_that_is_named(self, venv_bin: Path, made: Path, tmp_path: Path) -> None:
        made.rename(tmp_path / "supervisord.conf")
        line = f"swf-testbed logs --config {tmp_path} dat"
        assert self.complete(venv_bin, "bash", line, Path("/")) == ["data-agent"]

    def test_without_a_testbed_there_are_none(self, venv_bin: Path, folder: Path) -> None:
        assert self.complete(venv_bin, "bash", "swf-testbed logs mo", folder) == []

    @staticmethod
    def complete(venv_bin: Path, shell: str, line: str, folder: Path) -> list[str]:
        """The completions of the last word."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SWF_", "XDG_"))}
        done = subprocess.run(
            [str(venv_bin / "python"), "-m", "swf_testbed_cli"],
            cwd=folder,
            env=clean
            | {
                "HOME": str(folder),
                "_SWF_TESTBED_COMPLETE": f"complete_{shell}",
                "COMP_WORDS": line,
                "COMP_CWORD": str(line.count(" ")),
                "_TYPER_COMPLETE_ARGS": line,
                "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            },
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.stderr == ""
        return re.findall(r"[a-z-]{3,}", done.stdout.replace("_arguments", ""))


class TestProvisioned:
    """A host that was provisioned otherwise: the command finds the instance and its daemon."""

    def test_order_of_places(self, run: Run, started: Path, folder: Path) -> None:
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir()
        assert run("status", cwd=elsewhere).returncode == 4
        for environment in (
            {"SWF_TESTBED_CONFIG": str(started)},
            {"SWF_TESTBED_CONFIG": str(started.parent)},
        ):
            assert run("status", cwd=elsewhere, **environment).returncode == 0
        assert run("status", "--config", str(started), cwd=elsewhere).returncode == 0
        user = folder / "home/.config/swf-testbed"
        user.mkdir(parents=True)
        (user / "supervisord.conf").write_text(
            f"[unix_http_server]\nfile={folder}/supervisor.sock\n"
        )
        assert run("status", cwd=elsewhere).returncode == 0
        assert run("status", cwd=elsewhere, SWF_TESTBED_INSTANCE="other").returncode == 4
        xdg = folder / "xdg/other"
        shutil.copytree(user, xdg)
        assert (
            run(
                "status",
                cwd=elsewhere,
                SWF_TESTBED_INSTANCE="other",
                XDG_CONFIG_HOME=str(xdg.parent),
            ).returncode
            == 0
        )
        # a daemon serves its socket: start must not start a second one
        assert "Already running." in run("start", cwd=elsewhere).stdout
        fails(run("start", "--config", str(elsewhere), cwd=elsewhere), "not initialised", "init")

    def test_an_instance_of_another_stack(self, run: Run, made: Path, folder: Path) -> None:
        """What the collection renders: names of others, no page with a report of the health."""
        home = folder / "home/.config/public"
        home.mkdir(parents=True)
        text = made.read_text().replace("%(here)s", str(folder))
        for old in ("[program:%s]", "monitor = %s\n", "    %s 127.0.0.1 "):
            text = text.replace(old % "monitor", old % "web")
        text = re.sub("health_page = .*", "health_page =\nrelease = /opt/public/releases/1", text)
        (home / "supervisord.conf").write_text(text)
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir()
        environment = {
            "SWF_TESTBED_INSTANCE": "public",
            # as programs of the public testbed have it
            "SWF_TESTBED_CONFIG": str(home / "testbed.toml"),
        }
        done = run("start", cwd=elsewhere, **environment)
        assert done.returncode == 0, done.stderr
        assert "The monitor's page: http://127.0.0.1:" in done.stdout
        (folder / "api/health").mkdir(parents=True)
        (folder / "api/health/index.html").write_text('{"status": "ok"}')
        done = run("status", cwd=elsewhere, **environment)
        assert done.returncode == 0, done.stderr
        assert "web " in done.stdout
        assert "health not checked" in done.stdout
        assert "To check it: ansible-playbook" in done.stdout
        assert "started" in run("logs", "web", cwd=elsewhere, **environment).stdout
        assert run("stop", cwd=elsewhere, **environment).stdout == "Stopped.\n"

    def test_the_command_of_a_release_finds_its_own_instance(
        self, started: Path, folder: Path, venv_bin: Path
    ) -> None:
        root = folder / "home/.local/share/mine"
        release = root / "releases/0.2.0-3f2a9c1e"
        release.parent.mkdir(parents=True)
        shutil.copytree(venv_bin.parent, release, symlinks=True)
        (root / "current").symlink_to("releases/0.2.0-3f2a9c1e")
        config = folder / "home/.config/mine"
        config.mkdir(parents=True)
        (config / "supervisord.conf").write_text(
            f"[supervisorctl]\nserverurl=unix://{folder}/supervisor.sock\n"
        )
        for python in (root / "current/bin/python", release / "bin/python"):
            done = subprocess.run(
                [str(python), "-m", "swf_testbed_cli", "status", "--json"],
                cwd=folder / "home",
                env={"HOME": str(folder / "home"), "PATH": os.environ["PATH"]},
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["configuration"] == str(config / "supervisord.conf")

    def test_over_tcp_with_a_password(self, run: Run, made: Path) -> None:
        port = free_ports()[1]
        text = made.read_text()
        text = re.sub(
            r"\[unix_http_server\]\n.*\n.*\n",
            f"[inet_http_server]\nport=127.0.0.1:{port}\nusername=u\npassword=p%%w\n",
            text,
        )
        text = re.sub(
            r"serverurl = .*\n",
            f"serverurl=http://127.0.0.1:{port}\nusername=u\npassword=p%%w\n",
            text,
        )
        made.write_text(text)
        fails(run("status"), "not running", "swf-testbed start", status=4)
        done = run("start")
        assert done.returncode == 0, done.stderr
        assert run("status").returncode == 0
        assert "started" in run("logs", "broker").stdout
        made.write_text(text.replace("password=p%%w", "password=wrong"))
        fails(run("status"), "rejected the credentials", "edit", status=4)
        made.write_text(text)
        assert run("stop").stdout == "Stopped.\n"

    def test_another_supervisord(self, run: Run, made: Path, folder: Path, venv_bin: Path) -> None:
        tool = folder / "tool"
        tool.write_text(
            f'#!/bin/sh\ntouch "{folder}/used"\nexec "{venv_bin}/python" -m supervisor.supervisord "$@"\n'
        )
        tool.chmod(0o755)
        replace(
            made, "[unix_http_server]", f"[swf-testbed]\nsupervisord={tool}\n[unix_http_server]"
        )
        done = run("start")
        assert done.returncode == 0, done.stderr
        assert (folder / "used").exists()


def test_version(venv_bin: Path) -> None:
    command = [str(venv_bin / "python"), "-m", "swf_testbed_cli", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert re.fullmatch(r"swf-testbed \d+\.\d+\.\d+\n", done.stdout)
