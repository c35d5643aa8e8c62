# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor from the controller: hosts that do not answer, clocks, the whole fleet, and the
playbook itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.bnlnpps.swf_testbed.plugins.action.host_check import clock_problem
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    WARNING,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._fleet import counts, fleet, lines
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._unreached import unreached
from helpers.ports import free_port

ROOT = Path(__file__).resolve().parents[4]
REFUSED = finding(
    "connection",
    "nothing listens at the address of the broker",
    "192.0.2.1:61613: refused",
    "Look",
    provider="broker",
)
MISSING = finding("not_installed", "not installed", "there is no x", "Run: site.yml", WARNING)


def answer(*findings, **installed):
    return {"findings": list(findings), "installed": installed, "reached": True}


def severities(report, host):
    return [item["severity"] for item in report[host]["findings"]]


def test_before_the_first_installation_nothing_of_it_is_fatal():
    report = fleet(
        {"a": answer(MISSING, REFUSED, testbed=False), "b": answer(MISSING, broker=False)}, {}
    )
    assert counts(report) == (0, 3)
    assert report["a"]["findings"][1]["cause"].endswith("because it is not installed yet")


def test_after_it_a_part_that_is_missing_is_fatal():
    report = fleet({"a": answer(REFUSED, testbed=True), "b": answer(MISSING, broker=False)}, {})
    # who misses the broker waits for it, and who should have it is told
    assert severities(report, "a") == ["warning"] and severities(report, "b") == ["fatal"]
    assert severities(
        fleet({"a": answer(REFUSED, testbed=True), "b": answer(broker=True)}, {}), "a"
    ) == ["fatal"]


def test_a_service_of_somebody_else_is_not_made_little_of():
    foreign = dict(REFUSED, provider=None)
    assert severities(fleet({"a": answer(foreign, testbed=False)}, {}), "a") == ["fatal"]


def test_a_host_that_hangs_is_a_finding():
    late = {"failed": True, "timedout": {"period": 1}, "msg": "Timed out after 1 second(s)."}
    report = fleet({"a": late, "b": {"failed": True, "msg": "'x' is undefined"}}, {})
    assert report["a"]["findings"][0]["cause"] == "this host does not respond, or is very slow"
    assert report["b"]["findings"][0]["cause"] == "this host was not examined"


def test_findings_are_numbered_the_fatal_ones_first():
    report = fleet(
        {
            "a": answer(
                finding("x", "soft", "", "", WARNING),
                finding("x", "hard", "because", "do it"),
                testbed=True,
            ),
            "b": answer(testbed=True),
        },
        {"a": "192.0.2.1"},
    )
    assert list(lines(report)) == [
        "a (192.0.2.1): 1 fatal, 1 warning",
        "   1. FATAL   hard",
        "      evidence  because",
        "      fix       do it",
        "   2. WARNING soft",
        "",
        "b: no findings",
        "",
    ]


@pytest.mark.parametrize(
    "began,took,offset",
    [
        (1000.0, 1.0, None),
        (1003.0, 1.0, None),
        # it began within the four seconds that nobody can tell apart
        (1008.9, 1.0, None),
        (1010.0, 1.0, "ahead by 6 s"),
        (994.0, 1.0, "behind by 6 s"),
        (4600.0, 5.0, "ahead by 3600 s"),
    ],
)
def test_clocks_are_compared_as_far_as_that_can_be_known(began, took, offset):
    found = clock_problem({"began": began, "took": took}, sent=1000.0, received=1005.0, most=5)
    assert found is None if offset is None else offset in found["evidence"]


@pytest.mark.parametrize(
    "text,cause,fix",
    [
        (
            "Failed to connect to the host via ssh: ssh: Could not resolve hostname lab-1: Name or "
            "service not known",
            "does not resolve on the controller",
            "getent hosts 192.0.2.9",
        ),
        (
            "Failed to connect to the host via ssh: ops@192.0.2.9: Permission denied (publickey).",
            "rejected the login",
            "ssh ops@192.0.2.9",
        ),
        (
            "ssh: connect to host 192.0.2.9 port 22: Connection refused",
            "no ssh server",
            "systemctl status ssh",
        ),
        (
            "ssh: connect to host 192.0.2.9 port 22: No route to host",
            "cannot be reached",
            "ping 192.0.2.9",
        ),
        ("Missing sudo password", "cannot become root", "--ask-become-pass"),
        (
            "The module interpreter '/usr/bin/python3' was not found.",
            "no Python that Ansible",
            "-m raw",
        ),
        (
            "MODULE FAILURE: No start of json char found /bin/sh: 1: /usr/bin/python3: not found",
            "no Python that Ansible",
            "-m raw",
        ),
        ("something else", "could not be examined", "-m ping -vvv"),
    ],
)
def test_what_keeps_ansible_from_a_host_is_explained(text, cause, fix):
    found = unreached(text, "lab-1", {"ansible_host": "192.0.2.9", "ansible_user": "ops"})
    assert (
        found["severity"] == "fatal"
        and cause in found["cause"]
        and fix in found["fix"]
        and found["evidence"] == text
    )


@pytest.fixture(name="doctor")
def run_the_playbook(tmp_path):
    def run(hosts, **variables):
        """(exit status, output, report) of the playbook over hosts of the group testbed, with a
        home of their own."""
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        inventory = {
            "all": {
                "children": {"testbed": {"hosts": hosts}},
                "vars": dict(
                    {
                        "swf_testbed_broker_port": free_port(),
                        "swf_testbed_monitor_port": free_port(),
                        "swf_testbed_mcp_port": free_port(),
                        # an index that answers: no test asks PyPI
                        "swf_testbed_pip_indexes": [
                            {
                                "name": "local",
                                "url": str(tmp_path),
                                "preset": "directory",
                                "role": "primary",
                            }
                        ],
                        "swf_testbed_doctor_report": str(tmp_path / "report.json"),
                        "swf_testbed_systemd": "never",
                    },
                    **variables,
                ),
            }
        }
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
        environment = dict(
            os.environ,
            ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".ansible/collections"),
            HOME=str(home),
            ANSIBLE_HOME=str(tmp_path / "ansible"),
            ANSIBLE_DEPRECATION_WARNINGS="0",
        )
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                "-i",
                "hosts.yml",
                str(ROOT / "playbooks/doctor.yml"),
            ],
            cwd=tmp_path,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        report = tmp_path / "report.json"
        return (
            done.returncode,
            done.stdout,
            json.loads(report.read_text()) if report.exists() else None,
        )

    return run


LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


def test_hosts_that_are_down_are_findings_and_do_not_stop_the_others(doctor, tmp_path):
    secret = "{{ lookup('bnlnpps.swf_testbed.secret', 'token', directory='%s/home') }}" % tmp_path
    index = {
        "name": "private",
        "url": "http://127.0.0.1:%d/simple/" % free_port(),
        "username": "reader",
        "token": secret,
    }
    status, output, report = doctor(
        {
            "here": dict(LOCAL, swf_testbed_pip_indexes=[index]),
            # nothing listens there
            "down": {
                "ansible_host": "127.0.0.1",
                "ansible_port": free_port(),
                "ansible_ssh_common_args": "-F none",
            },
            "no-python": dict(LOCAL, ansible_python_interpreter="/usr/bin/python0.9"),
        }
    )
    assert status == 2, output
    assert report["hosts"]["here"]["reached"] and not report["hosts"]["down"]["reached"]
    assert [item["cause"] for item in report["hosts"]["down"]["findings"]] == [
        "no ssh server answers on this host"
    ]
    assert [item["check"] for item in report["hosts"]["no-python"]["findings"]] == ["python"]
    assert "the instance swf-testbed is not installed" in [
        item["cause"] for item in report["hosts"]["here"]["findings"]
    ]
    assert "down (127.0.0.1): 1 fatal" in output and "unreachable=0" in output
    assert (tmp_path / "report.json").stat().st_mode & 0o777 == 0o600
    # nothing was generated, on the controller or the host: both are this machine
    assert [
        path.name
        for path in (tmp_path / "home").rglob("*")
        if path.is_file() and ".ansible" not in path.parts
    ] == []


def test_bad_variables_are_findings_without_their_secrets(doctor):
    status, output, report = doctor(
        {"here": LOCAL},
        swf_testbed_min_uptime="soon",
        swf_testbed_index_token=["canary-7d1f"],
        swf_testbed_components=[],
    )
    assert status == 2
    assert any(
        "swf_testbed_min_uptime" in item["cause"] for item in report["hosts"]["here"]["findings"]
    )
    assert "canary-7d1f" not in output + json.dumps(report)
