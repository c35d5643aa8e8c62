# SPDX-License-Identifier: GPL-3.0-or-later
"""The socket of `swf-monitor serve`. This module is quick to import, so the socket exists long
before Django and daphne are loaded."""

import socket

from swf_common_lib.settings import ConfigurationError


def listen_on(host: str, port: int) -> socket.socket:
    """A socket that accepts connections; they are answered as soon as the server is up.

    Raises:
        ConfigurationError: the address is not one of this host, or the port is taken.
    """
    try:
        family, socket_type, protocol, _name, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, socket_type, protocol)
        # remaining connections of a stopped monitor do not block the port
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host} port {port}: {error.strerror}") from None
    listening.setblocking(False)
    return listening
