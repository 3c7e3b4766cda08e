"""Which rows of a large file SQL may map, and the SQL that does: learnt from the keys and types that its rows have.

Owns that judgement. A row whose keys or types were not seen before is not trusted and goes the slow way, so what is
learnt late costs time and never changes an outcome. It must not look at a text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping as Readable
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from hrmbuild.config.project import PairsMapping
from hrmbuild.pairs.imported_sql import NAMES, conversation_columns, is_known, made_select, shaped_columns, text
from hrmbuild.store.bulk import BulkPiece

_MOST_SIGNATURES = 64
_MOST_KEYS = 1000
_PLAIN_KEY = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_PATH_KEY = re.compile(r"[A-Za-z0-9_-]+(?: [A-Za-z0-9_-]+)*")
_TEXTS = {"VARCHAR", "NULL"}
_SCALARS = _TEXTS | {"BOOLEAN", "UBIGINT", "BIGINT", "DOUBLE"}
_FAMILIES = {"messages": ("role", "content"), "conversations": ("from", "value")}


class Mapping(Protocol):
    """How the rows of one file are mapped."""

    def learn(self, piece: BulkPiece) -> None:
        """Look at the beginning of the next piece."""
        ...

    def select(self) -> str | None:
        """SQL of the table `made`, see `imported_sql.made_select`; None where no row is ever certain."""
        ...


def mapping_of(format_name: str, mapping: PairsMapping | None, table: pa.Table) -> Mapping:
    """The mapping of a file whose first piece is `table`."""
    if format_name == "parquet":
        return ColumnMapping(mapping, {field.name: field.type for field in table.schema if field.name != "line"},
                             n_columns=table.num_columns - 1)  # fmt: skip
    return LineMapping(mapping)


def _wanted(mapping: PairsMapping | None) -> frozenset[str] | None:
    """Names that a declared mapping uses; None: the usual shapes decide, whatever the case of the names."""
    if mapping is None or not (mapping.instruction or mapping.response):
        return None
    told = mapping.condition if mapping.condition and not mapping.condition.startswith("=") else None
    return frozenset(name for name in (*(mapping.instruction or ()), mapping.response, told) if name)


@dataclass
class ColumnMapping:
    """Rows of a Parquet file: what its columns are holds for all of them."""

    mapping: PairsMapping | None
    types: Readable[str, Any]
    n_columns: int

    def learn(self, piece: BulkPiece) -> None:
        """There is nothing more to learn."""

    def select(self) -> str | None:
        """See `Mapping`."""
        wanted = _wanted(self.mapping)
        used = {name if wanted is not None else name.lower(): name for name in self.types
                if (name in wanted if wanted is not None else name.lower() in NAMES)}  # fmt: skip
        if not self._is_plain() or any(not pa.types.is_string(self.types[name]) for name in used.values()):
            return None
        shaped = shaped_columns({key: f'"{name}"' for key, name in used.items()}, self.mapping)
        return None if shaped is None else made_select("piece", shaped, trusted="true")

    def _is_plain(self) -> bool:
        lower = {name.lower() for name in self.types}
        is_scalar = (pa.types.is_string, pa.types.is_integer, pa.types.is_boolean, pa.types.is_float64)
        return (
            len(lower) == self.n_columns
            and all(_PLAIN_KEY.fullmatch(name) and '"' not in name for name in self.types)
            and all(any(test(type_) for test in is_scalar) for type_ in self.types.values())
        )


@dataclass
class LineMapping:
    """Rows of a file of JSON lines: a signature is the keys of a row and the types of their values."""

    mapping: PairsMapping | None
    _seen: set[str] = field(default_factory=set)
    _trusted: set[str] = field(default_factory=set)
    _with_fractions: set[str] = field(default_factory=set)
    _spelt: dict[str, str] = field(default_factory=dict)
    """Name as the shapes have it -> as the file spells it."""
    _family: str | None = None
    """Key that holds the turns of a conversation."""

    def learn(self, piece: BulkPiece) -> None:
        """See `Mapping`."""
        if not self._seen and _wanted(self.mapping) is None:
            self._find_family(piece)
        for signature in piece.signatures(self._signature(), f"SELECT {_VALID} AS t"):
            if signature not in self._seen and len(self._seen) < _MOST_SIGNATURES:
                self._seen.add(signature)
                self._judge(signature)

    def _find_family(self, piece: BulkPiece) -> None:
        for signature in piece.signatures(_KEYS_AND_TYPES, f"SELECT {_VALID} AS t"):
            keys = json.loads(signature)["k"]
            self._family = self._family or next((name for name in _FAMILIES if name in keys), None)

    def _signature(self) -> str:
        if self._family is None:
            return _KEYS_AND_TYPES
        turns = f"$.{self._family}"
        three = ", ".join(f"'{turns}[{turn}]'" for turn in range(3))
        told = {"k": "json_keys(t)", "t": "json_type(t, '$.*')", "n": f"json_array_length(t, '{turns}')",
                "tk": f"json_keys(t, [{three}])", "tt": f"json_type(t, '{turns}[*].*')"}  # fmt: skip
        return _signed(told)

    def _judge(self, signature: str) -> None:
        told = json.loads(signature)
        keys, types = told["k"], told["t"]
        if not self._keys_are_plain(keys) or len(keys) != len(types):
            return
        type_of = dict(zip(keys, types, strict=True))
        used = self._used(keys)
        if self._family is not None:
            if type_of.pop(self._family, "") != "ARRAY" or not _turns_are_plain(told, _FAMILIES[self._family]):
                return
            used = []
        if not set(type_of.values()) <= _SCALARS or any(type_of[key] not in _TEXTS for key in used):
            return
        (self._with_fractions if "DOUBLE" in types else self._trusted).add(signature)

    def _keys_are_plain(self, keys: list[str]) -> bool:
        lower = {key.lower() for key in keys}
        return len(lower) == len(keys) <= _MOST_KEYS and all(_PLAIN_KEY.fullmatch(key) for key in keys)

    def _used(self, keys: list[str]) -> list[str]:
        """Keys that the mapping looks at; a spelling that differs from the first one is not learnt, so not trusted."""
        wanted = _wanted(self.mapping)
        found: list[str] = []
        for key in keys:
            name = key if wanted is not None else key.lower()
            if name in (NAMES if wanted is None else wanted) and _PATH_KEY.fullmatch(key):
                self._spelt.setdefault(name, key)
                found.append(key if self._spelt[name] == key else "")
        return found

    def select(self) -> str | None:
        """See `Mapping`."""
        if not is_known(self.mapping) or not (self._trusted or self._with_fractions):
            return None
        if self._family is not None:
            paths, shaped = conversation_columns(self._family, *_FAMILIES[self._family])
        else:
            names = sorted(self._spelt)
            paths = [f'$."{self._spelt[name]}"' for name in names]
            columns = {name: f"v[{at}]" for at, name in enumerate(names, start=1)}
            shaped = shaped_columns(columns, self.mapping) if columns else None
        if shaped is None:
            return None
        values = f"json_extract_string(t, [{', '.join(text(path) for path in paths)}])"
        if self._family:
            valid = f"(SELECT line, {_VALID} AS t FROM piece)"
            source = f"(SELECT line, t, {self._signature()} AS s, {values} AS v FROM {valid})"
        else:
            source = f"(SELECT line, t, k, json_type(t, '$.*') AS types, {values} AS v FROM {_KEYED})"
        return made_select(source, shaped, trusted=self._trust(), bare="NOT contains(t, '\\')")

    def _trust(self) -> str:
        """JSON that DuckDB takes and RFC 8259 does not: a comma before the end, NaN and Infinity."""
        comma = (
            r"regexp_matches(t, '[^,\s]\s*\}\s*\z')" if self._family is None else r"NOT regexp_matches(t, ',\s*[\]}]')"
        )
        plain = self._among(self._trusted)
        finite = f"CASE WHEN {self._among(self._with_fractions)} THEN NOT regexp_matches(t, '(?i)nan|inf') END"
        known = f"({plain} OR coalesce({finite}, false))" if self._with_fractions else plain
        return f"({known} AND {comma})"

    def _among(self, signatures: set[str]) -> str:
        """Whether a row has one of these signatures; lists are compared sooner than a text is made of them."""
        if self._family is not None:
            return f"s IN ({', '.join(text(one) for one in sorted(signatures))})" if signatures else "false"
        told = [json.loads(one) for one in sorted(signatures)]
        if not told:
            return "false"
        return "(" + " OR ".join(f"(k = {_texts(one['k'])} AND types = {_texts(one['t'])})" for one in told) + ")"


def _texts(values: list[str]) -> str:
    return f"[{', '.join(text(value) for value in values)}]::VARCHAR[]"


_VALID = "CASE WHEN json_valid(text) THEN text END"
_KEYED = "(SELECT line, k, CASE WHEN k IS NOT NULL THEN text END AS t FROM (" \
    "SELECT line, text, TRY(json_keys(text)) AS k FROM piece))"  # fmt: skip
"""The same with the keys: to ask for them is to parse the row, and what is no JSON has none."""


def _signed(told: Readable[str, str]) -> str:
    """SQL of a JSON text with these values; NULL where one of them is."""
    members = [f"""'"{name}":' || to_json({value})::VARCHAR""" for name, value in told.items()]
    return f"""'{{' || {" || ',' || ".join(members)} || '}}'"""


_KEYS_AND_TYPES = _signed({"k": "json_keys(t)", "t": "json_type(t, '$.*')"})


def _turns_are_plain(told: dict[str, Any], names: tuple[str, str]) -> bool:
    """Two or three turns with these two keys, all texts."""
    keys = [one for one in told["tk"] if one]
    return (
        told["n"] in (2, 3)
        and len(keys) == told["n"]
        and all(sorted(one) == sorted(names) for one in keys)
        and told["tt"] == ["VARCHAR"] * 2 * told["n"]
    )
