# SPDX-License-Identifier: GPL-3.0-or-later
"""What templates say times and sizes with."""
