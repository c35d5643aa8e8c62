# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate of the broker, which can be renewed while clients are connected."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from swf_broker.settings import ConfigurationError

log = logging.getLogger(__name__)

# Seconds for the handshake of a client.
HANDSHAKE_TIMEOUT = 10.0


class Certificate:
    """A certificate and its key. Raises ConfigurationError if they cannot be used.

    :ivar context: the context of the listening socket; it serves the newest certificate
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key
        self.context = self._newest = self._read()
        self.context.sni_callback = self._use_newest

    def reload(self) -> None:
        """Read the files again, for new connections. If they cannot be used, the former certificate
        stays."""
        try:
            self._newest = self._read()
        except ConfigurationError as error:
            log.error("the certificate did not change", extra={"cause": str(error)})
        else:
            log.info("certificate reloaded", extra={"path": str(self._certificate)})

    def _use_newest(self, connection: ssl.SSLObject, _name: str | None, _: ssl.SSLContext) -> None:
        """Called in each handshake, also if the client sends no server name."""
        connection.context = self._newest

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        for name, path in (
            ("SWF_BROKER_TLS_CERT", self._certificate),
            ("SWF_BROKER_TLS_KEY", self._key),
        ):
            try:
                path.read_bytes()
            except OSError as error:
                raise ConfigurationError(f"{name}: cannot read {path}: {error.strerror}") from None
        try:
            # Without the callback, OpenSSL would ask for a passphrase on the terminal.
            context.load_cert_chain(self._certificate, self._key, password=lambda: "")
        except (ssl.SSLError, ValueError) as error:
            reason = getattr(error, "reason", None) or "a passphrase is not supported"
            raise ConfigurationError(
                "SWF_BROKER_TLS_CERT and SWF_BROKER_TLS_KEY are not a certificate and its key in "
                f"PEM: {self._certificate}, {self._key}: {reason}"
            ) from None
        return context
