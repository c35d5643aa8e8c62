# SPDX-License-Identifier: GPL-3.0-or-later
"""The user scope of a login that lingers: its own systemd runs the instance, and nothing of it
takes root."""

from __future__ import annotations

from physicist import COMPONENTS, manager


def test_it_installs_and_a_second_run_changes_nothing(as_physicist):
    first = as_physicist("site.yml")
    assert first.status == 0, first.output
    again = as_physicist("site.yml")
    assert again.status == 0 and again.counts["changed"] == 0, again.output


def test_the_logins_systemd_runs_it(host):
    with host.sudo():
        state = manager(
            host, "show swf-testbed --property=ActiveState,UnitFileState,ControlGroup"
        ).stdout
        assert (
            "ActiveState=active" in state
            and "UnitFileState=enabled" in state
            and "/user.slice/" in state
        )
        uid = host.check_output("id -u physicist")
        pids = host.check_output("pgrep -u physicist -f /swf-testbed/releases/").split()
        assert len(pids) == len(COMPONENTS)
        for pid in pids:
            assert (
                "user@%s.service/app.slice/swf-testbed.service" % uid
                in host.file("/proc/%s/cgroup" % pid).content_string
            )
        # all of it is in the login's home
        assert (
            host.check_output(
                "find / -xdev -user physicist -not -path '/home/*' -not -path '/proc/*' -not -path "
                "'/tmp/*' "
                "-not -path '/var/tmp/*'"
            )
            == ""
        )


def test_the_doctor_finds_nothing(as_physicist):
    done = as_physicist("playbooks/doctor.yml")
    assert done.status == 0 and "no findings" in done.output, done.output
