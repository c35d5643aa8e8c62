# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way to reach supervisord, and every way to fail at it: each with its own cause and fix."""

from __future__ import annotations

import contextlib
import datetime
import http.server
import ipaddress
import json
import os
import signal
import socket
import ssl
import threading
import time
import xmlrpc.server

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from helpers.ports import free_port
from helpers.run_module import run_module
from helpers.supervisord_host import Supervisord, module, until

PASSWORD = "s3cret 100% \u00fc:%"
RUNS = "[program:runs]\ncommand=sleep 1000\nstartsecs=0\n"


def tcp_sections(port, password=PASSWORD):
    return "[inet_http_server]\nport=127.0.0.1:%d\nusername=operator\npassword=%s\n" % (
        port,
        password.replace("%", "%%"),
    )


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    supervisord = Supervisord(tmp_path_factory.mktemp("sv"), env={"LC_ALL": "C.UTF-8"})
    supervisord.port = free_port()
    supervisord.configure(RUNS + tcp_sections(supervisord.port))
    supervisord.start()
    yield supervisord
    supervisord.stop()


def fails(cause, *words, **arguments):
    answer = module("supervisor_info", **arguments)
    assert answer["failed"], answer
    assert answer["cause"] == cause, answer["msg"]
    for word in words:
        assert word in answer["msg"]
    assert "Traceback" not in json.dumps(answer)
    return answer


def works(**arguments):
    answer = module("supervisor_info", **arguments)
    assert not answer["failed"], answer
    assert [item["name"] for item in answer["processes"]] == ["runs"]
    return answer


@contextlib.contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def answering(answer):
    """A listener that sends some bytes to whoever connects, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with contextlib.suppress(OSError):
                connection, _address = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):  # closing with something unread would be a reset
                        pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)


def test_unix_socket(host):
    works(socket=str(host.socket))


@pytest.mark.parametrize(
    "form", ["127.0.0.1:%d", "http://127.0.0.1:%d", "http://127.0.0.1:%d/RPC2/"]
)
def test_tcp_with_password(host, form):
    answer = works(url=form % host.port, username="operator", password=PASSWORD)
    assert PASSWORD not in json.dumps(answer, ensure_ascii=False)


def test_tcp_without_password(host):
    fails("unauthorized", "HTTP 401 without credentials", url="127.0.0.1:%d" % host.port)


def test_tcp_with_a_wrong_password(host):
    answer = fails(
        "unauthorized",
        "compare 'username' and 'password'",
        url="127.0.0.1:%d" % host.port,
        username="operator",
        password="canary-8d1f",
    )
    assert "canary-8d1f" not in json.dumps(answer)


def test_config_names_the_socket(host):
    works(config=str(host.conf))


def test_config_with_supervisorctl_section(host, tmp_path):
    conf = tmp_path / "ctl.conf"
    conf.write_text("[supervisorctl]\nserverurl=unix://%s\n" % host.socket)
    works(config=str(conf))


def test_config_names_tcp_and_the_password(host, tmp_path):
    conf = tmp_path / "tcp.conf"
    conf.write_text(tcp_sections(host.port), encoding="utf-8")
    answer = works(config=str(conf))
    assert PASSWORD not in json.dumps(answer, ensure_ascii=False)
    conf.write_text(tcp_sections(host.port, "{SHA}0123"))
    fails("unauthorized", "hash", config=str(conf))
    works(config=str(conf), username="operator", password=PASSWORD)


def test_config_in_an_included_file(host, tmp_path):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "a.ini").write_text("[unix_http_server]\nfile=%s\n" % host.socket)
    conf = tmp_path / "main.conf"
    conf.write_text("[include]\nfiles=%(here)s/conf.d/*.ini\n")
    works(config=str(conf))


@pytest.mark.parametrize(
    ("text", "cause", "word"),
    [
        ("[supervisord]\n", "no_server", "[unix_http_server]"),
        ("no section\n", "config_invalid", "no section"),
        ("[unix_http_server]\nfile=%(nothing)s/x\n", "config_invalid", "nothing"),
    ],
)
def test_config_that_is_of_no_use(tmp_path, text, cause, word):
    conf = tmp_path / "s.conf"
    conf.write_text(text)
    fails(cause, word, config=str(conf))


def test_config_missing(tmp_path):
    fails("config_missing", "Fix: write it", config=str(tmp_path / "none.conf"))


def test_socket_missing(tmp_path):
    fails("socket_missing", "supervisord is not running", socket=str(tmp_path / "none.sock"))


def test_socket_path_too_long(tmp_path):
    fails("socket_missing", "too long", socket="/tmp/" + "x" * 120)


def test_socket_stale(tmp_path):
    path = str(tmp_path / "s.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
    fails("socket_stale", "stale", "Fix: start supervisord", socket=path)


def test_not_a_socket(tmp_path):
    (tmp_path / "file").write_text("")
    fails("not_supervisor", "is not a socket", socket=str(tmp_path / "file"))


def test_connection_refused():
    fails("refused", "Fix: start it", url="127.0.0.1:%d" % free_port())


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1:1",
        "http://user:pw@127.0.0.1:1",
        "http://:1",
        "http://127.0.0.1:x",
        "http://h:1/?q",
    ],
)
def test_bad_urls(url):
    answer = fails("bad_address", url=url)
    assert "pw@" not in answer["msg"]


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's socket can only be tried by root")
@pytest.mark.parametrize("barrier", ["socket", "directory"])
def test_permission_denied_says_who_may(barrier):
    import shutil
    import tempfile

    folder = tempfile.mkdtemp(dir="/tmp")
    try:
        host = Supervisord(folder, RUNS).start()
        assert not host.info()[
            "failed"
        ]  # and all code is imported: the other user may not be able to read it
        os.chmod(folder, 0o755 if barrier == "socket" else 0o710)
        os.chown(folder if barrier == "directory" else host.socket, 0, 4)
        os.chmod(host.socket, 0o770)
        os.seteuid(65534)
        try:
            fails(
                "permission_denied",
                "the user root and members of the group " + "adm",
                folder if barrier == "directory" else str(host.socket),
                "become_user",
                socket=str(host.socket),
            )
        finally:
            os.seteuid(0)
        host.stop()
    finally:
        shutil.rmtree(folder)


def test_a_web_server():
    with serving(
        http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    ) as port:
        fails("not_supervisor", "HTTP 501", url="127.0.0.1:%d" % port)


def test_another_xmlrpc_server():
    server = xmlrpc.server.SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False)
    with serving(server) as port:
        fails("not_supervisor", "refuses system.multicall", url="127.0.0.1:%d" % port)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not_supervisor"),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", "not_supervisor"),
        (b"HTTP/1.0 200 OK\r\n\r\n", "not_supervisor"),
        (b"", "died"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5000\r\n\r\n<methodResponse>", "died"),
        (b"HTTP/1.0 200 OK\r\n\r\n<?xml version='1.0'?><methodResponse><params>", "died"),
    ],
)
def test_answers_that_are_none(answer, cause):
    with answering(answer) as port:
        fails(cause, url="127.0.0.1:%d" % port)


def multicall_server(*answers):
    server = xmlrpc.server.SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False, allow_none=False)
    server.register_function(lambda calls: list(answers)[: len(calls)], "system.multicall")
    return server


def test_supervisord_too_old():
    state = {"statecode": 1, "statename": "RUNNING"}
    with serving(multicall_server("3.4.0", "3.0", "supervisor", state, 1, [], "", [])) as port:
        fails("too_old", "3.4.0", "4.3 or later", url="127.0.0.1:%d" % port)


def test_no_rpc_interface(tmp_path):
    host = Supervisord(tmp_path, RUNS)
    text = host.conf.read_text().replace("[rpcinterface:supervisor]", "[nothing:supervisor]")
    host.conf.write_text(text)
    host.start(wait=False)
    try:
        until(host.socket.exists, "the socket")
        fails("no_rpc_interface", "[rpcinterface:supervisor]", socket=str(host.socket))
    finally:
        host.stop()


def test_shutting_down(tmp_path):
    host = Supervisord(
        tmp_path,
        "[program:stubborn]\ncommand=/bin/sh -c 'trap : TERM; echo ready; while :; do sleep 0.1; "
        "done'\n"
        "startsecs=0\nstopwaitsecs=3600\nstdout_logfile=%(here)s/out\n",
    ).start()
    try:
        until(lambda: (tmp_path / "out").exists() and (tmp_path / "out").read_text(), "the program")
        pid = host.pids()["stubborn:stubborn"]
        host.client.call("supervisor.shutdown")
        fails("shutting_down", "wait for its end", socket=str(host.socket))
        answer = host.program("restarted", ["all"])
        assert answer["failed"] and answer["cause"] == "shutting_down"
        os.kill(pid, signal.SIGKILL)
    finally:
        host.stop()


@pytest.fixture
def frozen(tmp_path):
    host = Supervisord(tmp_path, RUNS).start()
    os.kill(host.process.pid, signal.SIGSTOP)
    yield host
    host.process.send_signal(signal.SIGCONT)
    host.stop()


def test_supervisord_that_hangs(frozen):
    fails("timeout", "within 0.3 s", "'timeout'", socket=str(frozen.socket), timeout=0.3)


def test_supervisord_that_answers_slowly(frozen):
    waker = threading.Timer(0.7, os.kill, (frozen.process.pid, signal.SIGCONT))
    waker.start()
    works(socket=str(frozen.socket), timeout=30)
    waker.join()


def test_supervisord_that_dies_in_the_middle_of_a_call(frozen):
    killer = threading.Timer(0.5, os.kill, (frozen.process.pid, signal.SIGKILL))
    killer.start()
    fails("died", "middle of a call", socket=str(frozen.socket), timeout=30)
    killer.join()


def test_waiting_for_supervisord_itself(tmp_path):
    host = Supervisord(tmp_path, RUNS)
    starter = threading.Timer(0.5, host.start)
    starter.start()
    try:
        begin = time.monotonic()
        answer = module(
            "supervisor_info", socket=str(host.socket), connect_wait=30, wait_for="running"
        )
        assert not answer["failed"], answer
        assert time.monotonic() - begin >= 0.4
    finally:
        starter.join()
        host.stop()


@pytest.mark.parametrize("name", ["supervisor_info", "supervisor_program"])
def test_first_run_in_check_mode(tmp_path, name):
    """Neither the configuration nor supervisord is there yet: the play has only said it would make
    them."""
    arguments = {"state": "applied"} if name == "supervisor_program" else {"wait_for": "running"}
    for option in ("config", "socket"):
        answer = run_module(name, {option: str(tmp_path / "none"), **arguments}, check=True)
        assert not answer["failed"]
        assert answer["changed"] is (name == "supervisor_program")
        assert "In check mode this is not a failure" in str(answer["warnings"])
    assert not module(
        "supervisor_program", check=True, socket="/none", state="stopped", names=["a"]
    )["changed"]


def test_numbers_out_of_range():
    for option in ("timeout", "wait_timeout", "min_uptime", "log_tail", "connect_wait"):
        assert option in fails("bad_option", socket="/none", **{option: -1})["msg"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "cert.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(path)


@pytest.fixture
def tls_proxy(host, certificate):
    """A TLS front for supervisord's TCP port, as an operator would put nginx there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source, target):
        with contextlib.suppress(OSError):
            while True:
                data = source.recv(65536)
                if not data:
                    break
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve():
        while True:
            try:
                raw, _address = listener.accept()
            except OSError:
                return
            try:
                front = context.wrap_socket(raw, server_side=True)
            except (ssl.SSLError, OSError):
                raw.close()
                continue
            back = socket.create_connection(("127.0.0.1", host.port))
            up = threading.Thread(target=pump, args=(front, back), daemon=True)
            up.start()
            pump(back, front)
            front.close()
            back.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield "https://127.0.0.1:%d" % listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def test_tls(tls_proxy, certificate, host, tmp_path):
    login = {"username": "operator", "password": PASSWORD}
    works(url=tls_proxy, ca_cert=certificate, **login)
    works(url=tls_proxy, validate_certs=False, **login)
    fails("tls", "give the CA that signed it as ca_cert", url=tls_proxy, **login)
    fails("tls", "never speaks TLS", url="https://127.0.0.1:%d" % host.port, timeout=1, **login)
    with answering(b"HTTP/1.0 400 Bad Request\r\n\r\n") as port:
        fails("tls", "does not speak TLS", url="https://127.0.0.1:%d" % port)
    fails("tls", "readable PEM", url=tls_proxy, ca_cert=str(tmp_path / "none.pem"), **login)
