# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance in user scope with a stack that needs PostgreSQL and Redis: from preflight to the
uninstall, with the real servers and a real supervisord. The release is a stand-in without packages.
"""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import private_services
from helpers import played_instance
from helpers.leaks import Leaks
from helpers.played_instance import PLAY
from helpers.unprivileged import as_nobody, unprivileged_home

STACK = """
title: A client of both servers
requires: {python: "3.9", postgresql: "13", redis: true}
secrets_in: environment
components:
  - name: client
    role: monitor
    command: "/bin/sh CLIENT"
    startsecs: 1
    secrets: {DB_PASSWORD: database_password, REDIS_URL: redis_url}
    environment:
      DB_HOST: "{{ swf_testbed_database_address }}"
      DB_USER: "{{ swf_testbed_database_user }}"
      DB_NAME: "{{ swf_testbed_database_name }}"
steps:
  - {name: create the table, component: client, command: "/bin/sh CREATE"}
"""
# supervisord does not run yet
CREATE = """
exec psql -Xqw -h "$DB_HOST" -U "$DB_USER" -d "$DB_NAME" -c 'CREATE TABLE t (a int)'
"""
CLIENT = """
until psql -Xqw -h "$DB_HOST" -U "$DB_USER" -d "$DB_NAME" -c 'INSERT INTO t VALUES (1)'; do sleep 0.2; done
password=${REDIS_URL#unix://:} path=/${REDIS_URL#*@/}
until REDISCLI_AUTH=${password%%@*} CLIENT_OF_REDIS --no-auth-warning -s "${path%%\\?*}" INCR starts; do sleep 0.2; done
exec sleep 1000
"""
UNINSTALL = """
- hosts: testbed
  gather_facts: false
  roles: [bnlnpps.swf_testbed.uninstall]
"""


SERVERS = private_services.all_postgresql()
CLI = next(filter(None, map(shutil.which, ("redis-cli", "valkey-cli"))), None)

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("CI") and not (SERVERS and CLI),
        reason="needs PostgreSQL and Redis: apt-get install postgresql redis-server",
    ),
]


class Instance(played_instance.Instance):
    def __init__(self, folder):
        (folder / "client.sh").write_text(CLIENT.replace("CLIENT_OF_REDIS", CLI))
        (folder / "create.sh").write_text(CREATE)
        text = STACK.replace("CLIENT", str(folder / "client.sh"))
        text = text.replace("CREATE", str(folder / "create.sh"))
        super().__init__(folder, text, swf_testbed_redis_password="canary-of-redis")

    def rows(self):
        done = subprocess.run(
            [
                SERVERS[-1].directory + "/psql",
                *(
                    "-XqAtw",
                    "-h",
                    str(self.state / "run"),
                    "-U",
                    "swf_testbed",
                    "-d",
                    "swf_testbed",
                ),
            ],
            input="SELECT count(*) FROM t",
            capture_output=True,
            text=True,
            check=False,
            **as_nobody(),
        )
        return done.stdout.strip() or done.stderr


@pytest.fixture(name="instance")
def an_instance():
    with unprivileged_home() as folder:
        instance = Instance(folder)
        yield instance
        instance.stop()


@pytest.mark.nightly
def test_the_servers_of_an_instance_from_preflight_to_the_uninstall(instance):
    with Leaks("canary-of-redis") as leaks:
        code, output = instance.play(PLAY, "-vvv", "--diff")
    assert code == 0, output
    leaks.text("the output", output)
    # the stack says that its program, and so its children, have it in the environment
    assert {found.partition(" of process ")[0] for found in leaks.found} == {"environ"}
    status = (instance.state / "log/client.log").read_text()
    assert "1" in status.splitlines(), status
    assert instance.rows() == "1"

    code, output = instance.play(PLAY)
    assert code == 0 and " changed=0 " in output, output
    assert instance.rows() == "1"

    conf = instance.folder / ".config/swf-testbed/supervisord.conf"
    text = conf.read_text()
    assert "canary" not in text and text.index("[program:postgresql]")
    assert "canary" not in "".join(path.read_text() for path in (instance.state / "log").iterdir())

    code, output = instance.play(UNINSTALL)
    assert code == 0, output
    # it was shut down, and the data are there
    assert (instance.state / "postgresql/PG_VERSION").exists()
    assert not (instance.state / "postgresql/postmaster.pid").exists()

    code, output = instance.play(UNINSTALL, "-e", '{"swf_testbed_uninstall_data": true}')
    assert code == 0 and not (instance.state / "postgresql").exists(), output


def test_a_cluster_of_another_version_ends_the_run_before_it_changes_anything(instance):
    cluster = instance.state / "postgresql"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("9\n")
    code, output = instance.play(PLAY)
    assert code != 0 and "is of version 9" in " ".join(output.split()), output
    assert not (instance.folder / ".config/swf-testbed/supervisord.conf").exists()
    assert [path.name for path in cluster.iterdir()] == ["PG_VERSION"]
