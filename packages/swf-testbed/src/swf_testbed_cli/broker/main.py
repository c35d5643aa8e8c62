# SPDX-License-Identifier: GPL-3.0-or-later
"""`swf-testbed-broker`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from swf_testbed_cli.broker.logs import log_to_stdout
from swf_testbed_cli.broker.server import Broker
from swf_testbed_cli.broker.settings import BrokerSettings, SettingsError, read_settings
from swf_testbed_cli.broker.store import StoreError


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until it is told to stop. Returns 0, or 1 after one line about what cannot work."""
    os.umask(0o077)  # messages on disk are for this user alone
    try:
        settings = read_settings(arguments, os.environ)
        log_to_stdout(settings.log_level)
        asyncio.run(_serve(settings))
    except (SettingsError, StoreError) as error:
        print(f"swf-testbed-broker: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(settings: BrokerSettings) -> None:
    await Broker(settings).serve()


if __name__ == "__main__":
    sys.exit(main())
