# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller's half of release_build: reads the lock, or makes it once for all hosts, and transfers
a release from one host to others.

Tokens stay here. With C(mode=push) only the host that builds gets them, during the build; otherwise
no host gets any.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build import (
    git_wheels,
    trees,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.git import GitError
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    InstallError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.verdict import explained
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
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
    access_files,
    must_read,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._collection import (
    ROOT,
    collection_version,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._named_values import resolved
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._release_board import Board, Entry
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._release_inputs import (
    NAMED,
    Inputs,
    Preparation,
)

FOR_THE_CONTROLLER = ("username", "token", "ca_cert")
# options of the action alone
ITS_OWN = (
    *("repositories", "git_username", "git_token", "git_ca_cert", "wheels_dir", "wheelhouse"),
    *("requirement_files", "constraints", "build_from_source"),
)
MODULE = "bnlnpps.swf_testbed.release_build"
TOOLS_LOCK = ROOT / "roles/release/files/tools.txt"


class ActionModule(ActionBase):
    # a directory for them is made on a host that receives something
    TRANSFERS_FILES = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        self._vars = task_vars or {}
        self._arguments = resolved(self._task.args, NAMED, self._vars, self._templar)
        if self._arguments.get("mode") != "push":
            return dict(self._built(), pending=False)
        self._board = Board()
        # the hosts have separate processes, which share the board
        mine = self._board.take(self._vars["inventory_hostname"], str(self._arguments.get("root")))
        return getattr(self, "_%s" % mine["step"])(mine)

    def _look(self, mine: Entry) -> dict[str, Any]:
        result = self._built(step="look")
        if result.get("failed"):
            return result
        lacks = result["built"]
        self._board.note(
            mine,
            step="build" if lacks else "look",
            platform_key=result["platform_key"],
            result=plain(result),
            lacks=lacks,
        )
        return dict(result, pending=bool(lacks))

    def _build(self, mine: Entry) -> dict[str, Any]:
        """Build on the first host of a platform, unless one of them has the release; the others
        only learn which host that is."""
        alike = self._board.alike(
            mine, self._vars["ansible_play_hosts"], self._vars["ansible_play_hosts_all"]
        )
        source = alike[0]["host"]
        if source != mine["host"]:
            return result_of(self._board.note(mine, step="export", source=source))
        others = [entry["host"] for entry in alike[1:] if entry["lacks"]]
        self._show(
            "%s %s the release %s for %s",
            mine["host"],
            "builds",
            mine["result"]["id"],
            ", ".join(["itself", *others]),
        )
        result = self._built(access=True)
        if result.get("failed"):
            return dict(result, msg="%s\n%s" % (result.get("msg", ""), for_whom(mine, others)))
        has = {} if self._task.check_mode else {"result": plain(result), "lacks": []}
        self._board.note(mine, step="export", source=source, **has)
        return dict(result, source=source, pending=True)

    def _export(self, mine: Entry) -> dict[str, Any]:
        """Fetch the missing parts from their source to the controller, once for all hosts that miss
        the same."""
        if not self._task.delegate_to:
            raise AnsibleActionFail(
                "The release cannot be exported: with mode push the third of the four tasks runs "
                "on another host. Fix: add delegate_to with the returned source to it"
            )
        archive = self._board.archive(mine)
        if mine["source"] != mine["host"] and not self._task.check_mode:
            with self._board.turn(archive):
                failed = None if os.path.exists(archive) else self._fetch(mine, archive)
            if failed:
                return failed
        return result_of(self._board.note(mine, step="send"))

    def _fetch(self, mine: Entry, archive: str) -> dict[str, Any] | None:
        """Pack a release on the host of the connection and fetch it; returns the result of the
        module if that failed."""
        if self._is_become_unprivileged():
            raise AnsibleActionFail(
                "swf_testbed_release_mode push cannot export a release from a host where become "
                "leads to an unprivileged user. Fix: log in as that user, or set "
                "swf_testbed_release_mode: pull"
            )
        remote = self._remote("release.tar.gz")
        # the login must be able to read it, and the module may run as root
        self._transfer_data(remote, "")
        result = self._execute(
            self._arguments_of_the_module([]),
            step="export",
            archive=remote,
            paths={part: mine["platform_key"][part] for part in mine["lacks"]},
        )
        if result.get("failed"):
            return result
        try:
            self._connection.fetch_file(remote, archive + ".part")
            verify(archive + ".part", result["sha256"])
        except (ArchiveError, OSError) as error:
            raise AnsibleActionFail(
                "The release did not arrive on the controller. Evidence: %s" % error
            ) from None
        with open(archive + ".sha256", "w", encoding="ascii") as stream:
            stream.write(result["sha256"])
        os.replace(archive + ".part", archive)
        return None

    def _send(self, mine: Entry) -> dict[str, Any]:
        """Give this host the release that was exported for it, unless it has built one."""
        source = mine["source"]
        if source == mine["host"]:
            return dict(result_of(mine), pending=False)
        archive = self._board.archive(mine)
        sent = {"sent_from": source}
        self._show(
            "%s %s the release %s from %s", mine["host"], "gets", mine["result"]["id"], source
        )
        if not self._task.check_mode:
            sent.update(
                archive=self._remote("release.tar.gz"),
                archive_sha256=must_read(archive + ".sha256", "checksum of the release"),
            )
            self._transfer_file(archive, sent["archive"])
            self._fixup_perms2((os.path.dirname(sent["archive"]), sent["archive"]), execute=False)
        result = self._built(**sent)
        if result.get("failed"):
            return result
        if not self._task.check_mode:
            self._board.note(mine, result=plain(result), lacks=[])
        return dict(result, source=source, pending=False)

    def _show(self, text: str, host: str, verb: str, *more: str) -> None:
        words = {"builds": "would build", "gets": "would get"}
        Display().display(
            "    " + text % (host, words[verb] if self._task.check_mode else verb, *more)
        )

    def _remote(self, name: str) -> str:
        """A path in the directory of this task on the host, which Ansible removes at the end of the
        task."""
        return self._connection._shell.join_path(
            self._connection._shell.tmpdir or self._make_tmp_path(), name
        )

    def _built(self, access: bool = False, **given: Any) -> dict[str, Any]:
        """The result of the module, with all that it needs from the controller.

        :param access: whether the host is given the credentials of the indexes, for as long as the
            module runs.
        :param given: the private arguments of the module.
        """
        options = self._arguments
        wheelhouse = options.get("wheelhouse")
        prepared = Preparation(options, self._task.check_mode)
        try:
            if access and not self._task.check_mode:
                given["access"] = access_files(normalised(prepared.indexes))
            if wheelhouse:
                archive = self._archive(wheelhouse, prepared.sources())
                inputs = Inputs([archive], prepared.lock([archive]), str(wheelhouse))
            else:
                inputs = prepared.inputs()
            given.update(
                lock=inputs.lock,
                tools_lock=must_read(
                    options.get("tools_lock_file") or TOOLS_LOCK, "lock of the tools"
                ),
                collection=collection_version(),
            )
        except InstallError as error:
            raise AnsibleActionFail(
                explained(error, prepared.indexes, options.get("requirements") or [])
            ) from None
        except (GitError, LockError, OSError, ValueError) as error:
            raise AnsibleActionFail(str(error)) from None
        arguments = self._arguments_of_the_module(inputs.indexes)
        result = self._execute(arguments, **given)
        if result.pop("needs_wheels", False):
            result = self._execute(arguments, **given, wheels=self._send_wheels(inputs.directory))
        return result

    def _arguments_of_the_module(self, indexes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The arguments of the task, without credentials."""
        arguments = {key: value for key, value in self._arguments.items() if key not in ITS_OWN}
        public = [
            {key: value for key, value in index.items() if key not in FOR_THE_CONTROLLER}
            for index in indexes
        ]
        return dict(arguments, indexes=public)

    def _execute(
        self, arguments: Mapping[str, Any], access: dict[str, str] | None = None, **given: Any
    ) -> dict[str, Any]:
        return self._execute_module(
            module_name=MODULE,
            module_args=dict(arguments, _controller=given, _access=access),
            task_vars=self._vars,
        )

    def _archive(self, path: Any, sources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The index that stands for an archive of the module wheelhouse, the only one then.

        :param sources: of the release; the archive must have their source trees.
        """
        for needed, what in (
            (path, "the archive"),
            (self._arguments.get("lock_file"), "the lock that it was made from"),
        ):
            if not os.path.exists(os.path.expanduser(str(needed))):
                raise ValueError(
                    "there is no %s on the controller, %s. Fix: run ansible-playbook "
                    "playbooks/wheelhouse.yml" % (needed, what)
                )
        wanted = {trees.file_name(item) for item in sources if git_wheels.TREE in item["install"]}
        if wanted:
            with tarfile.open(os.path.expanduser(str(path))) as archive:
                wanted -= set(archive.getnames())
        if wanted:
            raise ValueError(
                "the archive %s lacks source trees of the stack. Evidence: it has no %s. Fix: run "
                "ansible-playbook playbooks/wheelhouse.yml again"
                % (path, ", ".join(sorted(wanted)))
            )
        return {
            "name": release_wheelhouse.INDEX,
            "preset": "directory",
            "url": os.path.abspath(os.path.expanduser(str(path))),
            "packages": [],
        }

    def _send_wheels(self, directory: Any) -> str:
        """Send the wheels and source trees of a directory, or an archive of them, to the host, in one
        file; returns its path there."""
        remote = self._remote("wheels.tar")
        with tempfile.TemporaryDirectory() as scratch:
            archive = os.path.expanduser(str(directory))
            if os.path.isdir(archive):
                archive = os.path.join(scratch, "wheels.tar")
                git_wheels.pack(directory, archive)
            self._transfer_file(archive, remote)
        self._fixup_perms2((os.path.dirname(remote), remote))
        return remote


def result_of(mine: Entry) -> dict[str, Any]:
    """The result of a step that changed nothing on the host."""
    return dict(mine["result"], changed=False, source=mine["source"], pending=True)


def plain(result: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a result of the module that is also valid in the next steps."""
    passing = ("deprecations", "diff", "invocation", "platform_key", "warnings")
    return {
        key: value
        for key, value in result.items()
        if not key.startswith("_") and key not in passing
    }


def for_whom(mine: Entry, others: Sequence[str]) -> str:
    """Why this host had to build."""
    key = (
        "%(machine)s, %(system)s, %(libc)s, Python %(python)s (%(executable)s), %(release)s"
        % mine["platform_key"]
    )
    if others:
        return (
            "With swf_testbed_release_mode: push, it builds for %s, too: all are of one platform "
            "(%s), and it is the first." % (", ".join(others), key)
        )
    return (
        "With swf_testbed_release_mode: push, it builds for itself: no other host of this run is "
        "of its platform (%s) and has the release. So it needs access to the indexes." % key
    )
