# SPDX-License-Identifier: GPL-3.0-or-later
"""The API tokens of issued logins, in a file that changes while the monitor serves."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import TOKEN, Api, Program, Site

ALICE = {"login": "alice", "token": "a" * 40}
BOB = {"login": "bob", "token": "b" * 40}


def write(path: Path, *logins: object) -> None:
    """Replace the file, as a deployment does."""
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps(logins))
    scratch.rename(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logins.json"


@pytest.fixture
def served(site: Site, path: Path) -> tuple[Program, Api]:
    site.set_up()
    return site.serve(SWF_API_LOGINS_FILE=str(path))


@pytest.fixture
def api(served: tuple[Program, Api]) -> Api:
    return served[1]


def status(api: Api, login: dict[str, str]) -> int:
    return Api(api.url, login["token"]).get("/api/runs/").status


def test_a_login_is_issued_and_revoked_while_the_monitor_serves(api: Api, path: Path) -> None:
    assert status(api, ALICE) == 401
    write(path, ALICE, BOB)
    assert (status(api, ALICE), status(api, BOB)) == (200, 200)
    write(path, BOB)
    assert (status(api, ALICE), status(api, BOB)) == (401, 200)
    changed = {**BOB, "token": "c" * 40}
    write(path, changed)
    assert (status(api, BOB), status(api, changed)) == (401, 200)
    path.unlink()
    assert status(api, changed) == 401
    assert api.get("/api/runs/").status == 200


def test_a_restart_changes_nothing(site: Site, served: Any, path: Path) -> None:
    program, api = served
    write(path, ALICE)
    assert status(api, ALICE) == 200
    assert program.stop() == 0
    # setup sets the token of the testbed alone
    site.set_up()
    _program, again = site.serve(SWF_API_LOGINS_FILE=str(path))
    assert status(again, ALICE) == 200
    assert again.get("/api/runs/").status == 200


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "{}",
        '["alice"]',
        '[{"login": "alice"}]',
        json.dumps([{**ALICE, "token": "short"}]),
        json.dumps([ALICE, ALICE]),
        json.dumps([ALICE, {**BOB, "token": ALICE["token"]}]),
        json.dumps([{**ALICE, "login": "swf-api"}]),
    ],
)
def test_a_wrong_file_changes_nothing(served: Any, path: Path, content: str) -> None:
    program, api = served
    write(path, ALICE)
    assert status(api, ALICE) == 200
    path.write_text(content)
    assert status(api, ALICE) == 200
    assert Api(api.url, TOKEN).get("/api/runs/").status == 200
    assert "the issued logins stay as they were" in program.output
    assert ALICE["token"] not in program.output
