"""From the SQL text of a rule to checked nodes: the allow-list.

Owns what a rule may say: declared facts and parameters, literals, comparison, and/or/not, in, between, is null, sums,
differences, products, `round(a / b, n)` with a divisor that cannot be zero (or `nullif(b, 0)`), round, least, greatest
and the difference of two days. Everything else is refused: no clock, no chance, no sub-query, no function that reads a
file, no cast, no lambda, no window. DuckDB parses (`json_serialize_sql`), this module judges the tree, and
`expression_nodes` renders what is run, so a construct that this list does not know never reaches the database.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NoReturn, TypeAlias

from hrmbuild.errors import InputError
from hrmbuild.pairs.context import SqlConnection
from hrmbuild.pairs.expression_nodes import (
    MAX_DIGITS,
    WIDEST,
    Arithmetic,
    Boolean,
    Column,
    Compare,
    CompareOperator,
    Constant,
    Day,
    DaysBetween,
    Extreme,
    In,
    IsNull,
    Junction,
    Node,
    Not,
    Numeric,
    Quotient,
    Round,
    Text,
    ValueType,
)

Tree: TypeAlias = dict[str, Any]
"""A node of DuckDB's parse tree, as its JSON has it."""

_COMPARISONS: dict[str, CompareOperator] = {
    "COMPARE_EQUAL": "=",
    "COMPARE_NOTEQUAL": "<>",
    "COMPARE_LESSTHAN": "<",
    "COMPARE_LESSTHANOREQUALTO": "<=",
    "COMPARE_GREATERTHAN": ">",
    "COMPARE_GREATERTHANOREQUALTO": ">=",
}
_ALLOWED = (
    "facts, parameters, literals, comparison, and/or/not, in, between, is null, + - *, round(a / b, n) with a divisor "
    "that cannot be zero, round, least, greatest, date_diff('day', a, b)"
)


def parse_expression(text: str, *, columns: Mapping[str, ValueType], connection: SqlConnection, where: str) -> Node:
    """The checked expression of a rule.

    Args:
        text: SQL as the rule owner wrote it.
        columns: facts and parameters with their types.
        connection: parses only; nothing is run here.
        where: `file, rule R2`, for messages.

    Raises:
        InputError: `compile.expression`: not SQL, outside the allow-list, or types that do not fit.
    """
    return _Checker(text, columns=columns, where=where).node(_select_item(text, connection, where))


def parse_condition(text: str, *, columns: Mapping[str, ValueType], connection: SqlConnection, where: str) -> Node:
    """`parse_expression` of something that is true or false."""
    node = parse_expression(text, columns=columns, connection=connection, where=where)
    if not isinstance(node.type, Boolean):
        refuse(where, text, "it gives a value, not true or false", fix="compare it with something")
    return node


def parse_amount(text: str, *, columns: Mapping[str, ValueType], connection: SqlConnection, where: str) -> Node:
    """`parse_expression` of something that is a number."""
    node = parse_expression(text, columns=columns, connection=connection, where=where)
    if not isinstance(node.type, Numeric):
        refuse(where, text, "an amount must be a number", fix="give a number, or declare 'outcomes'")
    return node


def refuse(where: str, text: str, why: str, *, fix: str = f"use only {_ALLOWED}") -> NoReturn:
    """Say what is wrong with an expression.

    Raises:
        InputError: always.
    """
    shown = text if len(text) <= 80 else text[:77] + "..."
    raise InputError("compile.expression", f"the expression `{shown}` cannot be used: {why}", where=where, fix=fix)


def _select_item(text: str, connection: SqlConnection, where: str) -> Tree:
    """The one expression of `SELECT (text)`; anything that makes the statement more than that is refused."""
    if not text.strip():
        refuse(where, text, "it is empty", fix="leave 'when' out where a rule always holds")
    statement = _serialized(f"SELECT (\n{text}\n)", connection)
    if statement.get("error"):
        refuse(where, text, f"it is not one SQL expression ({statement.get('error_message', 'syntax error')})")
    plain = _serialized("SELECT (\n1\n)", connection)
    items = _take_items(statement)
    _take_items(plain)
    if len(items) != 1 or _without_places(statement) != _without_places(plain):
        refuse(where, text, "it is more than one plain expression")
    return items[0]


def _serialized(sql: str, connection: SqlConnection) -> Tree:
    return json.loads(connection.execute("SELECT json_serialize_sql(CAST(? AS VARCHAR))", [sql]).fetchall()[0][0])


def _take_items(statement: Tree) -> list[Tree]:
    """The select list, removed from the statement so that the rest can be compared with that of a bare `SELECT (1)`."""
    items: list[Tree] = []
    for one in statement["statements"]:
        items += one["node"].pop("select_list", [])
    return items


def _without_places(value: object) -> object:
    if isinstance(value, dict):
        return {k: _without_places(v) for k, v in value.items() if not k.startswith("query_location")}
    return [_without_places(v) for v in value] if isinstance(value, list) else value


class _Checker:
    """Turns one parse tree into nodes, or refuses it."""

    def __init__(self, text: str, *, columns: Mapping[str, ValueType], where: str) -> None:
        self._text, self._columns, self._where = text, columns, where

    def _refuse(self, why: str) -> NoReturn:
        refuse(self._where, self._text, why)

    def node(self, tree: Tree) -> Node:
        """One node of the allow-list."""
        match tree["class"]:
            case "COLUMN_REF":
                return self._column(tree["column_names"])
            case "CONSTANT":
                return self._constant(tree["literal"])
            case "COMPARISON" if tree["type"] in _COMPARISONS:
                return self._compare(_COMPARISONS[tree["type"]], self.node(tree["left"]), self.node(tree["right"]))
            case "CONJUNCTION" if tree["type"] in ("CONJUNCTION_AND", "CONJUNCTION_OR"):
                word = "AND" if tree["type"] == "CONJUNCTION_AND" else "OR"
                return Junction(word, tuple(self._condition(child) for child in tree["children"]))
            case "BETWEEN" if tree["type"] == "COMPARE_BETWEEN":
                return self._between(tree)
            case "OPERATOR":
                return self._operator(tree)
            case "FUNCTION":
                return self._function(tree)
            case "CAST":
                return self._day_literal(tree)
            case other:
                self._refuse(f"{_spoken(other)} is not allowed in a rule")

    def _condition(self, tree: Tree) -> Node:
        node = self.node(tree)
        if not isinstance(node.type, Boolean):
            self._refuse("and, or and not join conditions, not values")
        return node

    def _number(self, tree: Tree) -> tuple[Node, Numeric]:
        node = self.node(tree)
        if not isinstance(node.type, Numeric):
            self._refuse("arithmetic works on numbers only")
        return node, node.type

    def _column(self, names: Sequence[str]) -> Node:
        name = names[0] if len(names) == 1 else ".".join(names)
        kind = self._columns.get(name)
        if kind is None:
            known = ", ".join(sorted(self._columns))
            self._refuse(f"{name!r} is neither a fact nor a parameter (known: {known})")
        return Column(name, kind)

    def _constant(self, literal: Tree) -> Node:
        text = literal["text"]
        match literal["kind"]:
            case "INTEGER" | "NUMERIC":
                return Constant(text, self._literal_number(text))
            case "STRING":
                return Constant(text, Text())
            case "BOOLEAN":
                return Constant(text, Boolean())
            case other:
                self._refuse(f"a literal of kind {other} is not allowed")

    def _literal_number(self, text: str) -> Numeric:
        if not text.lstrip("-").replace(".", "", 1).isdigit():
            self._refuse(f"write {text} as a plain decimal")
        value = Decimal(text)
        return self._fits(Numeric(value, value, max(0, -int(value.as_tuple().exponent))))

    def _fits(self, kind: Numeric) -> Numeric:
        if kind.digits > MAX_DIGITS:
            self._refuse(f"a number in it may need {kind.digits} digits, more than {MAX_DIGITS}")
        return kind

    def _compare(self, operator: CompareOperator, left: Node, right: Node) -> Node:
        if type(left.type) is not type(right.type):
            self._refuse(f"it compares {_kind(left.type)} with {_kind(right.type)}")
        if isinstance(left.type, Text | Boolean) and operator not in ("=", "<>"):
            self._refuse(f"{_kind(left.type)} can only be equal or different")
        self._check_words(left, right)
        self._check_words(right, left)
        return Compare(operator, left, right)

    def _check_words(self, column: Node, constant: Node) -> None:
        """A word that no case can have is a slip of the pen, and would make a dead rule."""
        words = column.type.values if isinstance(column.type, Text) else None
        if isinstance(constant, Constant) and words is not None and constant.text not in words:
            self._refuse(f"{constant.text!r} is none of {list(words)}")

    def _between(self, tree: Tree) -> Node:
        value, lower, upper = (self.node(tree[key]) for key in ("input", "lower", "upper"))
        return Junction("AND", (self._compare(">=", value, lower), self._compare("<=", value, upper)))

    def _operator(self, tree: Tree) -> Node:
        parts: list[Tree] = tree["children"]
        match tree["type"]:
            case "OPERATOR_NOT":
                return Not(self._condition(parts[0]))
            case "OPERATOR_IS_NULL":
                return IsNull(self.node(parts[0]))
            case "OPERATOR_IS_NOT_NULL":
                return Not(IsNull(self.node(parts[0])))
            case "COMPARE_IN":
                return self._in(parts)
            case other:
                self._refuse(f"{_spoken(other)} is not allowed in a rule")

    def _in(self, parts: list[Tree]) -> Node:
        value = self.node(parts[0])
        options = tuple(self.node(part) for part in parts[1:])
        constants = tuple(option for option in options if isinstance(option, Constant))
        if len(constants) != len(options):
            self._refuse("'in' lists literals only")
        for option in constants:
            self._compare("=", value, option)
        return In(value, constants)

    def _day_literal(self, tree: Tree) -> Node:
        child = tree["child"]
        is_text = child["class"] == "CONSTANT" and child["literal"]["kind"] == "STRING"
        if tree["try_cast"] or tree["type_expr"].get("type_name") != "DATE" or not is_text:
            self._refuse("casts are not allowed (only DATE 'YYYY-MM-DD')")
        text = child["literal"]["text"]
        try:
            day = dt.date.fromisoformat(text).isoformat()
        except ValueError:
            self._refuse(f"{text!r} is no day of the form YYYY-MM-DD")
        return Constant(day, Day(day, day))

    def _function(self, tree: Tree) -> Node:
        name, arguments = tree["function_name"], [a["expression"] for a in tree["arguments"]]
        self._refuse_decorations(tree)
        match name, len(arguments):
            case "+" | "-" | "*", 2:
                return self._arithmetic(name, arguments)
            case "-", 1:
                return self._arithmetic("-", [_ZERO, arguments[0]])
            case "/", 2:
                self._refuse("a quotient must say its decimals: round(a / b, n)")
            case "round", 1 | 2:
                return self._round(arguments)
            case "least" | "greatest", n if n > 0:
                return self._extreme(name, arguments)
            case "date_diff" | "datediff", 3:
                return self._days(arguments)
            case _:
                self._refuse(f"the function {name}() with {len(arguments)} arguments is not allowed in a rule")

    def _refuse_decorations(self, tree: Tree) -> None:
        named = any(argument["name"] for argument in tree["arguments"])
        if (
            named
            or tree["filter"]
            or tree["distinct"]
            or tree["order_bys"]["orders"]
            or tree["schema"]
            or tree["catalog"]
        ):
            self._refuse(f"{tree['function_name']} is used in a way that is not allowed in a rule")

    def _arithmetic(self, operator: str, arguments: Sequence[Tree]) -> Node:
        first, second = self.node(arguments[0]), self.node(arguments[1])
        if operator == "-" and isinstance(first.type, Day) and isinstance(second.type, Day):
            return self._days_between(second, first)
        (left, a), (right, b) = self._number(arguments[0]), self._number(arguments[1])
        match operator:
            case "+":
                return Arithmetic("+", left, right, self._fits(_bounds([a.low + b.low, a.high + b.high], a, b)))
            case "-":
                return Arithmetic("-", left, right, self._fits(_bounds([a.low - b.high, a.high - b.low], a, b)))
            case _:
                corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
                return Arithmetic("*", left, right, self._fits(Numeric(min(corners), max(corners), a.scale + b.scale)))

    def _round(self, arguments: Sequence[Tree]) -> Node:
        decimals = self._decimals(arguments[1]) if len(arguments) == 2 else 0
        inner = arguments[0]
        if inner["class"] == "FUNCTION" and inner["function_name"] == "/":
            self._refuse_decorations(inner)
            return self._quotient(*(a["expression"] for a in inner["arguments"]), decimals=decimals)
        value, kind = self._number(inner)
        if decimals >= kind.scale:
            return value
        half = Decimal(1).scaleb(-decimals) / 2
        return Round(value, self._fits(Numeric(kind.low - half, kind.high + half, decimals)))

    def _decimals(self, tree: Tree) -> int:
        if (
            tree["class"] != "CONSTANT"
            or tree["literal"]["kind"] != "INTEGER"
            or not 0 <= int(tree["literal"]["text"]) <= 6
        ):
            self._refuse("the decimals of round() are a whole number from 0 to 6")
        return int(tree["literal"]["text"])

    def _quotient(self, over: Tree, under: Tree, *, decimals: int) -> Node:
        left, a = self._number(over)
        guarded = under["class"] == "FUNCTION" and under["function_name"] == "nullif"
        right, b = self._number(self._guarded(under) if guarded else under)
        if not guarded and b.low <= 0 <= b.high:
            self._refuse("its divisor can be zero; write nullif(divisor, 0), or declare a range without zero")
        smallest = Decimal(1).scaleb(-b.scale) if b.low <= 0 <= b.high else min(abs(b.low), abs(b.high))
        bound = max(abs(a.low), abs(a.high)) / smallest + 1
        kind = self._fits(Numeric(-bound, bound, decimals))
        scale = max(a.scale, b.scale)
        if max(a.digits - a.scale, b.digits - b.scale) + scale + decimals + 2 > WIDEST - 1:
            self._refuse("its quotient needs more digits than DuckDB's whole numbers have")
        return Quotient(left, right, kind)

    def _guarded(self, tree: Tree) -> Tree:
        """The divisor inside `nullif(divisor, 0)`."""
        arguments = [a["expression"] for a in tree["arguments"]]
        zero = len(arguments) == 2 and arguments[1]["class"] == "CONSTANT" and arguments[1]["literal"]["text"] == "0"
        self._refuse_decorations(tree)
        if not zero:
            self._refuse("nullif is allowed as nullif(divisor, 0) only")
        return arguments[0]

    def _extreme(self, name: str, arguments: Sequence[Tree]) -> Node:
        parts = [self._number(argument) for argument in arguments]
        scale = max(kind.scale for _, kind in parts)
        low, high = min(k.low for _, k in parts), max(k.high for _, k in parts)
        kind = self._fits(Numeric(low, high, scale))
        return Extreme("least" if name == "least" else "greatest", tuple(node for node, _ in parts), kind)

    def _days(self, arguments: Sequence[Tree]) -> Node:
        part = arguments[0]
        if part["class"] != "CONSTANT" or part["literal"]["text"].lower() not in ("day", "days"):
            self._refuse("a date difference counts days: date_diff('day', a, b)")
        return self._days_between(self.node(arguments[1]), self.node(arguments[2]))

    def _days_between(self, start: Node, end: Node) -> Node:
        if not isinstance(start.type, Day) or not isinstance(end.type, Day):
            self._refuse("a date difference works on days only")
        return DaysBetween(
            start, end, Numeric(_days(start.type.high, end.type.low), _days(start.type.low, end.type.high), 0)
        )


_ZERO: Tree = {"class": "CONSTANT", "literal": {"kind": "INTEGER", "text": "0"}}


def _bounds(ends: Sequence[Decimal], a: Numeric, b: Numeric) -> Numeric:
    return Numeric(min(ends), max(ends), max(a.scale, b.scale))


def _days(start: str, end: str) -> Decimal:
    return Decimal((dt.date.fromisoformat(end) - dt.date.fromisoformat(start)).days)


def _kind(kind: ValueType) -> str:
    return {Numeric: "a number", Text: "a word", Boolean: "a yes or no", Day: "a day"}[type(kind)]


def _spoken(name: str) -> str:
    return name.lower().replace("_", " ")
