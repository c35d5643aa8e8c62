# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual environments that are built from a lock next to the active one.

A directory is complete only if it has a ``release.json``, which is written last. An incomplete
environment of an interrupted run is therefore detected and replaced.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    Installer,
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
    versions,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.names import canonical
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import (
    disk_full,
    executables,
    trees,
)

MANIFEST = "release.json"
# seconds that a run waits for another one on the same host; a cold build takes up to two minutes
PATIENCE = 900
# of the output of a command that failed on a full disk
LAST_LINES = 5

IMPORT_CHECK = """
import importlib, importlib.metadata, sys, traceback
failed = False
for name in sys.argv[1:]:
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        failed = True
        print("%s is not in the release. Fix: correct distributions.import_check of the stack file, "
              "or the requirements" % name)
        continue
    programs = [item for item in distribution.entry_points if item.group == "console_scripts"]
    # without a program, its modules
    tops = set() if programs else {path.parts[0] for path in distribution.files or ()
                                   if path.name == "__init__.py" and len(path.parts) == 2}
    for module in sorted(tops):
        try:
            importlib.import_module(module)
        except Exception:
            failed = True
            print("%s (%s) does not import:" % (name, module))
            traceback.print_exc(limit=-1, file=sys.stdout)
    for entry in programs:
        if entry.group == "console_scripts":
            try:
                entry.load()
            except Exception:
                failed = True
                print("%s (%s = %s) does not import:" % (name, entry.name, entry.value))
                traceback.print_exc(limit=-1, file=sys.stdout)
sys.exit(failed)
"""

# the installed packages, not those of the lock: a lock may have several versions of a package, for
# several Pythons
CONTENT = """
import importlib.metadata, json, platform
found = {item.metadata["Name"]: item.version for item in importlib.metadata.distributions()}
print(json.dumps([platform.python_version(), platform.machine(), found]))
"""


def manifest(path: str) -> dict[str, Any] | None:
    """The manifest of a complete environment, or None if it is missing or unreadable, or if the
    Python of the environment is gone."""
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


def short(version: str) -> str:
    """3.11 for 3.11.2: the part that an environment depends on."""
    return ".".join(version.split(".")[:2])


def minor_of(interpreter: str) -> str | None:
    """The version of a Python as 3.11; None if it does not run."""
    try:
        return call(
            "ask a Python for its version",
            [interpreter, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        ).strip()
    except InstallError:
        return None


def made_with(found: Mapping[str, Any], python: str) -> bool:
    """Whether an environment was made with this Python. A Python that cannot be found is no reason
    to build again.

    :param python: from :func:`python.resolved`.
    """
    if os.path.realpath(python) == found.get("executable"):
        return True
    return minor_of(python) in (None, short(found["python"]))


@contextlib.contextmanager
def exclusive_lock(root: str, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock of the environments of an instance; a second run on the same host waits.

    :raises InstallError: the other run did not end in ``patience`` seconds.
    """
    os.makedirs(root, exist_ok=True)
    try:
        with exclusive(os.path.join(root, ".lock"), patience):
            yield
    except LockHeld as error:
        raise InstallError(
            "lock the releases on this host",
            "another run works on the releases in %s: %s" % (root, error),
        ) from error


def build(
    path: str,
    lock: str,
    python: str,
    installer: Installer,
    indexes: list[dict[str, Any]],
    **about: Any,
) -> dict[str, Any]:
    """Build an environment from a lock, as :func:`fill` does. An environment at ``path`` is
    replaced.

    :returns: the manifest.
    :raises InstallError, OSError, ValueError: nothing of it is left.
    """
    if os.path.lexists(path):
        # first, so that an interrupted run leaves no release that looks complete
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(path, MANIFEST))
        shutil.rmtree(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        return fill(path, lock, python, installer, indexes, **about)
    except BaseException as error:
        output = getattr(error, "output", str(error))
        full = disk_full.evidence(path, output, getattr(error, "errno", None))
        # the running programs need the space, and the next run starts from the beginning
        shutil.rmtree(path, ignore_errors=True)
        if full:
            doing = getattr(error, "doing", "build %s" % os.path.basename(path))
            lines = output.splitlines()[-LAST_LINES:] + full
            raise InstallError(doing, "\n".join(lines)) from error
        raise


def fill(
    path: str,
    lock: str,
    python: str,
    installer: Installer,
    indexes: list[dict[str, Any]],
    access_dir: str | None = None,
    import_check: Iterable[str] = (),
    version: str | None = None,
    collection: str | None = None,
    sent_from: str | None = None,
    archives: str | None = None,
) -> dict[str, Any]:
    """Build an environment from a lock, with the source trees that the lock names.

    :param path: directory of the environment; virtual environments cannot be moved, so it is built
        in its place.
    :param lock: text of the lock.
    :param installer: from :func:`installers.installer`.
    :param indexes: normalised indexes.
    :param access_dir: directory with the credentials and CA certificates of the indexes.
    :param import_check: names of packages whose console scripts must import.
    :param version, collection, sent_from: versions of the testbed and of the collection, and the
        host that built it, for the manifest.
    :param archives: directory of the archives of the source trees; None if the installer has placed
        these, too.
    """
    installer.create(path, python)
    interpreter = os.path.join(path, "bin", "python")
    with tempfile.TemporaryDirectory() as scratch:
        parts = by_index(lock, indexes)
        # pip is queried only if the lock has packages of an index without a url
        for index, (_named, requirements) in zip(
            resolved([index for index, _requirements in parts]), parts
        ):
            name = os.path.join(scratch, index["name"] + ".txt")
            with open(name, "w", encoding="utf-8") as stream:
                stream.write(requirements)
            installer.install(path, name, index, access_dir)
    installer.check(path)
    runs, machine, packages = json.loads(
        call("list what was installed", [interpreter, "-I", "-c", CONTENT])
    )
    packages = {canonical(name): number for name, number in packages.items()}
    locked = versions(lock)
    if locked and not locked.keys() & packages.keys():
        raise InstallError(
            "install %s" % os.path.basename(path),
            "no requirement of the lock is for this host. Evidence: it has Python %s on %s. Fix: "
            "add them to swf_testbed_release_lock_pythons and "
            "swf_testbed_release_lock_architectures, or set swf_testbed_python" % (runs, machine),
        )
    sources = trees.of_lock(lock)
    trees.place(path, sources, archives)
    full = disk_full.too_little_left(path)
    if full:
        # uv and pip do not fail when they cannot write bytecode
        raise InstallError("compile %s" % os.path.basename(path), "\n".join(full))
    readable(path)
    with contextlib.suppress(FileNotFoundError):
        # a file of uv that everybody may write, in a directory that only its owner may write
        os.unlink(os.path.join(path, ".lock"))
    os.chmod(path, 0o755)
    if import_check:
        call(
            "import the programs of the new release",
            [interpreter, "-I", "-c", IMPORT_CHECK, *import_check],
        )
    executables.write_list(path)
    if sources:
        trees.write_list(path)
    with open(os.path.join(path, "lock.txt"), "w", encoding="utf-8") as stream:
        stream.write(lock)
    found = {
        "id": os.path.basename(path),
        "version": version,
        "lock_hash": short_hash(lock),
        "python": runs,
        "packages": packages,
        "executable": os.path.realpath(interpreter),
        "collection": collection,
        "built_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    if sources:
        found["sources"] = {source["name"]: source["commit"] for source in sources}
    if sent_from:
        found["sent_from"] = sent_from
    with replacing(os.path.join(path, MANIFEST), 0o644) as stream:
        json.dump(found, stream, indent=1, sort_keys=True)
    return found


def active(root: str) -> str | None:
    """The id of the release that ``current`` names, or None."""
    return link_target(root, "current")


def link_target(root: str, name: str) -> str | None:
    try:
        return os.path.basename(os.readlink(os.path.join(root, name)))
    except OSError:
        return None
