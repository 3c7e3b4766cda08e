"""A JSON object as a model must write it: one object and nothing else, each key once, numbers exact.

Owns the strict reading. It must not know what the keys mean. Python's own reader takes `NaN`, keeps the last of two
equal keys and rounds decimals: an answer that only passes so is no answer.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import cast

JsonValue = None | bool | Decimal | str


def read_json_object(text: str) -> dict[str, JsonValue] | None:
    """Keys and plain values; None where the text is anything but one flat JSON object."""
    try:
        found: object = json.loads(
            text, parse_int=Decimal, parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_each_once
        )
    except (ValueError, ArithmeticError, RecursionError):
        return None
    return cast("dict[str, JsonValue]", found) if isinstance(found, dict) else None


def same_values(one: dict[str, JsonValue], other: dict[str, JsonValue]) -> bool:
    """Whether two objects say the same; `true` is not 1, and the order of keys says nothing."""
    return one.keys() == other.keys() and all(
        type(value) is type(other[key]) and value == other[key] for key, value in one.items()
    )


def _refuse(name: str) -> JsonValue:
    raise ValueError(f"{name} is no JSON")


def _each_once(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) < len(pairs) or any(isinstance(value, dict | list) for value in found.values()):
        raise ValueError("a key stands twice, or a value is no plain one")
    return found
