# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of an instance with a stack of its own, as the role testbed places it, and the
programs that a real supervisord starts with it."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import layout
from helpers import reach
from helpers.probed_host import Server
from helpers.run_module import run_module
from helpers.supervisord_host import Supervisord, until

TOKEN = "cafe0123" * 5
STACK = {
    "title": "A stack with a file and a program that takes a secret from its environment",
    "requires": {"python": "3.10"},
    "secrets_in": "environment",
    "environment": {"OF": "the stack", "OTHER": "the stack"},
    "components": [
        {
            "name": "monitor",
            "role": "monitor",
            "command": "show",
            "secrets": {"SWF_API_TOKEN": "api_token"},
            "environment": {"OF": "the component", "HOME": "/srv/home"},
            "listens": {
                "host": "{{ swf_testbed_monitor_host }}",
                "port": "{{ swf_testbed_monitor_port }}",
                "variable": "swf_testbed_monitor_port",
            },
        },
        {"name": "agent", "role": "agent", "command": "show", "environment": {"ITS": "own"}},
    ],
    "files": [{"name": "testbed.toml", "content": 'namespace = "{{ swf_testbed_instance }}"\n'}],
}
SHOW = """#!/bin/sh
cat /proc/$$/environ >"$SHOW_IN/$SUPERVISOR_PROCESS_NAME.new"
mv "$SHOW_IN/$SUPERVISOR_PROCESS_NAME.new" "$SHOW_IN/$SUPERVISOR_PROCESS_NAME"
exec sleep 1000
"""
MANAGE = """#!/bin/sh
echo "$1 with $OF" >>"$SHOW_IN/done"
"""
TASKS = reach.ROOT / "roles/testbed/tasks"
CONFIGURE = reach.load(TASKS / "configure.yml")[1]


class Instance:
    def __init__(self, folder):
        self.folder = folder
        self.layout = dict(
            layout("swf-testbed", "user", {"HOME": str(folder)}),
            manifest={"instance": "swf-testbed", "scope": "user", "entries": []},
            managed=False,
            credentials=False,
            user="",
            operators="",
            login="physicist",
            home=str(folder),
        )
        self.layout["readable_secrets_dir"] = self.layout["secrets_dir"]
        self.config = Path(self.layout["config_dir"])
        self.root = Path(self.layout["root"])
        self.build("1-a", show=SHOW, manage=MANAGE)
        Path(self.layout["secrets_dir"]).mkdir(parents=True, mode=0o700)
        (Path(self.layout["secrets_dir"]) / "api_token").write_text(TOKEN + "\n")

    def build(self, name, **programs):
        """A release with some scripts, which is the next one to place."""
        self.release = self.root / "releases" / name
        (self.release / "bin").mkdir(parents=True, exist_ok=True)
        for program, text in programs.items():
            (self.release / "bin" / program).write_text(text)
            (self.release / "bin" / program).chmod(0o755)
        (self.release / "bin/python").symlink_to(sys.executable)
        manifest = {"id": name, "packages": {}, "python": "", "built_at": "2026-01-01T00:00:00Z"}
        (self.release / "release.json").write_text(json.dumps(manifest))

    def place(self, stack, **variables):
        """Place the configuration; the number of changes."""
        done = self.play(stack, [CONFIGURE], **variables)
        assert done.returncode == 0, done.stdout
        return changed(done)

    def change_over(self, stack, **variables):
        link = self.root / "current"
        active = os.path.basename(os.readlink(link)) if link.is_symlink() else None
        release = {"id": self.release.name, "active": active, "known_good": active is not None}
        return self.play(
            stack,
            [CONFIGURE, {"ansible.builtin.import_tasks": str(TASKS / "change_over.yml")}],
            swf_testbed_release={"path": str(self.release), "tools": sys.prefix, **release},
            swf_testbed_snapshots=[],
            swf_testbed_settle_later=False,
            swf_testbed_min_uptime=1,
            **variables,
        )

    def play(self, stack, tasks, **variables):
        (self.folder / "stack.yml").write_text(yaml.safe_dump(stack))
        everything = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "swf_testbed_layout": self.layout,
            "swf_testbed_stack": str(self.folder / "stack.yml"),
            "swf_testbed_release": {"path": str(self.release), "tools": sys.prefix},
            "swf_testbed_components": ["monitor", "agent"],
            "swf_testbed_instance": "swf-testbed",
            "swf_testbed_api_token": TOKEN,
            "swf_testbed_snapshots": ["", ""],
            "swf_testbed_environment": {"OTHER": "the inventory", "SHOW_IN": str(self.folder)},
            **variables,
        }
        play = {
            "hosts": "all",
            "gather_facts": False,
            "vars_files": [
                str(path)
                for role in ("common", "testbed")
                for path in reach.files("roles/%s/[dv]*/main.yml" % role)
            ],
            "tasks": tasks,
        }
        (self.folder / "play.yml").write_text(yaml.safe_dump([play]))
        (self.folder / "variables.json").write_text(json.dumps(everything))
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("XDG_", "ANSIBLE_"))
        }
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                *("-i", "localhost,", "-e", "@%s" % (self.folder / "variables.json"), "--diff"),
                str(self.folder / "play.yml"),
            ],
            env=dict(
                inherited,
                HOME=str(self.folder),
                ANSIBLE_NOCOLOR="1",
                ANSIBLE_COLLECTIONS_PATH=str(reach.ROOT / ".ansible/collections"),
            ),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert TOKEN not in done.stdout, done.stdout
        return done

    def pids(self):
        answer = run_module("supervisor_info", {"config": str(self.config / "supervisord.conf")})
        return {item["name"]: item["pid"] for item in answer["processes"] if item["pid"]}

    def environments(self):
        """Those of its programs, as a real supervisord starts them."""
        daemon = Supervisord.__new__(Supervisord)
        daemon.folder, daemon.conf = self.folder, self.config / "supervisord.conf"
        daemon.socket, daemon.env = Path(self.layout["socket"]), {"PATH": "/nowhere"}
        daemon.start()
        try:
            until(lambda: all((self.folder / name).exists() for name in ("monitor", "agent")))
        finally:
            daemon.stop()
        return {
            name: dict(
                item.split("=", 1)
                for item in (self.folder / name).read_text().split("\0")
                if "=" in item
            )
            for name in ("monitor", "agent")
        }


def changed(done):
    return int(re.search(r"changed=(\d+)", done.stdout)[1])


@pytest.fixture(name="instance")
def an_instance():
    # short, for the path of supervisord's socket
    with tempfile.TemporaryDirectory(prefix="swf-", dir="/tmp") as folder:
        yield Instance(Path(folder))


def test_files_launcher_and_environment(instance):
    assert instance.place(STACK) == 1
    config = instance.config
    assert (config / "testbed.toml").read_text() == 'namespace = "swf-testbed"\n'
    assert (config / "testbed.toml").stat().st_mode & 0o777 == 0o600
    manifest = json.loads((config / "manifest.json").read_text())
    listed = {item["path"] for item in manifest["entries"] if "path" in item}
    assert {str(config / name) for name in ("testbed.toml", "launch.py", "steps.json")} <= listed
    first = (config / "supervisord.conf").read_text()
    assert TOKEN not in first
    # what the command swf-testbed reads
    parser = configparser.RawConfigParser()
    parser.read_string(first)
    section = parser["swf-testbed"]
    assert (section["monitor"], section["health_page"]) == ("monitor", "")
    assert section["monitor_url"] == "http://127.0.0.1:8002"
    assert section["listens"].split() == ["monitor", "127.0.0.1", "8002"]

    found = instance.environments()
    monitor, agent = found["monitor"], found["agent"]
    # the launcher set it
    assert monitor["SWF_API_TOKEN"] == TOKEN and "SWF_API_TOKEN" not in agent
    for environment in (monitor, agent):
        assert environment["USER"] == "physicist"
        assert environment["VIRTUAL_ENV"] == str(instance.release)
        assert environment["PATH"].split(":")[0] == str(instance.release / "bin")
        # the inventory adds to the stack and replaces its values; a component adds to both
        assert environment["OTHER"] == "the inventory" and "SWF_STACK_FILES" in environment
    assert (agent["OF"], agent["ITS"], agent["HOME"]) == ("the stack", "own", str(instance.folder))
    assert (monitor["OF"], monitor["HOME"]) == ("the component", "/srv/home")
    assert "ITS" not in monitor

    # a step has what its program has
    (instance.release / "bin/step").write_text(
        '#!/bin/sh\n[ ${#SWF_API_TOKEN} = 40 ] && echo "$OF, $OTHER, $USER, $HOME, $VIRTUAL_ENV"\n'
    )
    (instance.release / "bin/step").chmod(0o755)
    answer = run_module(
        "stack_steps",
        {
            "config": str(config / "supervisord.conf"),
            "release": str(instance.release),
            "steps": [{"name": "token", "component": "monitor", "command": "step"}],
        },
    )
    assert [step["output"] for step in answer["steps"]] == [
        "the component, the inventory, physicist, /srv/home, %s" % instance.release
    ], answer

    assert instance.place(STACK) == 0
    stack = dict(STACK, secrets_in="file", files=[dict(STACK["files"][0], content="other\n")])
    changed = {"USER": "other", "PATH": "/other/bin"}
    assert instance.place(stack, swf_testbed_environment=changed) == 1
    assert (config / "testbed.toml").read_text() == "other\n"
    # no program needs it any more
    assert not (config / "launch.py").exists()
    second = (config / "supervisord.conf").read_text()
    digests = [set(re.findall(r'SWF_STACK_FILES="(\w+)"', text)) for text in (first, second)]
    assert len(digests[0]) == len(digests[1]) == 1 and digests[0] != digests[1]
    assert second.count('USER="other"') == second.count('PATH="/other/bin"') == 2
    assert 'SWF_API_TOKEN="%s/api_token"' % instance.layout["secrets_dir"] in second


@pytest.mark.nightly
def test_a_step_that_fails_leads_to_the_rollback(instance):
    steps = [
        {"name": "migrate", "component": "monitor", "command": "manage migrate", "timeout": 30}
    ]
    stack = dict(STACK, steps=steps)
    first = instance.change_over(stack)
    try:
        assert first.returncode == 0, first.stdout
        # before the programs
        names = re.findall(r"TASK \[(.*?)\]", first.stdout)
        assert names.index("Run the steps of the stack") < names.index("Run supervisord")
        again = instance.change_over(stack)
        assert again.returncode == 0 and changed(again) == 0, again.stdout
        assert (instance.folder / "done").read_text() == "migrate with the component\n"
        ends = "#!/bin/sh\necho no table x with $SWF_API_TOKEN; exit 4\n"
        instance.build("2-b", show=SHOW, manage=ends)
        pids = instance.pids()
        failed = instance.change_over(dict(stack, files=[dict(STACK["files"][0], content="new\n")]))
        assert failed.returncode != 0
        text = " ".join(failed.stdout.split())
        assert "The step migrate failed. Evidence: manage migrate ended with the status 4" in text
        assert "no table x with ***" in text and "The release 1-a is active again" in text, text
        # nothing was restarted, and all files are those of the former release
        assert instance.pids() == pids and len(pids) == 2
        assert "releases/1-a" in (instance.config / "supervisord.conf").read_text()
        assert (instance.config / "testbed.toml").read_text() == 'namespace = "swf-testbed"\n'
    finally:
        run_module(
            "supervisor_daemon",
            {"config": str(instance.config / "supervisord.conf"), "state": "stopped"},
        )


@pytest.mark.nightly
def test_a_rollback_runs_the_steps_that_its_release_has_for_it(instance):
    """Not those of the newer stack, and no migration; a failure does not end it."""

    def stack(word):
        one = {"component": "monitor", "timeout": 30}
        migrate = dict(one, name="migrate", command="manage migrate")
        collect = dict(one, name="collect", command="manage " + word, rollback=True)
        return dict(STACK, steps=[migrate, collect])

    def done():
        return [line.split()[0] for line in (instance.folder / "done").read_text().splitlines()]

    back = {"tasks": [{"ansible.builtin.import_tasks": str(TASKS / "rollback.yml")}]}
    choice = {"swf_testbed_rollback_because": "", "swf_testbed_min_uptime": 1}
    try:
        first = instance.change_over(stack("old"))
        assert first.returncode == 0, first.stdout
        instance.build("2-b", show="#!/bin/sh\nexit 3\n", manage=MANAGE)
        failed = instance.change_over(stack("new"))
        assert failed.returncode != 0 and "The release 1-a is active again" in failed.stdout
        assert done() == ["migrate", "old", "migrate", "new", "old"], failed.stdout

        instance.build("3-c", show=SHOW, manage=MANAGE)
        assert instance.change_over(stack("new")).returncode == 0
        broken = instance.root / "releases/1-a/bin/manage"
        broken.write_text("#!/bin/sh\necho old again >>$SHOW_IN/done; exit 4\n")
        asked = instance.play(stack("new"), **back, swf_testbed_rollback_to="1-a", **choice)
        text = " ".join(asked.stdout.split())
        assert asked.returncode == 0 and "from the release 3-c to 1-a" in text, text
        assert "A step of the stack failed in the rollback. Evidence: The step collect" in text
        assert done()[5:] == ["migrate", "new", "old"], text
        assert os.readlink(instance.root / "current").endswith("1-a") and len(instance.pids()) == 2
    finally:
        run_module(
            "supervisor_daemon",
            {"config": str(instance.config / "supervisord.conf"), "state": "stopped"},
        )


@pytest.mark.nightly
def test_a_rollback_checks_the_health_with_the_probes_of_its_release(instance):
    """Those of the new stack may ask for what the former one does not have."""
    server = Server()

    def stack(name):
        probe = {"name": "page %s answers" % name, "component": "monitor"}
        return dict(STACK, health={"probes": [dict(probe, url=server.url + "/" + name)]})

    try:
        server.pages["/old"] = 200, "here"
        first = instance.change_over(stack("old"))
        assert first.returncode == 0, first.stdout
        pids = instance.pids()
        # of programs, not of probes
        assert instance.change_over(stack("old"), swf_testbed_health_timeout=2).returncode == 0
        assert instance.pids() == pids

        instance.build("2-b", show=SHOW, manage=MANAGE)
        failed = instance.change_over(stack("new"), swf_testbed_health_timeout=2)
        text = " ".join(failed.stdout.replace("\\n", " ").split())
        assert failed.returncode != 0
        # the gate of the start order, before the agent is replaced
        assert "monitor did not answer within 2 s" in text and "HTTP 404" in text, text
        assert "The release 1-a is active again, with its configuration, and is healthy." in text
        assert "probes that were saved with it: page old answers." in text
        assert instance.pids()["agent"] == pids["agent"]
        assert instance.pids()["monitor"] != pids["monitor"]
        saved = json.loads((instance.config / "health.json").read_text())
        assert saved["probes"] and "/old" in str(saved["probes"]), saved

        # a release that was deployed before probes were saved
        (instance.config / "known_good/1-a/health.json").unlink()
        failed = instance.change_over(stack("new"), swf_testbed_health_timeout=2)
        text = " ".join(failed.stdout.replace("\\n", " ").split())
        assert "THE PREVIOUS RELEASE 1-a FAILS, TOO" in text, text
        server.pages["/new"] = 200, "here"
        assert instance.change_over(stack("new"), swf_testbed_health_timeout=2).returncode == 0
    finally:
        server.stop()
        run_module(
            "supervisor_daemon",
            {"config": str(instance.config / "supervisord.conf"), "state": "stopped"},
        )
