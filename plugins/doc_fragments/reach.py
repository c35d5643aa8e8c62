# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  reach:
    description: The services that the programs of this host use.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the service, for the message.
        type: str
        required: true
      host:
        description: Name or address, or the directory of PostgreSQL's socket.
        type: str
        required: true
      port:
        description: Port.
        type: int
        required: true
      needed:
        description: Whether this host needs it, so that one list works for all hosts.
        type: bool
        default: true
      tls:
        description: Whether the service uses TLS, or the TLS negotiation of PostgreSQL.
        type: str
        choices: ["off", "on", postgresql]
        default: "off"
      ca:
        description: Certificates of the CAs to trust, in PEM. Empty for those that the host trusts.
        type: str
        default: ""
      variable:
        description: Variable that sets the address.
        type: str
        required: true
      provider:
        description: Part of this testbed; empty for an external service.
        type: str
        default: ""
      protocol:
        description: Protocol with which the login and the rights of the programs are checked.
          Empty for a check of the address and TLS alone.
        type: str
        choices: ["", http, postgresql, redis, stomp]
        default: ""
      user:
        description: Login of the programs.
        type: str
        default: ""
      secret:
        description: Name of the variable with the password of O(reach[].user), the API token, or
          the address of Redis with its password. The action reads it. If it is not set yet, the
          login is not checked.
        type: str
        default: ""
      password:
        description: The value of O(reach[].secret). Not for use in a playbook.
        type: str
      url:
        description: Address to request, for the protocol V(http).
        type: str
        default: ""
      database:
        description: Database of PostgreSQL.
        type: str
        default: ""
      minimum:
        description: Oldest version of PostgreSQL that the stack supports. Empty disables the check.
        type: str
        default: ""
      connections:
        description: Number of connections that the programs of this host open at most.
        type: int
        default: 0
      instance:
        description: Name of the instance, a part of the names of scratch addresses.
        type: str
        default: ""
      needs:
        description: Requirements of the stack for a broker, as in a stack file.
        type: dict
        default: {}
      probe:
        description:
          - Beginning of the names of scratch addresses, without C(/queue/) and C(/topic/), such as
            V(swf.probe.). Messages to these addresses show how the broker handles messages. They
            expire after a minute.
          - Empty for no messages.
        type: str
        default: ""
      accept_unverified:
        description: Whether a broker that forbids the use of scratch addresses is a warning instead
          of a problem.
        type: bool
        default: false
"""
