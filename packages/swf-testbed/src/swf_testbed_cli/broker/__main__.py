# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m swf_testbed_cli.broker`."""

import sys

from swf_testbed_cli.broker.main import main

sys.exit(main())
