# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookups that read the YAML of the collection: the stack, and what roles say of their service."""

from __future__ import annotations

import re

import pytest
from ansible.errors import AnsibleLookupError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import lookup_loader
from ansible.template import Templar

from ansible_collections.bnlnpps.swf_testbed.plugins.lookup import platform, services, stack
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _variables

LAYOUT = {
    "readable_secrets_dir": "/run/secrets",
    "logins_dir": "/etc/swf/logins",
    "state_dir": "/var/lib/x",
    "data_dir": "/data",
    "ca_file": "/etc/x/ca.pem",
    "login": "me",
    "hostname": "Node1.example.org",
    "namespace": "",
    "namespace_owner": "",
}
VARIABLES = {
    "swf_testbed_layout": LAYOUT,
    "group_names": ["testbed"],
    "groups": {"broker": ["b"]},
    "swf_testbed_broker_password": "p",
    "swf_testbed_digest_key": "k",
}
NEEDS = {"broker": {}, "postgresql": "13", "connections": 18}


@pytest.fixture(autouse=True)
def the_lookup_platform(monkeypatch):
    """In templates, too: Ansible's loader does not find what Python has imported."""
    real = lookup_loader.get

    def get(name, *arguments, **options):
        if name != "bnlnpps.swf_testbed.platform":
            return real(name, *arguments, **options)
        plugin = platform.LookupModule(**options)
        plugin.set_options = lambda **_options: None
        return plugin

    monkeypatch.setattr(lookup_loader, "get", get)


def look_up(module, term, **variables):
    everything = dict(
        VARIABLES, **{name: _variables.trusted(value) for name, value in variables.items()}
    )
    templar = Templar(loader=DataLoader(), variables=everything)
    plugin = module.LookupModule(loader=DataLoader(), templar=templar)
    plugin.set_options = lambda **_options: None
    (found,) = plugin.run([term], everything)
    return found


def test_what_a_broker_must_do_and_the_connections_to_the_database():
    (needs,) = look_up(stack, "broker")
    assert needs["anycast"] == ["/queue/swf.#"] and needs["routing_headers"] is True
    everything = look_up(stack, "names")
    assert sum(look_up(stack, "connections", swf_testbed_components=everything)) == 18
    assert sum(look_up(stack, "connections", swf_testbed_components=["data-agent"])) == 0


def test_names_and_packages():
    names = look_up(stack, "names")
    assert names[0] == "broker" and len(names) == len(set(names))
    libraries = {"swf-common-lib", "swf-testbed"}
    assert libraries.isdisjoint(look_up(stack, "packages"))
    assert set(look_up(stack, "distributions")) == {*look_up(stack, "packages"), *libraries}


def test_an_index_is_not_asked_for_what_git_has():
    """The host would install what another person publishes under that name."""
    assert look_up(stack, "distributions", swf_testbed_stack="bnlnpps") == ["swf-broker"]
    assert "swf-testbed" in look_up(stack, "import_check", swf_testbed_stack="bnlnpps")
    repository = {"url": "https://example.org/mine.git", "commit": "a" * 40}
    own = [{"name": "mine", "command": "mine", "repository": repository}]
    asked = look_up(stack, "distributions", swf_testbed_extra_components=own)
    assert asked == look_up(stack, "distributions")


def test_the_folders_of_packages_are_in_the_collection(root):
    folders = look_up(stack, "package_folders")
    assert sorted(folders) == sorted(
        str(path.parent) for path in (root / "packages").glob("*/pyproject.toml")
    )
    # the others of that stack are built from git
    assert look_up(stack, "package_folders", swf_testbed_stack="bnlnpps") == [
        str(root / "packages/swf-broker")
    ]


def test_the_packages_are_those_of_the_checkout(root):
    folders = {path.parent.name for path in (root / "packages").glob("*/pyproject.toml")}
    assert set(look_up(stack, "distributions")) == folders


def test_a_variable_that_is_empty_is_not_set():
    programs = {item["name"]: item["environment"] for item in look_up(stack, "programs")}
    assert "DB_HOST" not in programs["monitor"] and "DB_PORT" not in programs["monitor"]
    assert programs["processing-agent"] == {}
    (environment,) = look_up(stack, "environment")
    assert "ACTIVEMQ_USE_SSL" not in environment and "SWF_MONITOR_CA_CERTS" not in environment


def test_a_namespace_is_not_shared_by_accident():
    def namespace(**variables):
        (environment,) = look_up(stack, "environment", **variables)
        return environment["SWF_NAMESPACE"], environment["SWF_NAMESPACE_OWNER"]

    own = ("swf-testbed_me_node1-example-org", "swf-testbed@Node1.example.org:me")
    assert namespace() == own
    # it stays if the host gets another name
    deployed = {"namespace": "swf-testbed_me_old", "namespace_owner": "swf-testbed@old:me"}
    assert namespace(swf_testbed_layout={**LAYOUT, **deployed}) == tuple(deployed.values())
    # all hosts of a lab agree, and other labs have another one
    lab = {"swf_testbed_scope": "system", "groups": {"testbed": ["a", "b"]}}
    name, owner = namespace(**lab)
    assert re.fullmatch("swf-testbed-[0-9a-f]{10}", name)
    assert owner == "swf-testbed@lab-" + name[-10:]
    elsewhere = {**LAYOUT, "hostname": "b", "login": "you"}
    assert namespace(**lab, swf_testbed_layout=elsewhere) == (name, owner)
    assert namespace(**lab, swf_testbed_digest_key="other")[0] != name
    assert namespace(**{**lab, "swf_testbed_scope": "user"}) == (name, owner)
    assert namespace(swf_testbed_namespace="mine")[0] == "mine"


def test_the_variables_of_the_host_count():
    programs = {
        item["name"]: item
        for item in look_up(
            stack,
            "programs",
            swf_testbed_database_host="db.example.org",
            swf_testbed_ca_cert="/ca.pem",
            swf_testbed_monitor_host="::1",
            swf_testbed_monitor_port=8102,
            swf_testbed_monitor_url="https://monitor.example.org/x",
        )
    }
    assert programs["monitor"]["command"].endswith("--host ::1 --port 8102")
    monitor = programs["monitor"]["environment"]
    assert monitor == programs["monitor-listener"]["environment"]
    assert monitor["DB_HOST"] == "db.example.org" and int(monitor["DB_PORT"]) == 5432
    assert monitor["DB_SSLMODE"] == "verify-full" and monitor["PGSSLROOTCERT"] == "/etc/x/ca.pem"
    assert monitor["ALLOWED_HOSTS"] == "localhost,127.0.0.1,[::1],[::1],monitor.example.org"


@pytest.mark.parametrize(
    "name,program,variable",
    [
        ("stf_interval", "daqsim-agent", "SWF_STF_INTERVAL"),
        ("stf_size", "daqsim-agent", "SWF_STF_SIZE"),
        ("stf_per_run", "daqsim-agent", "SWF_STF_PER_RUN"),
        ("run_count", "daqsim-agent", "SWF_RUN_COUNT"),
        ("keep_files", "data-agent", "SWF_KEEP_FILES"),
        ("monitor_keep_days", "monitor", "SWF_MONITOR_KEEP_DAYS"),
        ("log_level", None, "SWF_LOG_LEVEL"),
    ],
)
def test_rate_size_run_length_retention_and_log_level_are_variables(name, program, variable):
    given = {"swf_testbed_" + name: "4711"}
    (found,) = look_up(stack, "environment", **given)
    if program:
        programs = {item["name"]: item for item in look_up(stack, "programs", **given)}
        found = programs[program]["environment"]
    assert found[variable] == "4711"


@pytest.mark.parametrize(
    ("given", "required"),
    [
        ({}, False),
        ({"swf_testbed_monitor_login_required": True}, True),
    ],
)
def test_the_monitor_gets_the_settings_of_its_logins(given, required):
    proxies = {"swf_testbed_monitor_trusted_proxies": ["192.0.2.1", "::1"]}
    programs = look_up(stack, "programs", **given, **proxies)
    (found,) = (item["environment"] for item in programs if item["role"] == "monitor")
    assert found.get("SWF_MONITOR_LOGIN_REQUIRED", "") == ("true" if required else "")
    assert found.get("SWF_MONITOR_USERS_FILE", "").endswith("/users.json") is required
    assert found["SWF_MONITOR_TRUSTED_PROXIES"] == "192.0.2.1,::1"


def test_to_a_socket_there_is_no_tls():
    (monitor,) = (
        item["environment"]
        for item in look_up(
            stack,
            "programs",
            swf_testbed_database_host="/run/postgresql",
            swf_testbed_ca_cert="/ca.pem",
        )
        if item["name"] == "monitor"
    )
    assert monitor["DB_HOST"] == "/run/postgresql" and "DB_SSLMODE" not in monitor


def test_ports_have_the_variable_that_sets_them():
    ports = {item["name"]: item for item in look_up(stack, "ports", swf_testbed_mcp_port=9003)}
    assert ports.keys() == {"broker", "monitor", "mcp-agent"}
    assert int(ports["mcp-agent"]["port"]) == 9003
    assert ports["mcp-agent"]["variable"] == "swf_testbed_mcp_port"


@pytest.mark.parametrize("term", ["service", "client"])
def test_each_service_says_what_it_consists_of(term):
    found = look_up(
        services,
        term,
        swf_testbed_broker_tls=True,
        swf_testbed_roles=["monitor"],
        swf_testbed_secret_names=["broker_password"],
        swf_testbed_stack_health={"components": [], "summary": ""},
        swf_testbed_stack_needs=NEEDS,
        swf_testbed_ca_pem="",
    )
    assert len(found) >= 3
    for item in found:
        for name, value in item.items():
            assert "{{" not in str(value), (name, value)


def test_the_paths_of_a_service_are_those_of_its_role():
    found = {
        item["part"]: item
        for item in look_up(services, "service", swf_testbed_broker_tls=True)
        if item.get("platform", "") in ("", "Debian")
    }
    assert found["broker"]["unit"] == "swf-broker.service"
    assert found["broker"]["certificate"] == "/etc/swf-broker/secrets/tls.pem"
    assert found["redis"]["secrets_dir"] == "/etc/swf-redis/secrets"
    assert found["database"]["unit"] == "postgresql@*-main.service"
    assert found["database"]["certificate"] == "/etc/postgresql/*/main/swf-testbed.pem"
    assert found["monitor"]["placed"] == "/etc/nginx/conf.d/swf-monitor.conf"


def test_a_service_that_differs_between_platforms_is_returned_for_each_of_them():
    found = look_up(services, "service")
    units = {(item["part"], item["platform"]): item["unit"] for item in found if "platform" in item}
    assert units["redis", "Debian"] == "redis-server.service"
    assert units["redis", "RedHat"] == "redis.service"
    assert units["redis", "RedHat 10"] == "valkey.service"
    assert units["database", "RedHat"] == "postgresql*.service"
    # only a package of theirs differs
    assert units["broker", ""] == "swf-broker.service" and units["monitor", ""] == "nginx.service"


@pytest.mark.parametrize(
    "release, package",
    [("9", "java-17-openjdk-headless"), ("10", "java-21-openjdk-headless")],
)
def test_the_data_of_a_platform(release, package):
    found = {"family": "RedHat", "release": release, "id": "rocky"}
    assert look_up(platform, "broker", swf_testbed_platform=found) == {"java": package}


def test_a_family_without_data_is_an_error():
    found = {"family": "", "release": "", "id": "arch"}
    with pytest.raises(AnsibleLookupError, match="redis does not support .* it is arch"):
        look_up(platform, "redis", swf_testbed_platform=found)


STACK = """
title: A stack with files and steps
requires: {python: "3.10"}
generated_secrets: [admin_key]
components:
  - {name: monitor, role: monitor, command: serve, secrets: {KEY: admin_key}, environment: {HOME: /srv/home}}
  - {name: agent, role: agent, command: agent}
steps:
  - {name: migrate, component: monitor, command: "manage migrate --port {{ swf_testbed_monitor_port }}"}
  - {name: token, component: agent, command: manage token, input_secret: api_token, timeout: 20}
files:
  - name: testbed.toml
    content: |
      [testbed]
      namespace = "{{ swf_testbed_instance }}"
  - {name: list.json, content: '[1, "{{ swf_testbed_monitor_port }}"]'}
"""


@pytest.fixture(name="own")
def a_stack_with_files(tmp_path):
    path = tmp_path / "own.yml"
    path.write_text(STACK)
    return {
        "swf_testbed_stack": str(path),
        "swf_testbed_components": ["monitor", "agent"],
        "swf_testbed_instance": "swf-a",
        "swf_testbed_monitor_port": 8102,
        "swf_testbed_layout": dict(LAYOUT, config_dir="/etc/x", conf_mode="0644"),
    }


def test_files_are_templates_and_stay_texts(own):
    assert look_up(stack, "files", **own) == [
        {
            "dest": "/etc/x/testbed.toml",
            "content": '[testbed]\nnamespace = "swf-a"\n',
            "mode": "0644",
        },
        {"dest": "/etc/x/list.json", "content": '[1, "8102"]', "mode": "0644"},
    ]
    assert look_up(stack, "release_files", **own) == ["testbed.toml", "list.json"]
    launching = STACK.replace("command: serve", "command: serve, secrets_in: environment")
    with open(own["swf_testbed_stack"], "w") as stream:
        stream.write(launching)
    assert look_up(stack, "release_files", **own)[-1] == "launch.py"
    assert look_up(stack, "programs", **own)[0]["launch"] == ["KEY=/run/secrets/admin_key"]


def test_the_text_of_a_file_can_be_in_a_template_file(own, tmp_path):
    (tmp_path / "testbed.toml.j2").write_text('name = "{{ swf_testbed_instance }}"\n')
    look = "\"{{ lookup('template', '%s/testbed.toml.j2') }}\"" % tmp_path
    text = STACK.replace("'[1, \"{{ swf_testbed_monitor_port }}\"]'", look)
    (tmp_path / "own.yml").write_text(text)
    assert look_up(stack, "files", **own)[1]["content"] == 'name = "swf-a"\n'


def test_a_change_of_a_file_is_a_change_of_the_environment(own):
    (first,) = look_up(stack, "environment", **own)
    assert len(first["SWF_STACK_FILES"]) == 12
    assert look_up(stack, "environment", **own) == [first]
    (second,) = look_up(stack, "environment", **dict(own, swf_testbed_instance="swf-b"))
    assert second["SWF_STACK_FILES"] != first["SWF_STACK_FILES"]
    assert "SWF_STACK_FILES" not in look_up(stack, "environment")[0]


def test_steps_are_those_of_the_components_of_the_host(own):
    migrate = {"name": "migrate", "component": "monitor", "command": "manage migrate --port 8102"}
    token = {
        "name": "token",
        "component": "agent",
        "command": "manage token",
        "input_secret": "api_token",
        "timeout": 20,
    }
    assert look_up(stack, "steps", **own) == [migrate, token]
    assert look_up(stack, "secrets", **own) == ["admin_key", "api_token"]
    alone = dict(own, swf_testbed_components=["monitor"])
    assert look_up(stack, "steps", **alone) == [migrate]
    assert look_up(stack, "secrets", **alone) == ["admin_key"]
    assert look_up(stack, "steps", swf_testbed_components=["monitor"]) == []


@pytest.mark.parametrize(
    "former, new, expected",
    [
        ("name: list.json", "name: a/b", "files[1].name is not a valid name of a file"),
        ("name: list.json", "name: .x", "files[1].name is not a valid name of a file"),
        ("name: list.json", "name: x.service", "files[1].name is not a valid name of a file"),
        ("name: list.json", "name: supervisord.conf", "files[1].name is reserved"),
        ("name: list.json", "name: secrets.txt", "files[1].name is reserved"),
        ("name: list.json", "name: steps.json", "files[1].name is reserved"),
        ("name: list.json", "name: testbed.toml", "files have one name twice"),
        ("name: token", "name: migrate", "steps have one name twice"),
        ("input_secret: api_token", "input_secret: api_tokn", "write api_token"),
        ("component: agent", "component: agnet", "steps[1].component is not a component"),
    ],
)
def test_wrong_files_and_steps_are_refused(own, former, new, expected):
    with open(own["swf_testbed_stack"], "w") as stream:
        stream.write(STACK.replace(former, new))
    with pytest.raises(AnsibleLookupError, match=re.escape(expected)):
        look_up(stack, "names", **own)


PROBED = """
title: x
requires: {python: "3.10"}
components:
  - {name: watcher, role: monitor, command: /bin/true, startsecs: 5, start_timeout: 120}
  - {name: worker, role: agent, command: /bin/true, startsecs: 10, reads_env_file: always}
health:
  probes:
    - {name: api, component: watcher, url: "{{ swf_testbed_monitor_url }}/api/"}
    - name: agents
      component: watcher
      url: "{{ swf_testbed_monitor_url }}/agents/"
      agents: {path: "", name: name, heartbeat: heartbeat}
"""


@pytest.mark.parametrize(
    "components,probes,longest",
    [
        (["watcher", "worker"], ["api", "agents"], 120),
        (["watcher"], ["api", "agents"], 120),
        # its monitor is on another host
        (["worker"], ["agents"], 10),
        ([], [], 0),
    ],
)
def test_the_probes_of_a_host(tmp_path, components, probes, longest):
    path = tmp_path / "stack.yml"
    path.write_text(PROBED)
    given = {"swf_testbed_stack": str(path), "swf_testbed_components": components}
    (health,) = look_up(stack, "health", swf_testbed_monitor_url="http://m", **given)
    assert [probe["name"] for probe in health["probes"]] == probes
    assert all(probe["url"].startswith("http://m/a") for probe in health["probes"])
    assert health["components"] == [
        {"name": "watcher", "role": "monitor", "start_timeout": 120},
        {"name": "worker", "role": "agent", "reads_env_file": "always"},
    ]
    assert max([0, *look_up(stack, "start_timeouts", **given)]) == longest
    # no key is handed on to the template of supervisord.conf
    for program in look_up(stack, "programs", **given):
        assert not {"start_timeout", "reads_env_file"} & program.keys()


def test_an_own_agent_is_asked_for_like_those_of_the_stack(tmp_path):
    path = tmp_path / "stack.yml"
    path.write_text(PROBED)
    (health,) = look_up(
        stack,
        "health",
        swf_testbed_stack=str(path),
        swf_testbed_components=[],
        swf_testbed_extra_components=[{"name": "mine", "command": "mine"}],
    )
    assert [probe["name"] for probe in health["probes"]] == ["agents"]
    assert {"name": "mine", "role": "agent"} in health["components"]


@pytest.mark.parametrize(
    "secrets,roles,asked",
    [
        (["broker_password", "database_password"], ["agent", "monitor"], {"broker", "database"}),
        (["broker_password"], ["broker", "monitor"], set()),
        (["broker_password"], ["agent"], {"broker", "monitor"}),
        ([], ["agent"], {"monitor"}),
    ],
)
def test_a_host_is_asked_for_services_that_its_programs_use(secrets, roles, asked):
    found = look_up(
        services,
        "client",
        swf_testbed_database_host="db.example.org",
        swf_testbed_roles=roles,
        swf_testbed_secret_names=secrets,
        swf_testbed_stack_health={
            "components": [{"name": "web", "role": "monitor"}],
            "summary": "",
        },
        swf_testbed_stack_needs=NEEDS,
        swf_testbed_ca_pem="",
    )
    assert {item["name"] for item in found if item["needed"]} - {"index"} == asked
