# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack file is checked as a whole, and what an inventory adds to it counts like its own parts."""

from __future__ import annotations

import pytest
import yaml

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _stack

SMALL = {
    "title": "A stack of a test",
    "requires": {"python": "3.10", "sqlite": "3.31"},
    "secrets": {"API_TOKEN": "api_token"},
    "secrets_in": "environment",
    "generated_secrets": ["mcp_token"],
    "components": [
        {"name": "web", "role": "monitor", "package": "my-web", "command": "my-web serve",
         "secrets": {"DB_PASSWORD": "database_password", "MCP_TOKEN": "mcp_token"}},
        {"name": "hub", "role": "broker", "package": "my-hub", "command": "my-hub",
         "secrets_in": "file", "secrets": {"HUB_PASSWORD_FILE": "broker_password"}},
        {"name": "worker", "role": "agent", "command": "/bin/worker", "directory": "/tmp"},
    ],
}  # fmt: skip
MINE = {"name": "mine", "command": "my-agent", "package": "My_Agent>=1.2"}


def stack(*extra, unused=frozenset(), **changes):
    return _stack.Stack({**SMALL, **changes}, extra, unused)


@pytest.fixture(name="written")
def a_file(tmp_path):
    def write(**changes):
        path = tmp_path / "stack.yml"
        path.write_text(yaml.safe_dump({**SMALL, **changes}))
        return str(path)

    return write


def problems(path):
    with pytest.raises(_stack.StackError) as refused:
        _stack.load(path)
    return [problem.text() for problem in refused.value.problems]


@pytest.mark.parametrize("name", [path.stem for path in _stack.FOLDER.glob("*.yml")])
def test_each_stack_of_the_collection_is_valid(name):
    if name != "schema":
        assert _stack.load(name)["title"]


def test_a_path_is_a_stack_too(written):
    assert _stack.load(written())["title"] == "A stack of a test"


def test_a_stack_that_does_not_exist_is_named_with_those_that_do(tmp_path):
    (text,) = problems("refrence")
    assert "refrence.yml: No such file" in text and "write " in text and "reference" in text
    (text,) = problems(str(tmp_path / "mine.yml"))
    assert "mine.yml: No such file" in text


def test_what_is_not_yaml_is_refused(tmp_path):
    path = tmp_path / "stack.yml"
    path.write_text("components: [")
    (text,) = problems(str(path))
    assert "is not YAML" in text and "line 1" in text


def test_all_problems_are_told_at_once_with_the_nearest_key(written):
    found = problems(written(titel="x", components=[{"name": "a", "rol": "agent"}]))
    assert any(".titel is not a valid key" in text and "write title" in text for text in found)
    assert any("components[0].rol is not a valid key" in text for text in found)
    assert any("components[0].command is missing" in text for text in found)


def test_what_a_stack_names_must_be_in_it(written):
    twice = [*SMALL["components"], {"name": "web", "role": "tool", "command": "x"}]
    twice[0] = dict(twice[0], secrets={"X": "api_tokn"})
    steps = [{"name": "migrate", "component": "webb", "command": "my-web migrate"}]
    found = problems(written(components=twice, steps=steps))
    assert any("have one name twice" in text and "'web'" in text for text in found)
    assert any("components[0].secrets.X names an unknown secret" in text for text in found)
    assert any("write api_token" in text for text in found)
    assert any("steps[0].component" in text and "write web" in text for text in found)


def test_roles_are_those_of_the_components_of_a_host():
    assert stack().roles(["web", "hub"]) == ["broker", "monitor"]
    # what an inventory adds always runs, and is an agent unless it says otherwise
    assert stack(MINE).roles([]) == ["agent"]
    assert stack(dict(MINE, role="tool")).roles(["web"]) == ["monitor", "tool"]


def test_an_optional_component_runs_only_where_it_is_named():
    optional = {"name": "mcp", "role": "tool", "command": "my-mcp", "optional": True}
    with_it = stack(components=[*SMALL["components"], optional])
    assert with_it.names() == ["web", "hub", "worker", "mcp"]
    assert with_it.default_names() == ["web", "hub", "worker"]
    assert with_it.roles(["mcp"]) == ["tool"]
    assert all("optional" not in program for program in with_it.programs())


def test_a_probe_of_heartbeats_is_for_the_hosts_of_its_roles():
    agents = {"path": "", "name": "name", "heartbeat": "at", "roles": ["broker"]}
    probe = {"name": "heard of", "component": "web", "url": "http://web/", "agents": agents}
    probed = stack(health={"probes": [probe]})
    hosts = (["web"], ["hub"], ["worker"])
    assert [bool(probed.health(host)["probes"]) for host in hosts] == [True, True, False]


def test_secrets_are_those_that_the_components_of_a_host_take():
    assert stack().secrets(["worker"]) == ["api_token"]
    assert stack().secrets(["hub"]) == ["api_token", "broker_password"]
    everything = stack().secrets(["web", "hub", "worker"])
    assert set(everything) == {"api_token", "broker_password", "database_password", "mcp_token"}
    assert "database_password" not in stack(unused={"database_password"}).secrets(["web"])


def test_a_secret_reaches_a_program_the_way_the_program_takes_it():
    programs = {item["name"]: item for item in stack(MINE).programs()}
    folder = "{{ swf_testbed_layout.readable_secrets_dir }}/"
    assert programs["web"]["launch"] == [
        "API_TOKEN=%sapi_token" % folder,
        "DB_PASSWORD=%sdatabase_password" % folder,
        "MCP_TOKEN=%smcp_token" % folder,
    ]
    assert programs["worker"]["launch"] == programs["mine"]["launch"]
    assert programs["worker"]["launch"] == ["API_TOKEN=%sapi_token" % folder]
    hub = programs["hub"]["environment"]
    assert (
        hub["HUB_PASSWORD_FILE"] == folder + "broker_password" and "launch" not in programs["hub"]
    )
    assert "API_TOKEN" not in str(stack().environment())
    assert stack(secrets_in="file").environment() == {"API_TOKEN": folder + "api_token"}


def test_the_broker_of_a_stack_is_told_the_routing_of_the_addresses():
    declared = {"multicast": ["epictopic", "/topic/x"], "anycast": ["jobs"]}
    (hub,) = [item for item in stack(broker=declared).programs() if item["role"] == "broker"]
    assert hub["environment"]["SWF_BROKER_MULTICAST"] == "epictopic,/topic/x"
    assert hub["environment"]["SWF_BROKER_ANYCAST"] == "jobs"


def test_a_generated_secret_can_be_given():
    files = {item["dest"].rpartition("/")[2]: item for item in stack().secret_files(["web"])}
    assert files["api_token"]["content"] == "{{ swf_testbed_api_token }}"
    assert "swf_testbed_stack_secrets" in files["mcp_token"]["content"]
    assert all(item["secret"] for item in files.values())


def test_requirements():
    assert stack().requirements() == ["my-web", "my-hub"]
    assert stack(distributions={"requirements": ["x==1"]}).requirements() == ["x==1"]
    assert stack(MINE).extra_requirements() == ["My_Agent>=1.2"]
    assert stack(MINE).import_check() == ["my-web", "my-hub", "My_Agent"]
    repository = {"url": "https://git.example.org/a", "commit": "a" * 40}
    own = {"name": "mine", "command": "my-agent", "repository": repository}
    assert stack(own).repositories() == [repository]


def test_programs_have_only_what_the_template_reads():
    (mine,) = [item for item in stack(MINE).programs() if item["name"] == "mine"]
    assert set(mine) == {"name", "command", "role", "environment", "launch"}


SOURCE = {"name": "my-web", "repository": "https://git.example.org/web.git", "commit": "a" * 40}


def test_sources_are_repositories_of_a_release(written):
    content = _stack.load(
        written(sources=[{**SOURCE, "install": ["wheel", "tree"]}, {**SOURCE, "name": "my-lib"}])
    )
    mine = {**MINE, "package": None, "repository": {"url": "file:///x.git", "commit": "c" * 40}}
    found = _stack.Stack(
        content, (mine,), overrides={"my-lib": {"commit": "b" * 40, "repository": "file:///y.git"}}
    ).repositories()
    assert [(item.get("name"), item["url"], item["commit"][0]) for item in found] == [
        ("my-web", "https://git.example.org/web.git", "a"),
        ("my-lib", "file:///y.git", "b"),
        (None, "file:///x.git", "c"),
    ]
    assert [item.get("install") for item in found] == [["wheel", "tree"], ["wheel"], None]


@pytest.mark.parametrize(
    "sources,message",
    [
        ([{**SOURCE, "commit": "main"}], "sources[0].commit is not a commit"),
        ([{**SOURCE, "repository": "http://x/y"}], "sources[0].repository is not accepted"),
        ([{**SOURCE, "name": "../x"}], "sources[0].name is not the name of a distribution"),
        ([SOURCE, {**SOURCE, "name": "My_Web"}], "sources[1].name is listed twice"),
        ([{**SOURCE, "subdirectory": "../x"}], "sources[0].subdirectory is outside"),
        ([{**SOURCE, "install": []}], "sources[0].install is empty"),
    ],
)
def test_wrong_sources_are_named(written, sources, message):
    (text,) = problems(written(sources=sources))
    assert message in text


def test_a_requirement_file_belongs_to_a_source(written):
    files = {"requirement_files": [{"source": "my-wbe", "path": "requirements.txt"}]}
    (text,) = problems(written(sources=[SOURCE], distributions=files))
    assert "requirement_files[0].source is not a source of the stack" in text
    assert text.endswith("write my-web")


def test_the_reference_stack_has_the_tested_versions():
    reference = _stack.Stack(_stack.load("reference"))
    assert reference.release()["tested_constraints"] and not reference.repositories()
    assert reference.requires()["sqlite"] == "3.31"
    assert not _stack.Stack(_stack.load("bnlnpps")).release()["tested_constraints"]


def test_directories_of_the_programs_are_removed_with_the_data():
    (made,) = stack(state_directories=["static"]).state_directories()
    assert made["path"] == "{{ swf_testbed_layout.state_dir }}/static"
    assert made["uninstall"] == "data"


LISTENING = [{**item, "listens": {"host": "127.0.0.1", "port": "{{ %s_port }}" % item["name"], "variable": "x"}}
             for item in SMALL["components"] if item["role"] != "agent"]  # fmt: skip


def test_a_web_server_gets_the_longest_route_first():
    found = stack(
        components=LISTENING,
        state_directories=["static", "tmp"],
        routes=[
            {"path": "/", "component": "web"},
            {"path": "/static/", "directory": "static"},
            {"path": "/hub/events/", "component": "hub", "streaming": True, "timeout": 90},
        ],
    )
    hub, static, web = found.routes(found.names())
    assert [route["path"] for route in (hub, static, web)] == ["/hub/events/", "/static/", "/"]
    assert [route["path"] for route in found.routes(["web"])] == ["/static/", "/"], "hub is off"
    assert (hub["host"], hub["port"], hub["timeout"]) == ("127.0.0.1", "{{ hub_port }}", 90)
    assert static["directory"] == "{{ swf_testbed_layout.state_dir }}/static"
    assert (web["port"], web["streaming"], web["timeout"]) == ("{{ web_port }}", False, 30)
    # the web server can read what it serves, and nothing else
    groups = {item["path"].rpartition("/")[2]: item["group"] for item in found.state_directories()}
    assert groups == {
        "static": "{{ swf_testbed_web_group }}",
        "tmp": "{{ swf_testbed_layout.operators }}",
    }


def test_without_routes_the_monitor_answers_everything():
    found = stack(components=LISTENING)
    (route,) = found.routes(found.names())
    assert (route["path"], route["port"]) == ("/", "{{ web_port }}")
    assert stack().routes(stack().names()) == [], "it listens nowhere"


@pytest.mark.parametrize(
    "route,problem",
    [
        ({"path": "x/", "component": "web"}, "routes[0].path is not a valid path"),
        ({"path": "/a;b/", "component": "web"}, "routes[0].path is not a valid path"),
        ({"path": "/"}, "routes[0] has not exactly one of component and directory"),
        ({"path": "/", "component": "web", "directory": "static"}, "exactly one of component and"),
        ({"path": "/", "component": "worker"}, "routes[0].component has no address"),
        ({"path": "/s/", "directory": "tmp"}, "routes[0].directory is not one of state_directories"),
        ({"path": "/s", "directory": "static"}, "routes[0].path is of a directory and has no slash"),
        ({"path": "/last", "component": "web"}, "routes have one path twice"),
    ],
)  # fmt: skip
def test_a_route_that_cannot_be_served_is_refused(written, route, problem):
    components = [*LISTENING, SMALL["components"][2]]
    last = {"path": "/last", "component": "web"}
    (text,) = problems(
        written(components=components, state_directories=["static"], routes=[route, last])
    )
    assert problem in text
