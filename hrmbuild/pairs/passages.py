"""A record as passages: the pieces that its pairs show, one by one, with their places.

Owns which pieces of a record may be shown beside a question that a person asks, in the form that the model was trained
on. It must not rank them or judge who may read them. Masks of names and columns left out are those of the compilers.
"""

from __future__ import annotations

from collections.abc import Iterator

from hrmbuild.pairs.clauses import Clause, read_clauses
from hrmbuild.pairs.context import CompileContext
from hrmbuild.pairs.memo_headers import header_piece, name_masks, read_headers
from hrmbuild.pairs.rules_checked import check_rules
from hrmbuild.pairs.rules_wording import passage as rules_passage
from hrmbuild.pairs.spans import quote
from hrmbuild.pairs.table_columns import describe_columns
from hrmbuild.pairs.table_view import View
from hrmbuild.pairs.variants import as_written
from hrmbuild.records.document import Document, Record, RuleSetFile, Table
from hrmbuild.records.locator import Locator
from hrmbuild.records.passage import SourcePassage

TABLE_ROWS = 10_000
"""Rows of one table that can be found by a question; a larger one is asked by SQL, not by its rows."""
_SHOWN_ROLES = ("key", "number", "category", "date")
"""What a column must be to be shown: personal and ignored columns and free text are not."""


def passages(record: Record, context: CompileContext) -> Iterator[SourcePassage]:
    """All passages of a record, in its order; rows of existing pairs are questions already and give none."""
    if isinstance(record, Document):
        yield from _document(record, context)
    elif isinstance(record, RuleSetFile):
        yield _ruleset(record, context)
    elif isinstance(record, Table):
        yield from _rows(record, context)


def _document(record: Document, context: CompileContext) -> Iterator[SourcePassage]:
    if context.settings.kind != "memos":
        yield from _clauses(record, read_clauses(record)[0], title=record.title)
        return
    persons = context.settings.persons
    headers = read_headers(record, persons)
    clauses, _ = read_clauses(record, names=name_masks(record, persons))
    head = header_piece(headers)
    title = None if "subject" in headers else record.title
    if head is not None:
        locator = next(iter(headers.values())).quote.locator
        yield _passage(record, order=head.order, title=title, text=head.text, locator=locator)
    yield from _clauses(record, clauses, title=title)


def _clauses(record: Document, clauses: list[Clause], *, title: str | None) -> Iterator[SourcePassage]:
    for clause in clauses:
        if not clause.sentences:  # its words stand above, and one place of them is enough to be found
            continue
        block, first, last = clause.block, clause.sentences[0], clause.sentences[-1]
        place = quote(block.text, block.locator, start=first.start, end=last.end, names=clause.names).locator
        piece = clause.piece
        yield _passage(
            record, order=piece.order, title=title, heading=piece.heading, text=piece.text, locator=place
        )  # fmt: skip


def _ruleset(record: RuleSetFile, context: CompileContext) -> SourcePassage:
    """The rules as their owner wrote them; variants are for training and are never shown as rules."""
    assert context.connection is not None, "executable rules need a connection"
    rules = check_rules(record.ruleset, path=record.path, connection=context.connection, as_of=context.as_of)
    shown = rules_passage(rules, as_written(record.ruleset, in_force=rules.in_force), context.templates)
    return _passage(record, order=0, title=shown.title, text=shown.text, locator=record.locator)


def _rows(record: Table, context: CompileContext) -> Iterator[SourcePassage]:
    """Each row under the names of the columns that may be shown."""
    tables = [sibling for sibling in context.siblings if isinstance(sibling, Table)]
    described = describe_columns(record, context.settings, tables)
    columns = tuple(column for column in described if column.role in _SHOWN_ROLES)
    first = record.locator.row_from or 1
    for row in range(min(record.n_rows, TABLE_ROWS)) if columns else ():
        names, cells = View(record.name, columns, (row,)).text.split("\n", 1)
        place = record.locator.model_copy(update={"row_from": first + row, "row_to": first + row})
        yield _passage(record, order=row, title=f"Table {record.name}", heading=names, text=cells, locator=place)


def _passage(
    record: Document | RuleSetFile | Table,
    *,
    order: int,
    title: str | None,
    text: str,
    locator: Locator,
    heading: str | None = None,
) -> SourcePassage:
    return SourcePassage(
        source_sha256=record.source_sha256, path=record.path, locator=locator, order=order, title=title,
        heading=heading, text=text,
    )  # fmt: skip
