"""Decision tables in csv files, sheets and YAML: which column is what, said by the owner or inferred and shown.

Owns the header: a corner cell with the hit policy (`U`, `F`, `A`, `P`) makes the first column that of rule ids; `if X`
and `then X` (or `columns:` of the source) name conditions and outcomes; `(EUR)` and `[0..5000 step 10]` behind a name
declare its unit and range. It must not read cells of rows, and must not drop a row: a ragged one refuses the table.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from hrmbuild.errors import InputError
from hrmbuild.readers.decision_cells import CellError
from hrmbuild.readers.decision_domains import Condition
from hrmbuild.readers.decision_table import (
    DecisionTable,
    HitPolicy,
    Output,
    Refusal,
    hit_policy,
    range_notes,
    row_places,
    rule_sets,
)
from hrmbuild.readers.result import SourceFile
from hrmbuild.readers.table_shape import Shape
from hrmbuild.records.document import Record, RuleSetFile
from hrmbuild.records.locator import Locator

ROLES = ("condition", "outcome", "amount", "reason", "citation", "rule", "ignore")
_PREFIXES = {"if": "condition", "when": "condition", "input": "condition", "then": "outcome", "output": "outcome"}
_NAMED = {
    "outcome": "outcome", "decision": "outcome", "result": "outcome", "action": "outcome", "amount due": "amount",
    "reason": "reason", "because": "reason", "ground": "reason", "citation": "citation", "source": "citation",
    "clause": "citation", "rule": "rule", "rule id": "rule", "id": "rule", "no": "rule", "#": "rule",
    "note": "ignore", "notes": "ignore", "comment": "ignore", "annotation": "reason",
}  # fmt: skip
_HEADER = re.compile(r"(?P<label>[^()\[\]]+?)\s*(?:\((?P<unit>[^()]+)\))?\s*(?:\[(?P<range>[^\]]+)\])?")
_RANGE = re.compile(r"(\S+?)\s*\.\.\s*(\S+)(?:\s+step\s+(\d+(?:\.\d+)?))?")


@dataclass(frozen=True)
class Heading:
    """A column's name, taken apart."""

    label: str
    role: str
    inferred: bool
    unit: str | None = None
    low: str | None = None
    high: str | None = None
    step: str | None = None
    values: tuple[str, ...] = ()


def sheet_records(
    file: SourceFile, shape: Shape, rows: Sequence[Locator], *, name: str, whole: Locator
) -> tuple[list[Record], list[str]]:
    """The rule sets of one table, and what was inferred.

    Raises:
        InputError: `read.bad_decision_table`, with the cell and what is expected there.
    """
    refuse = refusal(file, [column.name for column in shape.columns], rows)
    ragged = [one for one in shape.skips if one.code in ("read.ragged_row", "read.total_row")]
    if ragged:
        raise file.error("read.bad_decision_table", f"a row of the table is not whole ({ragged[0].locator}): a rule "
                         "would be missing", fix="give every row as many cells as the header has")  # fmt: skip
    policy, headings, notes = _headings(file, [column.name for column in shape.columns], refuse)
    table = _table(headings, [column.cells for column in shape.columns], name=name, policy=policy)
    records = records_of(file, table, rows, whole, refuse)
    return records, [*notes, *range_notes(table, records)]


def refusal(file: SourceFile, names: Sequence[str], rows: Sequence[Locator]) -> Refusal:
    """Errors that name the cell."""

    def refuse(row: int | None, column: str, what: str, expected: str) -> InputError:
        place = "header" if row is None else str(rows[row])
        named = next((name for name in names if column and column in name), column)
        where = f"{file.relative}, {place}" + (f", column {named!r}" if named else "")
        return InputError("read.bad_decision_table", what, where=where, fix=f"expected: {expected}")

    return refuse


def records_of(
    file: SourceFile, table: DecisionTable, rows: Sequence[Locator], whole: Locator, refuse: Refusal
) -> list[Record]:
    """A record for each output column."""
    return [
        RuleSetFile(
            source_sha256=file.sha256, path=file.relative, ruleset=one, locator=whole, places=row_places(one, rows)
        )
        for one in rule_sets(table, refuse)
    ]


def _headings(file: SourceFile, names: Sequence[str], refuse: Refusal) -> tuple[HitPolicy, list[Heading], list[str]]:
    corner = _corner(names[0])
    headings = [_heading(name, file.source.columns, refuse) for name in names]
    if corner is not None:
        headings[0] = Heading(names[0], "rule", inferred=False)
    if not any(heading.role in ("outcome", "amount") for heading in headings):
        last = max((i for i, h in enumerate(headings) if h.role == "condition"), default=None)
        if last is None:
            raise refuse(None, "", "the table has no column of conditions or outcomes", "one of each at least")
        headings[last] = Heading(**{**vars(headings[last]), "role": "outcome"})
    by_role = {role: [h.label for h in headings if h.role == role] for role in ROLES}
    told = "; ".join(f"{role}: {', '.join(labels)}" for role, labels in by_role.items() if labels)
    declared = "declared" if not any(h.inferred for h in headings) else "inferred, declare with 'columns:'"
    policy = (
        f"hit policy {corner}, declared" if corner else "no hit policy in the corner: the first row that holds decides"
    )
    return corner or "first", headings, [f"decision table ({declared}): {told}", policy]


def _corner(name: str) -> HitPolicy | None:
    """The first cell of the header, where it is a policy: one letter, or `hit policy: first`."""
    text = re.sub(r"^hit policy\s*[:=]?\s*", "", name.strip(), flags=re.IGNORECASE)
    if len(text) > 1 and text == name.strip() and text.lower() not in ("unique", "first", "priority"):
        return None
    try:
        return hit_policy(text)
    except CellError:
        if len(text) == 1 and text.upper() in "CRO":
            raise InputError("read.bad_decision_table", f"hit policy {text.upper()} lets several rows answer together",
                             where="header, first cell", fix="expected: U, F, A or P") from None  # fmt: skip
        return None


def _heading(name: str, columns: dict[str, str], refuse: Refusal) -> Heading:
    match = _HEADER.fullmatch(name.strip())
    if match is None:
        raise refuse(None, name, "the name of a column cannot be read", "name (unit) [low..high]")
    label, role = match["label"], columns.get(name, columns.get(match["label"]))
    inferred = role is None
    if role is not None and role not in ROLES:
        raise refuse(None, name, f"'columns:' calls it {role!r}", ", ".join(ROLES))
    word, _, rest = label.partition(" ")
    if word.lower().rstrip(":") in _PREFIXES and rest:
        label, role, inferred = rest.strip(), role or _PREFIXES[word.lower().rstrip(":")], False
    role = role or _NAMED.get(label.lower(), "condition")
    return Heading(label, role, inferred, match["unit"], **_declared(match["range"], name, refuse))


def _declared(text: str | None, name: str, refuse: Refusal) -> dict[str, Any]:
    if text is None:
        return {}
    if ".." not in text:
        return {"values": tuple(part.strip() for part in text.split(","))}
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise refuse(None, name, f"the range [{text}] cannot be read", "[low..high] or [low..high step n]")
    return {"low": match[1], "high": match[2], "step": match[3]}


def _table(
    headings: Sequence[Heading], cells: Sequence[tuple[str | None, ...]], *, name: str, policy: HitPolicy
) -> DecisionTable:
    n_rows = len(cells[0])
    by_role = {role: [i for i, h in enumerate(headings) if h.role == role] for role in ROLES}

    def annotation(role: str) -> tuple[str | None, ...]:
        return cells[by_role[role][0]] if by_role[role] else (None,) * n_rows

    outputs = tuple(
        Output(h.label, cells[i], order=h.values, unit=h.unit, is_amount=True if h.role == "amount" or h.unit else None)
        for i, h in enumerate(headings)
        if h.role in ("outcome", "amount")
    )
    return DecisionTable(
        name=name,
        title=name.replace("_", " ").replace("-", " ").strip().capitalize(),
        hit_policy=policy,
        conditions=tuple(_condition(headings[i]) for i in by_role["condition"]),
        inputs=tuple(cells[i] for i in by_role["condition"]),
        outputs=outputs,
        ids=tuple(None if one is None else one.strip() for one in annotation("rule")),
        reasons=annotation("reason"),
        citations=annotation("citation"),
    )


def _condition(heading: Heading) -> Condition:
    return Condition(heading.label, (), unit=heading.unit, low=heading.low, high=heading.high, step=heading.step,
                     values=heading.values)  # fmt: skip


def csv_rules(file: SourceFile, shape: Shape) -> tuple[list[Record], list[str]]:
    """The rule sets of a csv file."""
    rows = [Locator(row_from=i, row_to=i, line_from=row.first, line_to=row.last) for i, row in enumerate(shape.rows, 1)]
    whole = Locator(row_from=1, row_to=len(rows), line_from=shape.header.first, line_to=shape.rows[-1].last)
    return sheet_records(file, shape, rows, name=PurePosixPath(file.relative).stem, whole=whole)
