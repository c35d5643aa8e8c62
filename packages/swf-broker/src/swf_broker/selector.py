# SPDX-License-Identifier: GPL-3.0-or-later
"""Selectors: the conditions on headers by which a subscription filters its messages.

The language is the one of JMS, a subset of SQL-92, without arithmetic:

    condition  = term {OR term}
    term       = factor {AND factor}
    factor     = NOT factor | "(" condition ")" | predicate
    predicate  = value (= | <> | < | <= | > | >=) value | value [NOT] BETWEEN value AND value
               | name [NOT] IN (string {, string}) | name [NOT] LIKE string [ESCAPE string]
               | name IS [NOT] NULL | name | TRUE | FALSE
    value      = name | string | number | TRUE | FALSE

A condition is true, false or unknown (None): it is unknown if it depends on a header that the
message does not have. A message matches if the condition is true.

All headers of STOMP are text. In a comparison with a number, with TRUE or with FALSE, a header is
converted; a text that cannot be converted is neither equal, smaller nor greater.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

from swf_broker.like import Like

MAX_LENGTH = 4096
MAX_DEPTH = 50  # of parentheses and NOT

Headers = Mapping[str, str]
Value = str | int | float | bool | None
Condition = Callable[[Headers], bool | None]

# Artemis needs these to convert texts and to allow hyphens in names; here, both are always done.
_PREFIXES = ("convert_string_expressions:", "hyphenated_props:")
_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_TOKEN = re.compile(
    rf"""\s*(?:
      (?P<string> '(?:[^']|'')*' )
    | (?P<number> [+-]?{_NUMBER} (?![\w$]) )
    | (?P<word>   [^\W\d][\w$]*(?:-[\w$]+)* | \$[\w$]*(?:-[\w$]+)* )
    | (?P<symbol> <> | <= | >= | [=<>(),] )
    )""",
    re.VERBOSE | re.ASCII,
)
_WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_REAL = re.compile(rf"[+-]?{_NUMBER}", re.ASCII)
_KEYWORDS = frozenset(
    ["AND", "OR", "NOT", "BETWEEN", "IN", "LIKE", "ESCAPE", "IS", "NULL", "TRUE", "FALSE"]
)
_TRUTH = {"TRUE": True, "FALSE": False}


class SelectorError(ValueError):
    """The text is not a selector; the message says why and where."""


class Selector:
    """A compiled selector. Raises SelectorError.

    :ivar text: the source; equal texts match equal messages
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._condition = _Parser(text).parse()

    def matches(self, headers: Headers) -> bool:
        """Whether the condition is true, and not unknown."""
        return self._condition(headers) is True


class _Parser:
    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise SelectorError(f"it is longer than {MAX_LENGTH} characters")
        self._tokens = list(_tokens(text))
        self._next = 0
        self._depth = 0

    def parse(self) -> Condition:
        condition = self._condition()
        if self._category != "end":
            raise self._instead_of("an operator")
        return condition

    # --- tokens

    @property
    def _category(self) -> str:
        return self._tokens[self._next][0]

    @property
    def _text(self) -> str:
        return self._tokens[self._next][1]

    def _take(self) -> str:
        text = self._text
        self._next += 1
        return text

    def _accept(self, text: str) -> bool:
        """Take a keyword or symbol, if it is the next token."""
        found = self._category in ("keyword", "symbol") and self._text == text
        self._next += found
        return found

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self._instead_of(text)

    def _instead_of(self, expected: str) -> SelectorError:
        found = repr(self._text) if self._category != "end" else "the end"
        return SelectorError(f"{expected} expected instead of {found}")

    # --- grammar

    def _condition(self) -> Condition:
        parts = [self._term()]
        while self._accept("OR"):
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else partial(_any, parts)

    def _term(self) -> Condition:
        parts = [self._factor()]
        while self._accept("AND"):
            parts.append(self._factor())
        return parts[0] if len(parts) == 1 else partial(_all, parts)

    def _factor(self) -> Condition:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise SelectorError(f"it has more than {MAX_DEPTH} nested parentheses or NOT")
        if self._accept("NOT"):
            condition: Condition = partial(_not, self._factor())
        elif self._accept("("):
            condition = self._condition()
            self._expect(")")
        else:
            condition = self._predicate()
        self._depth -= 1
        return condition

    def _predicate(self) -> Condition:
        left = self._value()
        if self._category == "symbol" and self._text in _COMPARISONS:
            return self._comparison(left)
        if self._accept("IS"):
            negated = self._accept("NOT")
            self._expect("NULL")
            return partial(_is_null, left.name_before("IS"), negated)
        negated = self._accept("NOT")
        condition = self._set_predicate(left)
        if condition is not None:
            return partial(_not, condition) if negated else condition
        if negated:
            raise self._instead_of("BETWEEN, IN or LIKE")
        if left.name is None and not isinstance(left.literal, bool):
            raise self._instead_of("a comparison")
        return partial(_equal, left, _Value(literal=True))

    def _set_predicate(self, left: _Value) -> Condition | None:
        if self._accept("BETWEEN"):
            low = self._value()
            self._expect("AND")
            high = self._value()
            for value in (left, low, high):
                value.check_order()
            return partial(
                _all,
                [partial(_ordered, _at_least, left, low), partial(_ordered, _at_most, left, high)],
            )
        if self._accept("IN"):
            name = left.name_before("IN")
            self._expect("(")
            members = {self._string()}
            while self._accept(","):
                members.add(self._string())
            self._expect(")")
            return partial(_is_in, name, frozenset(members))
        if self._accept("LIKE"):
            name = left.name_before("LIKE")
            pattern = self._string()
            escape = self._string() if self._accept("ESCAPE") else None
            try:
                return partial(_is_like, name, Like(pattern, escape))
            except ValueError as error:
                raise SelectorError(str(error)) from None
        return None

    def _comparison(self, left: _Value) -> Condition:
        operator = self._take()
        right = self._value()
        if operator == "=":
            return partial(_equal, left, right)
        if operator == "<>":
            return partial(_not, partial(_equal, left, right))
        left.check_order()
        right.check_order()
        return partial(_ordered, _COMPARISONS[operator], left, right)

    def _value(self) -> _Value:
        category = self._category
        if category == "name":
            return _Value(name=self._take())
        if category == "string":
            return _Value(literal=self._string())
        if category == "number":
            return _Value(literal=_number(self._take()))
        if category == "keyword" and self._text in _TRUTH:
            return _Value(literal=_TRUTH[self._take()])
        raise self._instead_of("a header or a value")

    def _string(self) -> str:
        if self._category != "string":
            raise self._instead_of("a string in single quotes")
        return self._take()[1:-1].replace("''", "'")


class _Value:
    """A header, or a literal."""

    def __init__(self, name: str | None = None, literal: Value = None) -> None:
        self.name = name
        self.literal = literal

    def get(self, headers: Headers) -> Value:
        return self.literal if self.name is None else headers.get(self.name)

    def name_before(self, keyword: str) -> str:
        if self.name is None:
            raise SelectorError(f"the name of a header expected before {keyword}")
        return self.name

    def check_order(self) -> None:
        if isinstance(self.literal, str | bool):
            raise SelectorError(
                f"{self.literal!r} cannot be compared with <, <=, >, >= or BETWEEN: "
                "only numbers have an order"
            )


def _tokens(text: str) -> list[tuple[str, str]]:
    for prefix in _PREFIXES:
        text = text.removeprefix(prefix)
    tokens: list[tuple[str, str]] = []
    position = 0
    text = text.rstrip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if not found:
            raise SelectorError(f"{text[position : position + 20].strip()!r} is not understood")
        category, token = str(found.lastgroup), found[str(found.lastgroup)]
        if category == "word":
            category = "keyword" if token.upper() in _KEYWORDS else "name"
            token = token.upper() if category == "keyword" else token
        tokens.append((category, token))
        position = found.end()
    return [*tokens, ("end", "")]


def _number(text: str) -> int | float:
    # A float would lose digits of a long run number; a very long number needs no digits.
    return int(text) if _WHOLE.fullmatch(text) else float(text)


def _as_number(value: Value) -> int | float | None:
    if isinstance(value, str):
        return _number(value) if len(value) <= MAX_LENGTH and _REAL.fullmatch(value) else None
    return None if isinstance(value, bool) else value


def _as_truth(value: Value) -> bool | None:
    return _TRUTH.get(value.upper()) if isinstance(value, str) else None


# --- conditions


def _any(parts: list[Condition], headers: Headers) -> bool | None:
    unknown = False
    for part in parts:
        result = part(headers)
        if result:
            return True
        unknown |= result is None
    return None if unknown else False


def _all(parts: list[Condition], headers: Headers) -> bool | None:
    unknown = False
    for part in parts:
        result = part(headers)
        if result is False:
            return False
        unknown |= result is None
    return None if unknown else True


def _not(part: Condition, headers: Headers) -> bool | None:
    result = part(headers)
    return None if result is None else not result


def _is_null(name: str, negated: bool, headers: Headers) -> bool:
    return (name in headers) == negated


def _is_in(name: str, members: frozenset[str], headers: Headers) -> bool | None:
    value = headers.get(name)
    return None if value is None else value in members


def _is_like(name: str, pattern: Like, headers: Headers) -> bool | None:
    value = headers.get(name)
    return None if value is None else pattern.matches(value)


def _equal(left: _Value, right: _Value, headers: Headers) -> bool | None:
    a, b = left.get(headers), right.get(headers)
    if a is None or b is None:
        return None
    if isinstance(a, str) and isinstance(b, str):
        return a == b
    # At least one is a literal that is not text: the other one is converted to its type.
    if isinstance(a, bool) or isinstance(b, bool):
        a = a if isinstance(a, bool) else _as_truth(a)
        b = b if isinstance(b, bool) else _as_truth(b)
    else:
        a, b = _as_number(a), _as_number(b)
    return a is not None and a == b


def _ordered(
    compare: Callable[[float, float], bool], left: _Value, right: _Value, headers: Headers
) -> bool | None:
    a, b = left.get(headers), right.get(headers)
    if a is None or b is None:
        return None
    a, b = _as_number(a), _as_number(b)
    return a is not None and b is not None and compare(a, b)


def _at_least(a: float, b: float) -> bool:
    return a >= b


def _at_most(a: float, b: float) -> bool:
    return a <= b


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": _at_most,
    ">": lambda a, b: a > b,
    ">=": _at_least,
}
