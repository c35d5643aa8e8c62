# SPDX-License-Identifier: GPL-3.0-or-later
"""`swf-testbed-broker`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from swf_common_lib.logs import configure_logging
from swf_common_lib.settings import ConfigurationError

from swf_testbed_cli.broker.server import Broker
from swf_testbed_cli.broker.settings import BrokerSettings, read_settings
from swf_testbed_cli.broker.store import StoreError


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a stop signal. Returns 0, or 1 after one line with the cause of a failure."""
    os.umask(0o077)  # messages on disk are for this user alone
    try:
        settings = read_settings(arguments, os.environ)
        configure_logging(settings.log_level, secrets=(settings.password or "",))
        asyncio.run(_serve(settings))
    except (ConfigurationError, StoreError) as error:
        print(f"swf-testbed-broker: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(settings: BrokerSettings) -> None:
    await Broker(settings).serve()


if __name__ == "__main__":
    sys.exit(main())
