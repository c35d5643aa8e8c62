# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads a file once for all clients that request it, and sends it while the download runs.

Otherwise clients of a large file would give up: pip after 15 seconds without a byte.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

from upstream import Upstream, UpstreamNotFound, UpstreamUnavailable

CHUNK = 256 * 1024
WAIT_SECONDS = 60
PARTIAL = ".partial-"


def partial_in(folder: str) -> tuple[int, str]:
    """(handle, path) of a new file in a directory. The directory is created, also if it is removed
    as empty in between."""
    while True:
        with contextlib.suppress(FileNotFoundError):
            os.makedirs(folder, exist_ok=True)
            return tempfile.mkstemp(prefix=PARTIAL, dir=folder)


class Download:
    """The download of one file. It runs to its end, also without a waiting client."""

    def __init__(
        self,
        upstream: Upstream,
        url: str,
        path: str,
        sha256: str | None,
        when_done: Callable[[Download], None],
    ) -> None:
        self.upstream, self.url, self.path = upstream, url, path
        self.sha256, self.when_done = sha256, when_done
        self.changed = threading.Condition()
        self.started = self.done = False
        # all clients read from this one, also after the file was renamed or removed
        self.stream: Any = None
        self.size: int | None = None
        self.scratch: str | None = None
        self.error: UpstreamUnavailable | UpstreamNotFound | None = None
        self.available = 0
        threading.Thread(target=self._run, name="download", daemon=True).start()

    def _publish(self, **news: Any) -> None:
        with self.changed:
            for key, value in news.items():
                setattr(self, key, value)
            self.changed.notify_all()

    def _run(self) -> None:
        try:
            self._receive()
        except (UpstreamUnavailable, UpstreamNotFound) as error:
            self._publish(error=error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._publish(error=UpstreamUnavailable(str(error)))
        finally:
            if self.error and self.scratch:
                os.unlink(self.scratch)
            self.when_done(self)

    def _receive(self) -> None:
        # the first type is that of attestations, which PyPI also has as a page for browsers
        headers = {"Accept": "application/vnd.pypi.integrity.v1+json, */*;q=0.1"}
        headers["Accept-Encoding"] = "identity"
        with self.upstream.open(self.url, headers) as response:
            handle, scratch = partial_in(os.path.dirname(self.path))
            length = response.headers.get("Content-Length")
            stream = os.fdopen(handle, "w+b")
            self._publish(
                started=True, stream=stream, scratch=scratch, size=int(length) if length else None
            )
            digest, written = hashlib.sha256(), 0
            while chunk := response.read1(CHUNK):
                # the newest chunk is available only after the next one, or after the check of the
                # hash
                self._publish(available=written)
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
                "%s has another hash than on its page" % os.path.basename(self.path)
            )
        os.replace(scratch, self.path)
        self._publish(available=written, done=True, scratch=None)

    def wait(self, ready: Callable[[], bool]) -> None:
        """Wait for a condition.

        :raises UpstreamUnavailable, UpstreamNotFound: the download failed or stalls.
        """
        with self.changed:
            if not self.changed.wait_for(lambda: self.error or ready(), WAIT_SECONDS):
                raise UpstreamUnavailable("the download stalls")
            if self.error:
                # the thread has set it
                raise self.error  # pylint: disable=raising-bad-type

    def follow(self) -> tuple[int | None, Iterator[bytes]]:
        """(size or None, iterator of the parts, as they arrive). Raises as :meth:`wait`."""
        self.wait(lambda: self.started)
        return self.size, self._parts()

    def _parts(self) -> Iterator[bytes]:
        sent = 0
        while True:
            self.wait(lambda: self.done or self.available > sent)  # noqa: B023  called at once
            while sent < self.available:
                part = os.pread(self.stream.fileno(), min(CHUNK, self.available - sent), sent)
                sent += len(part)
                yield part
            if self.done and sent >= self.available:
                return
