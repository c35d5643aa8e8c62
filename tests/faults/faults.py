# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults. Each returns None if the testbed came through, or what is wrong; `told` has what the
message must say."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import threading
import time

from faults.canaries import Canaries
from faults.clock import Clock
from faults.first_runs import FirstRuns
from faults.outages import Outages
from faults.secret_faults import SecretFaults

# the task in which the controller is killed, and how many seconds after its start
KILLS = (
    ("Configure access to the", 0.3),
    ("release : Build the release", 2.0),
    ("release : Build the release", 8.0),
    ("Back up the database before a new release", 0.5),
    ("Place the secrets of the instance swf-testbed", 0.4),
    ("Place the configuration of the instance swf-testbed", 0.4),
    ("Place the configuration of the instance swf-testbed", 1.2),
    ("Apply the configuration of the programs", 0.7),
    ("Apply the configuration of the programs", 2.5),
    ("Check the health of the testbed", 1.0),
    ("Activate the release and save", 0.4),
)
MAIN = "swf_{}_agent/__main__.py"
# in the middle of a change-over, between the old programs' last heartbeats and the gate
CHANGE_OVER = ("Apply the configuration of the programs", 1.0)
# seconds that a program lives that passes the gate, and those in which status.yml has to notice
LIFE, NOTICED = 75, 400
ENDS = (
    """
import os, threading

def end():
    print("the cause is here", flush=True)
    os._exit(7)

timer = threading.Timer(%d, end)
timer.daemon = True
timer.start()

if __name__ == "__main__":"""
    % LIFE
)


class Faults(SecretFaults, Outages, FirstRuns, Canaries):
    """
    :param testbed: one that runs and is healthy.
    :param versions: makes versions in its index.
    """

    def __init__(self, testbed, versions):
        self.testbed, self.versions = testbed, versions
        self.number = 0

    def new_version(self, **changes):
        self.number += 1
        return self.versions.publish("0.2.%d" % self.number, **changes)

    def fails(self, *expected, playbook="upgrade.yml", during=None, **variables):
        """Run a playbook that must fail with these words, and leave the release that runs as it
        is."""
        before = self.testbed.active()
        code, output = self.testbed.play(playbook, during, **variables)
        if code == 0:
            return "the play did not fail"
        return unsaid(output, expected) or self.testbed.serves(before)

    def succeeds(self, playbook="upgrade.yml", during=None, **variables):
        code, output = self.testbed.play(playbook, during, **variables)
        if code != 0:
            errors = [line for line in output.splitlines() if line.startswith("[ERROR]")]
            return "the play failed: %s" % (errors or [output[-500:]])[0]
        problem = self.testbed.serves()
        version = variables.get("swf_testbed_release_version")
        if version and not problem and not self.testbed.active().startswith(version + "-"):
            return "active is %s" % self.testbed.active()
        return problem

    def good_upgrade(self):
        """No fault: a good upgrade"""
        return self.succeeds(
            swf_testbed_release_version=self.new_version(swf_data_agent={}, swf_processing_agent={})
        )

    def rollback(self):
        """No fault: a rollback on demand"""
        previous = os.path.basename(os.readlink(self.testbed.root / "previous"))
        return self.succeeds("rollback.yml") or self.testbed.serves(previous)

    def does_not_import(self):
        """A package that does not import"""
        version = self.new_version(
            swf_processing_agent={MAIN.format("processing"): "import no_such_module\n"}
        )
        return self.fails("does not import", "no_such_module", swf_testbed_release_version=version)

    def program_that(self, program, body, *expected, during=None):
        text = "import sys, time\n\ndef main():\n%s" % "".join("    %s\n" % line for line in body)
        version = self.new_version(**{"swf_%s_agent" % program: {MAIN.format(program): text}})
        return self.fails(
            *expected,
            "is active again, with its configuration, and is healthy",
            during=during,
            swf_testbed_release_version=version,
        )

    def exits_at_once(self):
        """A program that exits at once"""
        return self.program_that(
            "data",
            ["print('the cause is here')", "sys.exit(7)"],
            "data-agent is",
            "exit status 7",
            "the cause is here",
        )

    def exits_after_5_s(self):
        """A program that exits after 5 s"""
        return self.program_that("data", ["time.sleep(5)", "sys.exit(7)"], "data-agent")

    def dead_inside(self, during=None):
        """A program that runs and does nothing"""
        return self.program_that(
            "processing",
            ["time.sleep(100000)"],
            "the monitor has not heard from processing-agent",
            during=during,
        )

    def exits_after_the_gate(self):
        """A program that passes the gate and exits after 75 s, again and again (then what
        status.yml says is done)"""
        before, version = (
            self.testbed.active(),
            self.new_version(
                swf_data_agent={
                    MAIN.format("data"): lambda text: text.replace(
                        '\nif __name__ == "__main__":', ENDS
                    )
                }
            ),
        )
        problem = self.succeeds(swf_testbed_release_version=version)
        if problem:
            return problem
        deadline, code, output = time.monotonic() + NOTICED, 0, ""
        # during the one or two seconds of its restart, status.yml reports little
        while (
            code == 0 or "but ended and was restarted" not in output
        ) and time.monotonic() < deadline:
            time.sleep(5)
            code, output = self.testbed.play("status.yml")
        if code == 0:
            return "status.yml did not notice"
        problem = unsaid(
            output,
            [
                "data-agent",
                "exit status 7",
                "the cause is here",
                "the release %s became active" % (self.testbed.active()),
                before,
                "log/data-agent.log",
            ],
        )
        command = re.search(
            r"roll back to %s: ansible-playbook playbooks/(\S+)" % re.escape(before),
            " ".join(output.split()),
        )
        if problem or not command:
            return problem or "status.yml names no command"
        return (
            self.succeeds(command[1])
            or self.testbed.serves(before)
            or (self.testbed.play("status.yml")[0] and "status.yml still complains" or None)
        )

    def clock_set_back(self):
        """The clock is set back by hours, between plays, in the middle of upgrades, and after it
        was set forward"""
        if not Clock.has_compiler():
            return "not run: it takes a C compiler, cc"
        clock = Clock(self.testbed.home)
        clock.build()
        problem = self.testbed.start_daemon(clock.environment())
        try:
            return problem or self.live_by(clock)
        finally:
            self.testbed.start_daemon({})

    def live_by(self, clock):
        def step(hours):
            return (*CHANGE_OVER, lambda: clock.set(hours))

        daemon, problems = self.testbed.pids()["supervisord"], []
        for name, hours, test in (
            ("site.yml after -2 h", -2, self.changes_nothing),
            (
                "an upgrade, -4 h in its middle",
                None,
                lambda: self.succeeds(
                    during=step(-4), swf_testbed_release_version=self.new_version(swf_data_agent={})
                ),
            ),
            (
                "a program that does nothing, -6 h in the middle",
                None,
                lambda: self.dead_inside(during=step(-6)),
            ),
            ("an upgrade after +2 h", 2, self.good_upgrade),
            ("site.yml after that was taken back", 0, self.changes_nothing),
            ("a rollback", None, self.rollback),
        ):
            if hours is not None:
                clock.set(hours)
            problem = test()
            if not problem and self.testbed.pids()["supervisord"] != daemon:
                problem = "supervisord was restarted"
            open_runs = self.testbed.open_runs()
            if open_runs and not problem:
                problem = "%d runs were never ended" % open_runs
            print("      %s: %s" % (name, problem or "well"), flush=True)
            problems += ["%s: %s" % (name, problem)] * bool(problem)
        return "; ".join(problems) or None

    def changes_nothing(self):
        before = self.testbed.pids()
        return self.succeeds("site.yml", swf_testbed_release_version=self.current()) or (
            "programs were restarted" if self.testbed.pids() != before else None
        )

    def index_down(self):
        """The index is down"""
        version = self.new_version()
        pid = int((self.testbed.home / ".local/state/swf-index/run/supervisord.pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        # the daemon would start it again
        for process in map(int, filter(str.isdigit, os.listdir("/proc"))):
            if process != pid and self.is_index(process):
                os.kill(process, signal.SIGKILL)
        try:
            problem = self.fails(
                "nothing answers at the index's address", swf_testbed_release_version=version
            )
        finally:
            os.kill(pid, signal.SIGCONT)
        return problem or self.succeeds("site.yml", swf_testbed_release_version=self.current())

    def is_index(self, pid):
        try:
            with open("/proc/%d/cmdline" % pid, encoding="utf-8", errors="replace") as stream:
                return (
                    str(self.testbed.home / ".local/share/swf-index")
                    in stream.read().split("\0")[0]
                )
        except OSError:
            return False

    def current(self):
        return self.testbed.active().split("-")[0]

    def wrong_token(self):
        """A wrong token"""
        version = self.new_version()
        return self.fails(
            "rejected the credentials",
            swf_testbed_release_version=version,
            swf_testbed_pip_indexes=[
                {
                    "name": "swf",
                    "url": "http://127.0.0.1:%d/simple/" % self.testbed.ports["index"],
                    "username": "swf",
                    "token": "0" * 40,
                    "packages": ["swf-*"],
                },
                {"name": "pypi"},
            ],
        )

    def hash_mismatch(self):
        """A file with another hash than the locked one"""
        version = self.new_version()
        code, _output = self.testbed.play("upgrade.yml", swf_testbed_release_version=version)
        if code != 0:
            return "the upgrade that makes the lock failed"
        (lock,) = self.testbed.locks.glob("swf-testbed-%s-*.txt" % version)
        again = self.new_version()
        other = self.testbed.home / "other-hash.txt"
        other.write_text(
            re.sub(
                r"(?ms)^(swf-testbed)==\S+( \\\n\s+--hash=sha256:)\w+",
                r"\1==%s\g<2>%s" % (again, "0" * 64),
                lock.read_text(),
            )
        )
        return self.fails(
            "the index serves another file than the one that was locked",
            swf_testbed_release_version=again,
            swf_testbed_release_lock_file=str(other),
        )

    def disk_full(self):
        """The disk is full in the middle of a build"""
        if not os.path.ismount(self.testbed.root):
            return "not run: it takes root to make a small file system"
        version = self.new_version()
        ballast = self.testbed.root / "ballast"
        free = shutil.disk_usage(self.testbed.root).free
        with ballast.open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, free - 30_000_000)
        try:
            problem = self.fails("the disk is full", swf_testbed_release_version=version)
        finally:
            ballast.unlink()
        half = [
            path.name
            for path in (self.testbed.root / "releases").iterdir()
            if path.name.startswith(version)
        ]
        return (
            problem
            or (half and "half a release was left: %s" % half)
            or self.succeeds(swf_testbed_release_version=version)
        )

    def failing_migration(self):
        """A migration that fails"""
        version = self.new_version(
            swf_monitor={
                "swf_monitor/migrations/0004_fails.py": (
                    "from django.db import migrations\n\ndef fail(apps, schema_editor):\n"
                    "    raise RuntimeError('this migration fails')\n\n"
                    "class Migration(migrations.Migration):\n    dependencies = [('swf_monitor', "
                    "'0003_namespaces')]\n"
                    "    operations = [migrations.RunPython(fail)]\n"
                )
            }
        )
        problem = self.fails(
            "this migration fails", "is active again", swf_testbed_release_version=version
        )
        dumps = list((self.testbed.state / "backups").glob("monitor-*.sqlite3"))
        if not problem and {stat.S_IMODE(path.stat().st_mode) for path in dumps} != {0o600}:
            return "the database was not backed up, or others can read the backup: %s" % dumps
        return problem

    def previous_deleted(self):
        """The previous release was deleted by hand"""
        previous = os.path.basename(os.readlink(self.testbed.root / "previous"))
        shutil.rmtree(self.testbed.root / "releases" / previous)
        problem = self.fails(
            "The release %s is not on this host" % previous, playbook="rollback.yml"
        )
        return problem or self.succeeds(swf_testbed_release_version=self.new_version())

    def two_controllers(self):
        """Two controllers at once, with two versions"""
        plays = [
            {"swf_testbed_release_version": self.new_version()},
            {"swf_testbed_release_version": self.new_version()},
        ]
        codes = {}

        def run(number):
            codes[number] = self.testbed.play("upgrade.yml", **plays[number])[0]

        threads = [threading.Thread(target=run, args=(number,)) for number in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # whoever won: what runs is one whole release; and a run alone afterwards gets where it
        # wants to
        return self.testbed.serves() or self.succeeds(**plays[1])

    def killed(self):
        """The controller is killed at eleven points of an upgrade, and run again"""
        built = [self.new_version(swf_fastmon_agent={}) for _number in range(2)]
        for number, (task, seconds) in enumerate(KILLS):
            version = self.new_version() if task.startswith("Build") else built[number % 2]
            came = self.testbed.play_and_kill(
                "upgrade.yml", task, seconds, swf_testbed_release_version=version
            )
            where = "%.1f s into '%s'" % (seconds, task)
            problem = None if came else "it did not come to that"
            problem = (
                problem
                or self.testbed.serves(settled=False)
                or self.succeeds(swf_testbed_release_version=version)
            )
            if problem:
                return "%s: %s" % (where, problem)
            print("      killed %s" % where, flush=True)
        return None


def unsaid(output, expected):
    """What of these words an output does not say, or None."""
    text = " ".join(output.split())
    missing = [words for words in expected if " ".join(words.split()) not in text]
    return "the message does not say: %s" % "; ".join(missing) if missing else None


ORDER = (
    "good_upgrade",
    "rollback",
    "does_not_import",
    "exits_at_once",
    "exits_after_5_s",
    "dead_inside",
    "index_down",
    "wrong_token",
    "hash_mismatch",
    "disk_full",
    "failing_migration",
    "previous_deleted",
    "two_controllers",
    "exits_after_the_gate",
    "clock_set_back",
    "killed",
    "secrets",
    "secrets_fail",
    "secrets_killed",
    "programs_killed",
    "half_open",
    "two_first_runs",
    "canaries",
)
