# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read out of pages and folders, and which of the files can be installed. ``packaging`` is
the judge of versions."""

from __future__ import annotations

import base64
import json
import math
import platform
import sysconfig
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.tags import sys_tags
from packaging.version import Version

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index import files, versions
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.page import parse
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.probe import probe
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.secrets import Scrubber
from helpers.index_server import make_wheel
from helpers.index_stand_ins import TOKEN, StandIn, anchor, html, page, pages

HERE = sysconfig.get_platform().replace("-", "_").replace(".", "_")
VERSION = st.builds(
    lambda epoch, release, pre, post, dev, local: (
        epoch + ".".join(map(str, release)) + pre + post + dev + local
    ),
    st.sampled_from(["", "1!"]),
    st.lists(st.integers(0, 12), min_size=1, max_size=4),
    st.sampled_from(["", "a1", "b2", "rc1", "-alpha.3", "_c"]),
    st.sampled_from(["", ".post1", "-2", "rev3"]),
    st.sampled_from(["", ".dev1", "dev", "-dev.12"]),
    st.sampled_from(["", "+x.1", "+2"]),
)
CLAUSE = st.builds(
    lambda operator, release, star: (
        operator + ".".join(map(str, release)) + (".*" if star and operator in ("==", "!=") else "")
    ),
    st.sampled_from(["==", "!=", "<=", ">=", "<", ">", "~="]),
    st.lists(st.integers(0, 12), min_size=2, max_size=3).map(lambda rest: [3, *rest[1:]]),
    st.booleans(),
)


@given(st.lists(VERSION, min_size=2, max_size=6))
def test_versions_are_sorted_as_installers_do(texts):
    assert [Version(text) for text in versions.newest_first(texts)] == sorted(
        map(Version, texts), reverse=True
    )
    assert versions.same(texts[0], texts[1]) == (Version(texts[0]) == Version(texts[1]))
    assert [versions.is_prerelease(text) for text in texts] == [
        Version(text).is_prerelease for text in texts
    ]


@given(st.lists(CLAUSE, max_size=3), st.integers(0, 14), st.integers(0, 20))
def test_requires_python_is_read_as_installers_do(clauses, minor, micro):
    python = "3.%d.%d" % (minor, micro)
    assert versions.allows(",".join(clauses), python) == SpecifierSet(",".join(clauses)).contains(
        python
    )


def test_what_is_no_version_does_not_get_in_the_way():
    assert versions.newest_first(["1.0", "latest", "2.0"]) == ["2.0", "1.0", "latest"]
    assert (
        versions.allows("whatever", "3.11.1")
        and versions.allows(None, "3.11.1")
        and versions.allows(">=3.x", "3.11")
    )


@pytest.mark.parametrize(
    "name,version,tags",
    [
        ("swf_testbed-1.0-py3-none-any.whl", "1.0", "py3-none-any"),
        ("SWF.Testbed-1.0-1-py3-none-any.whl", "1.0", "py3-none-any"),
        ("swf-testbed-1.0.tar.gz", "1.0", None),
        ("swf_testbed-1.0-1.zip", "1.0-1", None),
    ],
)
def test_names_of_files(name, version, tags):
    found = files.file_of(name, "swf-testbed")
    assert (found.version, found.tags) == (version, tags)


@pytest.mark.parametrize(
    "name",
    ["swf_testbed_cli-1.0-py3-none-any.whl", "swf-1.0.tar.gz", "x.whl", "swf_testbed-1.0.exe", ""],
)
def test_other_files_do_not_count(name):
    assert files.file_of(name, "swf-testbed") is None


def test_wheels_for_this_python_fit():
    python = platform.python_version()
    assert all(files.fits(str(tag), python) for tag in sys_tags() if tag.interpreter != "py2")


@pytest.mark.parametrize(
    "tags,fits",
    [
        ("py3-none-any", True),
        ("py2.py3-none-any", True),
        ("py2-none-any", False),
        ("cp312-cp312-" + HERE, True),
        ("cp311-cp311-" + HERE, False),
        ("cp39-abi3-" + HERE, True),
        ("cp313-abi3-" + HERE, False),
        ("cp312-cp312t-" + HERE, False),
        ("pp310-pypy310_pp73-" + HERE, False),
        ("py312-none-any", True),
        ("py313-none-any", False),
        ("cp312-none-win_amd64", False),
    ],
)
def test_tags(tags, fits):
    assert files.fits(tags, "3.12.1") == fits


@pytest.mark.parametrize(
    "tag,libc,fits",
    [
        ("manylinux2014_x86_64", ("glibc", "2.17"), True),
        ("manylinux2014_x86_64", ("glibc", "2.12"), False),
        ("manylinux_2_28_x86_64", ("glibc", "2.36"), True),
        ("manylinux_2_28_aarch64", ("glibc", "2.36"), False),
        ("musllinux_1_2_x86_64", ("glibc", "2.36"), False),
        ("musllinux_1_2_x86_64", ("", ""), True),
    ],
)
def test_c_libraries(tag, libc, fits):
    assert files.fits_linux(tag, "x86_64", libc) == fits


# the same content as HTML and as JSON


def as_json(*items):
    return [{"filename": name, "url": "x", "hashes": {}, **more} for name, more in items]


def as_html(*items):
    attributes = {"requires-python": "requires_python", "yanked": "yanked"}
    return html(
        *(
            anchor(
                name,
                **{
                    attributes[key]: "" if value is True else value
                    for key, value in more.items()
                    if value
                },
            )
            for name, more in items
        )
    )


def wheel(version, tags="py3-none-any"):
    return "swf_testbed-%s-%s.whl" % (version, tags)


@pytest.mark.parametrize("form", [as_json, as_html])
@pytest.mark.parametrize(
    "items,wanted,verdict,latest,expected",
    [
        (
            [(wheel("1.0"), {}), (wheel("1.10"), {}), (wheel("1.9"), {}), (wheel("2.0rc1"), {})],
            "",
            "ok",
            "1.10",
            "HTTP 200",
        ),
        ([(wheel("2.0rc1"), {})], "", "ok", "2.0rc1", "HTTP 200"),
        (
            [(wheel("1.0"), {}), (wheel("2.0"), {"requires-python": ">=3.99"})],
            "",
            "ok",
            "1.0",
            "HTTP 200",
        ),
        ([(wheel("1.0"), {}), (wheel("2.0"), {"yanked": "broken"})], "", "ok", "1.0", "HTTP 200"),
        ([(wheel("1.0"), {})], "==1.0.0", "ok", "1.0", "HTTP 200"),
        ([(wheel("1.0"), {})], "==1.1", "version_missing", None, "it has 1.0"),
        (
            [(wheel("1.0"), {"requires-python": "<3.6"})],
            "",
            "requires_python",
            None,
            "requires Python <3.6",
        ),
        ([(wheel("1.0"), {"yanked": "it was broken"})], "", "yanked", None, "it was broken"),
        (
            [(wheel("1.0"), {"yanked": True}), (wheel("2.0"), {})],
            "==1.0",
            "yanked",
            None,
            "is yanked",
        ),
        ([(wheel("1.0", "cp27-cp27m-win32"), {})], "", "no_file", None, "cp27-cp27m-win32"),
        ([("swf_testbed-1.0.tar.gz", {})], "", "no_file", None, "only a source distribution"),
        ([], "", "not_found", None, "lists no files"),
    ],
)
def test_files_decide(form, items, wanted, verdict, latest, expected):
    with StandIn(pages({"swf-testbed": form(*items)})) as server:
        report = probe(
            [{"name": "all", "url": server.url}], ["swf-testbed" + wanted], python="3.11.7"
        )
    item = report["packages"][0]
    assert (item["verdict"], item["latest"], item["ok"]) == (verdict, latest, verdict == "ok")
    assert expected in item["evidence"] and (item["ok"] or (item["cause"] and item["fix"]))
    if item["ok"]:
        assert [file["version"] for file in item["files"]] == [latest]


def test_a_newer_simple_api_is_not_guessed_at():
    body = json.dumps({"meta": {"api-version": "2.0"}, "files": []}).encode()
    found = parse("application/vnd.pypi.simple.v1+json", body, "x")
    assert found.type == "other" and "version 2.0" in found.evidence
    assert parse("application/vnd.pypi.simple.v1+json", b"[]", "x").type == "other"


# directories


def only(path, *names):
    report = probe(
        [{"name": "disk", "preset": "directory", "url": str(path)}], names, python="3.11.7"
    )
    return [item["verdict"] for item in report["packages"]]


def test_wheels_side_by_side(tmp_path):
    make_wheel(tmp_path, "swf-testbed", "1.0")
    new = make_wheel(tmp_path, "swf-monitor", "1.0")
    with zipfile.ZipFile(new, "a") as archive:
        text = archive.read("swf_monitor-1.0.dist-info/METADATA").decode()
    with zipfile.ZipFile(new, "w") as archive:
        archive.writestr("swf_monitor-1.0.dist-info/METADATA", text + "Requires-Python: >=3.99\n\n")
    (tmp_path / "swf_data_agent-1.0-py3-none-any.whl").write_text("no wheel")
    assert only(tmp_path, "swf-testbed", "swf-monitor", "swf-nothing") == [
        "ok",
        "requires_python",
        "not_found",
    ]
    # what cannot be read does not keep the others from being looked at
    assert only(tmp_path, "swf-data-agent") == ["ok"]


def test_static_tree(tmp_path):
    (tmp_path / "swf-testbed").mkdir()
    (tmp_path / "swf-testbed/index.html").write_text(page("swf-testbed", "1.0", "1.1"))
    assert only(tmp_path, "swf-testbed==1.1", "swf-testbed==1.2", "swf-nothing") == [
        "ok",
        "version_missing",
        "not_found",
    ]
    assert only(tmp_path / "missing", "swf-testbed") == ["wrong_url"]


# secrets


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12),
    st.binary(max_size=5),
    st.binary(max_size=5),
)
def test_base64_of_the_token_at_any_place_is_hidden(token, before, after):
    scrub = Scrubber()
    scrub.learn("reader", token)
    text = base64.b64encode(before + token.encode() + after).decode()
    left = scrub(text).replace("***", "").rstrip("=")
    # what is left belongs to the neighbours, and to at most one character of the token at each end
    assert len(left) <= math.ceil(len(before) * 8 / 6) + math.ceil(len(after) * 8 / 6) + 2


def test_our_own_words_stay():
    scrub = Scrubber()
    scrub.learn("reader", "wrong")
    assert scrub({"verdict": "auth_wrong", "evidence": "it is wrong"}) == {
        "verdict": "auth_wrong",
        "evidence": "it is ***",
    }
    scrub.learn("reader", TOKEN)
    assert scrub({"evidence": ["x" + TOKEN]}) == {"evidence": ["x***"]}
