"""Tables -> pairs: *read* questions about shown rows, *query* questions about the whole, each answered by SQL.

Owns the turn of the kinds, the draw of columns and rows, and what makes a question ambiguous. SQL runs on a connection
that is handed in. A *read* pair records a query that holds exactly the rows that are shown; what it finds is computed
in exact decimals, and a drawn share of the questions run their query too, which must agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from hrmbuild.errors import InputError
from hrmbuild.fingerprint import draw_below, draw_fraction, draw_one
from hrmbuild.pairs.context import CompileContext
from hrmbuild.pairs.draft import INSTRUCTION_BYTES, Draft, Piece, draft_pairs, rejection
from hrmbuild.pairs.spans import Quote
from hrmbuild.pairs.table_agreement import check_agreement
from hrmbuild.pairs.table_ask import Ask, Draws, Kind
from hrmbuild.pairs.table_cases import case_pairs
from hrmbuild.pairs.table_columns import ColumnProfile, describe_columns
from hrmbuild.pairs.table_kinds import KINDS
from hrmbuild.pairs.table_queries import query_drafts
from hrmbuild.pairs.table_view import View, draw_rows, fit_rows
from hrmbuild.records.document import Table
from hrmbuild.records.locator import Locator
from hrmbuild.records.pair import Answer, CompiledPair, Rejection

TABLE_PAIRS = 500
"""Of each sort, from one table: a large table must not drown the rules. `max_pairs` of a source may lower it."""
QUERY_FRACTION = 0.2
"""Share of a table's pairs whose answer is a statement: the smaller sort, since SQL is one language and reading is
needed everywhere."""
_VIEW_BYTES = INSTRUCTION_BYTES - 260
"""Room for the shown rows beside question and title."""
_MOST_ANSWERS = 10
_MOST_ROUNDS = 100
"""Of kinds in which the same ambiguous questions come again: a table of few rows has no others."""
CHECKED_EACH = 50
"""One in so many *read* questions, drawn, runs its SQL while it is compiled: to plan a statement costs a hundred times
what its answer does. Tests run all of them."""


def compile_table(record: Table, context: CompileContext) -> Iterator[CompiledPair | Rejection]:
    """Pairs of a table; ambiguous questions as rejections; one rejection for a table of which nothing can be asked."""
    if context.connection is None:
        raise InputError("compile.no_connection", "tables need a database to run their queries in")
    tables = [sibling for sibling in context.siblings if isinstance(sibling, Table)]
    columns = describe_columns(record, context.settings, tables)
    n_pairs = min(TABLE_PAIRS, context.settings.max_pairs or TABLE_PAIRS)
    n_made = 0
    for compiled in _read(record, columns, context, round(n_pairs * (1 - QUERY_FRACTION))):
        n_made += isinstance(compiled, CompiledPair)
        yield compiled
    for draft in query_drafts(record, tables, context, round(n_pairs * QUERY_FRACTION)):
        for compiled in [draft] if isinstance(draft, Rejection) else draft_pairs(draft, context):
            n_made += isinstance(compiled, CompiledPair)
            yield compiled
    for compiled in case_pairs(record, columns, context, n_pairs):
        n_made += isinstance(compiled, CompiledPair)
        yield compiled
    if not n_made:
        shown = "; ".join(column.describe() for column in columns) or "no columns"
        detail = f"no column of it is a number, a date or a category that may be asked about ({shown[:300]})"
        yield rejection(context, code="compile.no_question", detail=detail, locator=record.locator)


def _read(
    record: Table, columns: tuple[ColumnProfile, ...], context: CompileContext, n_pairs: int
) -> Iterator[CompiledPair | Rejection]:
    """Kinds take turns until the pairs are made or two rounds of turns bring nothing new."""
    kinds = [kind for kind in KINDS if all(_of_role(columns, role) for role in kind.needs) and _possible(kind, columns)]
    seen: set[tuple[str, ...]] = set()
    reader = _Reader(record, columns, context)
    n_made = turn = last = new = 0
    while kinds and record.n_rows >= 3 and n_made < n_pairs and turn - last <= 2 * len(kinds):
        if turn - new > _MOST_ROUNDS * len(kinds):
            break
        kind = kinds[turn % len(kinds)]
        turn += 1
        draft = reader.draft(kind, turn)
        if draft is None or (not isinstance(draft, Rejection) and draft.content in seen):
            continue
        last = turn
        if isinstance(draft, Rejection):
            if (draft.text or "",) not in seen:
                seen.add((draft.text or "",))
                new = turn
                yield draft
            continue
        seen.add(draft.content)
        new = turn
        for compiled in draft_pairs(draft, context):
            n_made += isinstance(compiled, CompiledPair)
            yield compiled


def _of_role(columns: tuple[ColumnProfile, ...], role: str) -> list[ColumnProfile]:
    return [column for column in columns if column.role == role]


def _possible(kind: Kind, columns: tuple[ColumnProfile, ...]) -> bool:
    return not kind.needs_empty or any(column.empty_rows for column in _of_role(columns, "number"))


@dataclass(frozen=True)
class _Reader:
    """Draws *read* questions of one table."""

    record: Table
    columns: tuple[ColumnProfile, ...]
    context: CompileContext
    _filled: dict[tuple[str, ...], Sequence[int]] = field(default_factory=dict)
    """Rows without a gap, by names of columns."""

    def draft(self, kind: Kind, turn: int) -> Draft | Rejection | None:
        """A drawn question of a kind; None where it makes no sense for the drawn rows."""
        record = self.record
        draws = Draws(self.context.seed, f"{record.source_sha256}:{record.name}:{kind.name}:{turn}")
        needed = tuple(self._draw_column(kind, role, draws) for role in kind.needs)
        view = self._draw_view(kind, needed, draws)
        ask = None if view is None else kind.build(view, needed, draws)
        return None if view is None or ask is None else self._answered(view, needed, kind, ask, draws)

    def _draw_column(self, kind: Kind, role: str, draws: Draws) -> ColumnProfile:
        options = _of_role(self.columns, role)
        if kind.needs_empty:
            options = [column for column in options if column.empty_rows]
        return draw_one(options, "table", draws.seed, f"{draws.key}:column {role}")

    def _draw_view(self, kind: Kind, needed: tuple[ColumnProfile, ...], draws: Draws) -> View | None:
        """Four to eight rows with the needed columns, the key, and now and then one column that does not matter."""
        columns = self.columns
        shown = {*needed, *_of_role(columns, "key")[:1]}
        others = [c for c in columns if c.role in ("number", "category", "date") and c not in shown]
        if others and draw_fraction("table", draws.seed, f"{draws.key}:more") < 0.5:
            shown.add(draw_one(others, "table", draws.seed, f"{draws.key}:other"))
        wanted = 4 + draw_below(5, "table", draws.seed, f"{draws.key}:rows")
        rows = draw_rows(self._usable_rows(needed, kind), wanted, draws.seed, draws.key)
        ordered = tuple(column for column in columns if column in shown)
        return fit_rows(rows, ordered, table=self.record.name, room=_VIEW_BYTES)

    def _usable_rows(self, needed: tuple[ColumnProfile, ...], kind: Kind) -> Sequence[int]:
        """All rows, or those whose needed cells are filled: a question over a gap would be ambiguous."""
        n_rows = self.record.n_rows
        gaps = [column for column in needed if column.empty_rows]
        if kind.needs_empty or not gaps:
            return range(n_rows)
        names = tuple(sorted(column.name for column in gaps))
        if names not in self._filled:
            empty = frozenset[int]().union(*(column.empty_rows for column in gaps))
            self._filled[names] = [row for row in range(n_rows) if row not in empty]
        return self._filled[names]

    def _answered(
        self, view: View, needed: tuple[ColumnProfile, ...], kind: Kind, ask: Ask, draws: Draws
    ) -> Draft | Rejection:
        record, found = self.record, ask.found
        if any(len(set(view.values(key))) < len(view.rows) for key in _of_role(needed, "key")):
            return _ambiguous(record, self.context, view, f"two rows have the key by which '{kind.name}' asks", ask.sql)
        if draws.below(CHECKED_EACH, "checked") == 0:
            assert self.context.connection is not None
            check_agreement(ask, view, self.context.connection)
        if not ask.is_clear:
            return _ambiguous(
                record, self.context, view, f"two rows share the place that '{kind.name}' asks for", ask.sql
            )
        if not found or len(found) > _MOST_ANSWERS or any(value is None for value in found):
            return _ambiguous(record, self.context, view, f"'{kind.name}' has no answer or too many here", ask.sql)
        return _read_draft(record, view, kind, ask)


def _read_draft(record: Table, view: View, kind: Kind, ask: Ask) -> Draft:
    answer, said = _typed(ask)
    return Draft(
        kind=f"tables.{kind.name}",
        values={**ask.values, "table": view.table},
        title=f"Table {view.table}",
        needed=(Piece(0, view.text),),
        distractors=(),
        answer=answer,
        response=f"{said}. {ask.ground}".strip(),
        derivation="queried",
        content=(record.source_sha256, view.table, view.text, ask.sql),
        evidence=Quote(view.text, _rows_locator(record, view)),
        query=f"{view.cte()} {ask.sql}",
        n_wordings=1,
    )


def _typed(ask: Ask) -> tuple[Answer, str]:
    """The typed answer and the words that a response begins with."""
    words = [_shown(value, ask) for value in ask.found]
    if ask.answer == "number":
        unit = f" {ask.unit}" if ask.unit else ""
        return Answer(type="number", value=words[0], unit=ask.unit), f"{words[0]}{unit}"
    text = ", ".join(words)
    return Answer(type=ask.answer, value=text, unit=ask.unit), text


def _shown(value: object, ask: Ask) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return f"{(value + 0).quantize(Decimal(1).scaleb(-ask.decimals), rounding=ROUND_HALF_UP):f}"
    return str(value)


def _rows_locator(record: Table, view: View) -> Locator:
    """First to last shown row of the file; which of them are shown stands in the query."""
    first = record.locator.row_from or 1
    return record.locator.model_copy(update={"row_from": first + view.rows[0], "row_to": first + view.rows[-1]})


def _ambiguous(record: Table, context: CompileContext, view: View, detail: str, sql: str | None = None) -> Rejection:
    return rejection(
        context,
        code="compile.ambiguous",
        detail=detail,
        locator=_rows_locator(record, view),
        text="\n".join(part for part in (sql, view.text) if part),
    )
