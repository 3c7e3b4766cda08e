"""What a process beside the database does with rows of a large file: parse the odd, compile them, ask the gates.

Owns nothing of its own: it calls the reader's line, the compiler and the gates that small files go through, so that a
row's outcome does not depend on the size of its file. It must not open the corpus.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import pyarrow as pa

from hrmbuild.config.project import ProjectConfig
from hrmbuild.gates.registry import GATES
from hrmbuild.pairs.context import CompileContext
from hrmbuild.pairs.environment import Templates
from hrmbuild.pipelines.unit_work import UnitWorker
from hrmbuild.pipelines.units import Unit
from hrmbuild.readers.json_values import BadValue
from hrmbuild.readers.jsonl import parse_line
from hrmbuild.readers.parquet_file import batch_rows, row_fields
from hrmbuild.readers.spans import Line
from hrmbuild.records.document import Fields
from hrmbuild.records.locator import Locator
from hrmbuild.records.pair import Answer, CompiledPair, Condition, Occurrence, SplitKeys, pair_id
from hrmbuild.records.source import Source
from hrmbuild.store.bulk import ORDINALS_A_ROW
from hrmbuild.store.writer import Rows, UnitWriter

BLANK, RECORD = 0, 1


@dataclass(frozen=True)
class BulkJob:
    """What is the same for all rows of a file."""

    config: ProjectConfig
    templates: Templates
    unit: Unit
    source: Source


@dataclass(frozen=True)
class CompiledRows:
    """Rows of `candidate` and `rejection`, and what was counted."""

    rows: Rows
    n_productive: int
    n_made: int


def row_locator(format_name: str, line: int, row: int) -> Locator:
    """The place of a row as the readers name it."""
    if format_name == "jsonl":
        return Locator(line_from=line, line_to=line, row_from=row, row_to=row)
    return Locator(row_from=line, row_to=line)


def skip_locator(format_name: str, line: int) -> Locator:
    """The place of a row that is no record."""
    return Locator(line_from=line, line_to=line) if format_name == "jsonl" else Locator(row_from=line, row_to=line)


class _Inside:
    """The state of the process: one job."""

    def __init__(self, job: BulkJob) -> None:
        self.job = job
        self.worker = UnitWorker(job.config, job.templates)
        self.worker.decide(job.unit.decisions)
        self.context = CompileContext(
            seed=job.config.seed, source=job.source, settings=job.unit.settings, templates=job.templates,
            as_of=job.config.as_of,
        )  # fmt: skip


_inside: _Inside | None = None


def start(job: BulkJob) -> None:
    """Begin a process."""
    global _inside
    _inside = _Inside(job)


def _state() -> _Inside:
    assert _inside is not None, "the process was not started"
    return _inside


def look(batch: pa.RecordBatch) -> list[int | tuple[str, str]]:
    """For each row: nothing, a record, or code and sentence of its skip."""
    found: list[int | tuple[str, str]] = []
    for _, fields in _fields(batch, _state().job.source.format):
        found.append(
            (fields.code, fields.detail) if isinstance(fields, BadValue) else BLANK if fields is None else RECORD
        )
    return found


def compile_rows(batch: pa.RecordBatch, numbers: Sequence[int]) -> CompiledRows:
    """What becomes of rows that are records; `numbers` are their places among the file's records."""
    inside, job = _state(), _state().job
    writer = UnitWriter(None, job.unit.name)
    n_productive = n_made = 0
    for (line, fields), number in zip(_fields(batch, job.source.format), numbers, strict=True):
        assert isinstance(fields, dict), "only records are compiled"
        place = row_locator(job.source.format, line, number)
        record = Fields(source_sha256=job.source.sha256, path=job.source.path, fields=fields, locator=place)
        writer.go_on_from(line * ORDINALS_A_ROW)
        n_pairs = inside.worker.compile_record(record, inside.context, writer)
        n_productive, n_made = n_productive + (n_pairs > 0), n_made + n_pairs
    return CompiledRows(writer.taken(), n_productive, n_made)


def _fields(batch: pa.RecordBatch, format_name: str) -> Iterator[tuple[int, dict[str, str] | BadValue | None]]:
    """Line and fields of each row; None for a blank line."""
    lines = batch.column("line").to_pylist()
    if format_name == "jsonl":
        for line, text in zip(lines, batch.column("text").to_pylist(), strict=True):
            yield line, _parsed(Line(line, 0, text.removesuffix("\n")))
        return
    names = [name for name in batch.schema.names if name != "line"]
    for line, row in zip(lines, batch_rows(batch.select(names)), strict=True):
        try:
            yield line, row_fields(names, row)
        except BadValue as error:
            yield line, error


def _parsed(line: Line) -> dict[str, str] | BadValue | None:
    if line.is_blank:
        return None
    try:
        return parse_line(line)
    except BadValue as error:
        return error


def refused(batch: pa.RecordBatch) -> list[int]:
    """Lines of those mapped rows that do not pass all gates as they are; the others do."""
    inside = _state()
    columns = [batch.column(name).to_pylist() for name in MAPPED]
    return [line for line, *told in zip(*columns, strict=True) if not _passes(inside, _Mapped(*told))]


class _Mapped(NamedTuple):
    """What SQL made of a row."""

    condition: str
    instruction: str
    response: str
    kind: str
    answer_type: str
    answer_value: str
    answer_unit: str | None


MAPPED = ("line", *_Mapped._fields)
_NO_HASH = "0" * 64


def _passes(inside: _Inside, row: _Mapped) -> bool:
    """Values that SQL has validated are not validated again."""
    source, edits = inside.job.source, inside.job.unit.decisions.edits
    answer = {"type": row.answer_type, "value": row.answer_value, "unit": row.answer_unit}
    pair = CompiledPair.model_construct(
        instruction=row.instruction, response=row.response, condition=cast(Condition, row.condition), kind=row.kind,
        stratum=source.stratum or "pairs", book="open", derivation="imported", content_key=_NO_HASH,
        label=source.label, valid_from=source.effective_from, valid_until=source.effective_until, boundary=False,
        split_keys=SplitKeys.model_construct(document=source.path), answer=Answer.model_construct(None, **answer),
        occurrence=Occurrence.model_construct(source_sha256=source.sha256, locator=Locator(), text=row.response,
                                              template_sha256=_NO_HASH),
    )  # fmt: skip
    if any(gate.check(pair, inside.job.config.gates) is not None for gate in GATES):
        return False
    return not edits or pair_id(row.condition, row.instruction, row.response) not in edits
