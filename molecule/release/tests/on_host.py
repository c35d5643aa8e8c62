# SPDX-License-Identifier: GPL-3.0-or-later
"""Sent to each host of the lab, and run there by its Python, beside tests/faults/testbed.py.

on_host.py            what this host runs and is configured for, as JSON
on_host.py probe FILE a line into the file whenever another set of programs is up, looked at every
100 ms
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
import xmlrpc.client
from pathlib import Path

from testbed import ALIVE, Prober, UnixTransport

ROOT, ETC = Path("/opt/swf-testbed"), Path("/etc/swf-testbed")
UNIT = Path("/etc/systemd/system/swf-testbed.service")
MONITOR = ("127.0.0.1", 8002)
# how a supervisord that ends, or has ended, is heard of
UNAVAILABLE = (OSError, http.client.HTTPException, xmlrpc.client.Error)
SHOWN = "ActiveState,SubState,NeedDaemonReload,LimitNOFILE,ReadWritePaths,ExecStart"


def infos():
    with xmlrpc.client.ServerProxy(
        "http://localhost", UnixTransport("/run/swf-testbed/supervisor.sock")
    ) as server:
        return server.supervisor.getAllProcessInfo()


def release_of(pid):
    """The release that a process was started from."""
    for part in Path("/proc/%d/cmdline" % pid).read_text().split("\0"):
        if part.startswith("%s/releases/" % ROOT):
            return part.split("/")[4]
    return None


def linked(name):
    return os.path.basename(os.readlink(ROOT / name)) if (ROOT / name).is_symlink() else None


def state():
    shown = subprocess.run(
        ["systemctl", "show", UNIT.name, "--property=" + SHOWN],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    loaded = dict(line.split("=", 1) for line in shown.stdout.splitlines())
    current = linked("current")
    try:
        programs = {
            info["name"]: [info["statename"], info["pid"] and release_of(info["pid"])]
            for info in infos()
        }
    except UNAVAILABLE as error:
        programs = {"supervisord": [str(error), None]}
    conf = (ETC / "supervisord.conf").read_text()
    return {
        "current": current,
        "previous": linked("previous"),
        "sent_from": json.loads((ROOT / "current/release.json").read_text()).get("sent_from"),
        "configured": next(
            line for line in conf.splitlines() if line.startswith("release = ")
        ).rpartition("/")[2],
        # which of the files in use are, to the byte, those that are kept for the active release
        "known_good": [
            path.name
            for path in (ETC / "supervisord.conf", UNIT)
            if path.read_bytes() == (ETC / "known_good" / current / path.name).read_bytes()
        ],
        "programs": programs,
        "unit": UNIT.read_text(),
        # without what changes with each start
        "loaded": {name: value.partition(" ; start_time=")[0] for name, value in loaded.items()},
    }


def up():
    """The programs that do their work: they have a process, and the monitor takes connections."""
    try:
        alive = {info["name"] for info in infos() if info["statename"] in ALIVE}
    except UNAVAILABLE:
        return set()
    if "monitor" in alive:
        try:
            socket.create_connection(MONITOR, timeout=1).close()
        except OSError:
            alive.remove("monitor")
    return alive


def probe(path):
    last = None
    with open(path, "w", encoding="utf-8") as stream:
        while True:
            now = up()
            if now != last:
                # containers of one machine have one clock
                print(json.dumps([time.time(), sorted(now)]), file=stream, flush=True)
                last = now
            time.sleep(Prober.EVERY)


if __name__ == "__main__":
    if sys.argv[1:2] == ["probe"]:
        probe(sys.argv[2])
    else:
        print(json.dumps(state()))
