# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual environments that are built from a lock beside the live one, and are either complete or worth nothing.

A directory counts as built only when its ``release.json`` is there, and that is written last. What a run that was cut off
left behind is therefore recognised and replaced.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import time

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._installers import InstallError, call
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._lock import by_index, short_hash

MANIFEST = "release.json"

SMOKE = """
import importlib.metadata, sys, traceback
failed = False
for name in sys.argv[1:]:
    for entry in importlib.metadata.distribution(name).entry_points:
        if entry.group == "console_scripts":
            try:
                entry.load()
            except Exception:
                failed = True
                print("%s (%s = %s) does not import:" % (name, entry.name, entry.value))
                traceback.print_exc(limit=-1, file=sys.stdout)
sys.exit(failed)
"""

# what is there, and not what the lock says: a lock may have several versions of a package, for several Pythons
CONTENT = """
import importlib.metadata, json, platform, re
print(json.dumps({"python": platform.python_version(), "packages": {
    re.sub(r"[-_.]+", "-", item.metadata["Name"]).lower(): item.version for item in importlib.metadata.distributions()}}))
"""


def manifest(path):
    """The manifest of a built environment, or None if it is missing, cut off, or its Python does not run any more."""
    try:
        with open(os.path.join(path, MANIFEST), encoding="utf-8") as stream:
            found = json.load(stream)
    except (OSError, ValueError):
        return None
    # a dangling link: the Python that the environment was made with is gone
    return found if os.path.exists(os.path.join(path, "bin", "python")) else None


@contextlib.contextmanager
def only_one(root):
    """Hold the lock of an instance's environments; a second run on the same host waits for its turn."""
    os.makedirs(root, exist_ok=True)
    with open(os.path.join(root, ".lock"), "w", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def build(path, lock, python, installer, indexes, access_dir=None, smoke=(), version=None):
    """Build an environment from a lock. What is at ``path`` is replaced.

    :param path: directory of the environment; virtual environments cannot be moved, so it is built in its place.
    :param lock: text of the lock.
    :param installer: from :func:`_installers.installer`.
    :param indexes: normalised indexes.
    :param access_dir: directory with the credentials and CA certificates of the indexes.
    :param smoke: names of packages whose console scripts must import.
    :returns: the manifest.
    :raises InstallError, OSError, ValueError:
    """
    if os.path.lexists(path):
        shutil.rmtree(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    installer.create(path, python)
    interpreter = os.path.join(path, "bin", "python")
    with tempfile.TemporaryDirectory() as scratch:
        for index, requirements in by_index(lock, indexes):
            name = os.path.join(scratch, index["name"] + ".txt")
            with open(name, "w", encoding="utf-8") as stream:
                stream.write(requirements)
            installer.install(path, name, index, access_dir)
    installer.check(path)
    with contextlib.suppress(FileNotFoundError):
        # uv's own, which everybody may write, in a place that only its owner is to write
        os.unlink(os.path.join(path, ".lock"))
    if smoke:
        call("import the programs of the new release", [interpreter, "-I", "-c", SMOKE, *smoke])
    with open(os.path.join(path, "lock.txt"), "w", encoding="utf-8") as stream:
        stream.write(lock)
    found = {
        "id": os.path.basename(path),
        "version": version,
        "lock_hash": short_hash(lock),
        **json.loads(call("list what was installed", [interpreter, "-I", "-c", CONTENT])),
        "built_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    write_manifest(path, found)
    return found


def write_manifest(path, content):
    """Write the manifest so that it is there whole or not at all, also after a loss of power."""
    scratch = os.path.join(path, MANIFEST + ".tmp")
    with open(scratch, "w", encoding="utf-8") as stream:
        json.dump(content, stream, indent=1, sort_keys=True)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(scratch, os.path.join(path, MANIFEST))


def active(root):
    """The id of the release that ``current`` names, or None."""
    try:
        return os.path.basename(os.readlink(os.path.join(root, "current")))
    except OSError:
        return None


def activate(root, release_id):
    """Let ``current`` name the release, by one atomic rename.

    :raises InstallError: when the release is not there or not complete.
    """
    if manifest(os.path.join(root, "releases", release_id)) is None:
        raise InstallError("activate %s" % release_id, "there is no complete release of that name in %s/releases" % root)
    scratch = os.path.join(root, ".current.new")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(scratch)
    os.symlink(os.path.join("releases", release_id), scratch)
    os.replace(scratch, os.path.join(root, "current"))
