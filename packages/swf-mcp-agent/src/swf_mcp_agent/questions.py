# SPDX-License-Identifier: GPL-3.0-or-later
"""The client of the monitor, with the requests that only this agent has."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from swf_common_lib.monitor import MonitorClient


class Questions(MonitorClient):
    """A client of the monitor for readers."""

    def run(self, run_id: int) -> dict[str, Any]:
        """One run."""
        return dict(self._request("GET", f"/api/runs/{run_id}/"))

    def agent(self, instance_name: str) -> dict[str, Any]:
        """One agent."""
        return dict(self._request("GET", f"/api/systemagents/{quote(instance_name, safe='')}/"))

    def stf_history(self, filename: str) -> dict[str, Any]:
        """The way of one file through the pipeline, its time frames, and its messages."""
        return dict(self._request("GET", f"/api/stf-files/{quote(filename, safe='')}/history/"))

    def backlog(self) -> dict[str, Any]:
        """The numbers of files that wait for each step, and the oldest one of them."""
        return dict(self._request("GET", "/api/backlog/"))
