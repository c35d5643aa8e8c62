# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index import lock
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    normalised,
)

INDEXES = normalised(
    [
        {"name": "swf", "url": "https://index.example.org/simple/", "packages": ["swf-*"]},
        {"name": "pypi"},
    ]
)
LOCK = """# made from: x
swf-testbed==0.1.0 \\
    --hash=sha256:aa
Django==5.2.19 ; python_version >= "3.10" \\
    --hash=sha256:bb \\
    --hash=sha256:cc
"""


def test_entries_are_read_with_their_hashes():
    assert [(name, version) for name, version, _lines in lock.entries(LOCK)] == [
        ("swf-testbed", "0.1.0"),
        ("django", "5.2.19"),
    ]


@pytest.mark.parametrize(
    "text,message",
    [
        ("django>=5\n    --hash=sha256:aa\n", "not an exact version"),
        ("django==5\n", "has no hash"),
        ("    --hash=sha256:aa\n", "starts with a continuation"),
        ("git+https://example.org/x\n", "not an exact version"),
    ],
)
def test_what_is_no_lock_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        lock.entries(text)


def test_each_index_gets_its_own_names():
    cut = lock.by_index(LOCK, INDEXES)
    assert [index["name"] for index, _text in cut] == ["swf", "pypi"]
    assert "django" not in cut[0][1].lower() and "swf" not in cut[1][1]


@pytest.mark.parametrize("name", ["swf_testbed", "SWF.Testbed", "swf-testbed"])
def test_spelling_does_not_change_the_index(name):
    assert lock.index_of(name, INDEXES)["name"] == "swf"


def test_a_claim_of_the_very_name_counts_more_than_a_pattern():
    claims = [{"name": "a", "packages": ["swf-*"]}, {"name": "b", "packages": ["swf-monitor"]}]
    assert (
        lock.index_of("swf_monitor", claims)["name"] == "b"
        and lock.index_of("swf-testbed", claims)["name"] == "a"
    )


def test_ambiguity_is_refused():
    with pytest.raises(ValueError, match="more than one index. Evidence: a, b may"):
        lock.index_of(
            "django", [{"name": "a", "packages": ["dj*"]}, {"name": "b", "packages": ["*ngo"]}]
        )
    with pytest.raises(ValueError, match="no index serves django"):
        lock.index_of("django", INDEXES[:1])


def test_several_versions_for_several_pythons_are_all_told():
    text = LOCK + 'django==6.1 ; python_version >= "3.12" --hash=sha256:dd\n'
    assert lock.versions(text) == {"swf-testbed": "0.1.0", "django": "5.2.19 or 6.1"}


def test_comments_do_not_change_the_id():
    assert lock.short_hash(LOCK) == lock.short_hash("# other\n" + LOCK)
    assert lock.short_hash(LOCK) != lock.short_hash(LOCK.replace("aa", "ab"))
