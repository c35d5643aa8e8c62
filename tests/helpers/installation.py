# SPDX-License-Identifier: GPL-3.0-or-later
"""The play that the tests of tokens and of push run: access to indexes, a release, and all that was
registered on the way."""

from __future__ import annotations

PLAY = """
- hosts: all
  gather_facts: false
  roles:
    - bnlnpps.swf_testbed.pip_index
    - bnlnpps.swf_testbed.release
  tasks:
    - name: Everything that was registered
      ansible.builtin.debug:
        var: swf_testbed_release
"""
