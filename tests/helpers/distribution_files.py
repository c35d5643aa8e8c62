# SPDX-License-Identifier: GPL-3.0-or-later
"""The bytes of wheels and sdists, as small or as large as a test wants."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile


def metadata_of(name, version, requires_python=">=3.9"):
    return "Metadata-Version: 2.1\nName: %s\nVersion: %s\nRequires-Python: %s\n\nA thing.\n" % (
        name,
        version,
        requires_python,
    )


def wheel_bytes(name, version, content=b"", metadata="METADATA", **more):
    """A wheel with one module; a large content is not compressed."""
    module = name.replace("-", "_")
    info = "%s-%s.dist-info" % (module, version)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for member, text in {
            module + "/__init__.py": b"",
            module + "/data": content,
            "%s/%s" % (info, metadata): metadata_of(name, version, **more).encode(),
            info + "/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: "
            b"py3-none-any\n",
            info + "/RECORD": (
                "%s/__init__.py,,\n%s/data,,\n%s/METADATA,,\n%s/WHEEL,,\n%s/RECORD,,\n"
                % (module, module, info, info, info)
            ).encode(),
        }.items():
            # a fixed time: the same wheel has the same hash
            archive.writestr(zipfile.ZipInfo(member), text)
    return target.getvalue()


def sdist_bytes(name, version, content=b"", **more):
    target = io.BytesIO()
    with gzip.GzipFile(fileobj=target, mode="wb", mtime=0) as stream:
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for member, text in {
                "PKG-INFO": metadata_of(name, version, **more).encode(),
                "data": content,
            }.items():
                entry = tarfile.TarInfo("%s-%s/%s" % (name, version, member))
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text))
    return target.getvalue()
