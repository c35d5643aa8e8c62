# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of secrets that do not come through. Mixed into Faults; each returns None, or what is
wrong."""

from __future__ import annotations

from helpers.leaks import Leaks

# fails the gate, whatever the secrets are
BROKEN = {"swf_testbed_extra_components": [{"name": "broken", "command": "/bin/false"}]}
SETTLED = "The secrets that this run changed were restored: api_token, broker_password."
SERVES = "were restarted with the former secrets, and run, on this-machine"


class SecretFaults:
    testbed: object

    @property
    def controller(self):
        return self.testbed.home / ".local/share/swf-testbed-controller/secrets"

    def on_host(self):
        """{name: content} of the secrets that the programs read."""
        return {
            path.name: path.read_text() for path in (self.testbed.conf.parent / "secrets").iterdir()
        }

    def rotate(self, mark):
        """Give the controller other secrets, as an inventory may have them; the former ones."""
        former = {
            name: (self.controller / name).read_text() for name in ("broker_password", "api_token")
        }
        self.hand_out(
            {
                "broker_password": "canary-%s-Pass%%word" % mark,
                "api_token": mark.encode().hex().rjust(40, "0"),
            }
        )
        return former

    def hand_out(self, secrets):
        for name, text in secrets.items():
            (self.controller / name).write_text(text)

    def snapshots(self):
        return [path.name for path in self.testbed.conf.parent.glob("*.known-good*")]

    def undone(self, former, *expected, **variables):
        """Run site.yml with secrets that fail the gate; they must be the former ones again, and in
        force."""
        problem = self.fails(
            "broken is",
            SETTLED,
            SERVES,
            *expected,
            playbook="site.yml",
            swf_testbed_release_version=self.current(),
            **BROKEN,
            **variables,
        )
        if problem or self.on_host() != former:
            return problem or "the secrets are not the former ones"
        return "a snapshot is left: %s" % self.snapshots() if self.snapshots() else None

    def secrets(self):
        """No fault: new secrets, and then a rollback of the release, which keeps them"""
        self.rotate("one")
        problem = self.succeeds("site.yml", swf_testbed_release_version=self.current())
        new = self.on_host()
        if problem or "canary-one" not in new["broker_password"] or self.snapshots():
            return problem or "the secrets are not the new ones, or a snapshot is left"
        return self.rollback() or (
            None if self.on_host() == new else "the rollback changed secrets"
        )

    def secrets_fail(self):
        """New secrets, and a setting that fails the gate"""
        before = self.on_host()
        former = self.rotate("two")
        secrets = [text.strip() for text in [*former.values(), *self.rotate("two").values()]]
        with Leaks(*secrets) as leaks:
            problem = self.undone(before)
            self.testbed.extra["ANSIBLE_VERBOSITY"] = "4"
            _code, output = self.testbed.play(
                "site.yml", swf_testbed_release_version=self.current(), **BROKEN
            )
            del self.testbed.extra["ANSIBLE_VERBOSITY"]
        leaks.text("the output", output)
        leaks.disk(self.testbed.home)
        self.hand_out(former)
        if problem or leaks.found:
            return problem or "secrets are in: %s" % leaks.found[:5]
        return self.changes_nothing()

    def secrets_killed(self):
        """The controller is killed while secrets change, and the next change fails the gate"""
        before, former = self.on_host(), self.rotate("three")
        for task, seconds in (
            ("Place the secrets of the instance swf-testbed", 0.4),
            ("Run supervisord", 1.0),
            ("Check the health of the testbed", 0.5),
        ):
            if not self.testbed.play_and_kill(
                "site.yml", task, seconds, swf_testbed_release_version=self.current()
            ):
                return "it did not come to '%s'" % task
            if not self.snapshots() and self.on_host() != before:
                return "the former secrets were not kept"
            self.rotate("four-" + task[:3])
            problem = self.undone(before)
            if problem:
                return "%.1f s into '%s': %s" % (seconds, task, problem)
        self.hand_out(former)
        return self.succeeds("site.yml", swf_testbed_release_version=self.current())
