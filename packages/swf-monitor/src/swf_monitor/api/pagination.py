# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of lists: `?limit=` (default 100, at most 1000) and `?offset=`."""

from rest_framework.pagination import LimitOffsetPagination


class Pages(LimitOffsetPagination):
    """Pages as {"count", "next", "previous", "results"}. `max_limit` replaces a larger limit."""

    default_limit = 100
    max_limit = 1000
