# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of recent messages, so that a repeated message is handled once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable


class RecentKeys:
    """The newest `size` keys. This only saves work: the monitor's requests are idempotent, too."""

    def __init__(self, size: int = 10000) -> None:
        self._size = size
        self._keys: OrderedDict[Hashable, None] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._keys

    def add(self, key: Hashable) -> None:
        """Add the key as the newest."""
        self._keys[key] = None
        self._keys.move_to_end(key)
        if len(self._keys) > self._size:
            self._keys.popitem(last=False)
