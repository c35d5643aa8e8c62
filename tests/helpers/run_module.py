# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module of the collection as Ansible does: a process of its own, arguments as JSON, one
JSON answer."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import selectors
import socket
import subprocess
import sys
import time
from pathlib import Path

COLLECTIONS = Path(__file__).resolve().parents[2] / ".ansible" / "collections"
PROGRAM = [sys.executable, str(Path(__file__).with_name("module_server.py")), str(COLLECTIONS)]
# what Python itself reads when it starts
AT_START = ("PYTHON", "LC_", "LANG", "TZ")
PATIENCE = 300  # seconds


def regain():
    os.seteuid(0)
    os.setegid(0)


class Server:
    """A module_server, for one module at a time."""

    # {what Python reads when it starts: those that wait for a module}
    idle: dict = {}

    def __init__(self, environment):
        self.socket, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                PROGRAM,
                stdin=theirs,
                cwd="/",
                env=environment,
                preexec_fn=regain if os.getuid() == 0 else None,
            )
        atexit.register(self.close)

    def close(self):
        self.socket.close()
        self.process.wait(PATIENCE)

    def run(self, request, arguments):
        """(standard output, standard error) of a module."""
        pipes = [os.pipe() for _stream in range(3)]
        (their_in, our_in), (our_out, their_out), (our_err, their_err) = pipes
        theirs = [their_in, their_out, their_err]
        try:
            socket.send_fds(self.socket, [json.dumps(request).encode()], theirs)
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        with open(our_in, "w") as stream, contextlib.suppress(BrokenPipeError):
            stream.write(arguments)
        texts = read_all(our_out, our_err)
        self.socket.settimeout(PATIENCE)
        assert self.socket.recv(16), "the server of modules ended"
        return texts


def read_all(*descriptors):
    """What comes out of pipes until they are closed."""
    texts, deadline = dict.fromkeys(descriptors, b""), time.monotonic() + PATIENCE
    with selectors.DefaultSelector() as selector:
        for descriptor in descriptors:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0, deadline - time.monotonic()))
            assert ready, "no answer within %d s: %s" % (PATIENCE, texts)
            for key, _events in ready:
                data = os.read(key.fd, 65536)
                texts[key.fd] += data
                if not data:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    return [text.decode() for text in texts.values()]


def credentials(drop_to):
    """User and group numbers (real, effective, saved) and groups of the new process."""
    if drop_to and os.getuid() == 0:
        return {"uids": [drop_to] * 3, "gids": [drop_to] * 3, "groups": []}
    user, group = os.geteuid(), os.getegid()
    return {
        "uids": [os.getuid(), user, user],
        "gids": [os.getgid(), group, group],
        "groups": os.getgroups() if os.getuid() == 0 else None,
    }


def in_server(name, arguments, environment, cwd, drop_to):
    """(standard output, standard error) of a module that a server runs."""
    umask = os.umask(0o22)
    os.umask(umask)
    request = dict(
        credentials(drop_to),
        name=name,
        environment=environment,
        cwd=str(cwd or os.getcwd()),
        umask=umask,
    )
    at_start = frozenset(item for item in environment.items() if item[0].startswith(AT_START))
    idle = Server.idle.setdefault(at_start, [])
    server = idle.pop() if idle else Server(environment)
    try:
        texts = server.run(request, arguments)
    except BaseException:
        # nobody knows what it does now
        server.process.kill()
        raise
    idle.append(server)
    return texts


def run_module(name, arguments, check=False, diff=False, env=None, cwd=None, drop_to=None):
    """The answer of a module, ``failed`` and ``changed`` always in it.

    If this is root, or would be, the module runs as the user with the number ``drop_to``.

    It is a process of its own, forked from one that has imported the module (module_server.py):
    what a module does at exit (its temporary files) stays as it is on a host.
    """
    parameters = dict(
        arguments,
        _ansible_check_mode=check,
        _ansible_diff=diff,
        _ansible_remote_tmp="/tmp",
        _ansible_keep_remote_files=False,
    )
    out, errors = in_server(
        name,
        json.dumps({"ANSIBLE_MODULE_ARGS": parameters}),
        dict(os.environ if env is None else env),
        cwd,
        drop_to,
    )
    try:
        answer = json.loads(out)
    except ValueError:
        raise AssertionError("no answer: %s%s" % (out, errors)) from None
    return dict({"failed": False, "changed": False}, **answer)


def run_release_build(arguments, **how):
    """The answer of release_build. Arguments that its action adds are given like the others."""
    names = ("step", "lock", "tools_lock", "wheels", "archive", "archive_sha256")
    private = {
        name: arguments[name] for name in (*names, "sent_from", "paths") if name in arguments
    }
    public = {name: value for name, value in arguments.items() if name not in private}
    return run_module("release_build", dict(public, _controller=private), **how)
