# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole pipeline while its parts are killed: each file ends processed and sampled."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from swf_common_lib.testing import BrokerProgram, MonitorProgram, Program, wait_until

FILES = 60


def test_nothing_is_lost_while_broker_monitor_and_agents_are_killed(
    tmp_path: Path, broker: BrokerProgram
) -> None:
    monitor = MonitorProgram(tmp_path)
    monitor.start()
    env = {
        **broker.env,
        **monitor.env,
        "SWF_DATA_DIR": str(tmp_path / "data"),
        "SWF_HEARTBEAT_INTERVAL": "1",
        "SWF_STF_INTERVAL": "0.1",
        "SWF_STF_PER_RUN": str(FILES),
        "SWF_RUN_COUNT": "1",
        "SWF_STF_SIZE": "20000",
    }
    names = ("daqsim", "data", "processing", "fastmon")
    agents = {n: Program(tmp_path / f"{n}.log", f"swf-{n}-agent", env=env) for n in names}
    listener = Program(
        tmp_path / "listen.log", "swf-monitor", "listen", env={**monitor.server_env, **broker.env}
    )
    programs = [listener, *agents.values()]
    for program in programs:
        program.start()

    def processed() -> int:
        return int(monitor.get("/api/summary/")["stf"]["processed"])

    try:
        wait_until(lambda: processed() >= 5)
        broker.kill()
        time.sleep(1)
        broker.start()
        wait_until(lambda: processed() >= 15)
        monitor.kill()
        time.sleep(1)
        monitor.start()
        wait_until(lambda: processed() >= 25)
        for name in ("data", "processing", "fastmon"):
            agents[name].kill()
            agents[name].start()
        assert agents["daqsim"].wait(40) == 0

        def finished() -> bool:
            stf = monitor.get("/api/summary/")["stf"]
            return bool(stf["processed"] == stf["sampled"] == FILES)

        wait_until(finished)
        bodies = wait_until(lambda: _recorded(monitor))
    finally:
        for program in programs:
            program.stop()
        monitor.stop()
    assert stf_of(bodies, "stf_gen") == set(range(1, FILES + 1))
    assert len(stf_of(bodies, "processing_complete")) == FILES
    assert max(Counter(body["message_id"] for body in bodies).values()) == 1
    assert all(program.running is False for program in programs)


def _recorded(monitor: MonitorProgram) -> list[dict[str, object]]:
    """All messages, when those of the last file have arrived; the listener may be delayed."""
    bodies = [row["body"] for row in monitor.get("/api/messages/?limit=1000")["results"]]
    complete = len(stf_of(bodies, "processing_complete")) == FILES and any(
        body["msg_type"] == "end_run" for body in bodies
    )
    return bodies if complete else []


def stf_of(bodies: list[dict[str, object]], msg_type: str) -> set[int]:
    """Sequence numbers of the files that have a message of this type."""
    return {
        int(str(body["filename"]).split(".")[2]) for body in bodies if body["msg_type"] == msg_type
    }
