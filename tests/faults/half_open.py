# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole pipeline, while nothing passes on its connections to the broker and none of them is
closed.

    PYTHONPATH=packages/swf-common-lib/tests RELEASE/bin/python tests/faults/half_open.py [SECONDS]

The programs are those beside the Python that runs it. They reach the broker through a proxy of this
process that takes all bytes and passes none on, for 90 s, new connections included: as when a
firewall forgot its connections, or a host lost its power.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from proxies import Proxy
from swf_common_lib.testing import BrokerProgram, MonitorProgram, Program, wait_until

FILES = 120
AGENTS = ("daqsim", "data", "processing", "fastmon")


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 90
    with tempfile.TemporaryDirectory(prefix="swf-half-open-") as name:
        folder = Path(name)
        broker, monitor = BrokerProgram(folder), MonitorProgram(folder)
        broker.start()
        monitor.start()
        try:
            with Proxy(broker.port) as proxy:
                return through(proxy, broker, monitor, folder, seconds)
        finally:
            monitor.stop()
            broker.stop()


def through(proxy, broker, monitor, folder, seconds):
    through_proxy = {**broker.env, "ACTIVEMQ_PORT": str(proxy.port)}
    env = {
        **through_proxy,
        **monitor.env,
        "SWF_DATA_DIR": str(folder / "data"),
        "SWF_STF_INTERVAL": "0.25",
        "SWF_RUN_COUNT": "1",
        "SWF_STF_PER_RUN": str(FILES),
        "SWF_STF_SIZE": "20000",
    }
    programs = {
        name: Program(folder / (name + ".log"), "swf-%s-agent" % name, env=env) for name in AGENTS
    }
    programs["listener"] = Program(
        folder / "listener.log",
        "swf-monitor",
        "listen",
        env={**monitor.server_env, **through_proxy},
    )
    for program in programs.values():
        program.start()
    try:
        wait_until(lambda: stf(monitor)["processed"] >= 10)
        opened = proxy.connections
        proxy.silent.set()
        print(
            "half-open: %d connections, %d files processed" % (opened, stf(monitor)["processed"]),
            flush=True,
        )
        time.sleep(seconds)
        before = stf(monitor)["processed"]
        proxy.silent.clear()
        print(
            "after %.0f s: %d connections were tried, %d files processed"
            % (seconds, proxy.connections - opened, before),
            flush=True,
        )
        assert before < FILES, "all was done before: it was no outage"
        began = time.monotonic()
        wait_until(
            lambda: stf(monitor)["processed"] == stf(monitor)["sampled"] == FILES, timeout=180
        )
        print("all %d files processed %.0f s later" % (FILES, time.monotonic() - began), flush=True)
        bodies = wait_until(lambda: recorded(monitor))
        dead = [
            name for name, program in programs.items() if not program.running and name != "daqsim"
        ]
        assert not dead, "ended: %s" % dead
    finally:
        for program in programs.values():
            program.stop()
    announced = {body["filename"] for body in bodies if body["msg_type"] == "stf_gen"}
    twice = [
        number
        for number, count in Counter(body["message_id"] for body in bodies).items()
        if count > 1
    ]
    assert len(announced) == FILES, "%d files were never announced" % (FILES - len(announced))
    assert not twice, "%d messages were recorded twice" % len(twice)
    print("0 of %d files lost, 0 of %d messages recorded twice" % (FILES, len(bodies)))


def stf(monitor):
    return monitor.get("/api/summary/")["stf"]


def recorded(monitor):
    """All messages, once the last file's have come; the listener may be a little behind."""
    bodies = [row["body"] for row in monitor.get("/api/messages/?limit=1000")["results"]]
    done = {body["filename"] for body in bodies if body["msg_type"] == "processing_complete"}
    return (
        bodies
        if len(done) == FILES and any(body["msg_type"] == "end_run" for body in bodies)
        else None
    )


if __name__ == "__main__":
    main()
