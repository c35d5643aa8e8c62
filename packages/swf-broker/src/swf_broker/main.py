# SPDX-License-Identifier: GPL-3.0-or-later
"""`swf-broker`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from swf_broker.logs import configure_logging
from swf_broker.server import Broker
from swf_broker.settings import BrokerSettings, ConfigurationError, read_settings
from swf_broker.store import StoreError


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a stop signal. Returns 0, or 1 after one line with the cause of a failure."""
    os.umask(0o077)  # messages on disk are for this user alone
    try:
        settings = read_settings(arguments, os.environ)
        configure_logging(settings.log_level)
        asyncio.run(_serve(settings))
    except (ConfigurationError, StoreError) as error:
        print(f"swf-broker: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(settings: BrokerSettings) -> None:
    await Broker(settings).serve()


if __name__ == "__main__":
    sys.exit(main())
