# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option of the modules that ask the broker of the host."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  broker:
    description: The broker of this host, Artemis as the role P(bnlnpps.swf_testbed.broker#role) runs
      it. The module calls its operations over STOMP, as the user C(swf-management).
    type: dict
    required: true
    suboptions:
      host:
        description: Address that it listens on.
        type: str
        required: true
      port:
        description: Port that it listens on.
        type: int
        required: true
      password_file:
        description: Path on the host of the file with the password.
        type: path
        required: true
      certificate:
        description: Path on the host of its certificate, in PEM. The broker must have exactly this
          one. Empty without TLS.
        type: path
      timeout:
        description: Seconds within which it must answer.
        type: int
        default: 10
"""
