# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m swf_broker`."""

import sys

from swf_broker.main import main

sys.exit(main())
