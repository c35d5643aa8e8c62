# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated data acquisition: runs, STF files, and a message for each."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime, timezone

from swf_common_lib.agent import BaseAgent
from swf_common_lib.messages import now
from swf_common_lib.repeats import Repeats
from swf_common_lib.retry import Backoff, Outage
from swf_common_lib.settings import AgentSettings, Environment
from swf_common_lib.shutdown import Stopping
from swf_common_lib.stf import StfName, checksum, stf_files

from swf_daqsim_agent import __version__, files
from swf_daqsim_agent.settings import OPTIONS, DaqSimSettings

logger = logging.getLogger(__name__)

_RUN_IMMINENT_LEAD = 0.5
_REANNOUNCE_EVERY = 60.0
_REANNOUNCE_AGE = 60.0
_ROOM_POLL = 1.0


class DaqSimAgent(BaseAgent):
    """Simulates one run after the other. While the data directory is full, it waits and drops
    nothing.

    :param settings: the settings of every agent
    :param daqsim: the amount and rate of the data
    """

    agent_type = "daqsim"
    description = "Simulates the data acquisition: runs and STF files."
    version = __version__
    uses_data = True
    marks_data = True
    options = OPTIONS

    def __init__(self, settings: AgentSettings, daqsim: DaqSimSettings) -> None:
        super().__init__(settings)
        self._daqsim = daqsim
        self._data_dir = settings.data_dir
        self._registered: set[StfName] = set()
        self._repeats = Repeats[StfName](pause=_REANNOUNCE_EVERY)
        self._reannouncer = threading.Thread(
            target=self._reannounce_periodically, name="reannounce", daemon=True
        )

    @classmethod
    def from_environment(cls, env: Environment) -> DaqSimAgent:
        """Create the agent.

        :raises ConfigurationError: a variable is wrong
        """
        settings = AgentSettings.from_environment(cls.agent_type, env)
        return cls(settings, DaqSimSettings.from_environment(env))

    def work(self) -> None:
        """Simulate all runs; return after `run_count` of them."""
        self._data_dir.mkdir(parents=True, exist_ok=True)
        files.remove_unfinished(self._data_dir)
        self._end_open_runs()
        if self._reannouncer.ident is None:
            self._reannouncer.start()
        runs = 0
        while True:
            self._simulate_run()
            runs += 1
            if runs == self._daqsim.run_count:
                return
            self.shutdown.pause(self._daqsim.run_pause)

    def _simulate_run(self) -> None:
        run_id = self._new_run()
        files.mark_open(self._data_dir, run_id)
        self.publish("run_imminent", run_id)
        self.shutdown.wait(min(_RUN_IMMINENT_LEAD, self._daqsim.run_pause))
        self.publish("start_run", run_id)
        logger.info("run started", extra={"run_id": run_id})
        made = 0
        try:
            while made < self._daqsim.stf_per_run:
                self._wait_for_room()
                self._make_file(StfName(run_id, made + 1))
                made += 1
                self.shutdown.pause(self._daqsim.stf_interval)
        finally:
            # Also when the agent stops: each started run has an end.
            self._end_run(run_id, made)

    def _new_run(self) -> int:
        used = {name.run_id for name in stf_files(self._data_dir)}
        while (run_id := self.monitor.create_run(self.namespace.name)) in used:
            # A monitor with a new database counts from 1 again, but files of former runs remain.
            logger.warning("a former run with this number has files", extra={"run_id": run_id})
            self.monitor.update_run(run_id, status="ended", total_files=0)
        return run_id

    def _end_run(self, run_id: int, total_files: int) -> None:
        self.publish("end_run", run_id, total_files=total_files)
        files.mark_ended(self._data_dir, run_id)
        logger.info("run ended", extra={"run_id": run_id, "total_files": total_files})

    def _end_open_runs(self) -> None:
        """End the runs of a former simulator: those that it did not announce as ended, and those
        whose announcement got lost, for example in a queue of an earlier version."""
        at_monitor = {
            int(row["run_id"])
            for status in ("imminent", "running")
            for row in self.monitor.runs(namespace=self.namespace.name, status=status)
        }
        for run_id in sorted({*files.open_runs(self._data_dir), *at_monitor}):
            on_disk = [name.sequence for name in stf_files(self._data_dir) if name.run_id == run_id]
            registered = [
                int(row["sequence"]) for row in self.monitor.stf_files(run_id=run_id, limit=1)
            ]
            self._end_run(run_id, max([*on_disk, *registered, 0]))

    def _make_file(self, name: StfName) -> None:
        started_at = now()
        digest = self._write(name)
        self._announce(name, digest, self._daqsim.stf_size, started_at, now())

    def _write(self, name: StfName) -> str:
        backoff, outage = Backoff(), Outage(logger, f"data directory {self._data_dir}")
        while True:
            try:
                digest = files.write_stf(self._data_dir, name, self._daqsim.stf_size)
            except OSError as error:  # for example, the disk is full
                outage.failed(error.strerror or str(error))
                self.shutdown.pause(backoff.delay())
            else:
                outage.over()
                return digest

    def _announce(
        self, name: StfName, digest: str, size: int, started_at: str, ended_at: str
    ) -> None:
        self.publish(
            "stf_gen",
            name.run_id,
            filename=str(name),
            path=str(name.path(self._data_dir)),
            size_bytes=size,
            checksum=digest,
            sequence=name.sequence,
            started_at=started_at,
            ended_at=ended_at,
        )
        logger.info("file written", extra={"file": str(name), "size_bytes": size})

    def _wait_for_room(self) -> None:
        waiting = False
        while (count := sum(1 for _ in stf_files(self._data_dir))) >= self._daqsim.max_files:
            if not waiting:
                logger.warning("waiting: %d STF files are not finished yet (SWF_MAX_FILES)", count)
                waiting = True
            self.shutdown.pause(_ROOM_POLL)

    def _reannounce_periodically(self) -> None:
        """Announce unregistered files again, so that no file is lost if the broker loses its
        messages."""
        while not self.shutdown.requested:
            try:
                self._reannounce()
            except Stopping:
                return
            except Exception:
                logger.exception("cannot compare the files with the monitor; trying again later")
            self.shutdown.wait(_REANNOUNCE_EVERY)

    def _reannounce(self) -> None:
        on_disk = set(stf_files(self._data_dir))
        self._registered &= on_disk
        for run_id in sorted({name.run_id for name in on_disk - self._registered}):
            self._registered |= {
                StfName.parse(row["filename"]) for row in self.monitor.stf_files(run_id=run_id)
            }
        unregistered = [
            name for name in sorted(on_disk - self._registered) if self._age(name) > _REANNOUNCE_AGE
        ]
        for name in self._repeats.due(unregistered):
            try:
                digest, size = checksum(name.path(self._data_dir))
            except FileNotFoundError:
                continue  # finished in the meantime
            written_at = datetime.fromtimestamp(
                time.time() - self._age(name), timezone.utc
            ).isoformat()
            logger.info("announcing an unregistered file again", extra={"file": str(name)})
            self._announce(name, digest, size, written_at, written_at)

    def _age(self, name: StfName) -> float:
        """Seconds since the file was written; 0 if it does not exist.

        A time in the future is from before the clock was set back, and its distance is the age.
        """
        try:
            return abs(time.time() - name.path(self._data_dir).stat().st_mtime)
        except FileNotFoundError:
            return 0.0
