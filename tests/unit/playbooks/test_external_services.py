# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance of a login that is not root, whose PostgreSQL, Redis and broker belong to others: each
is tested with the credentials of the programs, and a run that cannot work ends before it changes
anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import pytest

from helpers import brokers, postgresql_server
from helpers.leaks import Leaks
from helpers.played_instance import PLAY, Instance
from helpers.ports import free_port
from helpers.unprivileged import NOBODY, unprivileged_home
from helpers.used_services import texts

STACK = """
title: A client of all services
requires: {python: "3.9", postgresql: "13", redis: true}
secrets_in: environment
components:
  - name: client
    role: monitor
    command: /bin/sleep 1000
    startsecs: 1
    database_connections: 10
    secrets: {DB_PASSWORD: database_password, REDIS_URL: redis_url, ACTIVEMQ_PASSWORD: broker_password}
    environment: {DB_HOST: "{{ swf_testbed_database_address }}"}
broker: {anycast: [/queue/x.work], multicast: [/topic/x], bare_names: true, selectors: true}
"""
STATUS = """
- hosts: testbed
  gather_facts: false
  tasks: [{import_role: {name: bnlnpps.swf_testbed.status}}]
"""
DOCTOR = """
- hosts: testbed
  gather_facts: false
  roles: [bnlnpps.swf_testbed.doctor]
"""
REDIS = shutil.which("redis-server") or shutil.which("valkey-server")

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("CI") and not (postgresql_server.BIN and REDIS),
        reason="needs PostgreSQL and Redis: apt-get install postgresql redis-server",
    ),
]


@pytest.fixture(name="services", scope="module")
def the_services(tmp_path_factory):
    """Their addresses and credentials."""
    redis = free_port()
    conf = tmp_path_factory.mktemp("redis") / "conf"
    conf.write_text('bind 127.0.0.1\nport %d\nsave ""\nrequirepass canary-of-redis\n' % redis)
    with (
        postgresql_server.running() as (_folder, postgresql),
        brokers.ended(subprocess.Popen([REDIS, conf], stdout=subprocess.DEVNULL, cwd="/tmp")),
        brokers.embedded() as broker,
    ):
        deadline = time.monotonic() + 10
        while texts(redis) and time.monotonic() < deadline:
            time.sleep(0.1)
        yield {
            "swf_testbed_database_host": "127.0.0.1",
            "swf_testbed_database_port": postgresql,
            "swf_testbed_database_name": "postgres",
            "swf_testbed_database_user": "swf",
            "swf_testbed_database_password": postgresql_server.PASSWORD,
            "swf_testbed_redis_host": "127.0.0.1",
            "swf_testbed_redis_port": redis,
            "swf_testbed_redis_password": "canary-of-redis",
            **of_broker(broker),
        }


def of_broker(port):
    return {
        "swf_testbed_broker_port": port,
        "swf_testbed_broker_user": brokers.USER,
        "swf_testbed_broker_password": brokers.PASSWORD,
    }


@pytest.fixture(name="instance")
def an_instance(services):
    with unprivileged_home() as folder:
        instance = Instance(folder, STACK, **services)
        yield instance
        instance.stop()


def running(instance):
    """What a run that is refused must not touch: the daemon, and the files of the instance."""
    conf = instance.folder / ".config/swf-testbed"
    files = {path: path.stat().st_mtime_ns for path in conf.rglob("*") if path.is_file()}
    return (instance.state / "run/supervisord.pid").read_text(), files


@pytest.mark.nightly
def test_a_run_with_services_of_others(instance):
    with Leaks("canary") as leaks:
        code, output = instance.play(PLAY, "-vvv", "--diff")
    assert code == 0, output
    leaks.text("the output", output)
    before = running(instance)
    code, output = instance.play(PLAY)
    assert code == 0 and " changed=0 " in output, output

    # all problems at once, and nothing is touched
    code, output = instance.play(
        PLAY,
        swf_testbed_database_password="wrong",
        swf_testbed_redis_password="wrong",
        swf_testbed_broker_password="wrong",
    )
    text = " ".join(output.split())
    assert code != 0 and "this host is not ready, and nothing was changed" in text, output
    for problem in (
        "the broker refuses the login of the programs",
        "PostgreSQL refuses the login of the programs",
        "Redis refuses the login of the programs",
        "Fix: Correct swf_testbed_database_user and swf_testbed_database_password",
    ):
        assert problem in text, output
    assert running(instance) == before

    code, output = instance.play(DOCTOR, swf_testbed_database_password="wrong")
    assert code != 0 and "password authentication failed for user" in output, output


def test_a_broker_that_does_not_do_what_the_stack_needs(instance):
    name = "/queue/swf.probe.aq.%d.%s.swf-testbed" % (NOBODY, os.uname().nodename.replace(".", "-"))
    with brokers.embedded(SWF_BROKER_MULTICAST=name) as port:
        code, output = instance.play(PLAY, **of_broker(port))
    text = " ".join(output.split())
    assert code != 0 and "the broker does not handle messages as the stack requires" in text, output
    assert "each must have one reader (/queue/x.work)" in text, output
    assert not (instance.folder / ".config/swf-testbed/supervisord.conf").exists()


@pytest.mark.nightly
def test_a_broker_that_forbids_the_check(instance):
    answers = [
        "CONNECTED\nversion:1.2\nheart-beat:30000,30000\n\n",
        "ERROR\nmessage:User guest is not authorized to write\n\n",
    ]
    with brokers.scripted(answers) as port:
        code, output = instance.play(PLAY, **of_broker(port))
        assert code != 0 and "the broker is not verified" in " ".join(output.split()), output
        assert not (instance.folder / ".config/swf-testbed/supervisord.conf").exists()

        accepted = {**of_broker(port), "swf_testbed_accept_unverified_broker": True}
        code, output = instance.play(PLAY, **accepted)
        assert code == 0 and "[WARNING]: the broker is not verified" in output, output
        # neither status nor doctor says that all is well
        _code, output = instance.play(STATUS, **accepted)
        assert "one, swf-testbed: the broker is not verified" in output, output
        _code, output = instance.play(DOCTOR, **accepted)
        assert "the broker is not verified" in output, output


@pytest.fixture(name="artemis")
def an_artemis(tmp_path_factory):
    with brokers.Artemis(tmp_path_factory.mktemp("artemis"), "2.56.0").running() as broker:
        yield broker


@pytest.mark.nightly
def test_artemis_as_its_administrators_make_it(artemis, instance):
    code, output = instance.play(PLAY, **of_broker(artemis.port))
    text = " ".join(output.split())
    assert code != 0 and '<address name="/queue/x.work"><anycast>' in text, output
    code, output = instance.play(PLAY, **of_broker(artemis.prefixed))
    assert code == 0, output
