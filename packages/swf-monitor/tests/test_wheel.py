# SPDX-License-Identifier: GPL-3.0-or-later
"""The wheel: it contains all files of the programs, which run from it."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import Api, Program, free_port, make_site, need, wait_until

need(find_spec("hatchling"), "the build backend is not installed: pip install hatchling")
PACKAGE = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = "import sys, hatchling.build; hatchling.build.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=PACKAGE, check=True, timeout=60)
    return next(folder.glob("*.whl"))


def test_every_file_of_the_source_is_in_the_wheel_and_no_other(wheel: Path) -> None:
    source = PACKAGE / "src"
    wanted = {
        str(path.relative_to(source))
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    contained = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert contained == wanted
    assert {
        "swf_monitor/templates/swf_monitor/page.html",
        "swf_monitor/migrations/0001_initial.py",
    } <= contained


def test_it_runs_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "venv"
    # The dependencies are those of this environment; only swf-monitor itself is from the wheel.
    venv.create(home, with_pip=False)
    place = next(home.glob("lib/python*/site-packages"))
    zipfile.ZipFile(wheel).extractall(place)
    (place / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    # A part of the testbed may be installed as a link to its source.
    import swf_common_lib

    (place / "common.pth").write_text(str(Path(swf_common_lib.__file__).parent.parent) + "\n")
    python = home / "bin" / "python"
    where = subprocess.run(
        [python, "-c", "import swf_monitor; print(swf_monitor.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert where.stdout.startswith(str(place))

    site = make_site(tmp_path)
    site.environment.pop("PYTHONPATH", None)
    port = free_port()
    log = tmp_path / "serve.log"
    program = Program(
        ["swf_monitor.cli", "serve", "--setup", "--port", str(port)],
        site.environment,
        log,
        str(python),
    )
    try:
        api = Api(f"http://127.0.0.1:{port}")
        wait_until(
            lambda: program.has_output('"serving"') and api.answers(), "answer of the server"
        )
        page = api.get("/")
        assert page.status == 200
        assert "No agent has reported yet" in page.text
        assert api.post("/api/runs/", {}).status == 201
        assert program.stop() == 0
    finally:
        program.kill()


def test_migrations_are_complete(django_site: None) -> None:
    """A change of a model without its migration would only be detected by the next upgrade."""
    from django.core.management import call_command

    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_command_is_an_entry_point() -> None:
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="swf-monitor")
    assert script.value == "swf_monitor.cli:main"
