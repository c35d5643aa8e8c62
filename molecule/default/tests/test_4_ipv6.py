# SPDX-License-Identifier: GPL-3.0-or-later
"""A second testbed of the same login, all of it at ::1: the index, the broker, the monitor and the
MCP server."""

from __future__ import annotations

import json
import os
import socket
import urllib.request

import pytest

PORTS = {"index": 28004, "broker": 28613, "monitor": 28002, "mcp": 28003}
VARIABLES = {
    "swf_testbed_instance": "swf-six",
    "swf_testbed_index_instance": "swf-six-index",
    **{"swf_testbed_%s_host" % name: "::1" for name in PORTS},
    **{"swf_testbed_%s_port" % name: port for name, port in PORTS.items()},
}


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.fixture(name="run")
def run_with_variables(play):
    def run(playbook="site.yml", **more):
        return play("-e", json.dumps({**VARIABLES, **more}), limit="this-login", playbook=playbook)

    yield run
    # of the hosts that could use this index, the other one is left out by the limit and never had
    # the instance
    gone = ["swf-six@%s/user" % host for host in ("this-login", "plain-user")]
    done = run("playbooks/uninstall.yml", swf_testbed_uninstall_users_gone=gone)
    assert done.returncode == 0, done.stdout
    for port in PORTS.values():
        with pytest.raises(OSError):
            socket.create_connection(("::1", port), timeout=10).close()


@pytest.mark.nightly
@pytest.mark.skipif(not has_ipv6() and "CI" not in os.environ, reason="this machine has no IPv6")
def test_an_ipv6_address_works_wherever_a_name_does(run):
    done = run()
    # the health gate is passed only after messages went through all programs
    assert done.returncode == 0, done.stdout
    for port in PORTS.values():
        socket.create_connection(("::1", port), timeout=10).close()
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=10).close()
    with urllib.request.urlopen("http://[::1]:%d/" % PORTS["monitor"], timeout=30) as page:
        assert page.status == 200
    again = run()
    assert again.returncode == 0 and "changed=0" in again.stdout, again.stdout
    status = run("playbooks/status.yml")
    assert status.returncode == 0 and "Monitor: http://[::1]:28002/" in status.stdout
