# SPDX-License-Identifier: GPL-3.0-or-later
"""The parser of request bodies."""

from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from swf_monitor.nesting import MAX_DEPTH, deeper_than


class Parser(JSONParser):
    """A JSON body that the rest of the program can handle at any depth of its calls."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            data = super().parse(stream, media_type, parser_context)
        except RecursionError:
            data = None
            deep = True
        else:
            deep = deeper_than(data, MAX_DEPTH)
        if deep:
            raise ParseError(f"JSON of more than {MAX_DEPTH} nested lists and objects.")
        return data
