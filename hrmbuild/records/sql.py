"""What a noun demands, as SQL: a predicate that holds for the rows that the pydantic model accepts.

Owns the translation, which goes by the model's JSON Schema, so that a constraint is written once. A keyword of the
schema that has no translation is refused when the SQL is made, never left out. It knows no database: patterns are
written for RE2, texts, structures, lists and maps as DuckDB has them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

Schema = Mapping[str, Any]
_DESCRIBING = frozenset({"title", "description", "default", "$defs", "additionalProperties", "properties", "required"})
_RANGES = {"minimum": ">=", "maximum": "<=", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
_LENGTHS = {"minLength": ">=", "maxLength": "<="}
_SIZES = {"minItems": ">=", "maxItems": "<="}


def predicate(model: type[BaseModel], columns: Mapping[str, str], *, without: Collection[str] = ()) -> str:
    """An SQL truth, never NULL: whether the columns are values that the model accepts.

    Args:
        columns: field -> SQL of its value; NULL stands for None.
        without: fields that are the same for all rows, which the caller has validated.

    Raises:
        ValueError: a field without a column, a column without a field, a constraint without a translation.
    """
    schema = _schema(model)
    wanted = set(schema["properties"]) - set(without)
    if wanted != set(columns):
        raise ValueError(f"{model.__name__}: columns and fields differ: {sorted(wanted ^ set(columns))}")
    told = [_allows(schema["properties"][name], columns[name], schema.get("$defs", {})) for name in sorted(columns)]
    return f"coalesce({' AND '.join(told)}, false)"


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _allows(schema: Schema, value: str, named: Schema) -> str:
    """SQL of whether one value satisfies a schema; NULL only satisfies one that names `null`."""
    if "$ref" in schema:
        return _allows(named[schema["$ref"].rpartition("/")[2]], value, named)
    if "anyOf" in schema:
        _check_known(schema, {"anyOf"})
        options = [option for option in schema["anyOf"] if option.get("type") != "null"]
        told = [f"coalesce({_allows(option, value, named)}, false)" for option in options]
        if len(options) < len(schema["anyOf"]):
            told.insert(0, f"{value} IS NULL")
        return f"({' OR '.join(told)})"
    return " AND ".join((f"{value} IS NOT NULL", *_tests(schema, value, named)))


def _tests(schema: Schema, value: str, named: Schema) -> list[str]:
    if "enum" in schema or "const" in schema:
        _check_known(schema, {"enum", "const", "type"})
        return [f"{value} IN ({', '.join(_literal(one) for one in schema.get('enum', [schema.get('const')]))})"]
    kinds = {"string": _text_tests, "integer": _number_tests, "boolean": _no_tests, "array": _list_tests,
             "object": _object_tests}  # fmt: skip
    kind = schema.get("type", "")
    if kind not in kinds:
        raise ValueError(f"no SQL for values of the type {kind!r}")
    return kinds[kind](schema, value, named)


def _no_tests(schema: Schema, value: str, named: Schema) -> list[str]:
    _check_known(schema, {"type"})
    return []


def _text_tests(schema: Schema, value: str, named: Schema) -> list[str]:
    _check_known(schema, {"type", "pattern", *_LENGTHS})
    told = [f"length({value}) {sign} {schema[key]}" for key, sign in _LENGTHS.items() if key in schema]
    if "pattern" in schema:
        # pydantic's own engine takes \d for the digits of every script, and so must RE2.
        pattern = schema["pattern"].replace("\\d", "\\p{Nd}")
        told.append(f"regexp_matches({value}, {_literal(pattern)})")
    return told


def _number_tests(schema: Schema, value: str, named: Schema) -> list[str]:
    _check_known(schema, {"type", *_RANGES})
    return [f"{value} {sign} {schema[key]}" for key, sign in _RANGES.items() if key in schema]


def _list_tests(schema: Schema, value: str, named: Schema) -> list[str]:
    _check_known(schema, {"type", "items", *_SIZES})
    told = [f"len({value}) {sign} {schema[key]}" for key, sign in _SIZES.items() if key in schema]
    one = f"item{value.count('item')}"
    inside = _allows(schema["items"], one, named)
    return [*told, f"len(list_filter({value}, lambda {one}: NOT coalesce({inside}, false))) = 0"]


def _object_tests(schema: Schema, value: str, named: Schema) -> list[str]:
    _check_known(schema, {"type"})
    if "properties" in schema:
        return [_allows(one, f'{value}."{name}"', named) for name, one in sorted(schema["properties"].items())]
    values = {"type": "array", "items": schema["additionalProperties"]}
    return _list_tests(values, f"map_values({value})", named)


def _check_known(schema: Schema, known: Collection[str]) -> None:
    strange = set(schema) - set(known) - _DESCRIBING
    if strange:
        raise ValueError(f"no SQL for {sorted(strange)}")


def _literal(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"no SQL for the value {value!r}")
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
