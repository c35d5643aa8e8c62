# SPDX-License-Identifier: GPL-3.0-or-later
"""The command in the login of a physicist, where packages and libraries of an experiment override
ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from swf_testbed_cli import clean_start

# packages that the command imports, and that other parts of the testbed import
NAMES = (
    *(
        "typer",
        "click",
        "rich",
        "supervisor",
        "shellingham",
        "pygments",
        "markdown_it",
        "typing_extensions",
    ),
    *("requests", "yaml", "jinja2", "django", "urllib3", "stomp", "cryptography", "packaging"),
)


@pytest.fixture
def view(tmp_path: Path) -> Path:
    """A folder of broken packages of these names."""
    for name in NAMES:
        (tmp_path / "view" / name).mkdir(parents=True)
        (tmp_path / "view" / name / "__init__.py").write_text(
            f"raise SystemExit('wrong {name} from PYTHONPATH')"
        )
    return tmp_path / "view"


def run(command: list[str], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **more}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    "command",
    [[str(Path(sys.executable).with_name(name))] for name in ("swf-testbed", "testbed")]
    + [[sys.executable, "-m", "swf_testbed_cli"]],
    ids=["swf-testbed", "testbed", "-m"],
)
def test_the_command_does_not_see_packages_of_others(
    command: list[str], view: Path, tmp_path: Path
) -> None:
    done = run([*command, "status"], tmp_path, PYTHONPATH=str(view), LD_LIBRARY_PATH=str(view))
    assert "wrong" not in done.stdout + done.stderr
    assert "not initialised" in done.stderr
    assert done.returncode == 4


def test_arguments_arrive_as_they_were(view: Path, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("swf-testbed")), "status", "--config", "a b;'c'"]
    done = run(command, tmp_path, PYTHONPATH=str(view))
    assert "there is no a b;'c'" in done.stderr


def test_neither_python_nor_the_linker_is_led_elsewhere_and_the_rest_stays() -> None:
    login = {"PYTHONPATH": "/view", "PYTHONHOME": "/view", "LD_LIBRARY_PATH": "/view", "HOME": "/h"}
    assert clean_start.clean(login) == {"HOME": "/h"}
    assert clean_start.clean({"HOME": "/h"}) == {"HOME": "/h"}


def test_the_folder_that_the_program_itself_is_in_stays() -> None:
    own = {"PYTHONPATH": f"/view{os.pathsep}{Path(clean_start.__file__).parents[1]}"}
    assert clean_start.clean(own) == own


def test_a_python_of_the_view_retains_the_libraries_that_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needy = tmp_path / "python"
    needy.write_text('#!/bin/sh\ntest -n "$LD_LIBRARY_PATH"\n')
    needy.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(needy))
    login = {"PYTHONPATH": "/view", "LD_LIBRARY_PATH": "/view"}
    assert clean_start.clean(login) == {"LD_LIBRARY_PATH": "/view"}
