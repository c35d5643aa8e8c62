# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


def test_new_releases_backed_up_the_database(site):
    names = [path.name for path in (site.home / ".local/state/swf-testbed/backups").iterdir()]
    assert names and all(name.endswith(".sqlite3") for name in names), names
