# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The private packages: a directory of wheels and sdists. A file appears in it complete and checked,
or not at all."""

from __future__ import annotations

import base64
import contextlib
import filecmp
import hashlib
import json
import logging
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from typing import IO, Any

import distributions
from distributions import CHUNK, Facts, Identity, Invalid
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

LOG = logging.getLogger("index.packages")
SCRATCH = ".upload-"
PROVENANCE = ".provenance"
# most file systems allow 255 bytes; the mirror appends to a name
MAX_NAME = 240


class Conflict(Exception):
    """The directory has another file in this place."""


class Packages:
    """
    :param directory: with the files, in it or in its subdirectories. Names with a leading dot do
        not count.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._adding = threading.Lock()
        self._locks = [threading.Lock() for _number in range(64)]
        self._inspected: dict[str, tuple[tuple[int, ...], Facts | str]] = {}
        for name in os.listdir(directory):
            if name.startswith(SCRATCH):
                # of a killed process
                os.unlink(os.path.join(directory, name))
        threading.Thread(target=self._report_broken, name="check", daemon=True).start()

    def files(self) -> Iterator[tuple[str, Identity]]:
        """(path in the directory, identity) of each wheel and sdist, also of a broken one."""
        for folder, folders, names in os.walk(self.directory):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                if not name.startswith("."):
                    with contextlib.suppress(Invalid):
                        path = os.path.relpath(os.path.join(folder, name), self.directory)
                        yield path, distributions.identity(name)

    def path(self, relative: str) -> str:
        return os.path.join(self.directory, relative)

    def facts(self, relative: str) -> Facts:
        """The facts of a file. A file is read again only after it changed.

        :raises Invalid: the file is broken.
        :raises OSError: it was removed.
        """
        path = self.path(relative)
        with self._locks[hash(relative) % len(self._locks)]:
            status = os.stat(path)
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
            last = self._inspected.get(relative)
            if last is None or last[0] != stamp:
                found: Facts | str
                try:
                    found = distributions.inspected(path, os.path.basename(relative))
                except Invalid as error:
                    found = str(error)
                    LOG.error(
                        "%s is not served: %s. Fix: publish this version again, or remove the file",
                        path,
                        error,
                    )
                last = self._inspected[relative] = (stamp, found)
        if isinstance(last[1], str):
            raise Invalid(last[1])
        return last[1]

    def _report_broken(self) -> None:
        for relative, _identity in self.files():
            with contextlib.suppress(Invalid, OSError):
                self.facts(relative)

    def page(self, name: str) -> dict[str, Any] | None:
        """The page of a package in the JSON form, with paths as addresses. None if there is no file.

        :raises Invalid: there are only broken files.
        """
        files, broken = [], []
        of_name = [pair for pair in self.files() if pair[1].name == name]
        for relative, found in sorted(of_name, key=lambda pair: (pair[1].version, pair[0])):
            try:
                facts = self.facts(relative)
            except FileNotFoundError:
                continue
            except (Invalid, OSError) as error:
                broken.append(str(error))
                continue
            entry = {
                "filename": os.path.basename(relative),
                "url": "/packages/" + relative,
                "hashes": {"sha256": facts.sha256},
                "size": facts.size,
                "version": str(found.version),
            }
            if facts.requires_python:
                entry["requires-python"] = facts.requires_python
            if facts.metadata_sha256:
                entry["core-metadata"] = {"sha256": facts.metadata_sha256}
            if os.path.exists(self.provenance(facts.sha256)):
                entry["provenance"] = "/provenance/" + facts.sha256
            files.append(entry)
        if not files:
            if broken:
                raise Invalid("all files of %s are broken: %s" % (name, "; ".join(broken)))
            return None
        versions = list(dict.fromkeys(entry.pop("version") for entry in files))
        return {
            "meta": {"api-version": "1.3"},
            "name": name,
            "files": files,
            "versions": versions,
        }

    def provenance(self, sha256: str) -> str:
        """Path of the attestations for a file of this content."""
        return os.path.join(self.directory, PROVENANCE, sha256 + ".json")

    def add(self, filename: str, stream: IO[bytes], fields: Mapping[str, str]) -> None:
        """Add an uploaded file under its normal name.

        It replaces no file, except a broken one. The same content is not an error: two clients may
        publish at once.

        :param fields: of the upload's form: digests, name, version and attestations are checked.
        :raises Invalid: the file, or what the fields say of it, is wrong.
        :raises Conflict: there is such a file with other content.
        """
        name, found = distributions.normal(filename), distributions.identity(filename)
        if len(name) > MAX_NAME:
            raise Invalid(
                "a file name may have %d characters, and this has %d" % (MAX_NAME, len(name))
            )
        handle, scratch = tempfile.mkstemp(prefix=SCRATCH, dir=self.directory)
        try:
            with os.fdopen(handle, "wb") as target:
                _copy(stream, target, filename, fields)
            os.chmod(scratch, 0o640)
            facts = distributions.inspected(scratch, filename)
            _check_fields(filename, found, fields)
            attestations = _attestations(filename, facts.sha256, fields)
            with self._adding:
                self._place(scratch, name, found)
            if attestations:
                self._write_provenance(facts.sha256, attestations)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(scratch)

    def _place(self, scratch: str, name: str, found: Identity) -> None:
        there = [relative for relative, other in self.files() if other == found]
        if not there:
            # a link, unlike a rename, replaces nothing
            os.link(scratch, self.path(name))
            return
        for relative in there:
            if filecmp.cmp(scratch, self.path(relative), shallow=False):
                return
        for relative in there:
            try:
                self.facts(relative)
            except Invalid:
                os.replace(scratch, self.path(relative))
                LOG.warning("%s was broken, and is replaced by an upload", self.path(relative))
                return
        raise Conflict(
            "%s already exists with other content, and this index replaces no file. Fix: raise the "
            "version." % os.path.basename(there[0])
        )

    def _write_provenance(self, sha256: str, attestations: list[Any]) -> None:
        path = self.provenance(sha256)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # the index knows no publisher and verifies no signature: clients have to
        bundle = {"publisher": {"kind": "unverified"}, "attestations": attestations}
        handle, scratch = tempfile.mkstemp(prefix=SCRATCH, dir=self.directory)
        with os.fdopen(handle, "w", encoding="utf-8") as target:
            json.dump({"version": 1, "attestation_bundles": [bundle]}, target)
        os.replace(scratch, path)


def _copy(stream: IO[bytes], target: IO[bytes], filename: str, fields: Mapping[str, str]) -> None:
    """Copy a file to the disk, and compare it with the digests that the client sent."""
    digests: dict[str, Any] = {
        "md5_digest": hashlib.md5(usedforsecurity=False),
        "sha256_digest": hashlib.sha256(),
        "blake2_256_digest": hashlib.blake2b(digest_size=32),
    }
    while part := stream.read(CHUNK):
        target.write(part)
        for digest in digests.values():
            digest.update(part)
    target.flush()
    os.fsync(target.fileno())
    for key, digest in digests.items():
        if fields.get(key) and fields[key].strip().lower() != digest.hexdigest():
            raise Invalid("%s does not have the %s that the client sent with it" % (filename, key))


def _check_fields(filename: str, found: Identity, fields: Mapping[str, str]) -> None:
    """Compare name and version of the form with those of the file."""
    try:
        agrees = (
            canonicalize_name(fields.get("name") or found.name) == found.name
            and Version(fields.get("version") or str(found.version)) == found.version
        )
    except InvalidVersion:
        agrees = False
    if not agrees:
        raise Invalid(
            "the upload says that %s is %s %s"
            % (filename, fields.get("name"), fields.get("version"))
        )


def _attestations(filename: str, sha256: str, fields: Mapping[str, str]) -> list[Any]:
    """The attestations of the form (PEP 740). Each has to be about this content."""
    if not fields.get("attestations"):
        return []
    try:
        attestations = json.loads(fields["attestations"])
        for attestation in attestations:
            statement = json.loads(base64.b64decode(attestation["envelope"]["statement"]))
            if [item["digest"]["sha256"] for item in statement["subject"]] != [sha256]:
                raise Invalid("an attestation of %s is about another file" % filename)
        return list(attestations)
    except (ValueError, KeyError, TypeError):
        raise Invalid("the attestations of %s have not the form of PEP 740" % filename) from None
