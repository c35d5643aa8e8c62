# SPDX-License-Identifier: GPL-3.0-or-later
"""Invalid input is refused as a whole, by the first task of site.yml and before any host is
contacted.

Each line is an input of its own: its class, the variables as with -e, and what the message has to
name. All of them go through the action plugin that site.yml calls; one of each class also through
ansible-playbook itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from helpers.certificates import Ca
from helpers.checked_inventory import ROOT, Checks

CANARY = "canary-7f3a"
HEX = "0123456789abcdef0123456789abcdef01234567"
PYPI = {"name": "pypi"}
LAB = {
    "name": "lab",
    "url": "https://index.example.org/simple/",
    "packages": ["swf-*"],
    "username": "u",
    "token": HEX,
}
GIT = {"url": "https://git.example.org/swf.git", "commit": HEX}
PROGRAM = {"name": "mine", "command": "/bin/sleep 60"}
USER = {"name": "u", "token": HEX, "rights": ["read", "upload"]}


def programs(**changes):
    return {"swf_testbed_extra_components": [{**PROGRAM, **changes}]}


def indexes(*entries):
    return {"swf_testbed_pip_indexes": list(entries)}


def git(*entries, **others):
    return {
        "swf_testbed_release_source": "git",
        "swf_testbed_release_git_repositories": list(entries),
        **others,
    }


# class: (variables, what the message names[, groups that the host is in besides index and testbed])
INPUTS = {
    "names": [
        ({"swf_testbed_monitr_port": 8002}, "write swf_testbed_monitor_port"),
        ({"swf_testbed_instnce": "x"}, "write swf_testbed_instance"),
        ({"swf_testbed_brokr_password": CANARY}, "write swf_testbed_broker_password"),
        ({"swf_testbed_port": 1}, "swf_testbed_port is not a variable"),
        ({"swf_testbed_": 1}, "swf_testbed_ is not a variable"),
        ({"swf_testbed_Scope": "user"}, "write swf_testbed_scope"),
        ({"swf_tesbed_release_version": "0.1.0"}, "write swf_testbed_release_version"),
        ({"sfw_testbed_keep_releases": 2}, "write swf_testbed_keep_releases"),
        # names from before the prefix
        ({"install_version": "0.1.0"}, "rename it to swf_testbed_release_version"),
        ({"pip_indexes": []}, "rename it to swf_testbed_pip_indexes"),
        ({"supervisord_extra_programs": []}, "rename it to swf_testbed_extra_components"),
        ({"swf_testbed_extra_programs": []}, "rename it to swf_testbed_extra_components"),
        ({"swf_testbed_stack": "refrence"}, "write bnlnpps or reference"),
        (programs(role="agnet"), "swf_testbed_extra_components[0].role is not one of"),
        ({"database_listen": "::1"}, "rename it to swf_testbed_database_listen"),
        ({"supervisord_release_dir": "/x"}, "supervisord_release_dir is gone"),
        ({"swf_testbed_broker_engine": "activemq"}, "swf_testbed_broker_engine is gone"),
        (
            {"swf_testbed_components": ["broker", "montior"]},
            "swf_testbed_components[1] is not a component of the stack",
        ),
        ({"swf_testbed_components": ["Monitor"]}, "write monitor"),
        (
            {"swf_testbed_stack_sources": {"swf-x": {"commit": HEX}}},
            "swf_testbed_stack_sources.swf-x is not a source of the stack",
        ),
        (
            {
                "swf_testbed_stack": "bnlnpps",
                "swf_testbed_database_host": "/run/postgresql",
                "swf_testbed_stack_sources": {"swf-monitr": {"commit": HEX}},
            },
            "write swf-monitor",
        ),
        (
            {
                "swf_testbed_stack": "bnlnpps",
                "swf_testbed_database_host": "/run/postgresql",
                "swf_testbed_stack_sources": {"swf-monitor": {"commit": "main"}},
            },
            "swf_testbed_stack_sources.swf-monitor.commit is not a commit",
        ),
        (
            {"swf_testbed_stack": "bnlnpps", "swf_testbed_scope": "system"},
            "swf_testbed_database_host is empty, and the stack needs",
        ),
        ({"swf_testbed_components": [""]}, "swf_testbed_components[0]"),
        (
            {"swf_testbed_components": ["monitor", "monitor"]},
            "swf_testbed_components[1] is listed twice",
        ),
        ({"swf_testbed_instance": ""}, "swf_testbed_instance"),
        ({"swf_testbed_namespace": "a.b"}, "swf_testbed_namespace"),
        ({"swf_testbed_namespace": "Lab"}, "swf_testbed_namespace"),
        ({"swf_testbed_instance": "."}, "swf_testbed_instance"),
        ({"swf_testbed_instance": "a/b"}, "swf_testbed_instance"),
        ({"swf_testbed_instance": "-x"}, "swf_testbed_instance"),
        ({"swf_testbed_instance": "ünï"}, "swf_testbed_instance"),
        ({"swf_testbed_index_instance": "Index"}, "swf_testbed_index_instance"),
        ({"swf_testbed_index_instance": "i" * 33}, "swf_testbed_index_instance"),
        ({"swf_testbed_instance": "swf-index"}, "swf_testbed_index_instance"),
    ],
    "types": [
        ({"swf_testbed_scope": "planet"}, "swf_testbed_scope is not one of user, system"),
        ({"swf_testbed_scope": None}, "swf_testbed_scope has no value"),
        ({"swf_testbed_instance": 5}, "swf_testbed_instance is not text"),
        ({"swf_testbed_digest_key": 83}, "swf_testbed_digest_key is not text"),
        ({"swf_testbed_lab_ca": [CANARY]}, "swf_testbed_lab_ca is not a dictionary"),
        ({"swf_testbed_lab_ca": {"certificat": CANARY}}, "Fix: write certificate, or remove it"),
        (
            {"swf_testbed_lab_ca": {"key": 7, "certificate": CANARY}},
            "swf_testbed_lab_ca.key is not text",
        ),
        (
            {"swf_testbed_lab_ca": {"issued": [CANARY]}},
            "swf_testbed_lab_ca.issued is not a dictionary",
        ),
        ({"swf_testbed_components": "broker,monitor"}, "swf_testbed_components is not a list"),
        ({"swf_testbed_components": {"broker": True}}, "swf_testbed_components is not a list"),
        ({"swf_testbed_components": [None]}, "swf_testbed_components[0] has no value"),
        (
            {"swf_testbed_index_tls": "false"},
            "swf_testbed_index_tls is a text, which counts as true",
        ),
        ({"swf_testbed_index_tls": "maybe"}, "swf_testbed_index_tls is neither true nor false"),
        ({"swf_testbed_broker_tls": []}, "swf_testbed_broker_tls is neither true nor false"),
        ({"swf_testbed_min_uptime": "soon"}, "swf_testbed_min_uptime is not a whole number"),
        ({"swf_testbed_wait_timeout": 2.5}, "swf_testbed_wait_timeout is not a whole number"),
        ({"swf_testbed_health_timeout": True}, "swf_testbed_health_timeout is not a whole number"),
        ({"swf_testbed_systemd_hardening": False}, "swf_testbed_systemd_hardening is not text"),
        ({"swf_testbed_systemd_hardening": "strickt"}, "write strict"),
        (
            {"swf_testbed_release_installer": "poetry"},
            "swf_testbed_release_installer is not one of auto, uv, pip",
        ),
        (
            {"swf_testbed_release_wheelhouse_pythons": [3.10]},
            "swf_testbed_release_wheelhouse_pythons[0] is not text",
        ),
        (
            {"swf_testbed_release_lock_pythons": ["3"]},
            "swf_testbed_release_lock_pythons is not a version",
        ),
        (
            {"swf_testbed_release_lock_architectures": ["x86-64"]},
            "swf_testbed_release_lock_architectures[0] is not an architecture",
        ),
        ({"swf_testbed_environment": "A=1"}, "swf_testbed_environment is not a dictionary"),
        (
            {"swf_testbed_extra_components": [{"name": "mine"}]},
            "swf_testbed_extra_components[0].command is missing",
        ),
        (
            {"swf_testbed_extra_components": [{**PROGRAM, "comand": "x"}]},
            "swf_testbed_extra_components[0].comand is not a valid key",
        ),
        (
            {"swf_testbed_extra_components": ["mine"]},
            "swf_testbed_extra_components[0] is not a dictionary",
        ),
        (programs(stopsignal="STOP"), "swf_testbed_extra_components[0].stopsignal is not one of"),
        (
            programs(startsecs="a while"),
            "swf_testbed_extra_components[0].startsecs is not a whole number",
        ),
        (indexes({**LAB, "preset": "nonsense"}), "swf_testbed_pip_indexes[0].preset"),
        (indexes({**LAB, "tokn": CANARY}), "swf_testbed_pip_indexes[0].tokn is not a valid key"),
        ({"swf_testbed_pip_index_scope": "world"}, "swf_testbed_pip_index_scope is not one of"),
        ({"swf_testbed_monitor_url": "{{ nowhere_defined }}/x"}, "nowhere_defined is undefined"),
        (
            {"swf_testbed_broker_password": "{{ vault_broker_pasword }}"},
            "vault_broker_pasword is undefined",
        ),
        (
            {"swf_testbed_release_requirements": "{{ 1 / }}"},
            "swf_testbed_release_requirements cannot be evaluated",
        ),
    ],
    "versions and numbers": [
        ({"swf_testbed_release_version": 0.2}, "swf_testbed_release_version is not text"),
        ({"swf_testbed_release_version": 1}, "swf_testbed_release_version is not text"),
        ({"swf_testbed_release_version": ""}, "swf_testbed_release_version is not a version"),
        (
            {"swf_testbed_release_version": "../0.1.0"},
            "swf_testbed_release_version is not a version",
        ),
        (
            {"swf_testbed_release_version": "/srv/swf"},
            "swf_testbed_release_version is not a version",
        ),
        ({"swf_testbed_release_version": "latest"}, "swf_testbed_release_version is not a version"),
        ({"swf_testbed_release_version": ">=0.1"}, "swf_testbed_release_version is not a version"),
        (
            {"swf_testbed_release_requirements": ["swf-testbed == "]},
            "swf_testbed_release_requirements[0]",
        ),
        (
            {"swf_testbed_release_requirements": ["-r other.txt"]},
            "swf_testbed_release_requirements[0]",
        ),
        ({"swf_testbed_release_wheelhouse_glibc": "new"}, "swf_testbed_release_wheelhouse_glibc"),
        ({"swf_testbed_python": ""}, "swf_testbed_python"),
        ({"swf_testbed_python": "bin/python3"}, "swf_testbed_python"),
        ({"swf_testbed_python": "python3 -O"}, "swf_testbed_python"),
        ({"swf_testbed_keep_releases": 0}, "swf_testbed_keep_releases is out of range"),
        ({"swf_testbed_keep_releases": -1}, "swf_testbed_keep_releases is out of range"),
        ({"swf_testbed_min_uptime": -3}, "swf_testbed_min_uptime is out of range"),
        ({"swf_testbed_wait_timeout": 0}, "swf_testbed_wait_timeout is out of range"),
        (
            {"swf_testbed_min_uptime": 90},
            "swf_testbed_wait_timeout contradicts swf_testbed_min_uptime",
        ),
        ({"swf_testbed_log_max_bytes": "10 MB"}, "swf_testbed_log_max_bytes is not a size"),
        ({"swf_testbed_log_max_bytes": "lots"}, "swf_testbed_log_max_bytes is not a size"),
        ({"swf_testbed_log_max_bytes": "-1MB"}, "swf_testbed_log_max_bytes is not a size"),
        (
            {"swf_testbed_log_max_bytes": 0},
            "swf_testbed_log_max_bytes sets no limit to the size of logs",
        ),
        ({"swf_testbed_log_backups": -1}, "swf_testbed_log_backups is out of range"),
        (
            {"swf_testbed_systemd_limit_nofile": 64},
            "swf_testbed_systemd_limit_nofile is out of range",
        ),
        ({"swf_testbed_agents_serial": 0}, "swf_testbed_agents_serial"),
        ({"swf_testbed_agents_serial": "half"}, "swf_testbed_agents_serial"),
        ({"swf_testbed_agents_serial": "150%"}, "swf_testbed_agents_serial"),
        ({"swf_testbed_agents_serial": [1, "0%"]}, "swf_testbed_agents_serial"),
        ({"swf_testbed_upgrade_serial": []}, "swf_testbed_upgrade_serial is empty"),
        ({"swf_testbed_broker_heap_mb": 1}, "swf_testbed_broker_heap_mb is out of range", "broker"),
        (
            {"swf_testbed_package_index_mirror_max_mb": 0},
            "swf_testbed_package_index_mirror_max_mb is out of range",
        ),
        ({"swf_testbed_keep_locks": 0}, "swf_testbed_keep_locks is out of range"),
        ({"swf_testbed_cache_max_mb": -1}, "swf_testbed_cache_max_mb is out of range"),
    ],
    "ports": [
        ({"swf_testbed_mcp_port": 0}, "swf_testbed_mcp_port is not a port number"),
        ({"swf_testbed_broker_port": 65536}, "swf_testbed_broker_port is not a port number"),
        ({"swf_testbed_index_port": -1}, "swf_testbed_index_port is not a port number"),
        ({"swf_testbed_monitor_port": "eighty"}, "swf_testbed_monitor_port is not a whole number"),
        ({"swf_testbed_database_port": 5432.5}, "swf_testbed_database_port is not a whole number"),
        ({"swf_testbed_index_port": True}, "swf_testbed_index_port is not a whole number"),
        ({"swf_testbed_monitor_port": ""}, "swf_testbed_monitor_port is not a whole number"),
        ({"swf_testbed_monitor_port": 8003}, "both listen on port 8003"),
        ({"swf_testbed_index_port": 61613}, "both listen on port 61613"),
        (
            {"swf_testbed_mcp_port": 8004, "swf_testbed_mcp_host": "localhost"},
            "both listen on port 8004",
        ),
        ({}, "both listen on port 61613", "broker"),
        (
            {"swf_testbed_firewall_manager": "firewalld", "swf_testbed_firewall_ports": [0]},
            "swf_testbed_firewall_ports[0] is not a port number",
        ),
    ],
    "addresses": [
        (
            {"swf_testbed_broker_addresses": [{"name": "slices"}]},
            "slices has neither a routing type nor a prefix",
            "broker",
        ),
        (
            {
                "swf_testbed_broker_addresses": [
                    {"name": "/queue/slices", "divert_to": ["monitoring"]}
                ]
            },
            "slices is diverted to monitoring, which is not another declared address",
            "broker",
        ),
        (
            {"swf_testbed_broker_users": [{"name": "swf-management", "password": CANARY}]},
            "swf_testbed_broker_users[0].name is the name of a login of the role",
            "broker",
        ),
        ({"swf_testbed_monitor_host": ""}, "swf_testbed_monitor_host is empty"),
        (
            {"swf_testbed_monitor_trusted_proxies": ["sso.example.org"]},
            "swf_testbed_monitor_trusted_proxies[0] is not an address",
        ),
        (
            {"swf_testbed_broker_host": "http://broker.example.org"},
            "swf_testbed_broker_host is a URL",
        ),
        (
            {"swf_testbed_broker_host": "broker.example.org:61613"},
            "swf_testbed_broker_host has a port",
        ),
        ({"swf_testbed_mcp_host": "[::1]"}, "swf_testbed_mcp_host is in brackets"),
        ({"swf_testbed_index_host": "300.1.1.1"}, "swf_testbed_index_host looks like an address"),
        ({"swf_testbed_index_host": "127.1"}, "swf_testbed_index_host looks like an address"),
        ({"swf_testbed_broker_host": "bro ker"}, "swf_testbed_broker_host is neither"),
        ({"swf_testbed_broker_host": "-broker"}, "swf_testbed_broker_host is neither"),
        ({"swf_testbed_mcp_host": "fe80::1%eth0"}, "swf_testbed_mcp_host has a zone"),
        ({"swf_testbed_monitor_host": "a" * 64 + ".org"}, "swf_testbed_monitor_host is neither"),
        (
            {"swf_testbed_index_host": "0.0.0.0", "swf_testbed_index_tls": True},
            "swf_testbed_index_host stands for all addresses",
        ),
        ({"swf_testbed_broker_host": 1270001}, "swf_testbed_broker_host is not text"),
        (
            {"swf_testbed_database_clients": ["192.0.2.0/33"]},
            "swf_testbed_database_clients[0]",
            "database",
        ),
        ({"swf_testbed_database_clients": ["192.0.2.1/24"]}, "has host bits set", "database"),
        ({"swf_testbed_systemd_address_allow": ["lab"]}, "swf_testbed_systemd_address_allow[0]"),
        ({"swf_testbed_package_index_names": ["bad name"]}, "swf_testbed_package_index_names[0]"),
        (
            {"swf_testbed_monitor_url": "127.0.0.1:8002"},
            "swf_testbed_monitor_url does not begin with",
        ),
        (
            {"swf_testbed_monitor_url": "ftp://monitor.example.org"},
            "swf_testbed_monitor_url does not begin with",
        ),
        ({"swf_testbed_monitor_url": "http://::1:8002"}, "swf_testbed_monitor_url"),
        ({"swf_testbed_monitor_url": "http://[::1"}, "swf_testbed_monitor_url is not a URL"),
        (
            {"swf_testbed_monitor_url": "http://127.0.0.1:99999"},
            "swf_testbed_monitor_url is not a URL",
        ),
        (
            {"swf_testbed_monitor_url": "http://me:%s@127.0.0.1:8002" % CANARY},
            "swf_testbed_monitor_url contains credentials",
        ),
        ({"swf_testbed_monitor_url": "http://127.0.0.1:8002/"}, "without the slash"),
        (
            {"swf_testbed_monitor_url": "http://127.0.0.1:8002?x=1"},
            "swf_testbed_monitor_url has a query or a fragment",
        ),
        ({"swf_testbed_index_url": "http://127.0.0.1:8004/simple/"}, "without /simple/"),
        ({"swf_testbed_health_url": "health"}, "swf_testbed_health_url does not begin with"),
        (
            {"swf_testbed_health_probes": [{"name": "x", "component": "y"}]},
            "swf_testbed_health_probes[0].url is missing",
        ),
        (
            {"swf_testbed_monitor_url": "http://127.0.0.1:9000"},
            "contradicts swf_testbed_monitor_port, which is 8002",
        ),
        ({"swf_testbed_monitor_url": "http://127.0.0.1"}, "contradicts swf_testbed_monitor_port"),
        (
            {"swf_testbed_monitor_url": "https://127.0.0.1:8002"},
            "contradicts the protocol of the monitor",
        ),
        (
            {"swf_testbed_index_url": "http://[::1]:8005", "swf_testbed_index_host": "::1"},
            "contradicts swf_testbed_index_port",
        ),
        ({"swf_testbed_monitor_url": "http://monitor.example.org"}, "is not https", "monitor"),
    ],
    "TLS and services of others": [
        (
            {"swf_testbed_monitor_host": "192.0.2.7"},
            "swf_testbed_monitor_host would accept connections without TLS",
        ),
        (
            {"swf_testbed_monitor_host": "0.0.0.0"},
            "swf_testbed_monitor_host would accept connections without TLS",
        ),
        (
            {"swf_testbed_mcp_host": "::"},
            "swf_testbed_mcp_host would accept connections without TLS",
        ),
        (
            {"swf_testbed_broker_host": "broker.example.org"},
            "swf_testbed_broker_host would accept connections without TLS",
        ),
        (
            {"swf_testbed_package_index_listen": "0.0.0.0"},
            "swf_testbed_package_index_listen would accept connections without TLS",
        ),
        (
            {"swf_testbed_broker_listen": "127.evil.example.org"},
            "swf_testbed_broker_listen would accept connections without TLS",
            "broker",
        ),
        (
            {"swf_testbed_broker_tls": True},
            "swf_testbed_broker_tls requires TLS of the broker of the testbed",
        ),
        (
            {
                "swf_testbed_broker_certificate": "{tmp}/good.pem",
                "swf_testbed_broker_certificate_key": "{tmp}/good.key",
            },
            "swf_testbed_broker_tls is false",
            "broker",
        ),
        (
            {
                "swf_testbed_package_index_certificate": "{tmp}/good.pem",
                "swf_testbed_package_index_certificate_key": "{tmp}/good.key",
            },
            "swf_testbed_index_tls is false",
        ),
        ({"swf_testbed_index_ca_cert": "{tmp}/ca.pem"}, "swf_testbed_index_url is http"),
        (
            {"swf_testbed_database_host": "db.example.org"},
            "swf_testbed_database_host is an external database",
        ),
        ({"swf_testbed_database_host": "127.0.0.1"}, "set swf_testbed_database_password"),
        # empty, it would switch the check of the broker off
        ({"swf_testbed_broker_probe_prefix": ""}, "is not the beginning of names"),
        ({"swf_testbed_broker_probe_prefix": "/queue/lab."}, "is not the beginning of names"),
        (
            {
                "swf_testbed_broker_host": "broker.example.org",
                "swf_testbed_components": ["monitor"],
            },
            "set swf_testbed_broker_password",
        ),
        ({}, "swf_testbed_database_host is empty", "database"),
        ({}, "swf_testbed_redis_host is empty", "redis"),
        (
            {"swf_testbed_redis_host": "192.0.2.1"},
            "swf_testbed_redis_listen would accept connections without TLS",
            "redis",
        ),
        (
            {"swf_testbed_broker_archive_checksum": "md5:00"},
            "swf_testbed_broker_archive_checksum is not a checksum",
            "broker",
        ),
        (
            {"swf_testbed_broker_version": "2.40.0"},
            "swf_testbed_broker_version needs the checksum of its archive",
            "broker",
        ),
    ],
    "secrets": [
        ({"swf_testbed_broker_password": ""}, "swf_testbed_broker_password is empty"),
        ({"swf_testbed_index_token": ""}, "swf_testbed_index_token is empty"),
        ({"swf_testbed_monitor_secret_key": ""}, "swf_testbed_monitor_secret_key is empty"),
        (
            {"swf_testbed_broker_password": CANARY + "\n"},
            "swf_testbed_broker_password contains a line break",
        ),
        (
            {"swf_testbed_monitor_secret_key": CANARY + "\r\nx"},
            "swf_testbed_monitor_secret_key contains a line break",
        ),
        (
            {"swf_testbed_broker_password": CANARY + "\u0000"},
            "swf_testbed_broker_password contains a line break or a character",
        ),
        ({"swf_testbed_api_token": CANARY}, "swf_testbed_api_token is not a token"),
        ({"swf_testbed_api_token": HEX + "0"}, "swf_testbed_api_token is not a token"),
        ({"swf_testbed_api_token": "g" + HEX[1:]}, "swf_testbed_api_token is not a token"),
        ({"swf_testbed_api_token": HEX + "\n"}, "swf_testbed_api_token contains a line break"),
        ({"swf_testbed_digest_key": ""}, "swf_testbed_digest_key is empty"),
        (
            {"swf_testbed_lab_ca": {"certificate": CANARY, "key": CANARY}},
            "swf_testbed_lab_ca.certificate is damaged",
        ),
        ({"swf_testbed_lab_ca": {"certificate": CANARY}}, "swf_testbed_lab_ca.key is missing"),
        (
            {"swf_testbed_lab_ca": {"issued": {"broker": CANARY}}},
            "swf_testbed_lab_ca.issued.broker is damaged",
        ),
        (
            {"swf_testbed_lab_ca": {"issued": {"broker": [CANARY]}}},
            "swf_testbed_lab_ca.issued.broker is not text",
        ),
        ({"swf_testbed_index_token": CANARY}, "swf_testbed_index_token is too short"),
        ({"swf_testbed_index_token": "a b" + HEX}, "swf_testbed_index_token contains a space"),
        ({"swf_testbed_broker_password": 83}, 'quote it: swf_testbed_broker_password: "..."'),
        ({"swf_testbed_broker_password": 100000.0}, "swf_testbed_broker_password is not text"),
        ({"swf_testbed_api_token": int(HEX[:9])}, "swf_testbed_api_token is not text"),
        ({"swf_testbed_index_token": True}, "swf_testbed_index_token is not text"),
        (
            {"swf_testbed_monitor_secret_key": [CANARY]},
            "swf_testbed_monitor_secret_key is not text",
        ),
        ({"swf_testbed_release_git_token": 1234}, "swf_testbed_release_git_token is not text"),
        ({"swf_testbed_index_user": "a:b"}, "swf_testbed_index_user contains a colon"),
        ({"swf_testbed_broker_user": "a:b"}, "swf_testbed_broker_user contains a colon"),
        ({"swf_testbed_broker_user": ""}, "swf_testbed_broker_user is empty"),
        ({"swf_testbed_index_user": "a\nb"}, "swf_testbed_index_user contains a space"),
        ({"swf_testbed_broker_user": 'it\'s "me"'}, "swf_testbed_broker_user"),
        ({"swf_testbed_broker_user": 7}, "swf_testbed_broker_user is not text"),
        ({"swf_testbed_package_index_users": []}, "swf_testbed_package_index_users lists no user"),
        (
            {"swf_testbed_package_index_users": [{**USER, "name": "a:b"}]},
            "swf_testbed_package_index_users[0].name contains a colon",
        ),
        (
            {"swf_testbed_package_index_users": [USER, USER]},
            "swf_testbed_package_index_users[1].name is listed twice",
        ),
        (
            {"swf_testbed_package_index_users": [{**USER, "token": CANARY}]},
            "swf_testbed_package_index_users[0].token is too short",
        ),
        (
            {
                "swf_testbed_package_index_users": [
                    {**USER, "token": 12345678901234567890123456789012345}
                ]
            },
            "swf_testbed_package_index_users[0].token is not text",
        ),
        (
            {"swf_testbed_package_index_users": [{**USER, "rights": ["read"]}]},
            "swf_testbed_package_index_users lists no user with permission to publish",
        ),
        (
            {"swf_testbed_package_index_users": [{**USER, "rights": ["write"]}]},
            "swf_testbed_package_index_users[0].rights[0] is not one of",
        ),
        (
            {"swf_testbed_broker_users": [{"name": "u", "password": ""}]},
            "swf_testbed_broker_users[0].password is empty",
            "broker",
        ),
        (
            {"swf_testbed_broker_users": [{"name": "ä", "password": CANARY}]},
            "swf_testbed_broker_users[0].name has characters",
            "broker",
        ),
        (
            {"swf_testbed_monitor_users": [{"name": "a/b", "password": CANARY}]},
            "swf_testbed_monitor_users[0].name has characters",
        ),
        (
            {"swf_testbed_monitor_users": [{"name": "u", "password": CANARY[:11]}]},
            "swf_testbed_monitor_users[0].password is too short",
        ),
        (
            {"swf_testbed_monitor_users": [{"name": "u"}, {"name": "u"}]},
            "swf_testbed_monitor_users[1].name is listed twice",
        ),
    ],
    "programs": [
        (
            programs(name="broker"),
            "swf_testbed_extra_components[0].name is the name of another program",
        ),
        (
            {"swf_testbed_extra_components": [PROGRAM, PROGRAM]},
            "swf_testbed_extra_components[1].name is the name of another program",
        ),
        (programs(name="supervisord"), "swf_testbed_extra_components[0].name is reserved"),
        (programs(name="all"), "swf_testbed_extra_components[0].name is reserved"),
        (
            programs(name="a/b"),
            "swf_testbed_extra_components[0].name is not a valid name of a program",
        ),
        (
            programs(name="a:b"),
            "swf_testbed_extra_components[0].name is not a valid name of a program",
        ),
        (
            programs(name="a\nb"),
            "swf_testbed_extra_components[0].name is not a valid name of a program",
        ),
        (
            programs(name=""),
            "swf_testbed_extra_components[0].name is not a valid name of a program",
        ),
        (
            programs(name="]"),
            "swf_testbed_extra_components[0].name is not a valid name of a program",
        ),
        (programs(command=""), "swf_testbed_extra_components[0].command is empty"),
        (
            programs(command="/bin/echo 'x"),
            "swf_testbed_extra_components[0].command cannot be split",
        ),
        (
            programs(command="/bin/sleep\n60"),
            "swf_testbed_extra_components[0].command contains a line break",
        ),
        (
            programs(command="/bin/sh -c 'a ; b'"),
            "swf_testbed_extra_components[0].command cannot be written",
        ),
        (
            programs(command="bin/mine"),
            "swf_testbed_extra_components[0].command begins with a relative path",
        ),
        (
            programs(directory="data"),
            "swf_testbed_extra_components[0].directory is not an absolute path",
        ),
        (programs(environment={"A=B": "x"}), "swf_testbed_extra_components[0].environment"),
        (programs(environment={"A B": "x"}), "swf_testbed_extra_components[0].environment"),
        (
            programs(environment={"A": "'\""}),
            "swf_testbed_extra_components[0].environment.A cannot be written",
        ),
        (
            programs(environment={"A": CANARY + " ;x"}),
            "swf_testbed_extra_components[0].environment.A cannot be written",
        ),
        (
            programs(environment={"A": True}),
            "swf_testbed_extra_components[0].environment.A is neither text nor a number",
        ),
        (
            programs(environment={"A": None}),
            "swf_testbed_extra_components[0].environment.A is neither text nor a number",
        ),
        (
            {"swf_testbed_environment": {"A": "%(here)s"}},
            "swf_testbed_environment.A cannot be written",
        ),
        (
            {"swf_testbed_environment": {"A": ["x"]}},
            "swf_testbed_environment.A is neither text nor a number",
        ),
        (programs(startsecs=-1), "swf_testbed_extra_components[0].startsecs is out of range"),
        (programs(stopwaitsecs=0), "swf_testbed_extra_components[0].stopwaitsecs is out of range"),
        (programs(priority=-5), "swf_testbed_extra_components[0].priority is out of range"),
        (
            programs(startretries=2**40),
            "swf_testbed_extra_components[0].startretries is out of range",
        ),
        (
            programs(startsecs=600),
            "swf_testbed_extra_components[0].startsecs contradicts swf_testbed_wait_timeout",
        ),
    ],
    "files and paths": [
        ({"swf_testbed_ca_cert": "/nowhere/ca.pem"}, "swf_testbed_ca_cert does not exist"),
        ({"swf_testbed_ca_cert": "ca.pem"}, "swf_testbed_ca_cert is not an absolute path"),
        ({"swf_testbed_ca_cert": "{tmp}"}, "swf_testbed_ca_cert is a directory"),
        ({"swf_testbed_ca_cert": "{tmp}/empty"}, "swf_testbed_ca_cert contains no certificate"),
        ({"swf_testbed_ca_cert": "{tmp}/both.pem"}, "swf_testbed_ca_cert contains a private key"),
        (
            {"swf_testbed_release_wheelhouse": "/nowhere/wheelhouse.tar"},
            "swf_testbed_release_wheelhouse does not exist",
        ),
        (
            {"swf_testbed_release_constraints_file": "constraints.txt"},
            "swf_testbed_release_constraints_file is not an absolute path",
        ),
        (
            {"swf_testbed_release_tools_lock_file": "/nowhere/tools.txt"},
            "swf_testbed_release_tools_lock_file does not exist",
        ),
        (
            {"swf_testbed_release_lock_file": "locks/mine.txt"},
            "swf_testbed_release_lock_file is not an absolute path",
        ),
        (
            {"swf_testbed_release_lock_file": "{tmp}"},
            "swf_testbed_release_lock_file is a directory",
        ),
        (
            {"swf_testbed_controller_dir": "controller"},
            "swf_testbed_controller_dir is not an absolute path",
        ),
        ({"swf_testbed_controller_dir": "{tmp}/empty"}, "swf_testbed_controller_dir is a file"),
        (
            {"swf_testbed_package_index_sources": ["/nowhere/swf-testbed"]},
            "swf_testbed_package_index_sources[0] is not the directory of a package",
        ),
        (
            {"swf_testbed_package_index_sources": ["packages/swf-testbed"]},
            "swf_testbed_package_index_sources[0] is not an absolute path",
        ),
        (
            {
                "swf_testbed_package_index_certificate": "{tmp}/good.pem",
                "swf_testbed_index_tls": True,
            },
            "swf_testbed_package_index_certificate_key is missing",
        ),
        (
            {
                "swf_testbed_package_index_certificate": "{tmp}/good.pem",
                "swf_testbed_package_index_certificate_key": "{tmp}/other.key",
                "swf_testbed_index_tls": True,
            },
            "belongs to another key",
        ),
        (
            {
                "swf_testbed_package_index_certificate": "{tmp}/ended.pem",
                "swf_testbed_package_index_certificate_key": "{tmp}/ended.key",
                "swf_testbed_index_tls": True,
            },
            "the certificate expired on",
        ),
        (
            {
                "swf_testbed_package_index_certificate": "{tmp}/good.pem",
                "swf_testbed_package_index_certificate_key": "{tmp}/good.key",
                "swf_testbed_index_tls": True,
                "swf_testbed_package_index_names": ["index.example.org"],
            },
            "would reject the certificate",
        ),
        (
            {
                "swf_testbed_broker_certificate": "/nowhere/b.pem",
                "swf_testbed_broker_certificate_key": "/nowhere/b.key",
                "swf_testbed_broker_tls": True,
            },
            "swf_testbed_broker_certificate_key does not exist",
            "broker",
        ),
        (
            indexes({**LAB, "ca_cert": "/nowhere/ca.pem"}, PYPI),
            "swf_testbed_pip_indexes[0].ca_cert does not exist",
        ),
        (
            {"swf_testbed_systemd_read_write_paths": ["data"]},
            "swf_testbed_systemd_read_write_paths[0] is not an absolute path",
        ),
        (
            {"swf_testbed_directories": [{"path": "data", "mode": "0750"}]},
            "swf_testbed_directories[0].path is not an absolute path",
        ),
        (
            {"swf_testbed_directories": [{"path": "/srv/data", "mode": "rwx"}]},
            "swf_testbed_directories[0].mode is not a file mode",
        ),
        (
            {"swf_testbed_directories": [{"path": "/srv/data", "mode": 488}]},
            "swf_testbed_directories[0].mode is not text",
        ),
        ({"swf_testbed_pip_index_scope": "site"}, "swf_testbed_pip_index_site is empty"),
        (
            {"swf_testbed_package_index_backup_dir": "backups"},
            "swf_testbed_package_index_backup_dir is not an absolute path",
        ),
    ],
    "accounts": [
        (
            {"swf_testbed_scope": "system", "swf_testbed_user": "root"},
            "swf_testbed_user is a system account or group",
        ),
        (
            {"swf_testbed_scope": "system", "swf_testbed_user": "nobody"},
            "swf_testbed_user is a system account or group",
        ),
        (
            {"swf_testbed_scope": "system", "swf_testbed_index_system_user": "www-data"},
            "swf_testbed_index_system_user is a system account",
        ),
        (
            {"swf_testbed_scope": "system", "swf_testbed_operators": "wheel"},
            "swf_testbed_operators is a system account or group",
        ),
        (
            {"swf_testbed_scope": "system", "swf_testbed_user": "Swf Testbed"},
            "swf_testbed_user is not the name of an account",
        ),
        (
            {"swf_testbed_scope": "system", "swf_testbed_user": "0"},
            "swf_testbed_user is not the name of an account",
        ),
        (
            {"swf_testbed_scope": "system", "swf_testbed_user": ""},
            "swf_testbed_user is not the name of an account",
        ),
        ({"swf_testbed_scope": "system", "swf_testbed_user": 1000}, "swf_testbed_user is not text"),
    ],
    "sources": [
        (indexes(), "swf_testbed_pip_indexes is empty"),
        (indexes({**LAB, "name": "a/b"}), "is not a valid name of an index"),
        (indexes(LAB, LAB), "two indexes are named lab"),
        (
            indexes({**LAB, "url": "http://index.example.org/simple/"}),
            "the token would be sent unencrypted",
        ),
        (
            indexes({**LAB, "url": "https://me:%s@index.example.org/simple/" % CANARY}),
            "contains credentials",
        ),
        (indexes({**LAB, "token": 83}), "swf_testbed_pip_indexes[0].token is not text"),
        (indexes({**LAB, "token": "two words"}), "the token has a space"),
        (indexes({"name": "gh", "preset": "github"}), "GitHub Packages has no registry"),
        (git(), "swf_testbed_release_git_repositories is empty"),
        (
            git({**GIT, "commit": "main"}),
            "swf_testbed_release_git_repositories[0].commit is not a commit",
        ),
        (
            git({**GIT, "url": "https://me:%s@git.example.org/x" % CANARY}),
            "swf_testbed_release_git_repositories[0].url is not accepted",
        ),
        (
            git({**GIT, "subdirectory": "../x"}),
            "swf_testbed_release_git_repositories[0].subdirectory is outside",
        ),
        (git(GIT, GIT), "swf_testbed_release_git_repositories[1].url is listed twice"),
        (
            programs(repository={**GIT, "commit": "main"}),
            "swf_testbed_extra_components[0].repository.commit is not a commit",
        ),
        (
            programs(repository={**GIT, "url": "https://me:%s@git.example.org/x" % CANARY}),
            "swf_testbed_extra_components[0].repository.url is not accepted",
        ),
        (
            programs(repository=GIT, package="mine==1"),
            "swf_testbed_extra_components[0].repository excludes package",
        ),
        (
            git(
                {**GIT, "url": "ssh://git@git.example.org/x"}, swf_testbed_release_git_token=CANARY
            ),
            "swf_testbed_release_git_token is for https only",
        ),
    ],
}
SECRETS = ("token", "password", "content", "environment", "command")
KEYS = (
    "name",
    "url",
    "username",
    "token",
    "password",
    "content",
    "dest",
    "command",
    "environment",
    "port",
    "commit",
    "ca_cert",
    "packages",
    "rights",
    "directory",
    "startsecs",
    "path",
    "mode",
)
CASES = [
    pytest.param(*case, id="%s-%d" % (name.replace(" ", "_"), number))
    for name, cases in INPUTS.items()
    for number, case in enumerate([(*case, None)[:3] for case in cases], 1)
]


@pytest.fixture(name="checks", scope="module")
def the_process(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    checks = Checks(home)
    yield checks
    checks.close()
    # no secret was generated, and nothing else was written
    assert [path.name for path in home.iterdir()] == [".ansible"]


@pytest.fixture(name="files", scope="module")
def files_of_the_controller(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    authority = Ca(folder)
    authority.issued("good")
    authority.issued("other")
    authority.issued("ended", days=-2.0)
    (folder / "empty").write_text("")
    (folder / "both.pem").write_text(authority.pem + (folder / "good.key").read_text())
    return folder


def filled(variables, folder):
    return json.loads(json.dumps(variables).replace("{tmp}", str(folder)))


def test_there_are_enough_of_them():
    assert len(CASES) >= 150


@pytest.mark.parametrize(("variables", "named", "group"), CASES)
def test_invalid_input_is_refused_first(checks, files, variables, named, group):
    message = checks.refusal(filled(variables, files), [group] if group else [])
    assert message, "it was not refused"
    assert "nothing was changed" in message and named in message
    assert CANARY not in message
    for line in message.splitlines()[1:]:
        assert " Evidence: " in line and " Fix: " in line, line


def test_all_problems_are_reported_at_once(checks):
    message = checks.refusal(
        {
            "swf_testbed_monitr_port": 1,
            "swf_testbed_mcp_port": 0,
            "swf_testbed_broker_password": CANARY + "\n",
            "swf_testbed_release_version": 1.0,
            "swf_testbed_extra_components": [{"name": "a/b", "command": ""}],
            "swf_testbed_ca_cert": "/nowhere/ca.pem",
            "swf_testbed_components": ["broker", "montior"],
        }
    )
    assert "Evidence: 8 problems." in message
    for text in (
        "monitr_port",
        "mcp_port",
        "broker_password",
        "swf_testbed_release_version",
        "[0].name",
        "[0].command",
        "ca_cert",
        "components[1]",
    ):
        assert text in message


def test_a_problem_of_several_hosts_is_reported_once(checks):
    message = checks.refusal({"swf_testbed_monitr_port": 1}, inventory="examples/lab")
    assert (
        message.count("swf_testbed_monitr_port is not a variable") == 1
        and "Evidence: 1 problem." in message
    )


def test_a_problem_of_one_host_names_it(checks):
    message = checks.refusal({"swf_testbed_broker_tls": False}, inventory="examples/lab")
    assert (
        "1. lab-broker: swf_testbed_broker_listen would accept connections without TLS" in message
    )


@pytest.mark.parametrize(
    "inventory",
    [
        "inventory",
        "examples/lab",
        *("molecule/%s/inventory" % name for name in ("default", "system", "lab", "release")),
    ],
)
def test_the_inventories_that_we_ship_have_no_problem(checks, inventory):
    # in Molecule's, the addresses come from the scenario's hosts
    variables = {"swf_molecule_dir": "/nowhere"} if inventory.startswith("molecule") else {}
    if inventory == "molecule/system/inventory":
        variables["ansible_host"] = "192.0.2.5"
    assert checks.refusal(variables, inventory=inventory) is None


WEIRD = [
    None,
    0,
    -1.5,
    True,
    "",
    CANARY + "\n",
    "{{ {} }}",
    [],
    [None],
    [[]],
    [7, CANARY],
    {},
    {"key": [CANARY]},
    [{}],
    [{key: None for key in KEYS}],
    [{key: 7 for key in KEYS}],
    [{key: [CANARY] if key in SECRETS else 7 for key in KEYS}],
    [{key: {"A": CANARY} if key in SECRETS else 7 for key in KEYS}],
    [{key: CANARY if key in SECRETS else 7 for key in KEYS}],
]


@pytest.mark.parametrize("value", WEIRD, ids=str)
def test_whatever_a_value_is_the_answer_is_a_refusal(checks, value):
    """All variables at once have it. Those that may hold a secret are not shown."""
    options = {
        name: option
        for path in (ROOT / "roles").glob("*/meta/argument_specs.yml")
        for entry in yaml.safe_load(path.read_text())["argument_specs"].values()
        for name, option in entry["options"].items()
    }
    groups = ["database", "broker", "redis", "monitor"]
    assert "nothing was changed" in checks.refusal(dict.fromkeys(options, value), groups)
    secrets = [
        name
        for name, option in options.items()
        if "no_log" in str(option) or "environment" in name or "programs" in name
    ]
    assert CANARY not in (checks.refusal(dict.fromkeys(secrets, value), groups) or "")


VALID = [
    {},
    # IPv6 wherever a host name does
    {"swf_testbed_%s_host" % name: "::1" for name in ("index", "broker", "monitor", "mcp")},
    {"swf_testbed_monitor_host": "localhost", "swf_testbed_monitor_url": "http://localhost:8002"},
    # numbers as -e KEY=VALUE has them
    {
        "swf_testbed_monitor_port": "18002",
        "swf_testbed_keep_releases": "5",
        "swf_testbed_release_version": "0.2.0",
        "swf_testbed_log_max_bytes": 1048576,
    },
    {
        "swf_testbed_pip_index_remove_github": "true",
        "swf_testbed_pip_index_secure_logging": "false",
        "swf_testbed_package_index_secure_logging": False,
    },
    # names of the site's own, one of them a former name of ours
    {
        "database_version": "16",
        "swf_testbed_database_version": "17",
        "database_host": "x",
        "broker_password": "x",
        "install_dir": "/x",
        "service_account": "x",
        "monitor_email": "x",
    },
    {"broker_user": "me", "swf_testbed_broker_user": "{{ broker_user }}"},
    # what is there only once a host was asked
    programs(
        command="{{ swf_testbed_release.path }}/bin/python -m mine",
        environment={"A": "{{ ansible_facts.hostname }}", "B": 1},
    ),
    programs(repository=GIT, role="tool", secrets={"MY_TOKEN": "api_token"}),
    programs(autorestart=True, startsecs=0, stopwaitsecs=30, directory="/srv"),
    {"swf_testbed_database_host": "/run/postgresql"},
    {
        "swf_testbed_database_host": "db.example.org",
        "swf_testbed_database_password": 'it\'s 7 "words" ; #',
    },
    {
        "swf_testbed_broker_host": "broker.example.org",
        "swf_testbed_broker_tls": True,
        "swf_testbed_broker_password": " p",
        "swf_testbed_components": ["monitor", "monitor-listener"],
    },
    # a web server of the site's own before the monitor
    {"swf_testbed_monitor_url": "https://monitor.example.org"},
    {"swf_testbed_agents_serial": 2, "swf_testbed_upgrade_serial": [1, "50%"]},
    {
        "swf_testbed_scope": "system",
        "swf_testbed_user": "epic_swf",
        "swf_testbed_operators": "epic-ops",
    },
    indexes(LAB, PYPI),
    indexes({**LAB, "url": "http://index.example.org/simple/", "allow_insecure_http": True}),
    {
        "swf_testbed_release_lock_pythons": ["3.11"],
        "swf_testbed_release_lock_architectures": ["x86_64"],
    },
    git(GIT, {**GIT, "subdirectory": "agents/data"}, swf_testbed_release_git_token=CANARY),
]


@pytest.mark.parametrize("variables", VALID)
def test_valid_input_passes(checks, variables):
    assert checks.refusal(variables) is None


def test_an_index_of_another_inventory_needs_its_token(checks, tmp_path):
    """Where this controller served it, the token is there already."""
    (tmp_path / "hosts.ini").write_text(
        "[testbed]\nlogin ansible_connection=local\n[index]\n[broker]\n[database]\n[monitor]\n"
    )
    variables = {
        "swf_testbed_index_host": "192.0.2.5",
        "swf_testbed_index_tls": True,
        "swf_testbed_controller_dir": str(tmp_path),
    }
    assert "set swf_testbed_index_token" in checks.refusal(
        variables, inventory=str(tmp_path / "hosts.ini")
    )
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/index_token").write_text(HEX)
    assert checks.refusal(variables, inventory=str(tmp_path / "hosts.ini")) is None


@pytest.mark.parametrize(
    "playbook",
    [
        "upgrade",
        "rollback",
        "start",
        "stop",
        "uninstall",
        "wheelhouse",
        "publish",
        "export_secrets",
        "import_secrets",
    ],
)
def test_a_misspelled_name_stops_every_playbook_that_changes_something(checks, playbook):
    assert "write swf_testbed_instance" in checks.refusal(
        {"swf_testbed_instnce": "other"}, playbook=playbook
    )


FIRST_OF_EACH = [
    (name, INPUTS[name][place])
    for name, place in (
        ("names", 0),
        ("types", 0),
        ("versions and numbers", 0),
        ("ports", 0),
        ("addresses", 0),
        ("secrets", 6),
        ("programs", 0),
    )
]


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        pytest.param(
            *case[:2], id=name, marks=[] if name in ("types", "secrets") else pytest.mark.nightly
        )
        for name, case in FIRST_OF_EACH
    ],
)
def test_site_contacts_no_host(variables, named, tmp_path):
    """examples/lab, with an ssh that leaves a mark if it is called."""
    ssh, mark = tmp_path / "ssh", tmp_path / "mark"
    ssh.write_text("#!/bin/sh\ntouch %s\nexit 255\n" % mark)
    ssh.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            str(ROOT / "site.yml"),
            "-i",
            str(ROOT / "examples/lab"),
            "-e",
            json.dumps(dict(variables, ansible_ssh_executable=str(ssh))),
        ],
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        env=dict(
            os.environ,
            HOME=str(home),
            ANSIBLE_HOME=str(home / ".ansible"),
            ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".ansible/collections"),
            XDG_DATA_HOME=str(home / "data"),
        ),
    )
    assert done.returncode != 0
    assert (
        named in done.stdout and "nothing was changed" in done.stdout and CANARY not in done.stdout
    )
    assert (
        done.stdout.count("TASK [") == 1
        and "ok=0    changed=0    unreachable=0    failed=1" in done.stdout
    )
    assert not mark.exists() and not (home / "data").exists()


@pytest.fixture(name="vaulted")
def play_with_a_vaulted_password(tmp_path):
    """Runs the check with the broker's password from a vault."""
    tools, password = Path(sys.executable).parent, tmp_path / "password"
    password.write_text("the password of the vault\n")
    environment = dict(
        os.environ,
        HOME=str(tmp_path),
        ANSIBLE_HOME=str(tmp_path / ".ansible"),
        ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".ansible/collections"),
    )
    (tmp_path / "play.yml").write_text(
        "- hosts: testbed\n  gather_facts: false\n  tasks:\n    - "
        "bnlnpps.swf_testbed.inventory_check:\n"
    )

    def run(secret, *arguments):
        text = subprocess.run(
            [
                str(tools / "ansible-vault"),
                "encrypt_string",
                "--vault-password-file",
                str(password),
                "--stdin-name",
                "swf_testbed_broker_password",
            ],
            input=secret,
            text=True,
            capture_output=True,
            check=True,
            env=environment,
        )
        (tmp_path / "vault.yml").write_text(text.stdout)
        done = subprocess.run(
            [
                str(tools / "ansible-playbook"),
                "play.yml",
                "-i",
                str(ROOT / "inventory"),
                "-e",
                "@vault.yml",
                *arguments,
            ],
            cwd=tmp_path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            env=environment,
        )
        return done.returncode, done.stdout

    run.password = ["--vault-password-file", str(password)]
    return run


def test_vaulted_secrets_are_checked_and_not_shown(vaulted):
    assert vaulted(CANARY, *vaulted.password)[0] == 0
    status, output = vaulted(CANARY + "\n", *vaulted.password)
    assert (
        status != 0
        and "swf_testbed_broker_password contains a line break" in output
        and CANARY not in output
    )
    status, output = vaulted(CANARY)
    assert (
        status != 0
        and "swf_testbed_broker_password cannot be evaluated" in output
        and "vault" in output
    )


def test_an_account_that_is_refused_now_can_be_uninstalled(checks):
    assert (
        checks.refusal(
            {"swf_testbed_scope": "system", "swf_testbed_user": "nobody"}, playbook="uninstall"
        )
        is None
    )
