"""The *case* sort: a row of a table as the facts of a rule set.

Owns the reading of declared cells as facts, and what is shown: the rule text and the row under its own headings. The
outcome is what DuckDB finds for the rules as written. A row whose cells are no facts is a rejection that says why. Each
pair is handed over twice, with the row as its evidence and with the rules: both files support it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from hrmbuild.config.joined import CaseConfig
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import draw_below, draw_one, draw_order, hash_value
from hrmbuild.pairs.context import CompileContext
from hrmbuild.pairs.draft import rejection, split_keys, stratum
from hrmbuild.pairs.prompt import Passage, open_book_instruction
from hrmbuild.pairs.rules_checked import CheckedRules, check_rules
from hrmbuild.pairs.rules_domains import Domain
from hrmbuild.pairs.rules_evaluate import Case, Decision, breaks_promise, evaluate
from hrmbuild.pairs.rules_executable import outcome_answer
from hrmbuild.pairs.rules_wording import Style, because_words, passage
from hrmbuild.pairs.table_columns import ColumnProfile, read_numbers
from hrmbuild.pairs.table_view import View
from hrmbuild.pairs.variants import Variant, as_written
from hrmbuild.records.document import RuleSetFile, Table
from hrmbuild.records.locator import Locator
from hrmbuild.records.pair import CompiledPair, Occurrence, Rejection

KIND = "tables.case"
_YES, _NO = frozenset({"yes", "true", "1", "y"}), frozenset({"no", "false", "0", "n"})


@dataclass(frozen=True)
class _Cases:
    """A table whose rows are cases of a rule set."""

    record: Table
    columns: tuple[ColumnProfile, ...]
    context: CompileContext
    rules: CheckedRules
    file: RuleSetFile
    written: Variant
    mapping: Mapping[str, str]
    """Fact -> column."""
    cells: Mapping[str, tuple[str | None, ...]]
    """Fact -> its cells, numbers as exact decimals."""


def case_pairs(
    record: Table, columns: tuple[ColumnProfile, ...], context: CompileContext, n_rows: int
) -> Iterator[CompiledPair | Rejection]:
    """Up to `n_rows` drawn rows, each a pair (once for each of its two sources) or a rejection.

    Raises:
        InputError: `compile.not_a_case`: no rule set, a fact that it does not have, or one that it reads and that no
            column gives.
    """
    declared = context.settings.case
    if declared is None or not _is_meant(record, declared):
        return
    cases = _prepared(record, columns, context, declared)
    drawn = draw_order(range(record.n_rows), "case", context.seed, f"{record.source_sha256}:{record.name}")[:n_rows]
    readable: list[tuple[int, Case]] = []
    for row in sorted(drawn):
        case = _read_case(cases, row)
        if isinstance(case, str):
            yield _no_case(cases, row, case)
        else:
            readable.append((row, case))
    yield from _decided(cases, readable)


def _decided(cases: _Cases, readable: Sequence[tuple[int, Case]]) -> Iterator[CompiledPair | Rejection]:
    connection = cases.context.connection
    assert connection is not None
    decisions = evaluate(cases.rules, [(cases.written, case) for _, case in readable], connection)
    for (row, case), decision in zip(readable, decisions, strict=True):
        if breaks_promise(cases.rules.ruleset, decision):
            yield _no_case(cases, row, "rules hold together that should not, by their hit policy")
        else:
            yield from _pairs(cases, row, case, decision)


def _is_meant(record: Table, declared: CaseConfig) -> bool:
    return declared.table in (None, record.name) and set(declared.facts.values()) <= {c.name for c in record.columns}


def _prepared(
    record: Table, columns: tuple[ColumnProfile, ...], context: CompileContext, declared: CaseConfig
) -> _Cases:
    files = [one for one in context.siblings if isinstance(one, RuleSetFile)]
    if len(files) != 1 or context.connection is None:
        raise _refused(context, f"{declared.ruleset} is {len(files)} rule sets that can be read, and one is needed")
    (file,) = files
    rules = check_rules(file.ruleset, path=file.path, connection=context.connection, as_of=context.as_of)
    names = {domain.name for domain in rules.domains}
    unknown, missing = sorted(set(declared.facts) - names), sorted(rules.read - set(declared.facts))
    if unknown or missing:
        told = [f"has no fact {', '.join(unknown)}"] * bool(unknown)
        told += [f"reads {', '.join(missing)}, which no column gives"] * bool(missing)
        raise _refused(context, f"{file.path} {' and '.join(told)}")
    cells = {fact: _cells(record, column) for fact, column in declared.facts.items()}
    written = as_written(file.ruleset, in_force=rules.in_force)
    return _Cases(record, columns, context, rules, file, written, declared.facts, cells)


def _refused(context: CompileContext, what: str) -> InputError:
    return InputError("compile.not_a_case", what, where=context.source.path, fix="correct `case` of the source")


def _cells(record: Table, name: str) -> tuple[str | None, ...]:
    """The cells of a column; numbers plain, whatever the table's way of writing them."""
    column = next(column for column in record.columns if column.name == name)
    cells = tuple(cell.strip() if cell and cell.strip() else None for cell in column.cells)
    numbers = read_numbers(cells)
    return cells if numbers is None else tuple(None if v is None else f"{v:f}" for v in numbers.values)


def _read_case(cases: _Cases, row: int) -> Case | str:
    """One index a fact (0 for one that no rule reads and no column gives), or why the row is no case."""
    case: list[int] = []
    for domain in cases.rules.domains:
        if domain.name not in cases.mapping:
            case.append(0)
            continue
        cell = cases.cells[domain.name][row]
        if cell is None:
            return f"{cases.mapping[domain.name]} is empty, and {domain.name} is asked for"
        index = fact_index(domain, cell)
        if index is None:
            return f"{cases.mapping[domain.name]} {cell} is no value that {domain.name} can have"
        case.append(index)
    return tuple(case)


def fact_index(domain: Domain, cell: str) -> int | None:
    """The number of a cell's value among those that a fact can have; None where it is none of them."""
    word = cell.casefold()
    match domain.fact.type:
        case "choice":
            found = [i for i, value in enumerate(domain.fact.values) if value.casefold() == word]
            return found[0] if len(found) == 1 else None
        case "boolean":
            yes, no = (domain.fact.yes or "").casefold(), (domain.fact.no or "").casefold()
            return 1 if word in _YES | {yes} else 0 if word in _NO | {no} else None
        case "date":
            texts = range(domain.size)
            return next((i for i in texts if domain.text(i) == cell[:10]), None)
        case _:
            return _on_grid(domain, cell)


def _on_grid(domain: Domain, cell: str) -> int | None:
    try:
        value = Decimal(cell)
    except ArithmeticError:
        return None
    if not domain.position(0) <= value <= domain.position(domain.size - 1):
        return None
    index = domain.first(value, edge="from")
    return index if domain.position(index) == value else None


def _pairs(cases: _Cases, row: int, case: Case, decision: Decision) -> Iterator[CompiledPair]:
    context, view = cases.context, _view(cases, row)
    rules = passage(cases.rules, cases.written, context.templates)
    inputs = _inputs(cases, case)
    content = hash_value([KIND, cases.record.source_sha256, view.text, inputs])
    names = context.templates.wordings(KIND)
    name = draw_one(names, "wording", context.seed, content)
    question = context.templates.render(name, table=cases.record.name, title=cases.rules.ruleset.title)
    by_row = Occurrence(
        source_sha256=context.source.sha256, locator=_row_locator(cases.record, row), text=view.text,
        template_sha256=context.templates.sha256(name), inputs=inputs,
    )  # fmt: skip
    pair = CompiledPair(
        instruction=open_book_instruction(
            context.templates, passages=[rules, Passage(f"Table {cases.record.name}", view.text)], question=question
        ),
        response=_response(cases, case, decision),
        kind=KIND,
        stratum=stratum(context),
        derivation="evaluated",
        answer=outcome_answer(cases.rules, decision.outcome),
        content_key=content,
        label=context.source.label,
        valid_from=context.source.effective_from,
        valid_until=context.source.effective_until,
        split_keys=split_keys(context, content, name, names),
        occurrence=by_row,
    )
    yield pair
    sha256 = cases.file.source_sha256
    by_rules = by_row.model_copy(update={"source_sha256": sha256, "locator": cases.file.locator, "text": rules.text})
    label = context.shown_labels.get(sha256, context.source.label)
    yield pair.model_copy(update={"occurrence": by_rules, "label": label})


def _view(cases: _Cases, row: int) -> View:
    """The row under its headings: key, declared columns, and now and then one that does not matter."""
    declared = set(cases.mapping.values())
    others = [c for c in cases.columns if c.role in ("number", "category", "date") and c.name not in declared]
    key = f"{cases.record.source_sha256}:{cases.record.name}:{row}"
    n_more = draw_below(3, "case more", cases.context.seed, key)
    shown = declared | {c.name for c in draw_order(others, "case column", cases.context.seed, key)[:n_more]}
    shown |= {c.name for c in cases.columns if c.role == "key"}
    return View(cases.record.name, tuple(c for c in cases.columns if c.name in shown), (row,))


def _inputs(cases: _Cases, case: Case) -> dict[str, str]:
    inputs = {"ruleset": cases.rules.ruleset.ruleset}
    inputs |= {f"parameter.{name}": f"{value:f}" for name, value in cases.written.parameters.items()}
    told = (i for i, domain in enumerate(cases.rules.domains) if domain.name in cases.mapping)
    return inputs | {f"fact.{cases.rules.domains[i].name}": cases.rules.domains[i].text(case[i]) for i in told}


def _response(cases: _Cases, case: Case, decision: Decision) -> str:
    """Outcome first, then the deciding rule and its ground."""
    rules, ruleset = cases.rules, cases.rules.ruleset
    decided = None if decision.decided_by is None else ruleset.rules[decision.decided_by]
    unit = ruleset.amount_unit if decided and not ruleset.outcomes else None
    style = Style(units=False, grouped=False)
    return cases.context.templates.render(
        "rules/answer/outcome.j2",
        outcome=f"{decision.outcome} {unit}" if unit else decision.outcome,
        rule=decided.id if decided else None,
        because=because_words(rules, cases.written, decided, case, style) if decided else None,
        citation=decided.citation if decided else None,
        fired=[ruleset.rules[i].id for i in decision.fired],
        checks=[
            {"id": ruleset.rules[i].id, "holds": i in decision.fired}
            for i in cases.written.order
            if rules.conditions[i] is not None
        ],
    ).strip()


def _row_locator(record: Table, row: int) -> Locator:
    place = (record.locator.row_from or 1) + row
    return record.locator.model_copy(update={"row_from": place, "row_to": place})


def _no_case(cases: _Cases, row: int, why: str) -> Rejection:
    return rejection(
        cases.context, code="compile.not_a_case", detail=f"the row is no case of {cases.rules.ruleset.ruleset}: {why}",
        locator=_row_locator(cases.record, row),
    )  # fmt: skip
