# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""One XML-RPC request over a unix socket, TCP or TLS, with a separate error for each failure."""

from __future__ import annotations

import base64
import errno
import grp
import http.client
import os
import pwd
import re
import socket
import ssl
import stat
import time
import typing as t
import xmlrpc.client
from dataclasses import dataclass
from xml.parsers.expat import ExpatError

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    RpcFault,
    SupervisorError,
)

# supervisord sends characters of logs that XML 1.0 does not allow. Each becomes its Unicode control
# picture (ESC is U+241B); otherwise one colour code would make a whole answer unreadable.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


@dataclass(frozen=True)
class Endpoint:
    """The address of supervisord and the login. ``path`` is a socket (scheme unix) or a URL
    prefix."""

    scheme: str  # "unix", "http" or "https"
    path: str
    host: str = "localhost"
    port: int = 0
    username: str | None = None
    password: str | None = None
    timeout: float = 15.0  # seconds for one whole request
    validate_certs: bool = True
    ca_cert: str | None = None
    client_cert: str | None = None
    client_key: str | None = None

    def __str__(self) -> str:
        if self.scheme == "unix":
            return "unix://" + self.path
        host = "[%s]" % self.host if ":" in self.host else self.host
        return "%s://%s:%d%s" % (self.scheme, host, self.port, self.path)

    def __repr__(self) -> str:  # never with the password
        return "<Endpoint %s>" % self


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(self._path)
        except OSError:
            self.sock.close()
            raise


def call(endpoint: Endpoint, method: str, *params: t.Any) -> t.Any:
    """Make one call and return its value.

    :raises RpcFault: supervisord answered with a fault.
    :raises SupervisorError: there was no usable answer; its cause has the reason.
    """
    body = xmlrpc.client.dumps(params, method, allow_none=False).encode("utf-8")
    answer = _post(endpoint, body)
    text = _NOT_XML.sub(_picture, answer.decode("utf-8", "replace"))
    try:
        values, _name = xmlrpc.client.loads(text)
    except xmlrpc.client.Fault as fault:
        raise RpcFault(fault.faultCode, fault.faultString) from None
    except (
        ExpatError,
        xmlrpc.client.Error,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AssertionError,
    ):
        if "<methodResponse" in text and "</methodResponse>" not in text:
            raise _died(endpoint) from None
        raise _not_supervisor(endpoint, "its answer is not XML-RPC") from None
    return values[0]


def _picture(match: re.Match[str]) -> str:
    code = ord(match.group(0))
    return chr(0x2400 + code) if code < 0x20 else "\ufffd"


def _post(endpoint: Endpoint, body: bytes) -> bytes:
    deadline = time.monotonic() + endpoint.timeout
    connection = None
    try:
        connection = _connect(endpoint)
        sock = connection.sock
        headers = {
            "Content-Type": "text/xml",
            "Connection": "close",
            "User-Agent": "bnlnpps.swf_testbed",
        }
        if endpoint.username is not None:
            pair = "%s:%s" % (endpoint.username, endpoint.password or "")
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode("utf-8")).decode(
                "ascii"
            )
        path = endpoint.path if endpoint.scheme != "unix" else "/RPC2"
        sock.settimeout(max(0.001, deadline - time.monotonic()))
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        if response.status != 200:
            raise _status_error(endpoint, response)
        chunks = []
        while not response.isclosed():
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            chunk = response.read1(1 << 16)
            if not chunk:
                break
            chunks.append(chunk)
            if time.monotonic() > deadline:
                raise socket.timeout()
        return b"".join(chunks)
    except socket.timeout:
        raise SupervisorError(
            "timeout",
            "No answer from %s within %g s: supervisord hangs, or is very busy. Fix: check its log "
            "and load, or set a larger 'timeout'." % (endpoint, endpoint.timeout),
        ) from None
    except ssl.SSLError as error:
        raise _tls_error(endpoint, error) from None
    except (
        http.client.BadStatusLine,
        http.client.IncompleteRead,
        ConnectionResetError,
        BrokenPipeError,
    ) as error:
        if isinstance(error, http.client.BadStatusLine) and not isinstance(
            error, http.client.RemoteDisconnected
        ):
            raise _not_supervisor(endpoint, "it does not speak HTTP") from None
        raise _died(endpoint) from None
    except http.client.HTTPException:
        raise _not_supervisor(endpoint, "it does not speak HTTP") from None
    except OSError as error:
        raise _os_error(endpoint, error) from None
    finally:
        if connection is not None:
            connection.close()


def _connect(endpoint: Endpoint) -> http.client.HTTPConnection:
    if endpoint.scheme == "unix":
        connection: http.client.HTTPConnection = _UnixConnection(endpoint.path, endpoint.timeout)
    else:
        connection = http.client.HTTPConnection(
            endpoint.host, endpoint.port, timeout=endpoint.timeout
        )
    context = _tls_context(endpoint) if endpoint.scheme == "https" else None
    connection.connect()
    if context is not None:
        plain = connection.sock
        try:
            connection.sock = context.wrap_socket(plain, server_hostname=endpoint.host)
        except socket.timeout:
            plain.close()
            raise SupervisorError(
                "tls",
                "TLS with %s failed. Evidence: no handshake within %g s; supervisord itself never "
                "speaks TLS. Fix: use http://, or the address of the TLS proxy."
                % (endpoint, endpoint.timeout),
            ) from None
        except OSError:
            plain.close()
            raise
    return connection


def _tls_context(endpoint: Endpoint) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=endpoint.ca_cert)
        if not endpoint.validate_certs:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if endpoint.client_cert:
            context.load_cert_chain(endpoint.client_cert, endpoint.client_key)
    except OSError as error:
        raise SupervisorError(
            "tls",
            "Cannot use the certificate files for %s. Evidence: %s. Fix: check that ca_cert, "
            "client_cert and client_key are readable PEM files." % (endpoint, error),
        ) from None
    return context


def _died(endpoint: Endpoint) -> SupervisorError:
    return SupervisorError(
        "died",
        "supervisord at %s closed the connection in the middle of a call: it stopped or crashed. "
        "Fix: check its log and restart it." % endpoint,
    )


def _not_supervisor(endpoint: Endpoint, why: str) -> SupervisorError:
    return SupervisorError(
        "not_supervisor",
        "The server at %s is not supervisord. Evidence: %s. Fix: compare the address with "
        "[unix_http_server] or [inet_http_server] of supervisord.conf." % (endpoint, why),
    )


def _status_error(endpoint: Endpoint, response: http.client.HTTPResponse) -> SupervisorError:
    if response.status == 401:
        if endpoint.username is None:
            fix = "give 'username' and 'password'"
        else:
            fix = "compare 'username' and 'password' with its [*_http_server] section"
        return SupervisorError(
            "unauthorized",
            "supervisord at %s rejected the credentials. Evidence: HTTP 401%s. Fix: %s."
            % (endpoint, " without credentials" * (endpoint.username is None), fix),
        )
    if response.status == 500 and (response.getheader("Server") or "").startswith("Medusa"):
        return SupervisorError(
            "internal",
            "supervisord at %s failed to create its answer. Evidence: HTTP 500; its log has the "
            "traceback." % endpoint,
        )
    return _not_supervisor(endpoint, "it returned HTTP %d %s" % (response.status, response.reason))


def _tls_error(endpoint: Endpoint, error: ssl.SSLError) -> SupervisorError:
    if isinstance(error, ssl.SSLCertVerificationError):
        text = (
            "the certificate is not trusted: %s. Fix: give the CA that signed it as ca_cert"
            % error.verify_message
        )
    elif "WRONG_VERSION_NUMBER" in str(error) or "UNKNOWN_PROTOCOL" in str(error):
        text = "it does not speak TLS. Fix: use http://, or the address of the TLS proxy"
    else:
        text = "%s. Fix: check ca_cert, client_cert and the TLS proxy in front of supervisord" % (
            error.reason or error
        )
    return SupervisorError("tls", "TLS with %s failed. Evidence: %s." % (endpoint, text))


def _os_error(endpoint: Endpoint, error: OSError) -> SupervisorError:
    if endpoint.scheme == "unix":
        return _socket_error(endpoint, error)
    if error.errno == errno.ECONNREFUSED:
        return SupervisorError(
            "refused",
            "supervisord does not listen at %s. Evidence: connection refused. Fix: start it, and "
            "check 'port' in its [inet_http_server] section." % endpoint,
        )
    if isinstance(error, socket.gaierror):
        return SupervisorError(
            "unreachable",
            "The name %s cannot be resolved. Evidence: %s." % (endpoint.host, error.strerror),
        )
    return SupervisorError(
        "unreachable", "Cannot reach %s. Evidence: %s." % (endpoint, error.strerror or error)
    )


def _socket_error(endpoint: Endpoint, error: OSError) -> SupervisorError:
    path = endpoint.path
    if error.errno in (errno.EACCES, errno.EPERM):
        return SupervisorError("permission_denied", _who_may(path))
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return SupervisorError(
            "socket_missing",
            "There is no socket %s: supervisord is not running, or listens elsewhere. Fix: start "
            "it, or correct the path (see 'file' in the [unix_http_server] section of its "
            "configuration)." % path,
        )
    if error.errno == errno.ECONNREFUSED:
        try:
            is_socket = stat.S_ISSOCK(os.stat(path).st_mode)
        except OSError:
            is_socket = True
        if not is_socket:
            return SupervisorError(
                "not_supervisor", "%s is not a socket. Fix: correct the path." % path
            )
        return SupervisorError(
            "socket_stale",
            "The socket %s is stale: no process listens on it, supervisord was killed or crashed. "
            "Fix: start supervisord, which replaces the socket." % path,
        )
    if "path too long" in str(error):
        return SupervisorError(
            "socket_missing",
            "The path %s is too long for a socket, which allows 107 bytes. Fix: use a shorter one."
            % path,
        )
    return SupervisorError(
        "unreachable",
        "Cannot connect to the socket %s. Evidence: %s." % (path, error.strerror or error),
    )


def _who_may(path: str) -> str:
    """The message with the reason why this user has no access, and the users and groups that
    have."""
    me = _user(os.geteuid())
    parent = os.path.dirname(os.path.abspath(path))
    blocked = None
    while True:
        if os.path.isdir(parent) and not os.access(parent, os.X_OK, effective_ids=True):
            blocked = parent
        if parent == os.path.dirname(parent):
            break
        parent = os.path.dirname(parent)
    subject = blocked or path
    try:
        info = os.stat(subject)
    except OSError:
        return (
            "The user %s may not use the socket %s. Fix: become a user with access (become_user)."
            % (me, path)
        )
    need = 0o1 if blocked else 0o2
    allowed = []
    if info.st_mode & (need << 6):
        allowed.append("the user " + _user(info.st_uid))
    if info.st_mode & (need << 3):
        allowed.append("members of the group " + _group(info.st_gid))
    return (
        "The user %s may not use the socket %s. Evidence: %s is %s:%s with mode %04o, which allows "
        "%s. Fix: become such a user (become_user), or widen 'chmod' and 'chown' in "
        "[unix_http_server]."
        % (
            me,
            path,
            "the directory " + blocked if blocked else "it",
            _user(info.st_uid),
            _group(info.st_gid),
            stat.S_IMODE(info.st_mode),
            " and ".join(allowed) or "only root",
        )
    )


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
