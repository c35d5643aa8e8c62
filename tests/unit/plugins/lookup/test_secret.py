# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import concurrent.futures
import os
import re
import stat

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.lookup import secret


def test_is_made_once_and_readable_by_its_owner_only(tmp_path):
    folder = tmp_path / "a/secrets"
    first = secret.read_or_make(str(folder), "token", False)
    assert re.fullmatch("[0-9a-f]{40}", first)
    assert secret.read_or_make(str(folder), "token", False) == first
    assert secret.read_or_make(str(folder), "other", False) != first
    assert stat.S_IMODE(os.stat(folder / "token").st_mode) == 0o600
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert sorted(os.listdir(folder)) == ["other", "token"]


def test_check_mode_makes_nothing(tmp_path):
    assert secret.read_or_make(str(tmp_path / "secrets"), "token", True) == secret.GENERATED_LATER
    assert not (tmp_path / "secrets").exists()


def test_runs_at_once_agree(tmp_path):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = set(
            pool.map(lambda _number: secret.read_or_make(str(tmp_path), "token", False), range(32))
        )
    assert len(found) == 1


@pytest.mark.parametrize("name", ["../token", "a/b", ".hidden", ""])
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="is not a file name"):
        secret.read_or_make(str(tmp_path), name, False)
