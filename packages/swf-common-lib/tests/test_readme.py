# SPDX-License-Identifier: GPL-3.0-or-later
"""The example of the README runs as it is printed, and takes no work of the testbed."""

from __future__ import annotations

import re
from pathlib import Path

from swf_common_lib.messages import ROUTES
from swf_common_lib.testing import BrokerProgram, Inbox, MonitorProgram, programs, wait_until

FILE = {
    "filename": "a.stf",
    "path": "/x",
    "size_bytes": 1,
    "checksum": "sha256:",
    "sequence": 1,
    "started_at": "",
    "ended_at": "",
}
README = Path(__file__).parents[1] / "README.md"


def test_the_example_works_and_takes_no_work_of_the_testbed(
    tmp_path: Path, broker: BrokerProgram, monitor: MonitorProgram
) -> None:
    (code,) = re.findall(
        r"^```python\n(.*?)^```", README.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    script = tmp_path / "my_agent.py"
    script.write_text(code)
    env = {**broker.env, **monitor.env, "SWF_HEARTBEAT_INTERVAL": "0.3"}
    with programs(tmp_path, "python", str(script), env=env) as start, Inbox(broker.env) as sender:
        agent = start()
        queues = sorted({queue for route in ROUTES.values() for queue in route})
        for queue in queues:
            sender.send(queue, "work of the testbed")
        sender.publish("work", "stf_ready", 1, **FILE)
        wait_until(lambda: "work on a.stf" in [entry["message"] for entry in agent.logs])
        with Inbox(broker.env, *queues) as inbox:
            wait_until(lambda: len(inbox.bodies) == len(queues))
        agents = monitor.get("/api/summary/")["agents"]
        assert [row["alive"] for row in agents if row["agent_type"] == "my"] == [True]
        assert agent.stop() == 0
