# SPDX-License-Identifier: GPL-3.0-or-later
"""`swf-monitor setup`: idempotent, with a correct --check, on both databases."""

import hashlib
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import TOKEN, PostgreSQL, Site, make_site, need

OTHER_TOKEN = "d" * 40


def contents(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mode,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def set_up(site: Site, *options: str, **environment: str) -> dict[str, object]:
    done = site.command("setup", *options, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)


def test_check_predicts_the_changes_of_setup(site: Site) -> None:
    predicted = set_up(site, "--check")
    assert predicted["changed"] is True
    assert "swf_monitor.0001_initial" in predicted["migrations"]
    assert contents(site.folder) == {}
    assert set_up(site) == predicted
    after = contents(site.folder)
    assert set_up(site, "--check") == {"changed": False, "migrations": []}
    assert contents(site.folder) == after
    assert set_up(site) == {"changed": False, "migrations": []}


def test_new_token_replaces_the_old_one(site: Site) -> None:
    site.set_up()
    assert set_up(site, "--check", SWF_API_TOKEN=OTHER_TOKEN) == {"changed": True, "migrations": []}
    _, api = site.serve()
    assert api.get("/api/runs/").status == 200
    assert set_up(site, SWF_API_TOKEN=OTHER_TOKEN)["changed"] is True
    assert api.get("/api/runs/").status == 401
    api.token = OTHER_TOKEN
    assert api.get("/api/runs/").status == 200


def test_setup_on_postgresql(postgresql_site: Site) -> None:
    # another test may have set it up before: only the second run must have nothing to do
    postgresql_site.set_up()
    assert set_up(postgresql_site, "--check") == {"changed": False, "migrations": []}
    assert set_up(postgresql_site) == {"changed": False, "migrations": []}
    assert not (postgresql_site.folder / "monitor").exists()


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_two_setups_at_the_same_time(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    environment = {}
    if engine == "postgresql":
        cluster: PostgreSQL = request.getfixturevalue("postgresql")
        cluster.sql("CREATE DATABASE contested")
        environment = cluster.environment | {"DB_NAME": "contested"}
    site = make_site(tmp_path, **environment)
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "swf_monitor.cli", "setup"],
            env=site.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    outputs = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], outputs
    assert sorted(json.loads(stdout)["changed"] for stdout, _ in outputs) == [False, False, True]


def test_database_file_is_for_its_owner_alone(site: Site) -> None:
    site.set_up()
    assert {path.stat().st_mode & 0o777 for path in (site.folder / "monitor").iterdir()} == {0o600}
    assert (site.folder / "monitor").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("environment", "cause"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY (or SECRET_KEY_FILE) is not set"),
        ({"SECRET_KEY_FILE": "/nonexistent"}, "SECRET_KEY and SECRET_KEY_FILE are both set"),
        ({"SWF_API_TOKEN": ""}, "SWF_API_TOKEN (or SWF_API_TOKEN_FILE) is not set"),
        ({"SWF_API_TOKEN": "short"}, "SWF_API_TOKEN must be 40 hexadecimal characters"),
        ({"SWF_LOG_LEVEL": "LOUD"}, "SWF_LOG_LEVEL must be one of"),
        ({"DEBUG": "perhaps"}, "DEBUG must be true or false"),
        ({"DB_HOST": "127.0.0.1", "DB_PORT": "0"}, "DB_PORT must be from 1 to 65535"),
        ({"SWF_MONITOR_DATA_DIR": "/proc/none"}, "cannot use SWF_MONITOR_DATA_DIR"),
        ({"DB_HOST": "127.0.0.1", "DB_PORT": "1"}, "the database does not answer"),
    ],
)
def test_wrong_settings_are_one_clear_line(
    site: Site, environment: dict[str, str], cause: str
) -> None:
    if "DB_HOST" in environment:
        need(
            find_spec("psycopg"), "psycopg is not installed: pip install 'swf-monitor[postgresql]'"
        )
    done = site.command("setup", **environment)
    assert done.returncode in (1, 2)
    assert cause in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_secrets_may_be_in_files(site: Site) -> None:
    for name, value in (("SECRET_KEY", "in-a-file"), ("SWF_API_TOKEN", TOKEN)):
        path = site.folder / name
        path.write_text(value + "\n")
        site.environment[f"{name}_FILE"] = str(path)
        del site.environment[name]
    assert set_up(site)["changed"] is True


HANGS = """
import sys, time
from swf_monitor import cli
cli._start_django(cli.Environment())
from swf_monitor import provision
def hang():
    print("held", flush=True)
    time.sleep(100)
provision.pending_migrations = hang
cli.main(["setup"])
"""
IMPATIENT = """
import sys
from swf_monitor import cli
environment = cli.Environment()
cli._start_django(environment)
from swf_monitor import provision
provision.PATIENCE = 0.5
sys.exit(cli._set_up(environment, cli._parser().parse_args(["setup"])))
"""


def while_another_setup_hangs(site: Site) -> tuple[int, subprocess.CompletedProcess[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HANGS], env=site.environment, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        done = subprocess.run(
            [sys.executable, "-c", IMPATIENT],
            env=site.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        other.kill()
    return other.pid, done


def test_a_setup_that_hangs_is_named(site: Site) -> None:
    pid, done = while_another_setup_hangs(site)
    assert done.returncode == 1
    assert f"process {pid} (user " in done.stderr, done.stderr
    assert set_up(site)["changed"] is True


def test_a_setup_that_hangs_is_named_on_postgresql(postgresql_site: Site) -> None:
    _, done = while_another_setup_hangs(postgresql_site)
    assert done.returncode == 1
    assert "user swf" in done.stderr, done.stderr
    assert "pg_terminate_backend(" in done.stderr
    assert set_up(postgresql_site)["changed"] is True


def test_migrations_are_complete(django_site: None) -> None:
    """A change of a model without its migration would only be detected by the next upgrade."""
    from django.core.management import call_command

    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_command_is_an_entry_point() -> None:
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="swf-monitor")
    assert script.value == "swf_monitor.cli:main"
