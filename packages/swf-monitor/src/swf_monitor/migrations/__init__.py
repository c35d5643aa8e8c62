# SPDX-License-Identifier: GPL-3.0-or-later
"""The changes of the tables, in order."""
