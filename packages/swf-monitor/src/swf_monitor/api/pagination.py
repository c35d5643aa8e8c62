# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of lists: `?limit=` (default 100, at most 1000) and `?offset=`."""

from rest_framework.exceptions import ValidationError
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.request import Request

MAX_OFFSET = 2**31 - 1


class Pages(LimitOffsetPagination):
    """Pages as {"count", "next", "previous", "results"}. `max_limit` replaces a larger limit; what is
    no number is refused, not ignored."""

    default_limit = 100
    max_limit = 1000

    def get_limit(self, request: Request) -> int | None:
        return min(_number(request, "limit", 1, self.default_limit), self.max_limit)

    def get_offset(self, request: Request) -> int:
        return _number(request, "offset", 0, 0)


def _number(request: Request, name: str, minimum: int, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and minimum <= int(text[:20]) <= MAX_OFFSET):
        raise ValidationError({name: [f"Must be a number from {minimum} to {MAX_OFFSET}."]})
    return int(text)
