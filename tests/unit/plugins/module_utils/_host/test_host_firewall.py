# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that a firewall closes, from what firewalld and ufw print."""

from __future__ import annotations

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import firewall

ITEMS = [{"name": "index", "port": 8004}, {"name": "monitor", "port": 443}]
ZONE = """public (active)
  target: default
  interfaces: eth0
  services: ssh https
  ports: 8000-8005/tcp
  rich rules: %s
"""
UFW = """Status: active
Logging: on (low)
Default: deny (incoming), allow (outgoing), disabled (routed)

To                         Action      From
--                         ------      ----
%s
"""


@pytest.fixture(name="answers")
def what_the_programs_print(monkeypatch):
    found = {}
    monkeypatch.setattr(firewall, "output_of", lambda *command: found.get(" ".join(command), ""))
    return found


@pytest.fixture(name="zone")
def an_active_zone(answers):
    answers.update(
        {
            "firewall-cmd --state": "running",
            "firewall-cmd --get-default-zone": "public",
            "firewall-cmd --get-active-zones": "public\n  interfaces: eth0",
            "firewall-cmd --zone=public --list-all": ZONE % "",
            "firewall-cmd --info-service=https": "https\n  ports: 443/tcp\n",
            "firewall-cmd --info-service=ssh": "ssh\n  ports: 22/tcp\n",
        }
    )
    return answers


def test_a_host_without_a_firewall(answers):
    assert firewall.problem(ITEMS) is None


def test_ports_and_services_of_a_zone_are_open(zone):
    assert firewall.problem(ITEMS) is None
    found = firewall.problem([*ITEMS, {"name": "broker", "port": 61613}])
    assert found["cause"].endswith("call: 61613 (broker)")
    assert "no active zone (public)" in found["evidence"]
    assert "swf_testbed_firewall_manager" in found["fix"]
    assert "--add-port=61613/tcp; sudo firewall-cmd --reload" in found["fix"]


def test_another_active_zone_can_have_them(zone):
    zone["firewall-cmd --get-active-zones"] = "internal\n  sources: 10.0.0.0/8"
    zone["firewall-cmd --zone=internal --list-all"] = "internal\n  ports: 61613/tcp\n"
    assert firewall.problem([{"name": "broker", "port": 61613}]) is None


@pytest.mark.parametrize(
    "text",
    [
        (ZONE % "").replace("target: default", "target: ACCEPT"),
        ZONE % '\n\trule family="ipv4" source address="10.0.0.0/8" accept',
    ],
)
def test_a_zone_that_may_let_them_in_is_no_problem(zone, text):
    zone["firewall-cmd --zone=public --list-all"] = text
    assert firewall.problem([{"name": "broker", "port": 61613}]) is None


@pytest.mark.parametrize(
    "rules, closed",
    [
        ("22/tcp                     ALLOW IN    Anywhere", "8004 (index), 443 (monitor)"),
        ("443,8000:8010/tcp          ALLOW IN    Anywhere", None),
        (
            "443/udp                    ALLOW IN    Anywhere\n8004 ALLOW IN Anywhere",
            "443 (monitor)",
        ),
        ("Nginx Full                 ALLOW IN    Anywhere", None),
        ("Anywhere                   ALLOW IN    10.0.0.0/8", None),
    ],
)
def test_ufw(answers, rules, closed):
    answers["ufw status verbose"] = UFW % rules
    found = firewall.problem(ITEMS)
    assert (found and found["cause"].partition("call: ")[2]) == closed
    assert not found or "sudo ufw allow 443/tcp" in found["fix"]
