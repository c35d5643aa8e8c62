# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text in statements for PostgreSQL, with standard_conforming_strings."""

from __future__ import annotations


def literal(text: str) -> str:
    return "'%s'" % text.replace("'", "''")


def identifier(text: str) -> str:
    return '"%s"' % text.replace('"', '""')
