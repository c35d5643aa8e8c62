# SPDX-License-Identifier: GPL-3.0-or-later
"""Two testbeds on one broker: each processes all of its files, and none of the other's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from artemis import Artemis, installed
from swf_common_lib.testing import (
    BrokerProgram,
    Inbox,
    MonitorProgram,
    Program,
    wait_until,
)

FILES = 20
NIGHTLY = pytest.mark.nightly
AGENTS = ("daqsim", "data", "processing", "fastmon")


class Testbed:
    """Agents with a namespace, a data directory and a monitor."""

    __test__ = False

    def __init__(
        self, directory: Path, broker: Mapping[str, str], monitor: MonitorProgram, namespace: str
    ) -> None:
        self.monitor = monitor
        self.namespace = namespace
        self.data_dir = directory / namespace
        env = {
            **broker,
            **monitor.env,
            "SWF_NAMESPACE": namespace,
            "SWF_INSTANCE": namespace,
            "SWF_DATA_DIR": str(self.data_dir),
            "SWF_HEARTBEAT_INTERVAL": "1",
            "SWF_STF_INTERVAL": "0.1",
            "SWF_STF_PER_RUN": str(FILES),
            "SWF_RUN_COUNT": "1",
            "SWF_STF_SIZE": "20000",
        }
        names = [*AGENTS, "processing"]  # two that share the files
        self.agents = [
            Program(
                directory / f"{namespace}-{number}.log",
                f"swf-{name}-agent",
                env={**env, "SUPERVISOR_PROCESS_NAME": f"{name}-{number}"},
            )
            for number, name in enumerate(names)
        ]

    def files(self, **filters: str) -> list[dict[str, object]]:
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        path = f"/api/stf-files/?namespace={self.namespace}&limit=1000&{query}"
        return list(self.monitor.get(path)["results"])

    def finished(self) -> bool:
        return len(self.files(status="processed", sampled="true")) == FILES

    def processed(self) -> Counter[str]:
        """How often each file was processed, by all agents of this testbed."""
        return Counter(
            str(entry["file"])
            for agent in self.agents
            for entry in agent.logs
            if entry["message"] == "file processed"
        )


@pytest.fixture(params=["embedded", pytest.param("artemis", marks=NIGHTLY)])
def broker_env(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The address and the login of a broker: our own, or an Artemis as `artemis create` makes it,
    without prefixes."""
    if request.param == "embedded":
        broker = BrokerProgram(tmp_path)
        broker.start()
        yield dict(broker.env)
        broker.stop()
        return
    with Artemis(tmp_path, installed()) as artemis:
        yield artemis.env


@pytest.mark.timeout(240)
@pytest.mark.parametrize("monitors", [1, 2])
def test_two_testbeds_do_not_see_each_others_files(
    tmp_path: Path, broker_env: dict[str, str], monitors: int
) -> None:
    programs = [MonitorProgram(tmp_path / str(number)) for number in range(monitors)]
    testbeds = [
        Testbed(tmp_path, broker_env, monitor, namespace)
        for monitor, namespace in ((programs[0], "one"), (programs[-1], "two_me_host"))
    ]
    started: list[Program] = []
    try:
        for number, monitor in enumerate(programs):
            started.append(monitor.start())
            log = tmp_path / f"listen-{number}.log"
            env = {**monitor.server_env, **broker_env}
            started.append(Program(log, "swf-monitor", "listen", env=env).start())
        started += [agent.start() for testbed in testbeds for agent in testbed.agents]
        wait_until(lambda: all(testbed.finished() for testbed in testbeds), timeout=120)
        wait_until(lambda: sum(map(_completed, programs)) == 2 * FILES)
        for testbed in testbeds:
            assert testbed.processed() == {str(row["filename"]): 1 for row in testbed.files()}
            assert testbed.monitor.get("/api/set-aside-messages/")["results"] == []
            assert testbed.monitor.get(f"/api/health/?namespace={testbed.namespace}")
    finally:
        for program in reversed(started):
            program.stop()


@pytest.mark.timeout(240)
def test_messages_wait_without_a_reader(broker_env: dict[str, str]) -> None:
    env = {**broker_env, "SWF_NAMESPACE": "kept"}
    with Inbox(env) as sender:
        for number in range(5):
            sender.send("work", str(number))
    with Inbox(env, "work") as first, Inbox(env, "work") as second:
        wait_until(lambda: len(first.bodies) + len(second.bodies) == 5)
        for number in range(5, 25):
            first.send("work", str(number))
        wait_until(lambda: len(first.bodies) + len(second.bodies) >= 25)
        assert sorted(map(int, first.bodies + second.bodies)) == list(range(25))


def _completed(monitor: MonitorProgram) -> int:
    """The number of files whose processing the listener recorded."""
    rows = monitor.get("/api/messages/?msg_type=processing_complete&limit=1000")["results"]
    return len({row["body"]["filename"] for row in rows})
