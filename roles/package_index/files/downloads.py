# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads a file once for all who ask for it meanwhile, and hands it on while it arrives.

Whoever waits for a large file would otherwise give up: pip after 15 seconds without a byte.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import tempfile
import threading

from upstream import UpstreamNotFound, UpstreamUnavailable

CHUNK = 256 * 1024
WAIT_SECONDS = 60
PARTIAL = ".partial-"


def partial_in(folder):
    """(handle, path) of a new file in a directory, which is made, again if somebody removes it
    because it is empty."""
    while True:
        with contextlib.suppress(FileNotFoundError):
            os.makedirs(folder, exist_ok=True)
            return tempfile.mkstemp(prefix=PARTIAL, dir=folder)


class Download:
    """One file on its way to the disk. It goes on to its end also when nobody waits any more."""

    def __init__(self, upstream, url, path, sha256, when_done):
        self.upstream, self.url, self.path, self.sha256, self.when_done = (
            upstream,
            url,
            path,
            sha256,
            when_done,
        )
        self.changed = threading.Condition()
        self.started = self.done = False
        # all who follow read from this one, also when the file was renamed or removed meanwhile
        self.stream = None
        self.size = self.scratch = self.error = None
        self.available = 0
        threading.Thread(target=self._run, name="download", daemon=True).start()

    def _tell(self, **news):
        with self.changed:
            for key, value in news.items():
                setattr(self, key, value)
            self.changed.notify_all()

    def _run(self):
        try:
            self._receive()
        except (UpstreamUnavailable, UpstreamNotFound) as error:
            self._tell(error=error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._tell(error=UpstreamUnavailable(str(error)))
        finally:
            if self.error and self.scratch:
                os.unlink(self.scratch)
            self.when_done(self)

    def _receive(self):
        with self.upstream.open(self.url, {"Accept-Encoding": "identity"}) as response:
            handle, scratch = partial_in(os.path.dirname(self.path))
            length = response.headers.get("Content-Length")
            stream = os.fdopen(handle, "w+b")
            self._tell(
                started=True, stream=stream, scratch=scratch, size=int(length) if length else None
            )
            digest, written = hashlib.sha256(), 0
            while chunk := response.read1(CHUNK):
                # what was received before; the newest chunk stays back until the next one, or the
                # hash, is there
                self._tell(available=written)
                stream.write(chunk)
                stream.flush()
                digest.update(chunk)
                written += len(chunk)
        if self.size is not None and written != self.size:
            raise UpstreamUnavailable(
                "the connection ended after %s of %s bytes" % (written, self.size)
            )
        if self.sha256 and digest.hexdigest() != self.sha256:
            raise UpstreamUnavailable(
                "%s has another hash than the index's page says" % os.path.basename(self.path)
            )
        os.replace(scratch, self.path)
        self._tell(available=written, done=True, scratch=None)

    def wait(self, ready):
        """Wait until something holds, or the download failed.

        :raises UpstreamUnavailable, UpstreamNotFound: it failed, or nothing arrives any more.
        """
        with self.changed:
            if not self.changed.wait_for(lambda: self.error or ready(), WAIT_SECONDS):
                raise UpstreamUnavailable("nothing arrives any more")
            if self.error:
                # the thread has set it
                raise self.error  # pylint: disable=raising-bad-type

    def follow(self):
        """The file's parts as they arrive; (size or None, iterator). Raises as :meth:`wait`
        does."""
        self.wait(lambda: self.started)
        return self.size, self._parts()

    def _parts(self):
        sent = 0
        while True:
            self.wait(lambda: self.done or self.available > sent)  # noqa: B023  called at once
            while sent < self.available:
                part = os.pread(self.stream.fileno(), min(CHUNK, self.available - sent), sent)
                sent += len(part)
                yield part
            if self.done and sent >= self.available:
                return
