"""What must hold: `exact>=0.9, exact[axis: cell].low>=0.7, lead(tree)>0, extraction<=0.01`, read and judged.

Owns the grammar and the verdicts. Clauses are parted by commas:

    NAME[SLICE].BOUND OPERATOR NUMBER

NAME is `exact`, `f1`, `n` or `clusters` (of a slice), `lead(COLUMN)` (the model less that column, on the same
questions), `declines`, `declines_precision`, `overreach`, `extraction` or `exposure`. [SLICE] is a row of the table
(`axis: cell`, or its end where only one row ends so: `new facts as written`), or a label for `extraction` and
`exposure`; left out, it is all. BOUND is `low` or `high`: the end of the 95 % interval. The operator is >=, <=, > or <;
the number may be in percent. It must not measure anything.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hrmbuild.errors import UsageError
from hrmbuild.evaluation.answers import words
from hrmbuild.evaluation.extraction import Extraction
from hrmbuild.evaluation.intervals import Estimate
from hrmbuild.evaluation.scores import Evaluation
from hrmbuild.evaluation.tallies import MODEL, Slice

_CLAUSE = re.compile(
    r"""\s*(?P<name>[a-z_0-9]+)\s*(?:\((?P<column>[^()]+)\))?\s*(?:\[(?P<slice>[^\[\]]+)\])?
    (?:\.(?P<bound>low|high))?\s*(?P<op>>=|<=|>|<)\s*(?P<limit>-?\d+(?:\.\d+)?)(?P<percent>\s*%)?\s*""",
    re.VERBOSE,
)
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_OF_A_SLICE = ("exact", "f1", "n", "clusters")
_ABSTAINING = ("declines", "declines_precision", "overreach")
_EXTRACTION = ("extraction", "exposure")
NAMES = (*_OF_A_SLICE, "lead(COLUMN)", *_ABSTAINING, *_EXTRACTION)
_BOUNDED = ("exact", "f1", "lead", *_EXTRACTION)
_FIX = "write for example: exact>=0.9, exact[axis: cell].low>=0.7, lead(tree)>0, extraction<=1%"


@dataclass(frozen=True)
class Clause:
    """One demand."""

    text: str
    name: str
    column: str | None
    part: str | None
    bound: str | None
    compare: str
    limit: float


@dataclass(frozen=True)
class Verdict:
    """One demand with what was measured."""

    clause: str
    figure: float | None
    """None: nothing was measured; the demand does not hold then."""
    holds: bool

    def as_dict(self) -> dict[str, object]:
        """As `--json` shows it."""
        return {"clause": self.clause, "figure": None if self.figure is None else round(self.figure, 4),
                "holds": self.holds}  # fmt: skip


def parse_requirements(text: str, *, where: str = "--require") -> tuple[Clause, ...]:
    """Read an expression; `where` says in a message where it stands.

    Raises:
        UsageError: `eval.require_syntax`, naming every clause that cannot be read.
    """
    parts = [part.strip() for part in re.split(r",(?![^\[]*\])", text)]
    clauses, bad = [], []
    for part in parts:
        found = _CLAUSE.fullmatch(part)
        clause = _clause(part, found) if found else None
        (bad if clause is None else clauses).append(part if clause is None else clause)
    if bad:
        told = ", ".join(repr(part) for part in bad)
        raise UsageError("eval.require_syntax", f"this demand cannot be read: {told}", where=where,
                         why=f"known are {', '.join(NAMES)}", fix=_FIX)  # fmt: skip
    return tuple(one for one in clauses if isinstance(one, Clause))


def _clause(text: str, found: re.Match[str]) -> Clause | None:
    name, column = found["name"], found["column"]
    known = name == "lead" if column else name in (*_OF_A_SLICE, *_ABSTAINING, *_EXTRACTION)
    bare = name in _ABSTAINING and found["slice"]
    if not known or bare or (found["bound"] and name not in _BOUNDED):
        return None
    limit = float(found["limit"]) / (100 if found["percent"] else 1)
    return Clause(text, name, column and column.strip(), found["slice"], found["bound"], found["op"], limit)


def needs_extraction(clauses: Iterable[Clause]) -> bool:
    """Whether some demand is about what can be extracted."""
    return any(clause.name in _EXTRACTION for clause in clauses)


def check_requirements(
    clauses: Sequence[Clause], *, rows: Sequence[tuple[str, str]], columns: Sequence[str], labels: Sequence[str]
) -> None:
    """Refuse names that no table will have, before anything is scored.

    Args:
        rows: (heading, name) of the table to come.
        columns: columns beside the model.
        labels: sensitivity labels that extraction is measured by.

    Raises:
        UsageError: `eval.require_unknown`, with what is known.
    """
    problems: list[str] = []
    for clause in clauses:
        if clause.column is not None and clause.column not in columns:
            problems.append(f"{clause.text!r}: no column {clause.column!r}, there are {', '.join(columns)}")
        if clause.part is None:
            continue
        if clause.name in _EXTRACTION:
            if clause.part.strip() not in labels:
                problems.append(f"{clause.text!r}: no label {clause.part!r}, there are {', '.join(labels)}")
            continue
        found = _rows_named(clause.part, rows)
        if len(found) != 1:
            some = found or [row for row in rows if row[0] != "kind"]
            said = "several rows end so" if found else f"no row {clause.part!r}"
            problems.append(f"{clause.text!r}: {said}; there are {'; '.join(': '.join(row) for row in some)}")
    if problems:
        raise UsageError("eval.require_unknown", problems[0], where="--require",
                         why="; ".join(problems[1:]) or None, fix=_FIX)  # fmt: skip


def _rows_named(part: str, rows: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Rows whose name, or heading and name, are these words; else those that end in them."""
    wanted = words(part)
    exact = [row for row in rows if wanted in (words(row[1]), words(" ".join(row)))]
    return exact or [row for row in rows if wanted and words(row[1])[-len(wanted) :] == wanted]


def judge(
    clauses: Sequence[Clause], evaluation: Evaluation, extraction: Extraction | None = None
) -> tuple[Verdict, ...]:
    """Hold every clause against what was measured."""
    verdicts: list[Verdict] = []
    for clause in clauses:
        figure = _figure(clause, evaluation, extraction)
        holds = figure is not None and _OPERATORS[clause.compare](figure, clause.limit)
        verdicts.append(Verdict(clause.text, figure, holds))
    return tuple(verdicts)


def _figure(clause: Clause, evaluation: Evaluation, extraction: Extraction | None) -> float | None:
    if clause.name in _ABSTAINING:
        return _declining(clause.name, evaluation)
    if clause.name in _EXTRACTION:
        return _bound(_extracted(clause, extraction), clause.bound)
    row = _row(clause.part, evaluation.slices)
    tally = row.columns.get(MODEL) if row else None
    if row is None or tally is None:
        return None
    match clause.name:
        case "n":
            return float(tally.n)
        case "clusters":
            return float(tally.n if tally.n_clusters is None else tally.n_clusters)
        case "f1":
            return _bound(row.f1, clause.bound)
        case "lead":
            return _bound(row.leads.get(clause.column or ""), clause.bound)
        case _:
            return _bound(Estimate(tally.exact, *tally.interval, tally.n, 0), clause.bound)


def _row(part: str | None, slices: Sequence[Slice]) -> Slice | None:
    if part is None:
        return slices[0]
    found = _rows_named(part, [(one.heading, one.name) for one in slices])
    return next((one for one in slices if len(found) == 1 and (one.heading, one.name) == found[0]), None)


def _declining(name: str, evaluation: Evaluation) -> float | None:
    counts = evaluation.abstention
    if name == "overreach":
        return counts.overreach if counts.n_answerable else None
    if name == "declines":
        return counts.recall if counts.n_absent else None
    return counts.precision if counts.declined + counts.declined_wrongly else None


def _extracted(clause: Clause, extraction: Extraction | None) -> Estimate | None:
    if extraction is None:
        return None
    label = clause.part.strip() if clause.part else None
    return extraction.excess(label) if clause.name == "extraction" else extraction.exposure(label)


def _bound(found: Estimate | None, bound: str | None) -> float | None:
    if found is None or not found.n:
        return None
    return found.mean if bound is None else found.low if bound == "low" else found.high
