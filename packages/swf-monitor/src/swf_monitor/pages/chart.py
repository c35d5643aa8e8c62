# SPDX-License-Identifier: GPL-3.0-or-later
"""A line chart as SVG, made by the server. Its colours are those of the page's style."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

# In units of the drawing, which is as wide as its place on the page.
WIDTH, HEIGHT = 360, 110
LEFT, RIGHT, TOP, BOTTOM = 34, 6, 8, 18


@dataclass(frozen=True)
class Line:
    """One line. None is a gap."""

    name: str
    values: Sequence[float | None]

    @property
    def last(self) -> str:
        """The newest value, in words."""
        values = [value for value in self.values if value is not None]
        return short(values[-1]) if values else "none"


@dataclass(frozen=True)
class Chart:
    """A chart: its lines have one value for each time."""

    title: str
    times: Sequence[datetime]
    lines: Sequence[Line]

    @property
    def view_box(self) -> str:
        return f"0 0 {WIDTH} {HEIGHT}"

    @property
    def top(self) -> float:
        """The round number at the upper end of the axis."""
        values = [value for line in self.lines for value in line.values if value is not None]
        return round_up(max(values, default=0))

    @property
    def summary(self) -> str:
        """The chart in one sentence, for readers that do not see it."""
        ends = f"{self.times[0]:%H:%M} to {self.times[-1]:%H:%M} UTC"
        peaks = []
        for line in self.lines:
            values = [value for value in line.values if value is not None]
            largest = short(max(values)) if values else "none"
            peaks.append(f"{line.name}: largest {largest}, newest {line.last}")
        return f"{self.title}, {ends}. {'; '.join(peaks)}."

    @property
    def paths(self) -> list[tuple[int, str]]:
        """The number and the path of each line."""
        return [(number, self._path(line)) for number, line in enumerate(self.lines)]

    @property
    def grid(self) -> list[tuple[str, str]]:
        """The heights and the words of the horizontal lines."""
        return [(f"{self._y(value):.1f}", short(value)) for value in (0, self.top / 2, self.top)]

    @property
    def labels(self) -> list[tuple[str, str, str]]:
        """The places, the anchors and the words of the times below."""
        last = len(self.times) - 1
        places = ((0, "start"), (last // 2, "middle"), (last, "end"))
        return [(f"{self._x(n):.1f}", anchor, f"{self.times[n]:%H:%M}") for n, anchor in places]

    def _x(self, number: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * number / max(1, len(self.times) - 1)

    def _y(self, value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / self.top)

    def _path(self, line: Line) -> str:
        parts, pen = [], "M"
        for number, value in enumerate(line.values):
            if value is None:
                pen = "M"
                continue
            parts.append(f"{pen}{self._x(number):.1f} {self._y(value):.1f}")
            pen = "L"
        # A point without neighbours would be invisible: a stroke of no length has round ends.
        return "".join(parts) + ("h0" if parts else "")


def round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, ...: at least 1."""
    if value <= 1:
        return 1
    power = 10 ** math.floor(math.log10(value))
    return next(float(power * factor) for factor in (1, 2, 5, 10) if power * factor >= value)


def short(value: float) -> str:
    """At most three digits and a unit: 0.25, 12.5, 340, 1.2k."""
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.1f}".removesuffix(".0") + unit
    text = f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
