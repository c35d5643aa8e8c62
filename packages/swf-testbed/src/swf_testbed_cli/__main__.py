# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m swf_testbed_cli`."""

from swf_testbed_cli.clean_start import main

main()
