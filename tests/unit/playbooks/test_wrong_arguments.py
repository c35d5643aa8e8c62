# SPDX-License-Identifier: GPL-3.0-or-later
"""Every role is called with wrong arguments. What Ansible says to that, and shows to callback
plugins, has no secret in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from helpers.leaks import Leaks
from helpers.seen_by_callbacks import Seen

ROOT = Path(__file__).resolve().parents[3]
SECRETS = ("index_token", "broker_password", "database_password", "monitor_secret_key", "api_token")
# what no option of the type can be; a role without an option of one of these types would need a new
# one here
WRONG = {"bool": "maybe", "int": "lots", "float": "much"}


def options_of(role):
    specs = yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text())
    return specs["argument_specs"]["main"]["options"]


def has_secret(option):
    return option.get("no_log") or any(map(has_secret, (option.get("options") or {}).values()))


def wrong_arguments(role):
    """For a role, the first option of each type with a wrong value, and each that holds secrets
    with an item of a wrong shape."""
    found, options = {}, options_of(role)
    for name, option in options.items():
        option_type = (
            "choices" if "choices" in option and option["type"] == "str" else option["type"]
        )
        if option_type == "choices":
            found.setdefault(option_type, {name: "nonsense"})
        elif option_type in WRONG:
            found.setdefault(option_type, {name: WRONG[option_type]})
        elif option_type == "list" and has_secret(option):
            secret = next(inner for inner, below in option["options"].items() if has_secret(below))
            found[name] = {
                name: [{"name": "one", "mistaken": "{{ canary }}", secret: "{{ canary }}"}]
            }
            found[name + " as text"] = {name: "{{ canary }}"}
    assert found, "%s has no option that can be given a wrong value" % role
    return list(found.values())


CASES = [
    (path.name, arguments)
    for path in sorted((ROOT / "roles").iterdir())
    # those without tasks of their own are validated by inventory_check, and by the roles that call
    if path.name not in ("_instance", "common")
    for arguments in wrong_arguments(path.name)
]


def play():
    """One block per case: it ends at the check of the arguments, before the first task of the
    role."""
    layout = {
        "name": "Find the places of the instance, which defaults are made of",
        "ansible.builtin.include_role": {"name": "bnlnpps.swf_testbed.preflight"},
        "vars": {"swf_testbed_preflight_checks": False},
    }
    return yaml.safe_dump(
        [
            {
                "hosts": "all",
                "gather_facts": False,
                "tasks": [
                    layout,
                    *(
                        {
                            "name": "%s with a wrong %s" % (role, ", ".join(arguments)),
                            "block": [
                                {
                                    "name": "Call the role",
                                    "ansible.builtin.include_role": {
                                        "name": "bnlnpps.swf_testbed." + role
                                    },
                                    "vars": arguments,
                                }
                            ],
                            "rescue": [
                                {
                                    "name": "Go on",
                                    "ansible.builtin.assert": {
                                        "that": "ansible_failed_result.argument_errors | length > 0"
                                    },
                                }
                            ],
                        }
                        for role, arguments in CASES
                    ),
                ],
            }
        ],
        sort_keys=False,
    )


@pytest.mark.nightly
def test_a_wrong_argument_shows_no_secret(tmp_path):
    controller = tmp_path / "controller"
    (controller / "secrets").mkdir(parents=True)
    for name in SECRETS:
        (controller / "secrets" / name).write_text("canary-kept-%s-0123456789abcdef\n" % name)
    given = {"swf_testbed_" + name: "canary-given-%s-0123456789abcdef" % name for name in SECRETS}
    git, inner = "canary-git-0123456789abcdef0123456789", "canary-inner-0123456789abcdef0123456789"
    hosts = tmp_path / "hosts.yml"
    hosts.write_text(
        json.dumps(
            {
                "all": {
                    "hosts": {"given": dict(given, swf_testbed_release_git_token=git), "kept": {}},
                    "vars": {
                        "ansible_connection": "local",
                        "ansible_python_interpreter": sys.executable,
                        "canary": inner,
                        "swf_testbed_controller_dir": str(controller),
                        # as the role install leaves it
                        "swf_testbed_release": {
                            "path": "/none",
                            "tools": "/none",
                            "id": "1",
                            "active": None,
                        },
                    },
                }
            }
        )
    )
    (tmp_path / "play.yml").write_text(play())
    seen = Seen(tmp_path)
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "ANSIBLE_"))
    }
    environment.update(
        seen.environment,
        HOME=str(tmp_path),
        ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".ansible/collections"),
    )
    # --check: a role that did not refuse its argument would do something
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "--check",
            "--diff",
            "-vvv",
            "-i",
            str(hosts),
            str(tmp_path / "play.yml"),
        ],
        cwd=tmp_path,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("rescued=%d" % len(CASES)) == 2, done.stdout
    leaks = Leaks(
        *given.values(),
        git,
        inner,
        *((controller / "secrets" / name).read_text().strip() for name in SECRETS),
    )
    for number, part in enumerate(done.stdout.split("\nTASK [")):
        leaks.text("part %d of the output: %s" % (number, part[:80]), part)
    assert seen.scan(leaks).count("Go on") == 2 * len(CASES)
    assert leaks.found == []
