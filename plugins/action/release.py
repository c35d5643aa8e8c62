# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller's half of release: reads the lock, or makes it once for the fleet. Tokens end here; none travels to the host."""

from __future__ import annotations

import os
import tempfile

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils import _git_wheels, _wheelhouse
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._git import GitError
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._indexes import normalised
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._install_verdict import explained
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._installers import InstallError
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._lock_file import LockRefused, obtain
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._collection import collection_version

FOR_THE_CONTROLLER = ("username", "token", "ca_cert")
GIT = ("repositories", "git_username", "git_token", "git_ca_cert", "wheels_dir")
MODULE = "bnlnpps.swf_testbed.release"


class ActionModule(ActionBase):
    TRANSFERS_FILES = True

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        arguments = {key: value for key, value in self._task.args.items() if key not in GIT}
        indexes = list(arguments.get("indexes") or [])
        wheels = None
        wheelhouse = arguments.pop("wheelhouse", None)
        if arguments.get("state", "built") == "built":
            try:
                if wheelhouse:
                    indexes = [self._archive(wheelhouse, arguments)]
                repositories = self._task.args.get("repositories") or []
                if repositories:
                    wheels = self._wheels(repositories)
                    indexes = [wheels, *indexes] if wheels else None
                arguments["lock"] = self._lock(arguments, indexes)
                arguments["tools_lock"] = self._read(arguments.get("tools_lock_file"))
                arguments["collection"] = collection_version()
            except InstallError as error:
                raise AnsibleActionFail("release: " + explained(
                    error, indexes or [], arguments.get("requirements") or [])) from None
            except (GitError, LockRefused, OSError, ValueError) as error:
                raise AnsibleActionFail("release: %s" % error) from None
        arguments["indexes"] = [{key: value for key, value in index.items() if key not in FOR_THE_CONTROLLER}
                                for index in indexes or []]
        result = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=task_vars)
        if result.pop("needs_wheels", False):
            arguments["wheels"] = self._send(wheelhouse or wheels["url"])
            result = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=task_vars)
        return result

    @staticmethod
    def _archive(path, arguments):
        """The index that stands for an archive of the module wheelhouse; nothing else is asked then."""
        for needed, what in ((path, "the archive"), (arguments.get("lock_file"), "the lock that it was made from")):
            if not os.path.exists(os.path.expanduser(str(needed))):
                raise ValueError("there is no %s on the controller, %s. Run: ansible-playbook playbooks/wheelhouse.yml" % (
                    needed, what))
        return {"name": _wheelhouse.INDEX, "preset": "directory", "url": os.path.abspath(os.path.expanduser(str(path))),
                "packages": []}

    def _wheels(self, repositories):
        """The index of wheels that come from git; None in check mode when they are not built yet."""
        options = self._task.args
        if not options.get("wheels_dir"):
            raise ValueError("wheels_dir is required with repositories")
        unknown = [repository for repository in repositories if not {"url", "commit"} <= set(repository)]
        if unknown:
            raise ValueError("each of the repositories needs url and commit")
        return _git_wheels.obtain(
            [dict({"subdirectory": None}, **repository) for repository in repositories], str(options["wheels_dir"]),
            {key: options.get("git_" + key) or None for key in ("username", "token", "ca_cert")}, self._task.check_mode)

    def _send(self, directory):
        """Bring the wheels of a directory, or an archive of wheels, to the host, in one file. Returns its path there."""
        remote = self._connection._shell.join_path(self._make_tmp_path(), "wheels.tar")
        with tempfile.TemporaryDirectory() as scratch:
            archive = os.path.expanduser(str(directory))
            if os.path.isdir(archive):
                archive = os.path.join(scratch, "wheels.tar")
                _git_wheels.pack(directory, archive)
            self._transfer_file(archive, remote)
        self._fixup_perms2((os.path.dirname(remote), remote))
        return remote

    def _read(self, path):
        try:
            with open(os.path.expanduser(str(path)), encoding="utf-8") as stream:
                return stream.read()
        except OSError as error:
            raise AnsibleActionFail("release: cannot read %s on the controller: %s" % (path, error.strerror)) from None

    def _lock(self, arguments, indexes):
        if not arguments.get("lock_file"):
            raise ValueError("lock_file is required with state=built")
        if indexes is None:
            # check mode, and the wheels that a lock would be made with are not built: it cannot be made either
            indexes = []
        return obtain(
            os.path.expanduser(str(arguments["lock_file"])), arguments.get("requirements") or [], normalised(indexes),
            arguments.get("constraints_file"), arguments.get("min_python", "3.10"), self._task.check_mode)
