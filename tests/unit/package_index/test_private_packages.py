# SPDX-License-Identifier: GPL-3.0-or-later
"""The private packages of the index, without a server."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import time

import pytest
from distributions import Invalid, identity, inspected, normal
from private_packages import Conflict, Packages

from helpers.distribution_files import sdist_bytes, wheel_bytes

WHEEL, SDIST = "swf_thing-1.0-py3-none-any.whl", "swf_thing-1.0.tar.gz"
GOOD = {WHEEL: wheel_bytes("swf-thing", "1.0"), SDIST: sdist_bytes("swf-thing", "1.0")}


@pytest.fixture(name="packages")
def empty_directory(tmp_path):
    return Packages(str(tmp_path))


def add(packages, filename, content, **fields):
    packages.add(filename, io.BytesIO(content), fields)


def names(packages):
    return sorted(os.listdir(packages.directory))


def entries(packages):
    return {item["filename"]: item for item in packages.page("swf-thing")["files"]}


@pytest.mark.parametrize("filename", GOOD)
def test_a_page_has_what_installers_decide_by(packages, filename):
    content = GOOD[filename]
    add(packages, filename, content)
    entry = entries(packages)[filename]
    assert entry["hashes"] == {"sha256": hashlib.sha256(content).hexdigest()}
    assert entry["size"] == len(content) and entry["requires-python"] == ">=3.9"
    # the build of an sdist may change its metadata
    assert ("core-metadata" in entry) == filename.endswith(".whl")
    assert packages.page("swf-thing")["versions"] == ["1.0"]
    assert packages.page("swf-other") is None


@pytest.mark.parametrize("filename", GOOD)
@pytest.mark.parametrize("part", [0, 1, 100, 0.5, 0.9, -1])
def test_an_incomplete_file_is_refused(packages, filename, part):
    content = GOOD[filename]
    cut = content[: int(len(content) * part) if isinstance(part, float) else part]
    with pytest.raises(Invalid, match="damaged or incomplete"):
        add(packages, filename, cut)
    assert names(packages) == []


@pytest.mark.parametrize("filename", GOOD)
def test_a_changed_byte_is_found(packages, filename):
    marked = {WHEEL: wheel_bytes, SDIST: sdist_bytes}[filename]("swf-thing", "1.0", b"mark" * 99)
    if filename == WHEEL:
        content = marked.replace(b"markmark", b"markMark", 1)
    else:
        # the sum at the end of gzip
        content = marked[:-8] + bytes([marked[-8] ^ 1]) + marked[-7:]
    with pytest.raises(Invalid, match="damaged or incomplete"):
        add(packages, filename, content)
    assert names(packages) == []


@pytest.mark.parametrize(
    ("name", "version", "reason"),
    [("swf-else", "1.0", "has the name 'swf-else'"), ("swf-thing", "1.1", "version '1.1'")],
)
def test_metadata_of_another_package_is_refused(packages, name, version, reason):
    content = sdist_bytes(name, version)
    with pytest.raises(Invalid, match=reason):
        add(packages, SDIST, content)


def test_a_file_without_metadata_is_refused(packages):
    with pytest.raises(Invalid, match="has 0 files"):
        add(packages, WHEEL, wheel_bytes("swf-thing", "1.0", metadata="METADATE"))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"sha256_digest": "0" * 64}, "does not have the sha256_digest"),
        ({"md5_digest": "0" * 32}, "does not have the md5_digest"),
        ({"blake2_256_digest": "0" * 64}, "does not have the blake2_256_digest"),
        ({"name": "swf-other", "version": "1.0"}, "says that .* is swf-other 1.0"),
        ({"name": "swf-thing", "version": "1.1"}, "says that .* is swf-thing 1.1"),
        ({"name": "swf-thing", "version": "new"}, "says that .* is swf-thing new"),
        ({"attestations": "[{}]"}, "not the form of PEP 740"),
    ],
)
def test_what_the_client_sent_with_it_has_to_agree(packages, fields, reason):
    with pytest.raises(Invalid, match=reason):
        add(packages, WHEEL, GOOD[WHEEL], **fields)
    assert names(packages) == []


def test_right_digests_are_accepted(packages):
    content = GOOD[WHEEL]
    add(
        packages,
        WHEEL,
        content,
        name="SWF.thing",
        version="1.0.0",
        sha256_digest=hashlib.sha256(content).hexdigest(),
        md5_digest=hashlib.md5(content).hexdigest(),
        blake2_256_digest=hashlib.blake2b(content, digest_size=32).hexdigest(),
    )
    assert names(packages) == [WHEEL]


SPELLINGS = ["swf_thing-1.0", "swf-thing-1.0", "SWF.thing-1.0", "swf_thing-v1.0", "swf_thing-1.0.0"]


@pytest.mark.parametrize("second", SPELLINGS)
@pytest.mark.parametrize("first", SPELLINGS)
def test_a_version_has_one_file_however_it_is_spelled(packages, first, second):
    add(packages, first + ".tar.gz", GOOD[SDIST])
    stored = names(packages)
    assert stored == [normal(first + ".tar.gz")] and len(entries(packages)) == 1
    add(packages, second + ".tar.gz", GOOD[SDIST])
    with pytest.raises(Conflict, match=stored[0] + " already exists with other content"):
        add(packages, second + ".tar.gz", sdist_bytes("swf-thing", "1.0", b"other"))
    assert names(packages) == stored


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        (
            "swf.Thing-1.0RC1-1-cp311-cp311-linux_x86_64.whl",
            "swf_thing-1.0rc1-1-cp311-cp311-linux_x86_64.whl",
        ),
        ("swf-a-b-1.0+local.tar.gz", "swf_a_b-1.0+local.tar.gz"),
        ("SWF_a-2.zip", "swf_a-2.zip"),
    ],
)
def test_normal_names(filename, expected):
    assert normal(filename) == expected
    assert identity(normal(filename)) == identity(filename)


@pytest.mark.parametrize(
    "filename",
    ["", "x", "swf-thing.tar.gz", "swf_thing-1.0.tgz", "swf_thing-1.0.whl", "swf_a\0-1.0.tar.gz/"],
)
def test_other_names_are_refused(packages, filename):
    with pytest.raises(Invalid, match="is not the name of a wheel"):
        add(packages, filename, b"x")


def test_a_name_that_is_too_long_is_refused(packages):
    with pytest.raises(Invalid, match="240 characters"):
        add(packages, "swf_%s-1.0.tar.gz" % ("a" * 300), b"x")


@pytest.mark.parametrize("filename", GOOD)
def test_a_broken_file_is_not_served_and_the_next_upload_replaces_it(tmp_path, filename):
    (tmp_path / "by-hand").mkdir()
    half = GOOD[filename][: len(GOOD[filename]) // 2]
    (tmp_path / "by-hand" / filename).write_bytes(half)
    (tmp_path / "swf_thing-0.9.tar.gz").write_bytes(sdist_bytes("swf-thing", "0.9"))
    packages = Packages(str(tmp_path))
    assert list(entries(packages)) == ["swf_thing-0.9.tar.gz"]
    with pytest.raises(Invalid, match="incomplete"):
        packages.facts("by-hand/" + filename)
    # a second half file does not replace it
    with pytest.raises(Invalid):
        add(packages, filename, half + b"x")
    assert (tmp_path / "by-hand" / filename).read_bytes() == half
    add(packages, filename, GOOD[filename])
    assert (tmp_path / "by-hand" / filename).read_bytes() == GOOD[filename]
    assert len(entries(packages)) == 2 and not (tmp_path / filename).exists()


def test_a_package_of_broken_files_only_has_no_page(tmp_path):
    (tmp_path / WHEEL).write_bytes(b"half")
    with pytest.raises(Invalid, match="all files of swf-thing are broken: .*is damaged"):
        Packages(str(tmp_path)).page("swf-thing")


def test_broken_files_are_in_the_log_from_the_start(tmp_path, caplog):
    (tmp_path / WHEEL).write_bytes(b"half")
    Packages(str(tmp_path))
    for _try in range(100):
        if caplog.text:
            break
        time.sleep(0.02)
    assert WHEEL + " is not served" in caplog.text and "publish this version again" in caplog.text


def test_what_a_killed_process_left_is_removed(tmp_path):
    (tmp_path / ".upload-x").write_bytes(b"half")
    assert names(Packages(str(tmp_path))) == []


def test_a_file_is_read_again_only_after_it_changed(packages, monkeypatch):
    read = []
    monkeypatch.setattr(
        "distributions.inspected", lambda path, name: read.append(name) or inspected(path, name)
    )
    add(packages, WHEEL, GOOD[WHEEL])
    read.clear()
    for _again in range(3):
        packages.page("swf-thing")
    assert read == [WHEEL]
    with open(packages.path("new"), "wb") as stream:
        stream.write(wheel_bytes("swf-thing", "1.0", requires_python=">=3.12"))
    os.replace(packages.path("new"), packages.path(WHEEL))
    assert entries(packages)[WHEEL]["requires-python"] == ">=3.12"


def attestation(sha256):
    statement = {"subject": [{"name": WHEEL, "digest": {"sha256": sha256}}]}
    return {
        "version": 1,
        "verification_material": {"certificate": "x"},
        "envelope": {
            "statement": base64.b64encode(json.dumps(statement).encode()).decode(),
            "signature": "x",
        },
    }


def test_attestations_of_an_upload_are_served(packages):
    sha256 = hashlib.sha256(GOOD[WHEEL]).hexdigest()
    sent = attestation(sha256)
    add(packages, WHEEL, GOOD[WHEEL], attestations=json.dumps([sent]))
    assert entries(packages)[WHEEL]["provenance"] == "/provenance/" + sha256
    with open(packages.provenance(sha256)) as stream:
        found = json.load(stream)
    assert found["version"] == 1
    assert found["attestation_bundles"][0]["attestations"] == [sent]
    # other content under this name has none
    os.unlink(packages.path(WHEEL))
    add(packages, WHEEL, wheel_bytes("swf-thing", "1.0", b"other"))
    assert "provenance" not in entries(packages)[WHEEL]


def test_an_attestation_about_another_file_is_refused(packages):
    with pytest.raises(Invalid, match="about another file"):
        add(packages, WHEEL, GOOD[WHEEL], attestations=json.dumps([attestation("0" * 64)]))
    assert names(packages) == []
