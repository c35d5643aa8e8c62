# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller's half of release: reads the lock, or makes it once for the fleet, and carries a
release from one host to others.

Tokens end here. With O(push) the one host that builds is given them for the time of the build;
otherwise none travels to a host.
"""

from __future__ import annotations

import os
import tempfile

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build import git_wheels
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.git import GitError
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    InstallError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.verdict import explained
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    netrc,
    normalised,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import (
    wheelhouse as release_wheelhouse,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.archive import (
    ArchiveError,
    verify,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.lock_file import (
    LockError,
    must_read,
    obtain,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._collection import (
    collection_version,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._last_used import (
    keep_locks,
    keep_wheels,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._named_values import resolved
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._release_board import Board

FOR_THE_CONTROLLER = ("username", "token", "ca_cert")
GIT = ("repositories", "git_username", "git_token", "git_ca_cert", "wheels_dir")
NAMED = ("indexes", "repositories", "git_token")
MODULE = "bnlnpps.swf_testbed.release"


class ActionModule(ActionBase):
    # a directory for them is made on a host that is sent something
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        self._arguments = resolved(self._task.args, NAMED, task_vars, self._templar)
        step = "packed" if self._arguments.get("state") == "packed" else self._arguments.get("push")
        if step is None:
            return self._built(task_vars)
        board, host, root = (
            Board(),
            task_vars["inventory_hostname"],
            str(self._arguments.get("root")),
        )
        if step == "look":
            return self._look(board, host, root, task_vars)
        mine = board.entry(host, root)
        if mine is None:
            raise AnsibleActionFail(
                "release: nothing was noted of %s. In a run, push: look comes before the other "
                "steps" % host
            )
        if step == "packed":
            return self._fetch(board, mine, task_vars)
        if step == "build":
            return self._build_for_all(board, mine, task_vars)
        return self._send_release(board, mine, task_vars)

    def _look(self, board, host, root, task_vars):
        result = self._built(task_vars)
        if not result.get("failed") and "kind" in result:
            board.announce(host, root, result["kind"], plain(result), result["built"])
        return result

    def _build_for_all(self, board, mine, task_vars):
        """Build on the first host of a kind, if none has the release; all others only learn where
        it is."""
        alike = board.alike(
            mine, task_vars["ansible_play_hosts"], task_vars["ansible_play_hosts_all"]
        )
        source = alike[0]["host"]
        if source != mine["host"]:
            board.note_source(mine, source)
            return dict(mine["result"], changed=False, source=source)
        others = [entry["host"] for entry in alike[1:] if entry["lacks"]]
        self._say(
            "%s %s the release %s for %s",
            mine["host"],
            "builds",
            mine["result"]["id"],
            ", ".join(["itself", *others]),
        )
        result = self._built(task_vars, access=True)
        if result.get("failed"):
            result["msg"] = "%s\n%s" % (result.get("msg", ""), for_whom(mine, others))
        elif not self._task.check_mode:
            # for plays that follow
            board.announce(mine["host"], mine["root"], mine["kind"], plain(result), [])
        return dict(result, source=mine["host"])

    def _fetch(self, board, mine, task_vars):
        """Bring what the host of the task lacks from the host that it is delegated to, once for all
        hosts that lack the same."""
        if self._task.check_mode:
            return {"changed": False}
        if self._is_become_unprivileged():
            raise AnsibleActionFail(
                "release: swf_testbed_release_mode push cannot take a release from a host where "
                "become leads "
                "to a user without privileges. "
                "Log in as that user, or set swf_testbed_release_mode: pull"
            )
        archive = board.archive(mine)
        with board.turn(archive):
            if os.path.exists(archive):
                return {"changed": False}
            remote = self._remote("release.tar.gz")
            # whoever logs in has to read it, and the module may run as root
            self._transfer_data(remote, "")
            result = self._execute_module(
                module_name=MODULE,
                task_vars=task_vars,
                module_args={
                    "state": "packed",
                    "root": mine["root"],
                    "archive": remote,
                    "paths": {part: mine["kind"][part] for part in mine["lacks"]},
                },
            )
            if result.get("failed"):
                return result
            try:
                self._connection.fetch_file(remote, archive + ".part")
                verify(archive + ".part", result["sha256"])
            except (ArchiveError, OSError) as error:
                raise AnsibleActionFail(
                    "release: the release did not arrive on the controller: %s" % error
                ) from None
            with open(archive + ".sha256", "w", encoding="ascii") as stream:
                stream.write(result["sha256"])
            os.replace(archive + ".part", archive)
        return {"changed": False, "size": result["size"]}

    def _send_release(self, board, mine, task_vars):
        """Give this host what was fetched for it, unless it has built."""
        source = mine["source"]
        if source is None:
            return dict(mine["result"], changed=False, source=mine["host"])
        archive = board.archive(mine)
        sent = {"sent_from": source}
        self._say(
            "%s %s the release %s from %s", mine["host"], "gets", mine["result"]["id"], source
        )
        if not self._task.check_mode:
            sent.update(
                archive=self._remote("release.tar.gz"),
                archive_sha256=must_read(archive + ".sha256", "checksum of the release"),
            )
            self._transfer_file(archive, sent["archive"])
            self._fixup_perms2((os.path.dirname(sent["archive"]), sent["archive"]), execute=False)
        result = self._built(task_vars, **sent)
        if not result.get("failed") and not self._task.check_mode:
            board.announce(mine["host"], mine["root"], mine["kind"], plain(result), [])
        return dict(result, source=source)

    def _say(self, text, host, verb, *more):
        words = {"builds": "would build", "gets": "would get"}
        Display().display(
            "    " + text % (host, words[verb] if self._task.check_mode else verb, *more)
        )

    def _remote(self, name):
        """A path in the directory of this task on the host, which Ansible removes at the end of the
        task."""
        return self._connection._shell.join_path(
            self._connection._shell.tmpdir or self._make_tmp_path(), name
        )

    def _built(self, task_vars, access=False, **more):
        """What the module says, once it was given all that it needs from the controller.

        :param access: whether the host is given the credentials of the indexes, for as long as the
            module runs.
        """
        arguments = {key: value for key, value in self._arguments.items() if key not in GIT}
        indexes = list(arguments.get("indexes") or [])
        wheels = None
        wheelhouse = arguments.pop("wheelhouse", None)
        arguments.update(more)
        if arguments.get("state", "built") == "built":
            try:
                if access and not self._task.check_mode:
                    arguments["access"] = access_to(normalised(indexes))
                if wheelhouse:
                    indexes = [self._archive(wheelhouse, arguments)]
                repositories = self._arguments.get("repositories") or []
                if repositories:
                    wheels = self._wheels(repositories)
                    indexes = [wheels, *indexes] if wheels else None
                arguments["lock"] = self._lock(arguments, indexes)
                arguments["tools_lock"] = self._read(arguments.get("tools_lock_file"))
                arguments["collection"] = collection_version()
            except InstallError as error:
                raise AnsibleActionFail(
                    "release: "
                    + explained(error, indexes or [], arguments.get("requirements") or [])
                ) from None
            except (GitError, LockError, OSError, ValueError) as error:
                raise AnsibleActionFail("release: %s" % error) from None
        arguments["indexes"] = [
            {key: value for key, value in index.items() if key not in FOR_THE_CONTROLLER}
            for index in indexes or []
        ]
        result = self._execute_module(
            module_name=MODULE, module_args=arguments, task_vars=task_vars
        )
        if result.pop("needs_wheels", False):
            arguments["wheels"] = self._send(wheelhouse or wheels["url"])
            result = self._execute_module(
                module_name=MODULE, module_args=arguments, task_vars=task_vars
            )
        return result

    @staticmethod
    def _archive(path, arguments):
        """The index that stands for an archive of the module wheelhouse; nothing else is asked
        then."""
        for needed, what in (
            (path, "the archive"),
            (arguments.get("lock_file"), "the lock that it was made from"),
        ):
            if not os.path.exists(os.path.expanduser(str(needed))):
                raise ValueError(
                    "there is no %s on the controller, %s. Run: ansible-playbook "
                    "playbooks/wheelhouse.yml" % (needed, what)
                )
        return {
            "name": release_wheelhouse.INDEX,
            "preset": "directory",
            "url": os.path.abspath(os.path.expanduser(str(path))),
            "packages": [],
        }

    def _wheels(self, repositories):
        """The index of wheels that come from git; None in check mode when they are not built
        yet."""
        options = self._arguments
        if not options.get("wheels_dir"):
            raise ValueError("wheels_dir is required with repositories")
        unknown = [
            repository for repository in repositories if not {"url", "commit"} <= set(repository)
        ]
        if unknown:
            raise ValueError("each of the repositories needs url and commit")
        found = git_wheels.obtain(
            [dict({"subdirectory": None}, **repository) for repository in repositories],
            str(options["wheels_dir"]),
            {key: options.get("git_" + key) or None for key in ("username", "token", "ca_cert")},
            self._task.check_mode,
        )
        if found and not self._task.check_mode:
            keep_wheels(found["url"], self._keep())
        return found

    def _send(self, directory):
        """Bring the wheels of a directory, or an archive of wheels, to the host, in one file.
        Returns its path there."""
        remote = self._remote("wheels.tar")
        with tempfile.TemporaryDirectory() as scratch:
            archive = os.path.expanduser(str(directory))
            if os.path.isdir(archive):
                archive = os.path.join(scratch, "wheels.tar")
                git_wheels.pack(directory, archive)
            self._transfer_file(archive, remote)
        self._fixup_perms2((os.path.dirname(remote), remote))
        return remote

    def _read(self, path):
        try:
            with open(os.path.expanduser(str(path)), encoding="utf-8") as stream:
                return stream.read()
        except OSError as error:
            raise AnsibleActionFail(
                "release: cannot read %s on the controller: %s" % (path, error.strerror)
            ) from None

    def _lock(self, arguments, indexes):
        if not arguments.get("lock_file"):
            raise ValueError("lock_file is required with state=built")
        if indexes is None:
            # check mode, and the wheels that a lock would be made with are not built: it cannot be
            # made either
            indexes = []
        path = os.path.expanduser(str(arguments["lock_file"]))
        text = obtain(
            path,
            arguments.get("requirements") or [],
            normalised(indexes),
            arguments.get("constraints_file"),
            arguments.get("min_python", "3.10"),
            self._task.check_mode,
        )
        if arguments.get("locks_dir") and not self._task.check_mode:
            keep_locks(path, str(arguments["locks_dir"]), self._keep())
        return text

    def _keep(self):
        return int(self._arguments.get("keep_locks", 50))


def plain(result):
    """The part of a module's result that holds for the next steps, too."""
    passing = ("awaited", "deprecations", "diff", "invocation", "kind", "warnings")
    return {
        key: value
        for key, value in result.items()
        if not key.startswith("_") and key not in passing
    }


def access_to(indexes):
    """What the role pip_index would place on the host, as {name: content}; None where there is
    nothing to place."""
    found = {
        index["name"] + ".pem": must_read(
            index["ca_cert"], "ca_cert of the index %s" % index["name"]
        )
        for index in indexes
        if index["ca_cert"]
    }
    logins = netrc(indexes)
    return dict(found, **({"netrc": logins} if logins else {})) or None


def for_whom(mine, others):
    """Why this very host had to build."""
    kind = "%(machine)s, %(libc)s, Python %(python)s (%(executable)s), %(release)s" % mine["kind"]
    if others:
        return (
            "With swf_testbed_release_mode: push, it builds for %s, too: all are of one kind (%s), "
            "and it is "
            "the first." % (", ".join(others), kind)
        )
    return (
        "With swf_testbed_release_mode: push, it builds for itself: no other host of this run is "
        "of its kind "
        "(%s) and has the release. "
        "So it needs a way to the indexes." % kind
    )
