# SPDX-License-Identifier: GPL-3.0-or-later
"""Every task of a role that places secrets is run, with the role's own variables, into a folder of
the test.

As a whole the roles install services of a host. In molecule/lab they do, and what callback plugins
see is searched there too.
"""

from __future__ import annotations

import grp
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from helpers import reach
from helpers.leaks import Leaks
from helpers.seen_by_callbacks import Seen

ROOT = Path(__file__).resolve().parents[3]
MODULE = "bnlnpps.swf_testbed.config_files"
API_TOKEN, PASSWORD, INDEX_TOKEN = (
    "0123456789abcdef0a1b" * 2,
    "canary-broker-%password",
    "canary-index-%token" * 2,
)

OF_CAROL = "canary-of-carol"
ISSUED = {
    "login": "alice",
    "namespace": "alice",
    "password": "canary-of-alice",
    "token": "fedcba9876543210f9e8" * 2,
}


def placing():
    """(role, task) for all tasks that place what variables hold; those of the internal role
    _instance once for each role that calls it, with its arguments."""
    for path, task in reach.all_tasks():
        if "files_of" not in task.get(MODULE, {}):
            continue
        # a manifest is written where only root writes, and has no secret in it
        left_out = ("manifest", "users_of", "registry")
        arguments = {name: value for name, value in task[MODULE].items() if name not in left_out}
        task = dict(task, **{MODULE: arguments})
        if path.parts[1] != "_instance":
            yield path.parts[1], task
            continue
        for caller, call in reach.all_tasks():
            called = call.get("ansible.builtin.import_role", {})
            if called == {
                "name": "bnlnpps.swf_testbed._instance",
                "tasks_from": path.stem,
                "rolespec_validate": False,
            }:
                yield caller.parts[1], dict(task, vars=call["vars"])


def variables_of(role):
    paths = (ROOT / "roles" / role / source / "main.yml" for source in ("defaults", "vars"))
    return [str(path) for path in paths if path.exists()]


def can_be_owned_by(role):
    try:
        return role != "database" or (os.geteuid() == 0 and grp.getgrnam("postgres"))
    except KeyError:
        return False


PLACING = [(role, task) for role, task in placing() if can_be_owned_by(role)]


def layout(folder):
    names = (
        "config_dir",
        "secrets_dir",
        "readable_secrets_dir",
        "logins_dir",
        "access_dir",
        "state_dir",
        "log_dir",
        "run_dir",
        "root",
        "data_dir",
        "supervisord_conf",
        "unit_file",
        "ca_file",
    )
    return dict(
        {name: str(folder / name) for name in names},
        scope="user",
        credentials=False,
        managed=False,
        user="",
        operators="",
        config_mode="0700",
        conf_mode="0600",
    )


def test_the_tasks_are_those_that_are_known():
    assert {role for role, _task in placing()} == {
        "broker",
        "database",
        "monitor_proxy",
        "package_index",
        "pip_index",
        "redis",
        "testbed",
    }


@pytest.fixture(name="inventory")
def an_inventory(tmp_path):
    for path in ("host", "index", "database"):
        (tmp_path / path).mkdir()
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "swf_testbed_controller_dir": str(tmp_path / "controller"),
        "swf_testbed_components": ["monitor"],
        "swf_testbed_api_token": API_TOKEN,
        "swf_testbed_broker_password": PASSWORD,
        "swf_testbed_index_token": INDEX_TOKEN,
        "swf_testbed_issued_logins": [ISSUED],
        "swf_testbed_broker_tls": True,
        "swf_testbed_index_tls": True,
        "swf_testbed_index_ca_cert": "",
        "swf_testbed_monitor_url": "https://127.0.0.1",
        "swf_testbed_monitor_login_required": True,
        "swf_testbed_monitor_users": [{"name": "bob"}, {"name": "carol", "password": OF_CAROL}],
        "swf_testbed_index_url": "https://127.0.0.1:8004",
        "swf_testbed_layout": layout(tmp_path / "host"),
        "__package_index_layout": layout(tmp_path / "index"),
        "swf_testbed_snapshots": [
            str(tmp_path / "host/secrets.known-good"),
            str(tmp_path / "host/pip.known-good"),
        ],
        "__broker_config": str(tmp_path / "broker"),
        # what preflight and the roles find
        "swf_testbed_platform": {"family": "Debian", "release": "12", "id": "debian"},
        "__database_found": {"server": {"package": "postgresql-15"}},
        "__broker_secrets": str(tmp_path / "broker/secrets"),
        "__redis_config": str(tmp_path / "redis"),
        "__redis_secrets": str(tmp_path / "redis/secrets"),
        "swf_testbed_redis_host": "127.0.0.1",
        "swf_testbed_redis_tls": True,
        "swf_testbed_redis_password": PASSWORD,
        "__database_config": str(tmp_path / "database"),
        "__monitor_proxy_config": str(tmp_path / "host"),
        "swf_testbed_database_host": "127.0.0.1",
        "swf_testbed_database_password": PASSWORD,
    }
    (tmp_path / "variables.json").write_text(json.dumps(variables))
    (tmp_path / "variables.json").chmod(0o600)
    (tmp_path / "play.yml").write_text(
        yaml.safe_dump(
            [
                {
                    "name": role,
                    "hosts": "all",
                    "gather_facts": False,
                    "vars_files": variables_of("common")
                    + variables_of("_instance")
                    + variables_of(role),
                    "tasks": [task],
                }
                for role, task in PLACING
            ]
        )
    )
    return tmp_path


def run(folder, seen, *arguments):
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "ANSIBLE_"))
    }
    environment.update(
        seen.environment,
        HOME=str(folder),
        ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".ansible/collections"),
    )
    return subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-i",
            "localhost,",
            "-e",
            "@%s" % (folder / "variables.json"),
            *arguments,
            str(folder / "play.yml"),
        ],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


def keys_of(folder):
    """A line out of the middle of each private key: it is part of no other text."""
    return {path.read_text().splitlines()[2] for path in folder.rglob("*.key")}


@pytest.mark.nightly
def test_placing_secrets_shows_them_to_no_callback_plugin(inventory):
    seen = Seen(inventory)
    outputs = [run(inventory, seen, "-vvv", "--diff", *more) for more in ([], [], ["--check"])]
    assert [done.returncode for done in outputs] == [0, 0, 0], outputs[0].stdout
    assert " changed=0 " in outputs[1].stdout
    # the secrets that are used and that the inventory does not set, in addition to the CA and what it
    # issued; the salts of the broker's passwords are from digest_key
    assert {
        path.name for path in (inventory / "controller/secrets").iterdir() if "." not in path.name
    } == {"digest_key", "monitor_secret_key", "monitor_user_bob"}
    keys = keys_of(inventory)
    users = (inventory / "broker/secrets/users.properties").read_text()
    assert len(keys) >= 3 and users.startswith("swf=ENC(") and PASSWORD not in users
    assert PASSWORD in (inventory / "redis/secrets/password.conf").read_text()
    assert "\nalice=ENC(" in users
    placed = (inventory / "host/logins_dir/monitor.json").read_text()
    assert json.loads(placed) == [
        {"login": "alice", "namespace": "alice", "token": ISSUED["token"]}
    ]
    users = json.loads((inventory / "host/logins_dir/users.json").read_text())
    assert [user["name"] for user in users] == ["bob", "carol"]
    of_bob = (inventory / "controller/secrets/monitor_user_bob").read_text().strip()
    assert outputs[0].stdout.count("controller/secrets/monitor_user_bob") == 1
    assert "monitor_user_bob" not in outputs[1].stdout
    issued = (ISSUED["password"], ISSUED["token"], of_bob, OF_CAROL)
    leaks = Leaks(API_TOKEN, PASSWORD, INDEX_TOKEN, *issued, *keys)
    for number, done in enumerate(outputs):
        leaks.text("output %d" % number, done.stdout)
    assert len(seen.scan(leaks)) == 3 * len(PLACING)
    assert leaks.found == []


@pytest.mark.parametrize(
    "name,value",
    [
        ("swf_testbed_broker_password", 4815162342),
        ("swf_testbed_api_token", 1234567.5),
        ("swf_testbed_index_token", 4815162342),
        ("swf_testbed_monitor_secret_key", True),
    ],
)
def test_a_secret_that_is_not_text_is_refused(inventory, name, value):
    variables = json.loads((inventory / "variables.json").read_text())
    (inventory / "variables.json").write_text(json.dumps(dict(variables, **{name: value})))
    plays = yaml.safe_load((inventory / "play.yml").read_text())
    wanted = {"swf_testbed_index_token": "package_index"}.get(name, "testbed")
    for play in plays:
        for task in play["tasks"]:
            task["no_log"] = False
    (inventory / "play.yml").write_text(
        yaml.safe_dump([play for play in plays if play["name"] == wanted])
    )
    done = run(inventory, Seen(inventory))
    assert done.returncode != 0 and "must be text" in done.stdout and "quote it" in done.stdout, (
        done.stdout
    )
    assert value is True or str(value) not in done.stdout
    assert (
        not (inventory / "host/secrets_dir").exists()
        and not (inventory / "index/secrets_dir").exists()
    )
