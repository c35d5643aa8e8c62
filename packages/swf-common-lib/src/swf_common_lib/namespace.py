# SPDX-License-Identifier: GPL-3.0-or-later
"""What separates testbeds that share a broker, a monitor or a host: the namespace and its owner, the
addresses of its queues, and the names of its agents."""

from __future__ import annotations

import os
import pwd
import re
import socket
from dataclasses import dataclass

RULE = "1 to 100 lowercase letters, digits, '-' and '_', of which the first is a letter or a digit"
_NAMESPACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
_OTHER = re.compile(r"[^a-z0-9_-]+")


@dataclass(frozen=True)
class Namespace:
    """A namespace and the testbed that uses it.

    :param name: a part of the address of each queue, and of each message
    :param owner: the identity of the testbed; the same for all of its programs, on all hosts
    :param take_over_from: the owner of the namespace that this testbed replaces; "" for none
    """

    name: str
    owner: str
    take_over_from: str = ""

    def address(self, queue: str) -> str:
        """The address of a queue of this namespace; an address stays as it is.

        The name is one word between two dots, so `swf.#` and `swf.NAMESPACE.#` match it in the
        settings of Artemis, with and without prefixes.
        """
        return queue if "/" in queue else f"/queue/swf.{self.name}.{queue}"


def valid_namespace(name: str) -> bool:
    """Whether it can be the name of a namespace: it is one word of an address, for any broker."""
    return _NAMESPACE.fullmatch(name) is not None


def default_namespace() -> str:
    """A namespace that two logins or hosts do not share by accident."""
    return _OTHER.sub("-", f"{login()}_{socket.gethostname()}".lower()).strip("-_")[:100]


def default_owner(instance: str) -> str:
    """An owner that two instances, logins or hosts do not share."""
    return f"{instance or 'testbed'}@{socket.gethostname()}:{login()}"


def default_agent_name(agent_type: str, program: str, instance: str) -> str:
    """A name that is unique for each program, instance, login and host: TYPE@INSTANCE.LOGIN.HOST.

    :param program: the name of the program at supervisord; "" without supervisord. A second program
        of one type has its name instead of the type.
    :param instance: the name of the instance; "" for none
    """
    first = agent_type if program in ("", f"{agent_type}-agent") else program
    parts = (instance, login(), socket.gethostname())
    return f"{first}@{'.'.join(part for part in parts if part)}"


def login() -> str:
    """The login of this process; its number if it has no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
