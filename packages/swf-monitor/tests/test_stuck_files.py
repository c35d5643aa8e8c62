# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that `older_than` finds, also after the clock was set back."""

from datetime import timedelta

import pytest

pytestmark = pytest.mark.usefixtures("database")


@pytest.mark.parametrize(("seconds_ago", "found"), [(59, 0), (61, 1), (-7200, 1), (-30, 0)])
def test_files_without_progress(seconds_ago: float, found: int) -> None:
    from django.utils import timezone

    from swf_monitor.api.filters import StfFilter
    from swf_monitor.models import Run, StfFile

    StfFile.objects.create(
        filename="one.stf",
        run=Run.objects.create(),
        path="/x",
        size_bytes=1,
        checksum="sha256:0",
        sequence=1,
        updated_at=timezone.now() - timedelta(seconds=seconds_ago),
    )
    assert StfFilter({"older_than": "60"}, StfFile.objects.all()).qs.count() == found
