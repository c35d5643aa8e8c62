# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs modules of the collection, each in a process forked from this one, which has imported them.

    module_server.py COLLECTIONS         for requests on standard input, a socket
    module_server.py COLLECTIONS NAME    one module in this process, its arguments on standard input

A request is a line of JSON with the descriptors of the module's standard input, output and error;
the answer is its exit status. A fork takes a tenth of the time of a new Python with the same
imports.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import tempfile
from importlib import import_module

MODULES = "ansible_collections.bnlnpps.swf_testbed.plugins.modules."
LARGEST = 1 << 20  # bytes of a request: an environment, but not the arguments


def serve(server):
    """Fork for each request; returns the request in the new process, and None when all is done."""
    while True:
        data, descriptors, _flags, _address = socket.recv_fds(server, LARGEST, 3)
        if not data:
            return None
        request = json.loads(data)
        with contextlib.suppress(Exception):  # its own process shows it
            import_module(MODULES + request["name"])
        pid = os.fork()
        if pid == 0:
            server.detach()
            for number, descriptor in enumerate(descriptors):
                os.dup2(descriptor, number)
                os.close(descriptor)
            return request
        for descriptor in descriptors:
            os.close(descriptor)
        _pid, status = os.waitpid(pid, 0)
        server.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def become(request):
    """Take over what a new process has of the one that starts it."""
    os.chdir(request["cwd"])
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update(request["environment"])
    tempfile.tempdir = None
    if request["groups"] is not None:
        os.setgroups(request["groups"])
    os.setresgid(*request["gids"])
    os.setresuid(*request["uids"])


def main():
    sys.path.insert(0, sys.argv.pop(1))
    from ansible.module_utils import basic

    basic._ANSIBLE_PROFILE = "legacy"  # ansible-core 2.19 and later want to be told
    if len(sys.argv) > 1:
        import_module(MODULES + sys.argv.pop(1)).main()
        return
    # a descriptor that no module has: the first three are replaced
    server = socket.socket(fileno=os.dup(0))
    request = serve(server)
    if request:
        become(request)
        import_module(MODULES + request["name"]).main()


if __name__ == "__main__":
    main()
