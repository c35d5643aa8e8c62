# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  socket:
    description:
      - The path of supervisord's unix socket, as in C(file) of its C([unix_http_server]) section.
      - Exactly one of O(socket), O(url) and O(config) must be given.
    type: path
  url:
    description:
      - The address of supervisord's C([inet_http_server]), or of a proxy in front of it.
      - One of V(http://host:port), V(https://host:port) and V(host:port). A path before C(/RPC2) is
        allowed.
      - Credentials in the URL are an error, because URLs end up in logs. Use O(username) and
        O(password).
    type: str
  config:
    description:
      - The path of a V(supervisord.conf) that defines the address of supervisord.
      - C(serverurl) of its C([supervisorctl]) section has precedence, then C([unix_http_server]),
        then C([inet_http_server]); the credentials also come from there, unless O(username) is set.
        Included files are read.
      - The user that runs the module must be able to read it.
    type: path
  username:
    description: The user name for supervisord. Required if supervisord has a C(username)
      configured.
    type: str
  password:
    description: The password for supervisord. It is sent only to supervisord, and is never on a
      command line.
    type: str
  timeout:
    description: Maximum duration of one call of supervisord, in seconds.
    type: float
    default: 15
  connect_wait:
    description:
      - Seconds to retry while supervisord is not ready, that is while its configuration or socket
        is missing or nothing listens. Other errors fail at once.
      - Use it right after a start of supervisord.
    type: float
    default: 0
  validate_certs:
    description: Whether the certificate of an C(https) O(url) must be valid.
    type: bool
    default: true
  ca_cert:
    description: The path of a PEM file with the CA certificates to trust for an C(https) O(url).
    type: path
  client_cert:
    description: The path of a PEM file with a client certificate, and its key unless O(client_key)
      contains it.
    type: path
  client_key:
    description: The path of a PEM file with the key of O(client_cert).
    type: path
  names:
    description:
      - Shell patterns of the programs to select, in the form that C(supervisorctl status) shows,
        for example V(web), V(web:web_00) or V(web:*).
      - V(web) is the program C(web) of the group C(web), and not the group. All programs of a group
        are V(web:*).
      - V(all) selects all programs.
    type: list
    elements: str
    default: []
    aliases:
      - name
  groups:
    description: Shell patterns of groups; all their programs are selected, in addition to those of
      O(names).
    type: list
    elements: str
    default: []
    aliases:
      - group
  wait_timeout:
    description: Maximum time to wait until the programs reach the requested state, in seconds.
    type: float
    default: 60
  min_uptime:
    description:
      - Seconds for which a program must have been C(RUNNING) without interruption to count as such.
      - supervisord itself counts a program as C(RUNNING) after its C(startsecs). With a larger
        O(min_uptime) a program that fails and restarts repeatedly does not pass.
    type: float
    default: 0
  log_tail:
    description:
      - Bytes to return from the end of the standard output and standard error logs of each program
        that is not in the expected state.
      - The logs are read through supervisord, so no permission on the files is needed. Colour codes
        are removed, and bytes that are not UTF-8 are replaced.
      - V(0) returns none.
    type: int
    default: 2000
notes:
  - Requires supervisord 4.0 or later; 4.3 or later is recommended.
  - Uses only the Python standard library on the host, and starts no process there.
  - A program that exited with one of its C(exitcodes) is complete, and counts like a C(RUNNING)
    one. If a program must never end, set C(autorestart=true), so that supervisord restarts it.
"""
