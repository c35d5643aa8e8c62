# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures of a host that end the play for the rest of its batch. One connection is really refused.
molecule/release tests the rollbacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
PLAY = (
    """
- hosts: all
  gather_facts: false
  serial: [2, 1]
  max_fail_percentage: 0
  tasks:
    - name: End the play if the run failed before
      ansible.builtin.meta: end_play
      when: "'swf_testbed_gate_failed' in groups"

    - name: Change over
      ansible.builtin.raw: "true"

    - name: Fail the gate
      ansible.builtin.set_fact:
        swf_testbed_gate: {gate_failed: its gate, deferred: "{{ deferred | default(false) }}"}
      when: gate_fails | default(false)

    - name: Note it
      ansible.builtin.group_by:
        key: swf_testbed_gate_failed
      when: gate_fails | default(false)

    - name: Keep the batch whole
      ansible.builtin.import_tasks: %s/playbooks/tasks/batch.yml
"""
    % ROOT
)


@pytest.mark.parametrize(
    "wrong, expected, reached",
    [
        ({}, None, True),
        (
            {"gate_fails": True},
            "This host was not changed. Evidence: two failed, of the same batch.",
            False,
        ),
        # settle.yml fails, when the secrets are restored
        ({"gate_fails": True, "deferred": True}, None, False),
        (
            {"ansible_connection": "ssh", "ansible_host": "127.0.0.1"},
            "This host was not changed. Evidence: two became unreachable, of the same batch.",
            False,
        ),
    ],
    ids=["nothing", "a gate", "a gate after a change of secrets", "a connection"],
)
def test_a_host_that_failed_or_went_away_ends_the_play_after_its_batch(
    tmp_path, wrong, expected, reached
):
    local = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "swf_testbed_release": {"active": None, "id": "1-a"},
    }
    hosts = {"one": local, "two": dict(local, **wrong, ansible_port=free_port()), "three": local}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    (tmp_path / "play.yml").write_text(PLAY)
    done = subprocess.run(
        ["ansible-playbook", "-i", str(tmp_path / "hosts.json"), str(tmp_path / "play.yml")],
        cwd=ROOT,
        check=False,
        env=dict(os.environ, ANSIBLE_NOCOLOR="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    text = " ".join(done.stdout.split())
    assert (done.returncode == 0) == (expected is None) and (expected or "") in text, done.stdout
    assert ("ok: [three]" in text or "changed: [three]" in text) == reached, done.stdout
