# SPDX-License-Identifier: GPL-3.0-or-later
"""How lists are cut: `?limit=` (100 unless told, at most 1000) and `?offset=`."""

from rest_framework.pagination import LimitOffsetPagination


class Pages(LimitOffsetPagination):
    """Answers {"count", "next", "previous", "results"}. A larger limit than `max_limit` is cut to
    it."""

    default_limit = 100
    max_limit = 1000
