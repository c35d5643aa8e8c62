# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of the probers of all hosts: for how long each program was down, and for how long all
of them were down at the same time."""

from __future__ import annotations


class Downtime:
    """
    :param seen: {host: [(moment, programs that are up from then on)]}, the first of each with all
        of them up.
    :param end: the moment of the last look.
    :ivar programs: {(host, program): seconds away}.
    :ivar together: the longest time in which nothing was up anywhere, in seconds.
    """

    def __init__(self, seen, end):
        self.programs = {}
        for host, looks in seen.items():
            moments = [moment for moment, _up in looks[1:]] + [end]
            for name in looks[0][1]:
                self.programs[host, name] = sum(
                    until - moment for (moment, up), until in zip(looks, moments) if name not in up
                )
        self.together = longest_without(seen, end)

    def __str__(self):
        shown = sorted(self.programs.items(), key=lambda item: -item[1])
        return ", ".join("%s@%s %.1f" % (name, host, seconds) for (host, name), seconds in shown)


def longest_without(seen, end):
    """The longest time in which no host had a program up, in seconds."""
    up, since, longest = {}, None, 0.0
    events = sorted(
        (moment, host, names) for host, looks in seen.items() for moment, names in looks
    )
    for moment, host, names in [*events, (end, None, ["end"])]:
        up[host] = names
        if len(up) < len(seen):
            # not every host was looked at yet
            continue
        if any(up.values()):
            longest = max(longest, moment - since) if since is not None else longest
            since = None
        elif since is None:
            since = moment
    return longest
