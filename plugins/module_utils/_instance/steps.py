# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a stack: commands that run once per release, before its programs start.

A step has the environment, the directory and the secrets of one program, as supervisord.conf states
them. The record of the steps that are done has mode 0600: with the digests, somebody could test
guesses of a secret.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import (
    read,
    replacing,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import message
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.monitor_runner import (
    Runner,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.private_servers import (
    served,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.environments import (
    active,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.store import (
    existing,
    named_by,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_file import (
    ConfigFile,
    key_value_pairs,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.launched import (
    files_of,
)

RECORD = "steps.json"
# in the environment of a step: COMPONENT/NAME
MARK = "SWF_STEP"
KILL_SECONDS = 5
READ_BYTES = 64 * 1024
UMASK = 0o027
AGAIN = "remove the cause, then run site.yml again"
Step = Mapping[str, Any]


class StepError(Exception):
    """A step failed; the text has cause, evidence and fix."""

    def __init__(self, cause: str, evidence: str, fix: str = AGAIN) -> None:
        super().__init__(message({"cause": cause, "evidence": evidence, "fix": fix}))


class Component:
    """What a program gets.

    :ivar environment: without secrets.
    :ivar secrets: {variable: name of the secret} of those that it takes from its environment.
    :ivar files: {variable: name of the secret} of those that it reads from a file.
    """

    def __init__(self, conf: ConfigFile, name: str) -> None:
        section = "program:" + name
        if not conf.has(section):
            raise StepError(
                "A step cannot run on this host",
                "%s has no program %s" % (conf.path, name),
                "add it to swf_testbed_components",
            )
        self.secrets_dir = conf.raw("swf-testbed", "secrets", "")
        places = (self.secrets_dir, "/run/credentials/" + conf.raw("swf-testbed", "unit", ""))
        command, text = (
            conf.expand(conf.raw(section, option, ""), {}, option)
            for option in ("command", "environment")
        )
        self.environment = key_value_pairs(text)
        self.directory = conf.get(section, "directory", "/")
        self.secrets = {
            variable: os.path.basename(path) for variable, path in files_of(command).items()
        }
        self.files = {
            variable: os.path.basename(path)
            for variable, path in self.environment.items()
            if os.path.dirname(path) in places
        }

    def secret(self, name: str) -> str:
        """:raises StepError: there is no such secret."""
        path = os.path.join(self.secrets_dir, name)
        content = read(path)
        if content is None:
            raise StepError("A secret of a step is missing", "there is no file %s" % path)
        return content.decode("utf-8", "replace")

    def texts(self, step: Step) -> dict[str, str]:
        """{name: secret} of all secrets of a step."""
        names = {*self.secrets.values(), *self.files.values(), step["input_secret"]}
        return {name: self.secret(name) for name in sorted(filter(None, names))}

    def digest(self, step: Step) -> str:
        """One of the command and the environment and one of the secrets, in one text. With another one,
        the step is due."""
        given = [step["command"], step["unless"], step["input_secret"]]
        parts = [[*given, self.environment, self.directory, self.secrets], self.texts(step)]
        return " ".join(
            hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest() for part in parts
        )

    @contextlib.contextmanager
    def run_with(self, step: Step, runner: Runner) -> Iterator[dict[str, str]]:
        """The environment of a step. Files with secrets are copies that its user can read: systemd's
        credentials exist only while the unit runs."""
        texts = self.texts(step)
        with tempfile.TemporaryDirectory(prefix="swf-step-") as scratch:
            runner.directory(scratch)
            for name in set(self.files.values()):
                runner.file(os.path.join(scratch, name), texts[name])
            yield {
                "LANG": "C.UTF-8",
                **self.environment,
                **{variable: os.path.join(scratch, name) for variable, name in self.files.items()},
                **{variable: texts[name].rstrip("\n") for variable, name in self.secrets.items()},
                MARK: "%s/%s" % (step["component"], step["name"]),
            }


class Steps:
    """The steps of a release on this host.

    :param config: supervisord.conf, which is for this release.
    :param release: directory of the release.
    :param services: the servers that the instance runs for itself; steps that run need them.
    :param scrub: a Scrubber, which learns the secrets.
    :ivar results: {name, result, output} of each step so far.
    """

    def __init__(
        self,
        config: str,
        release: str,
        user: str,
        services: Sequence[Mapping[str, str]],
        scrub: Any,
        log_tail: int,
        check_mode: bool,
    ) -> None:
        self.services = services
        self.config, self.release = config, release
        self.runner = Runner({"environment": {}, "user": user})
        self.scrub, self.log_tail, self.check_mode = scrub, log_tail, check_mode
        self.path = os.path.join(os.path.dirname(config), RECORD)
        self.results: list[dict[str, str]] = []

    def run(self, steps: Sequence[Step]) -> None:
        """Run the steps that are due.

        :raises StepError: one failed; the following ones did not run.
        :raises ConfigError: the configuration is unusable.
        """
        root, release = (
            os.path.dirname(os.path.dirname(self.release)),
            os.path.basename(self.release),
        )
        # a database may have been restored since the attempt of a release that is not active
        is_active, named = active(root) == release, named_by(self.config)[0]
        if self.check_mode and not (is_active and named == release):
            # there is no configuration of this release yet
            self.results = [{"name": step["name"], "result": "due"} for step in steps]
            return
        conf = ConfigFile(self.config, os.environ)
        if named != release:
            raise StepError(
                "No step ran: another run works on this host",
                "%s is for the release %s" % (self.config, named),
                "wait for the other run, then run again",
            )
        record = self.recorded(existing(root, "releases"))
        former, named_here = record.get(release, {}), {step["name"] for step in steps}
        done = former if is_active else {}
        # a rollback runs some of the steps only
        new = record[release] = {
            name: digest for name, digest in former.items() if name not in named_here
        }
        with contextlib.ExitStack() as servers:
            for step in steps:
                self.one(step, conf, done, new, record, servers)

    def one(
        self,
        step: Step,
        conf: ConfigFile,
        done: Mapping[str, str],
        new: dict[str, str],
        record: dict[str, dict[str, str]],
        servers: contextlib.ExitStack,
    ) -> None:
        """Run a step if it is due, and record it."""
        try:
            component = Component(conf, step["component"])
            digest = component.digest(step)
        except StepError:
            if not self.check_mode:
                raise
            # the run would add the program or the secret
            digest = ""
        if done.get(step["name"]) == digest:
            result = {"result": "recorded"}
        elif self.check_mode:
            result = {"result": "due"}
        else:
            # those that do not run yet: supervisord starts after the steps
            servers.enter_context(served(self.config, self.services))
            # before it runs: one that fails may have replaced a part
            forget(record.values(), step, digest)
            self.write(record)
            result = self.of_step(step, component)
        self.results.append({"name": step["name"], **result})
        new[step["name"]] = digest
        if "output" in result:
            self.write(record)

    def write(self, record: Mapping[str, Mapping[str, str]]) -> None:
        with replacing(self.path) as stream:
            json.dump(record, stream, indent=1, sort_keys=True)

    def recorded(self, releases: Sequence[str]) -> dict[str, dict[str, str]]:
        """{release: {step: digest}} of the releases on this host."""
        try:
            found = json.loads(read(self.path) or b"{}")
        except ValueError:
            # the steps can run twice
            return {}
        return {name: steps for name, steps in found.items() if name in releases}

    def of_step(self, step: Step, component: Component) -> dict[str, str]:
        for text in component.texts(step).values():
            self.scrub.learn(None, text.strip())
        with component.run_with(step, self.runner) as environment:
            if step["unless"]:
                status, output = self.of_command("unless", step, component, environment)
                if status == 0:
                    return {"result": "unneeded", "output": output}
            status, output = self.of_command("command", step, component, environment)
        if status != 0:
            raise StepError(
                "The step %s failed" % step["name"],
                "%s ended with the status %d and printed%s"
                % (step["command"], status, shown(output)),
            )
        return {"result": "ran", "output": output}

    def of_command(
        self, which: str, step: Step, component: Component, environment: Mapping[str, str]
    ) -> tuple[int, str]:
        """(exit status, the end of the output) of a command of a step."""
        words = shlex.split(step[which])
        if "/" not in words[0]:
            words[0] = os.path.join(self.release, "bin", words[0])
        text = component.secret(step["input_secret"]) if step["input_secret"] else ""
        try:
            status, output = attempt(
                words,
                text if which == "command" else "",
                step["timeout"],
                env=environment,
                cwd=component.directory,
                **self.runner.switch(),
            )
        except OSError as error:
            raise StepError(
                "The step %s cannot start" % step["name"],
                "%s: %s (%s)" % (step[which], error.strerror, error.filename),
            ) from None
        output = self.scrub.text(output)[-self.log_tail :].strip()
        if status is None:
            raise StepError(
                "The step %s timed out and was ended" % step["name"],
                "%s did not end in %d s and printed%s"
                % (step[which], step["timeout"], shown(output)),
                AGAIN + ". If it needs more time, set timeout of the step in the stack file",
            )
        return status, output


def forget(releases: Iterable[dict[str, str]], step: Step, digest: str) -> None:
    """Remove a step of the releases whose result it replaces: of all if a rollback runs it, otherwise
    of those in which it had other secrets, as a token in a database."""
    name, secrets = step["name"], digest.split()[1]
    for done in releases:
        if name in done and (step["rollback"] or done[name].split()[1:] != [secrets]):
            del done[name]


def attempt(
    words: Sequence[str], text: str, timeout: float, **options: Any
) -> tuple[int | None, str]:
    """(exit status, or None after the timeout; the end of the output) of a command.

    It has a process group of its own, which is killed at the timeout.
    """
    # a file, and not a pipe: a daemon that the command leaves behind would hold the pipe open
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=UMASK,
            **options,
        )
        status: int | None = None
        try:
            process.communicate(text.encode(), timeout)
            status = process.returncode
        except subprocess.TimeoutExpired:
            pass
        finally:
            if status is None:
                end_group(process)
        return status, end_of(output)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End all processes of a group: SIGTERM, then SIGKILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(KILL_SECONDS)


def end_of(stream: Any) -> str:
    """The last whole lines of a file: a secret in them is whole, too."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - READ_BYTES))
    text = stream.read().decode("utf-8", "replace")
    return text.partition("\n")[2] if size > READ_BYTES else text


def shown(output: str) -> str:
    return ":\n" + output if output else " nothing"
