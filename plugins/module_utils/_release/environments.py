# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual environments that are built from a lock beside the live one, and are either complete or
worth nothing.

A directory counts as built only when its ``release.json`` is there, and that is written last. What
a run that was cut off left behind is therefore recognised and replaced.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    InstallError,
    call,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.exclusive import (
    LockHeld,
    exclusive,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import replacing
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.modes import readable
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.host_index import resolved
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.lock import (
    by_index,
    short_hash,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.names import canonical
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import disk_full

MANIFEST = "release.json"
# seconds that a run waits for another one on the same host; a cold build takes one minute or two
PATIENCE = 900
# of what a command printed that failed on a full disk
LAST_LINES = 5

IMPORT_CHECK = """
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

# what is there, and not what the lock says: a lock may have several versions of a package, for
# several Pythons
CONTENT = """
import importlib.metadata, json, platform
found = {item.metadata["Name"]: item.version for item in importlib.metadata.distributions()}
print(json.dumps([platform.python_version(), found]))
"""


def manifest(path):
    """The manifest of a built environment, or None if it is missing, cut off, or its Python does
    not run any more."""
    try:
        with open(os.path.join(path, MANIFEST), encoding="utf-8") as stream:
            found = json.load(stream)
    except (OSError, ValueError):
        return None
    interpreter = os.path.join(path, "bin", "python")
    if not os.path.exists(interpreter):
        # a dangling link: the Python that the environment was made with is gone
        return None
    if found.get("executable") not in (None, os.path.realpath(interpreter)) and minor_of(
        interpreter
    ) != short(found["python"]):
        # the link leads to another Python now, which looks for the packages elsewhere
        return None
    return found


def short(version):
    """3.11 for 3.11.2: what an environment depends on."""
    return ".".join(version.split(".")[:2])


def minor_of(interpreter):
    """The version of a Python as 3.11; None if it does not run."""
    try:
        return call(
            "ask a Python for its version",
            [interpreter, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        ).strip()
    except InstallError:
        return None


def made_with(found, python):
    """Whether an environment was made with the Python that is asked for. One that cannot be found
    is no reason to build anew.

    :param python: from :func:`python.resolved`.
    """
    if os.path.realpath(python) == found.get("executable"):
        return True
    return minor_of(python) in (None, short(found["python"]))


@contextlib.contextmanager
def exclusive_lock(root, patience=PATIENCE):
    """Hold the lock of an instance's environments; a second run on the same host waits for its
    turn.

    :raises InstallError: the other run has not come to its end in ``patience`` seconds.
    """
    os.makedirs(root, exist_ok=True)
    try:
        with exclusive(os.path.join(root, ".lock"), patience):
            yield
    except LockHeld as error:
        raise InstallError(
            "get the turn on this host",
            "another run works on the releases in %s: %s" % (root, error),
        ) from error


def build(path, lock, python, installer, indexes, **about):
    """Build an environment from a lock, as :func:`fill` does. What is at ``path`` is replaced.

    :returns: the manifest.
    :raises InstallError, OSError, ValueError:
    """
    if os.path.lexists(path):
        # first, so that what a run that is cut off leaves is no release
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(path, MANIFEST))
        shutil.rmtree(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        return fill(path, lock, python, installer, indexes, **about)
    except (InstallError, OSError) as error:
        full = disk_full.evidence(
            path, getattr(error, "output", str(error)), getattr(error, "errno", None)
        )
        # the programs that run need the room, and nothing goes on from there
        shutil.rmtree(path, ignore_errors=True)
        if full:
            said = getattr(error, "output", str(error)).splitlines()[-LAST_LINES:]
            raise InstallError(
                getattr(error, "doing", "build %s" % os.path.basename(path)), "\n".join(said + full)
            ) from error
        raise


def fill(
    path,
    lock,
    python,
    installer,
    indexes,
    access_dir=None,
    import_check=(),
    version=None,
    collection=None,
):
    """Build an environment from a lock.

    :param path: directory of the environment; virtual environments cannot be moved, so it is built
        in its place.
    :param lock: text of the lock.
    :param installer: from :func:`installers.installer`.
    :param indexes: normalised indexes.
    :param access_dir: directory with the credentials and CA certificates of the indexes.
    :param import_check: names of packages whose console scripts must import.
    :param version, collection: what the manifest says of the version of the testbed and of the
        collection.
    """
    installer.create(path, python)
    interpreter = os.path.join(path, "bin", "python")
    with tempfile.TemporaryDirectory() as scratch:
        parts = by_index(lock, indexes)
        # pip is asked only where the lock takes something from an index without a url
        for index, (_named, requirements) in zip(
            resolved([index for index, _requirements in parts]), parts
        ):
            name = os.path.join(scratch, index["name"] + ".txt")
            with open(name, "w", encoding="utf-8") as stream:
                stream.write(requirements)
            installer.install(path, name, index, access_dir)
    installer.check(path)
    full = disk_full.too_little_left(path)
    if full:
        # bytecode that cannot be written is no failure to uv and pip
        raise InstallError("compile %s" % os.path.basename(path), "\n".join(full))
    readable(path)
    with contextlib.suppress(FileNotFoundError):
        # uv's own, which everybody may write, in a place that only its owner is to write
        os.unlink(os.path.join(path, ".lock"))
    os.chmod(path, 0o755)
    if import_check:
        call(
            "import the programs of the new release",
            [interpreter, "-I", "-c", IMPORT_CHECK, *import_check],
        )
    with open(os.path.join(path, "lock.txt"), "w", encoding="utf-8") as stream:
        stream.write(lock)
    runs, packages = json.loads(call("list what was installed", [interpreter, "-I", "-c", CONTENT]))
    found = {
        "id": os.path.basename(path),
        "version": version,
        "lock_hash": short_hash(lock),
        "python": runs,
        "packages": {canonical(name): number for name, number in packages.items()},
        "executable": os.path.realpath(interpreter),
        "collection": collection,
        "built_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    write_manifest(path, found)
    return found


def write_manifest(path, content):
    with replacing(os.path.join(path, MANIFEST), 0o644) as stream:
        json.dump(content, stream, indent=1, sort_keys=True)


def active(root):
    """The id of the release that ``current`` names, or None."""
    return link_target(root, "current")


def link_target(root, name):
    try:
        return os.path.basename(os.readlink(os.path.join(root, name)))
    except OSError:
        return None
