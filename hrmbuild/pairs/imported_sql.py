"""Existing pairs mapped by SQL: what `imported` does row by row, for the rows of which that is certain.

Owns SQL text and nothing that runs it. Its one promise: a row that it calls certain becomes exactly the pair that
`compile_fields` makes of it, bit for bit. Everything else (a foreign mark, a conversation of three turns, a letter
whose composed form might be another one, a number with signs) is not certain, and the caller hands it to
`compile_fields`. So it may be cautious, and must never be bold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from hrmbuild.config.project import PairsMapping
from hrmbuild.pairs.imported import CONTEXT_BYTES, END_MARKS
from hrmbuild.pairs.imported_shapes import ROLES, SHAPES
from hrmbuild.pairs.splits import DEV_FRACTION, TEST_FRACTION
from hrmbuild.records.pair import Condition

NAMES = tuple(sorted({name for _, asked, answered in SHAPES for name in (*asked, answered)} | {"condition"}))
"""Every field that one of the usual shapes looks at."""

_SPACES = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""What `str.strip` takes away, as a character class."""
_ALL_SPACES = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
_COMPOSED = (
    "\x01-\u02ff\u0370-\u0373\u0375-\u037d\u037f-\u0386\u0388-\u0482\u048a-\u0590\u05d0-\u05ea\u1e00-\u1e99"
    "\u2010-\u2027\u2030-\u205e\u2070-\u209c\u20a0-\u20bf\u2100-\u2125\u2127-\u2129\u212c-\u218b\u2190-\u2329\u232b-"
    "\u2adb\u3001-\u3029\u3030-\u3096\u309d-\u30fe\u3105-\u312f\u4e00-\u9fd5\uac00-\ud7a3\uff01-\uffdc\U0001f300-\U0001f64f"
).replace("\u2329\u232b", "\u2328\u232b")
"""Characters below which nothing composes: a text of these alone is in NFC under every version of Unicode."""
_LETTERS = (
    "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u0100-\u017f\u0391-\u03a1\u03b1-\u03c9\u0410-\u044f\u4e00-\u9fd5\uac00-\ud7a3"
)
"""A text with one of these is no number."""
_NUMBER = r"[$]?-?[0-9]+(,[0-9]{3})*(\.[0-9]+)?(\s?%)?"
"""Amounts in euros and pounds are not certain: their sign is no ASCII."""
_VISIBLE_REASONING = "(?i)<[tr][^<>]{4,9}>"
"""`<think>` and its kin, and more than these."""


@dataclass(frozen=True)
class PairConstants:
    """What is the same for all pairs of a file."""

    unit: str
    path: str
    source_sha256: str
    template_sha256: str
    stratum: str
    family: str
    """First part of the kind: `pairs` or `cases`."""
    label: str
    seed: int
    valid_from: str | None = None
    valid_until: str | None = None
    side: str | None = None
    """Side that the file is declared or drawn to stand on; None: each pair draws its own."""


def text(value: str | None) -> str:
    """A text as an SQL literal."""
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


def is_known(mapping: PairsMapping | None) -> bool:
    """False under a rule for answers (`answer_rule`, `response_pattern`): no row is certain then, of any shape."""
    return mapping is None or not (mapping.response_pattern or mapping.answer_rule != "whole")


def shaped_columns(columns: Mapping[str, str], mapping: PairsMapping | None) -> tuple[str, str, str] | None:
    """SQL of instruction, response and condition as the fields say them, NULL where no shape fits.

    Args:
        columns: field (lower case; as written under a declared mapping) -> SQL of its text, NULL where it is absent.

    Returns:
        None where this mapping is never certain.
    """
    if not is_known(mapping):
        return None
    if mapping is None or not (mapping.instruction or mapping.response):
        return _usual(columns)
    asked, answered = mapping.instruction or (), mapping.response or ""
    if not asked or any(name not in columns for name in (*asked, answered)):
        return None
    there = " AND ".join(f"{columns[name]} IS NOT NULL" for name in (*asked, answered))
    instruction = f"CASE WHEN {there} THEN {_joined([columns[name] for name in asked])} END"
    return instruction, columns[answered], _declared_condition(columns, mapping.condition)


def _declared_condition(columns: Mapping[str, str], told: str | None) -> str:
    if told is None or told.startswith("="):
        return f"{text(told[1:] if told else None)}::VARCHAR"
    return columns.get(told, "NULL::VARCHAR")


def _usual(columns: Mapping[str, str]) -> tuple[str, str, str] | None:
    instructions: list[str] = []
    responses: list[str] = []
    for _, asked, answered in SHAPES:
        first = "instruction" if "instruction" in asked else asked[-1]
        if first in columns and answered in columns:
            when = f"WHEN {columns[first]} IS NOT NULL AND {columns[answered]} IS NOT NULL THEN"
            instructions.append(f"{when} {_joined([columns[name] for name in asked if name in columns])}")
            responses.append(f"{when} {columns[answered]}")
    if not instructions:
        return None
    one, other = " ".join(instructions), " ".join(responses)
    return f"CASE {one} END", f"CASE {other} END", columns.get("condition", "NULL::VARCHAR")


def conversation_columns(family: str, role: str, words: str) -> tuple[list[str], tuple[str, str, str]]:
    """JSON paths of up to three turns, and what `shaped_columns` gives over the list `v` of their texts."""
    paths = [f"$.{family}[{turn}].{name}" for turn in range(3) for name in (role, words)]
    one, two, three = (_role(f"v[{at}]") for at in (1, 3, 5))
    is_short = f"v[6] IS NULL AND {one} = 'user' AND {two} = 'assistant'"
    is_long = f"{one} = 'system' AND {two} = 'user' AND {three} = 'assistant'"
    return paths, (
        f"CASE WHEN {is_short} THEN v[2] WHEN {is_long} THEN {_joined(['v[2]', 'v[4]'])} END",
        f"CASE WHEN {is_short} THEN v[4] WHEN {is_long} THEN v[6] END", "NULL::VARCHAR",
    )  # fmt: skip


def _role(sql: str) -> str:
    known = " ".join(f"WHEN '{name}' THEN '{role}'" for name, role in sorted(ROLES.items()))
    return f"CASE WHEN strlen({sql}) < 10 AND strlen({sql}) = length({sql}) THEN CASE lower({sql}) {known} END END"


def _joined(parts: Sequence[str]) -> str:
    if len(parts) == 1:
        return parts[0]
    kept = ", ".join(f"CASE WHEN {_is_blank(part)} THEN NULL ELSE {part} END" for part in parts)
    return f"concat_ws(chr(10) || chr(10), {kept})"


def _is_blank(sql: str) -> str:
    return f"({sql} IS NULL OR regexp_matches({sql}, {text(f'^[{_SPACES}]*$')}))"


def stripped(sql: str) -> str:
    """`str.strip`; the look at both ends spares most texts the walk over all letters.

    RE2 begins a pattern that is bound to the end there; `right` counts letters from the beginning.
    """
    plain = f"{sql} BETWEEN '!' AND chr(127) AND regexp_matches({sql}, '[!-~]\\z')"
    return f"CASE WHEN {plain} THEN {sql} ELSE trim({sql}, {text(_ALL_SPACES)}) END"


_ENDS = " OR ".join(f"ends_with(response, {text(mark)})" for mark in END_MARKS)


def is_certain() -> str:
    """Whether columns `instruction`, `response`, `condition` (stripped) and their JSON texts `ji`, `jr`, NULL where
    nothing is escaped, are certain; `ai` and `ar` say which of the texts are of ASCII alone."""
    conditions = ", ".join(text(one) for one in get_args(Condition))
    return " AND ".join((
        "instruction <> ''", "response <> ''", f"strlen(instruction) <= {CONTEXT_BYTES}",
        f"condition IN ({conditions})", "NOT contains(response, '####')",
        _unless("NOT ends_with(response, '>')", f"NOT ({_ENDS})"),
        *_clean("instruction", "ji", "ai"), *_clean("response", "jr", "ar"),
        _unless("ar", f"regexp_matches(response, '[{_LETTERS}]')"),
    ))  # fmt: skip


def _unless(settled: str, test: str) -> str:
    """`settled OR test`, where the test costs so much that only the rows that need it should pay."""
    return f"CASE WHEN {settled} THEN true ELSE {test} END"


def _clean(column: str, json: str, is_ascii: str) -> tuple[str, ...]:
    """No visible reasoning, no calculator's mark, no control character, nothing that NFC might change."""
    marks = f"NOT contains({column}, '<<') AND NOT regexp_matches({column}, {text(_VISIBLE_REASONING)})"
    return (
        _unless(f"NOT contains({column}, '<')", marks),
        _unless(f"{json} IS NULL", f"NOT contains({json}, '\\u00')"),
        _unless(is_ascii, f"NOT regexp_matches({column}, {text(f'[^{_COMPOSED}]')})"),
    )


def answer_columns() -> str:
    """`answer_type`, `answer_value` and `answer_unit` of the column `response`."""
    digits = "replace(regexp_extract(response, '-?[0-9]+(,[0-9]{3})*(\\.[0-9]+)?'), ',', '')"
    value = f"regexp_replace({digits}, '^(-?)0+([0-9])', '\\1\\2')"
    return f"""
    CASE WHEN is_number THEN 'number' ELSE 'text' END AS answer_type,
    CASE WHEN is_number THEN {value} ELSE response END AS answer_value,
    CASE WHEN is_number AND starts_with(response, '$') THEN 'USD'
         WHEN is_number AND ends_with(response, '%') THEN 'percent' END AS answer_unit"""


IS_NUMBER = f"regexp_full_match(response, {text(_NUMBER)})"


def made_select(source: str, shaped: tuple[str, str, str], trusted: str, *, bare: str = "false") -> str:
    """The rows of `source` with what they say, and whether they are `certain`. `ji` and `jr` are the JSON texts of
    instruction and response, NULL where these are the texts between quotation marks: most are, and writing costs.

    Args:
        source: SQL of a table with `line` and the columns that `shaped` names.
        shaped: see `shaped_columns`.
        trusted: SQL of a truth: nothing in the row speaks against it so far.
        bare: SQL of a truth: JSON writes the row's texts as they are, for nothing in them is escaped.
    """
    instruction, response, condition = shaped
    return f"""
    WITH shaped AS (
        SELECT line, {trusted} AS trusted, {bare} AS bare, {instruction} AS i, {response} AS r,
               coalesce(nullif({condition}, ''), 'direct') AS condition FROM {source}
    ), stripped AS (
        SELECT line, trusted, bare, condition, {stripped("i")} AS instruction, {stripped("r")} AS response FROM shaped
    ), quoted AS (
        SELECT line, trusted, condition, instruction, response,
               {_escaped("instruction")} AS ji, {_escaped("response")} AS jr,
               {_ASCII.format("instruction")} AS ai, {_ASCII.format("response")} AS ar FROM stripped
    )
    SELECT line, condition, instruction, response, ji, jr,
           coalesce(trusted AND {is_certain()}, false) AS certain FROM quoted"""


_ASCII = "strlen({0}) = length({0})"


def _escaped(column: str) -> str:
    """Its JSON text, as RFC 8785 writes it, where that differs; texts that were joined have newlines that no source
    wrote."""
    json = f"to_json({column})::VARCHAR"
    differs = f"CASE WHEN strlen({json}) <> strlen({column}) + 2 THEN {json} END"
    return f"CASE WHEN bare AND NOT contains({column}, chr(10)) THEN NULL ELSE {differs} END"


QUOTED = """coalesce(ji, '"' || instruction || '"') AS ji, coalesce(jr, '"' || response || '"') AS jr"""
"""The JSON texts, all of them written out."""
IDENTITY = """sha256('["' || condition || '",' || ji || ',' || jr || ']')"""
"""`records.pair.pair_id` of these."""


def candidate_select(made: str, constants: PairConstants, locator: str) -> str:
    """The columns of `candidate` for the certain rows of `made`, in its order of columns.

    Args:
        made: SQL of a table with the columns of `made_select`, `row` and `ordinal`.
        locator: SQL of the canonical JSON of a row's locator.
    """
    held = _held_side(constants)
    answer = """CASE WHEN is_number THEN '{"type":"number"' || coalesce(',"unit":"' || answer_unit || '"', '')
        || ',"value":"' || answer_value || '"}' ELSE '{"type":"text","value":' || jr || '}' END"""
    occurrence = f"""'{{"locator":' || {locator} || ',"source_sha256":"{constants.source_sha256}","template_sha256":"'
        || '{constants.template_sha256}","text":' || jr || '}}'"""
    kind = f"'{constants.family}.' || CASE WHEN condition = 'direct' THEN answer_type ELSE condition END"
    return f"""
    WITH typed AS (
        SELECT * REPLACE ({QUOTED}), {IS_NUMBER} AS is_number FROM {made}
    ), answered AS (SELECT *, {answer_columns()} FROM typed), hashed AS (
        SELECT *, {IDENTITY} AS pair_id, sha256('["imported",' || ji || ',' || jr || ']') AS content_key,
               {_drawn(constants)} AS drawn
        FROM answered
    )
    SELECT line, {text(constants.unit)} AS unit, ordinal, {text(constants.path)} AS path, pair_id, condition,
           instruction, response, {kind} AS kind, {text(constants.stratum)} AS stratum, {held[0]} AS split,
           {held[1]} AS axis, false AS boundary, 'open' AS book, 'imported' AS derivation, {answer} AS answer,
           content_key, {text(constants.label)} AS label, {text(constants.valid_from)}::VARCHAR AS valid_from,
           {text(constants.valid_until)}::VARCHAR AS valid_until, {occurrence} AS occurrence,
           answer_type, answer_value, answer_unit
    FROM hashed"""


def _drawn(constants: PairConstants) -> str:
    """First 16 hex digits of the draw of the split (`fingerprint.draw_integer`), where a pair draws its own."""
    if constants.side is not None:
        return "NULL::VARCHAR"
    return f"left(sha256('5:split|{constants.seed}|' || sha256('[' || ji || ']')), 16)"


def _held_side(constants: PairConstants) -> tuple[str, str]:
    """Split and axis."""
    if constants.side is not None:
        return text(constants.side), f"{text(None if constants.side == 'train' else 'document')}::VARCHAR"
    dev, test = _bound(DEV_FRACTION), _bound(DEV_FRACTION + TEST_FRACTION)
    split = f"CASE WHEN drawn < '{dev}' THEN 'dev' WHEN drawn < '{test}' THEN 'test' ELSE 'train' END"
    return split, f"CASE WHEN drawn < '{test}' THEN 'cell' END"


def _bound(fraction: float) -> str:
    """The draws below `fraction` are those whose 16 hex digits are below this: `draw_fraction` keeps 53 bits."""
    scaled = fraction * (1 << 53)
    whole = int(scaled) + (scaled != int(scaled))
    return f"{whole << 11:016x}"
