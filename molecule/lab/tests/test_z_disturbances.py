# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to a lab: after each, the testbed is healthy again without a hand. In the end no
file is lost.

make test has the kills; make nightly has all of them.
"""

from __future__ import annotations

import re
import subprocess
import time

import pytest

LOGS = "/var/log/swf-testbed"


def booted(host):
    """The time when the host was started; None while it is unreachable."""
    try:
        # the machine below has one boot id for all
        return host.run("stat -c %Y /proc/1/stat").stdout.strip()
    except RuntimeError:
        return ""


def podman(*arguments):
    subprocess.run(["podman", *arguments], check=True, capture_output=True)


@pytest.mark.nightly
def test_the_power_of_the_services_fails(lab, goes_on, wait_until):
    """While they are down, the status reports them with the cause, and still shows the others. Then
    they start by themselves."""
    container = lab.container(lab.services)
    podman("stop", "--time", "0", container)
    try:
        status = lab.play("playbooks/status.yml")
    finally:
        podman("start", container)
    assert status.returncode != 0
    assert re.search(r"^%s +- +- +UNREACHABLE" % lab.services, status.stdout, re.MULTILINE), (
        status.stdout
    )
    for name in lab.agents:
        for program in lab.variables[name]["swf_testbed_components"]:
            assert re.search(
                r"^%s +swf-testbed +%s +RUNNING" % (name, program), status.stdout, re.MULTILINE
            ), status.stdout
    assert re.search(
        r"- %s: cannot be reported: .*connect to host %s port 22"
        % (lab.services, re.escape(lab.addresses[lab.services])),
        status.stdout,
    ), status.stdout
    goes_on()


def test_supervisord_an_agent_and_the_broker_are_killed_at_once(lab, goes_on):
    processing, daqsim, services = (
        lab.host(name)
        for name in (lab.host_of("processing-agent"), lab.host_of("daqsim-agent"), lab.services)
    )
    daqsim.check_output("systemctl kill --signal=KILL --kill-whom=main swf-testbed.service")
    processing.check_output("pkill -KILL -u swf-testbed -f bin/swf-processing-agent")
    services.check_output("systemctl kill --signal=KILL --kill-whom=main swf-broker.service")
    goes_on()


@pytest.mark.nightly
def test_the_broker_stops_for_a_minute_and_the_database_and_a_host_of_agents_meanwhile(
    lab, goes_on, wait_until
):
    services, rebooting = lab.host(lab.services), lab.agents[1]
    services.check_output("systemctl stop swf-broker.service")
    began = time.monotonic()
    try:
        time.sleep(2)
        services.check_output("systemctl stop postgresql@15-main.service")
        try:
            # an error is no answer here
            assert lab.ask("/api/health/") == {}, "a monitor without its database is healthy"
            before = booted(lab.host(rebooting))
            lab.host(rebooting).check_output("systemd-run --on-active=1 systemctl reboot")
            time.sleep(30)
        finally:
            services.check_output("systemctl start postgresql@15-main.service")
        wait_until(lambda: booted(lab.host(rebooting)) not in ("", before), 60, "a reboot")
        time.sleep(max(0, 60 - (time.monotonic() - began)))
    finally:
        services.check_output("systemctl start swf-broker.service")
    goes_on()


@pytest.mark.nightly
def test_the_disk_of_the_logs_is_full(lab, goes_on):
    """Programs go on; what they say meanwhile is lost, and what they say later is written again."""
    host = lab.host(lab.host_of("processing-agent"))
    size = "stat -c %%s %s/processing-agent.log"
    host.check_output("systemctl stop swf-testbed.service")
    host.check_output(
        "mount -t tmpfs -o size=256k,mode=0750,uid=swf-testbed,gid=swf-operators swf-logs " + LOGS
    )
    try:
        host.check_output("systemctl start swf-testbed.service")
        host.run("head -c 1000000 /dev/zero > %s/filler" % LOGS)
        assert host.check_output("df --output=avail %s | tail -1" % LOGS).strip() == "0"
        goes_on()
        host.check_output("rm %s/filler" % LOGS)
        written = int(host.check_output(size, LOGS))
        goes_on()
        assert int(host.check_output(size, LOGS)) > written
    finally:
        host.check_output(
            "systemctl stop swf-testbed.service; umount %s; systemctl start swf-testbed.service"
            % LOGS
        )
    goes_on()


def test_no_file_was_lost(lab, wait_until):
    """What the detector wrote is what was registered, and all of it was processed and sampled."""
    name = lab.host_of("daqsim-agent")
    host = lab.host(name)
    folder = host.check_output(
        "sed -n 's/^supervisord = //p' /etc/swf-testbed/supervisord.conf"
    ).rpartition("/")[0]
    daqsim = "%s/supervisorctl -c /etc/swf-testbed/supervisord.conf %%s daqsim-agent" % folder
    host.check_output(daqsim % "stop")
    try:
        written = set(
            host.check_output(
                "find /var/lib/swf-testbed/data -name '*.stf' -printf '%f\\n'"
            ).split()
        )

        def open_files():
            recorded = {row["filename"]: row for row in lab.files()}
            done = {
                key
                for key, row in recorded.items()
                if row["status"] == "processed" and row["sampled_at"]
            }
            return written - done | set(recorded) - done

        wait_until(lambda: not open_files(), 180, open_files)
        # of the oldest, which are removed when there are many, the numbers tell
        numbers = {}
        for row in lab.files():
            numbers.setdefault(row["run_id"], set()).add(row["sequence"])
        assert all(
            sequences == set(range(1, max(sequences) + 1)) for sequences in numbers.values()
        ), numbers
    finally:
        host.check_output(daqsim % "start")
