"""JSON as RFC 8259 says, and nothing beyond it: the parser that JSON files and JSON lines share, and the flattening.

Owns what is refused (NaN, another encoding, depth) and what is kept (numbers as they are spelt). A key that stands
twice in an object is valid JSON whose meaning nobody knows: `flattened` refuses the value that holds it, not the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hrmbuild.readers.spans import nfc

MAX_FIELDS = 10_000
"""A row with more values is data of another kind than a pair."""
MAX_DEPTH = 200
"""Deeper values are made to exhaust a parser; RFC 8259, section 9, allows a limit."""


class BadValue(Exception):
    """No JSON, or a value that cannot be a record: code and sentence of a skip or a refusal."""

    def __init__(self, code: str, detail: str, *, line: int | None = None) -> None:
        super().__init__(detail)
        self.code, self.detail, self.line = code, detail, line


class Number(str):
    """A number as the file spells it."""


class Ambiguous(dict[str, Any]):
    """An object in which a key stands twice; the last value is kept, and `twice` names the key."""

    twice = ""


def parse_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        BadValue: `read.bad_json`, `read.too_deep`.
    """
    _check_depth(text)
    try:
        return json.loads(text, parse_float=Number, parse_int=Number, parse_constant=_refuse_constant,
                          object_pairs_hook=_object)  # fmt: skip
    except json.JSONDecodeError as error:
        raise BadValue(
            "read.bad_json", f"not valid JSON at column {error.colno}: {error.msg}", line=error.lineno
        ) from None
    except RecursionError:
        raise BadValue("read.too_deep", "values nest too deep to be read") from None


def _check_depth(text: str) -> None:
    """Brackets in strings count too far, never too little; only then does a slower look decide."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    inside = escaped = False
    for char in text:
        if inside:
            inside = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            inside, escaped = True, False
        elif char in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise BadValue("read.too_deep", f"values nest deeper than {MAX_DEPTH}")
        elif char in "]}":
            depth -= 1


def _refuse_constant(name: str) -> str:
    raise BadValue("read.bad_json", f"{name} is no JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    seen: set[str] = set()
    ambiguous = Ambiguous(value)
    ambiguous.twice = next(name for name, _ in pairs if name in seen or seen.add(name))
    return ambiguous


def flattened(value: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Pointers (without the first slash) and texts; a stack instead of recursion.

    Raises:
        BadValue: `read.duplicate_key`, `read.bad_unicode`, `read.too_many_fields`.
    """
    stack = [(pointer, value)]
    n_values = 0
    while stack:
        pointer, value = stack.pop()
        if isinstance(value, Ambiguous):
            raise BadValue("read.duplicate_key", f"the key {value.twice!r} stands twice in one object")
        if isinstance(value, dict):
            stack += [(child_pointer(pointer, name), child) for name, child in reversed(value.items())]
        elif isinstance(value, list):
            stack += [(child_pointer(pointer, str(i)), child) for i, child in reversed(list(enumerate(value)))]
        elif value is not None:
            n_values += 1
            if n_values > MAX_FIELDS:
                raise BadValue("read.too_many_fields", f"more than {MAX_FIELDS:,} values in one row")
            yield pointer, scalar_text(value)


def child_pointer(pointer: str, name: str) -> str:
    """RFC 6901's escapes; no slash before the first name."""
    escaped = scalar_text(name).replace("~", "~0").replace("/", "~1")
    return f"{pointer}/{escaped}" if pointer else escaped


def scalar_text(value: Any) -> str:
    """A text, number or truth value as text, NFC.

    Raises:
        BadValue: `read.bad_unicode`.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise BadValue("read.bad_unicode", "a text holds half of a surrogate pair, which no encoding can write")
    return nfc(text)
