# SPDX-License-Identifier: GPL-3.0-or-later
"""Human-readable times and sizes."""

from datetime import datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.filter
def ago(moment: datetime, now: datetime) -> str:
    """The time from `moment` to `now`, in its largest unit: "12 s ago"."""
    return f"{_span((now - moment).total_seconds())} ago"


@register.simple_tag
def moment(when: datetime | None, now: datetime) -> SafeString:
    """A time, as the time since then, with the exact one for machines and in its tooltip."""
    if when is None:
        return format_html("<small>{}</small>", "not yet")
    exact = f"{when:%Y-%m-%d %H:%M:%S} UTC"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', when.isoformat(), exact, ago(when, now)
    )


@register.simple_tag
def exact(when: datetime | None) -> SafeString:
    """A time to the millisecond."""
    if when is None:
        return format_html("<small>{}</small>", "not yet")
    text = f"{when:%Y-%m-%d %H:%M:%S}.{when.microsecond // 1000:03d} UTC"
    return format_html('<time datetime="{}">{}</time>', when.isoformat(), text)


@register.filter
def after(when: datetime, begin: datetime) -> str:
    """The time from `begin` to `when`, exact enough for the steps of one file: "+1.25 s"."""
    seconds = (when - begin).total_seconds()
    sign = "-" if seconds < 0 else "+"
    return f"{sign}{abs(seconds):.2f} s" if abs(seconds) < 90 else f"{sign}{_span(abs(seconds))}"


@register.filter
def lasting(begin: datetime, end: datetime) -> str:
    """The time from `begin` to `end`."""
    return _span((end - begin).total_seconds())


@register.filter
def size(number_of_bytes: int) -> str:
    """64.0 KiB"""
    amount = float(number_of_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


@register.filter
def without_host(instance_name: str) -> str:
    """data-agent@host.example.org -> data-agent"""
    return instance_name.partition("@")[0] or instance_name


def _span(seconds: float) -> str:
    # The clocks of two hosts differ a little: a time in the future is now.
    seconds = max(0.0, seconds)
    for limit, length, unit in ((90, 1, "s"), (90 * 60, 60, "min"), (36 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86400:.0f} days"
