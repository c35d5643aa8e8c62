# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on restored secrets, of the variables of hosts; tests/unit/playbooks/test_settle.py has
the playbook."""

from __future__ import annotations

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _restored

SERVICES = {
    "swf_testbed_index_restored": {"paths": ["/etc/swf-index/secrets/htpasswd"]},
    "swf_testbed_broker_restored": {"paths": ["/etc/b/password", "/etc/b/tls.pem"]},
    "swf_testbed_database_role_restored": {"changes": ["password"]},
}
AGENTS = {"swf_testbed_restored": {"secrets": ["/etc/swf/secrets/password"]}}
FIX = (
    "Fix: remove the cause and run the same command again, because the inventory has the new "
    "secrets; or set the former ones there."
)


def lines(hosts, present):
    return _restored.message("It failed.", hosts, present).splitlines()


def test_each_restored_secret_is_named_once():
    assert lines({"services": SERVICES, "agents": AGENTS}, ["services", "agents"]) == [
        "It failed.",
        "",
        "The secrets that this run changed were restored: htpasswd, password, tls.pem, the password "
        "of the database role.",
        "Evidence: their programs were restarted with the former secrets, and run, on agents, "
        "services.",
        FIX,
    ]


def test_of_a_run_that_replaced_no_secret():
    # a task that was skipped or failed registers a result without these keys
    hosts = {"one": {"swf_testbed_restored": {"skipped": True}, "swf_testbed_index_restored": None}}
    assert lines(hosts, ["one"])[2] == "No secret had been replaced yet."


def test_the_password_of_the_database_role_alone():
    hosts = {"one": {"swf_testbed_database_role_restored": {"changes": ["password"]}}}
    assert lines(hosts, ["one"])[2].endswith("restored: the password of the database role.")


def test_hosts_where_the_former_secrets_fail_and_hosts_that_are_gone():
    failed = {**AGENTS, "swf_testbed_not_restored": ["broker: no answer", "programs: FATAL"]}
    assert lines({"one": failed, "two": AGENTS, "three": {}}, ["one"])[3:] == [
        "Evidence: their programs were restarted with the former secrets, and run, on no host.",
        "NOT ON one, WHERE THE PROGRAMS FAIL WITH THE FORMER SECRETS, TOO: broker: no answer; "
        "programs: FATAL",
        "Not on three, two, which cannot be reached; the former secrets are saved there for the next "
        "run.",
        FIX,
    ]
