# SPDX-License-Identifier: GPL-3.0-or-later
"""Selectors: the language, its three truth values, and SQLite as a second opinion."""

from __future__ import annotations

import sqlite3
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swf_broker.selector import MAX_DEPTH, MAX_LENGTH, Selector, SelectorError

HEADERS = {
    "namespace": "lab",
    "run_id": "20250914185722",
    "msg_type": "slice",
    "size": "12.5",
    "last": "true",
    "note": "it's 50% of_all",
    "content-type": "application/json",
    "empty": "",
}


@pytest.mark.parametrize(
    "text",
    [
        "namespace='lab'",
        "namespace='lab' AND (run_id = '20250914185722')",
        "namespace = 'lab' and not msg_type = 'other'",
        "run_id = 20250914185722 AND run_id > 2e13 AND run_id <> 20250914185723",
        "size >= 12.5 AND size < +13. AND size > -1 AND size > .5 AND 12 < size",
        "size BETWEEN 12 AND 13 AND size NOT BETWEEN 1 AND 2",
        "msg_type IN ('stf', 'slice') AND msg_type NOT IN ('slices')",
        "note LIKE '%50#% of#_all' ESCAPE '#' AND note NOT LIKE '50%'",
        "note = 'it''s 50% of_all'",
        "last = TRUE AND last <> FALSE AND last AND TRUE",
        "missing IS NULL AND empty IS NOT NULL AND empty = ''",
        "missing = 'x' OR namespace = 'lab'",
        "NOT (missing = 'x' AND namespace = 'other')",
        "(((namespace='lab')))",
        "content-type = 'application/json'",
        "convert_string_expressions:size > 12",
        "namespace <> 5 AND NOT namespace = 5 AND NOT namespace > 5",
        "msg_type LIKE 'sl_ce' AND msg_type LIKE '%' AND empty LIKE '%' AND empty LIKE ''",
        "1 = 1 AND 'a' = 'a'",
    ],
)
def test_it_matches(text: str) -> None:
    assert Selector(text).matches(HEADERS)


@pytest.mark.parametrize(
    "text",
    [
        "namespace = 'LAB'",
        "missing = 'x'",
        "NOT missing = 'x'",
        "missing <> 'x'",
        "missing NOT IN ('x')",
        "missing NOT LIKE 'x'",
        "missing NOT BETWEEN 1 AND 2",
        "missing > 1 OR missing <= 1",
        "missing",
        "namespace",
        "NOT (missing = 'x' OR namespace = 'other')",
        "namespace = 'lab' AND missing = 'x'",
        "size = '12.50'",
        "note > 5 OR note <= 5",
        "FALSE",
    ],
)
def test_it_does_not_match(text: str) -> None:
    assert not Selector(text).matches(HEADERS)


def test_and_precedes_or_and_not_precedes_and() -> None:
    assert Selector("TRUE OR TRUE AND FALSE").matches({})
    assert not Selector("(TRUE OR TRUE) AND FALSE").matches({})
    assert not Selector("NOT TRUE AND FALSE").matches({})


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "expected instead of the end"),
        ("a =", "a header or a value expected instead of the end"),
        ("a = 'x' b", "an operator expected instead of 'b'"),
        ("a = 'x", "is not understood"),
        ("a = = 'x'", "a header or a value expected instead of '='"),
        ("(a = 'x'", ") expected instead of the end"),
        ("a > 'x'", "only numbers have an order"),
        ("a BETWEEN 1 AND TRUE", "only numbers have an order"),
        ("a IN (1)", "a string in single quotes expected instead of '1'"),
        ("a IN ()", "a string in single quotes"),
        ("'a' IN ('a')", "the name of a header expected before IN"),
        ("5 IS NULL", "the name of a header expected before IS"),
        ("a NOT = 'x'", "BETWEEN, IN or LIKE expected instead of '='"),
        ("'x'", "a comparison expected"),
        ("a LIKE 'x' ESCAPE 'ab'", "one character"),
        ("a LIKE 'x#' ESCAPE '#'", "'#' is not before"),
        ("a + 1 = 2", "not understood"),
        ("a; DROP", "not understood"),
        ("a = 5x", "not understood"),
        ("AND = 5", "expected instead of 'AND'"),
        ("a = NULL", "a header or a value expected instead of 'NULL'"),
    ],
)
def test_an_error_says_what_and_where(text: str, cause: str) -> None:
    with pytest.raises(SelectorError) as error:
        Selector(text)
    assert cause in str(error.value)


def test_length_and_depth_are_bounded() -> None:
    deep = MAX_DEPTH - 1
    assert Selector("(" * deep + "TRUE" + ")" * deep).matches({})
    for text in (
        "(" * MAX_DEPTH + "TRUE" + ")" * MAX_DEPTH,
        "NOT " * MAX_DEPTH + "TRUE",
        "a" * (MAX_LENGTH + 1),
    ):
        with pytest.raises(SelectorError):
            Selector(text)
    assert Selector("a='1'" + " OR a='1'" * 450).matches({"a": "1"})


def test_no_pattern_takes_long() -> None:
    hostile = Selector("a LIKE '%s%%b'" % ("%a" * 1000))
    start = time.monotonic()
    assert not hostile.matches({"a": "a" * 60_000})
    assert time.monotonic() - start < 2


# --- SQLite evaluates the same conditions, with the same three truth values

TEXTS = st.text("ab%_'.\n", max_size=5)
NUMBERS = st.integers(-3, 3)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@st.composite
def predicates(draw: st.DrawFn) -> str:
    text, number = draw(st.sampled_from("tuv")), draw(st.sampled_from("nmo"))
    negated = draw(st.sampled_from(["", "NOT "]))
    order = draw(st.sampled_from(["=", "<>", "<", "<=", ">", ">="]))
    a, b = draw(NUMBERS), draw(NUMBERS)
    pattern = draw(TEXTS)
    return draw(
        st.sampled_from(
            [
                f"{number} {order} {a}",
                f"{a} {order} {number}",
                f"{text} = {quoted(pattern)}",
                f"{text} <> {quoted(pattern)}",
                f"{text} = u",
                f"{number} {negated}BETWEEN {a} AND {b}",
                f"{text} {negated}IN ({quoted(pattern)}, 'a')",
                f"{text} {negated}LIKE {quoted(pattern)}",
                f"{text} {negated}LIKE {quoted(pattern.replace('%', 'x%').replace('a', 'x_'))}"
                " ESCAPE 'x'",
                f"{text} IS {negated}NULL",
            ]
        )
    )


CONDITIONS = st.recursive(
    predicates(),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(" ".join),
        inner.map("({})".format),
        inner.map("NOT ({})".format),
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def sqlite() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.execute("PRAGMA case_sensitive_like = ON")
    return database


@given(
    condition=CONDITIONS,
    texts=st.tuples(TEXTS, TEXTS),
    numbers=st.tuples(NUMBERS, NUMBERS),
)
@example(condition="t LIKE '%a%a'", texts=("a", ""), numbers=(0, 0))
@example(condition="NOT (v = 'a') OR o IS NULL", texts=("a", ""), numbers=(0, 0))
def test_sqlite_agrees(
    sqlite: sqlite3.Connection,
    condition: str,
    texts: tuple[str, str],
    numbers: tuple[int, int],
) -> None:
    headers = dict(zip("tunm", [*texts, *map(str, numbers)], strict=True))  # v and o are missing
    (expected,) = sqlite.execute(
        f"SELECT {condition} FROM (SELECT ? t, ? u, NULL v, ? n, ? m, NULL o)",  # noqa: S608
        (*texts, *numbers),
    ).fetchone()
    assert Selector(condition).matches(headers) == bool(expected)
    negated = None if expected is None else not expected
    assert Selector(f"NOT ({condition})").matches(headers) == bool(negated)
