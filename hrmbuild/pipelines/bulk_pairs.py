"""A large file of existing pairs into the corpus: piece by piece, mapped by SQL where that is certain.

Owns the order of the steps for one file: read a piece, map it, parse the rows that are not certain, number the records,
ask the gates, compile what is odd or does not pass, insert. Each row ends as `unit_work` would have ended it. It must
not decide anything about a pair, and it begins no transaction: it says where a part ends. A kill leaves the corpus
without the file, or with parts of it under no key, which the next ingest does again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hrmbuild.assets import asset_folder
from hrmbuild.errors import InputError
from hrmbuild.pairs.context import CompileContext
from hrmbuild.pairs.draft import document_side, stratum
from hrmbuild.pairs.environment import Templates
from hrmbuild.pairs.imported_sql import PairConstants, candidate_select
from hrmbuild.pairs.prompt import OPEN_BOOK
from hrmbuild.pipelines.bulk_mapping import Mapping, mapping_of
from hrmbuild.pipelines.bulk_plain import Looked, looked_at
from hrmbuild.pipelines.bulk_pool import BulkPool
from hrmbuild.pipelines.bulk_worker import MAPPED, RECORD, BulkJob, skip_locator
from hrmbuild.pipelines.masking import Masker
from hrmbuild.pipelines.source_files import FoundFile
from hrmbuild.pipelines.unit_work import UnitWorker
from hrmbuild.pipelines.units import Unit, source_of
from hrmbuild.readers.bulk_lines import NotPlainError, line_tables, read_ahead
from hrmbuild.readers.bulk_parquet import parquet_tables
from hrmbuild.readers.inference import HEAD_BYTES
from hrmbuild.readers.registry import choose_format
from hrmbuild.readers.result import skip
from hrmbuild.records.arrays import arrow_numbers, numbers_of
from hrmbuild.records.pair import Pair
from hrmbuild.records.sql import predicate
from hrmbuild.store.bulk import PLACED, BulkPiece, write_uncompressed
from hrmbuild.store.writer import FileOutcome, UnitWriter

BULK_BYTES = 8 << 20
"""Files of pairs from this size on go this way; smaller ones are read sooner than processes start. The outcome is the
same on both sides."""
PART_ROWS = 200_000
"""Rows after which a part is committed: an uncommitted row takes 1.2 to 1.4 kB of memory."""
TABLES = {"jsonl": line_tables, "parquet": parquet_tables}
_SLICE_ROWS = 2048
"""Rows that a process is given at a time."""


def work_unit(worker: UnitWorker, unit: Unit, writer: UnitWriter) -> None:
    """Write everything that comes of a unit, on the road that suits it."""
    if not _takes_bulk(unit):
        worker.work(unit, writer)
        return
    [file] = unit.files
    source = source_of(file, unit, format_name=_format(file, unit))
    try:
        done = work_in_bulk(BulkJob(worker.config, worker.templates, unit, source), file, writer)
    except InputError as error:
        worker.refuse(source, unit, error, writer)
        return
    if not done:
        worker.work(unit, writer)


def _takes_bulk(unit: Unit) -> bool:
    """Pairs alone, in one large file, without documents that are shown beside them."""
    settings = unit.settings
    if settings.kind != "pairs" or settings.cases or unit.is_context or unit.context or len(unit.files) != 1:
        return False
    if settings.mapping is not None and settings.mapping.context is not None:
        return False
    file = unit.files[0]
    return (
        file.n_bytes >= BULK_BYTES
        and not unit.decisions.kept_out
        and not unit.left_out
        and _format(file, unit) in TABLES
    )


def work_in_bulk(job: BulkJob, file: FoundFile, writer: UnitWriter, *, gates: bool = True) -> bool:
    """Write everything that comes of a file; False, with nothing written, where the ordinary reader must decide.

    Args:
        gates: False leaves them out; only the benchmark does.

    Raises:
        InputError: the file cannot be read, or changed meanwhile; nothing of it is written.
    """
    with BulkPool(job) as pool:
        run = _Run(job, writer, pool, gates=gates)
        try:
            tables = TABLES[job.source.format](file.path, relative=file.relative, sha256=file.sha256)
            write_uncompressed(writer.connection)
            mapping = job.unit.settings.mapping
            for looked in read_ahead(looked_at(tables, job.source.format, mapping, is_asked=run.is_plain)):
                run.piece(looked)
        except NotPlainError:
            run.n_records = 0
        except InputError:
            writer.forget()
            raise
    if not run.n_records:
        writer.forget()
        return False
    writer.add_file(run.outcome())
    return True


@dataclass
class _Run:
    """One file under way."""

    job: BulkJob
    writer: UnitWriter
    pool: BulkPool
    gates: bool
    n_records: int = 0
    n_productive: int = 0
    n_made: int = 0
    n_open: int = 0
    """Rows since the last commit."""
    has_strange: bool = True
    """The piece before had rows that the mapping does not know; where it had none there is nothing to learn yet."""
    mapping: Mapping | None = None
    constants: PairConstants = field(init=False)
    masker: Masker = field(init=False)

    is_plain: bool = field(init=False)
    """A question alone becomes an instruction as it stands: the built-in prompt says so, a project's own may not."""

    def __post_init__(self) -> None:
        self.is_plain = self.job.templates.sha256(OPEN_BOOK) == _builtin_prompt()
        self.constants = _constants(self.job)
        self.masker = Masker(self.job.config.gates)

    def piece(self, looked: Looked) -> None:
        """All rows of a piece."""
        piece = BulkPiece(self.writer.connection, looked.table)
        try:
            self._piece(piece, looked)
        finally:
            piece.close()
        self.n_open += looked.table.num_rows
        if self.n_open >= PART_ROWS:
            self.writer.end_part()
            self.n_open = 0

    def _piece(self, piece: BulkPiece, looked: Looked) -> None:
        table = looked.table
        lines = numbers_of(table.column("line"))
        certain = self._mapped(piece, looked)
        is_record = self._is_record(table, certain)
        rows = self.n_records + np.cumsum(is_record)
        if self.gates and certain.any():
            piece.place(rows, certain)
            certain &= ~np.isin(lines, self._refused(piece))
        if certain.any():
            piece.place(rows, certain)
            certain &= ~np.isin(lines, self._insert(piece, int(certain.sum())))
        self._compile(table, is_record & ~certain, rows)
        self.n_records += int(is_record.sum())
        self.n_productive += int(certain.sum())
        self.n_made += int(certain.sum())

    def _mapped(self, piece: BulkPiece, looked: Looked) -> npt.NDArray[np.bool_]:
        """Which rows are certain: those that are plain, and those that SQL says so of."""
        if self.mapping is None:
            self.mapping = mapping_of(self.job.source.format, self.job.unit.settings.mapping, looked.table)
        if self.has_strange:
            self.mapping.learn(piece)
        certain = piece.map(self.mapping.select() if self.is_plain else None, looked.is_plain, looked.made)
        self.has_strange = not certain.all()
        return certain

    def _is_record(self, table: pa.Table, certain: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Certain rows are records; the others are parsed. What the reader skips is written here."""
        is_record, odd = certain.copy(), np.flatnonzero(~certain)
        lines = numbers_of(table.column("line"))
        found = (one for answer in self.pool.look(_slices(table, odd)) for one in answer)
        for at, told in zip(odd, found, strict=True):
            is_record[at] = told == RECORD
            if isinstance(told, tuple):
                place = skip_locator(self.job.source.format, int(lines[at]))
                self.writer.add_skip(self.job.source.path, self.masker.skip(skip(*told, place)))
        return is_record

    def _refused(self, piece: BulkPiece) -> list[int]:
        """Lines of mapped rows that some gate does not let through as they are."""
        looked = candidate_select(PLACED, self.constants, locator="'{}'")
        made = piece.mapped(f"SELECT {', '.join(MAPPED)} FROM ({looked})", rows=_SLICE_ROWS)
        return [line for some in self.pool.refused(made) for line in some]

    def _insert(self, piece: BulkPiece, n_rows: int) -> list[int]:
        """Lines that were not valid, and so not inserted."""
        locator = _LOCATORS[self.job.source.format]
        return piece.insert(candidate_select(PLACED, self.constants, locator=locator), valid=VALID, n_rows=n_rows)

    def _compile(self, table: pa.Table, odd: npt.NDArray[np.bool_], rows: Numbers) -> None:
        at = np.flatnonzero(odd)
        chosen = (rows[some].tolist() for some in _parts(at))
        for done in self.pool.compile(zip(_slices(table, at), chosen, strict=True)):
            self.writer.add_rows(done.rows)
            self.n_productive += done.n_productive
            self.n_made += done.n_made

    def outcome(self) -> FileOutcome:
        """What is counted of the file."""
        return FileOutcome(
            self.job.source, self.job.unit.settings.max_pairs, "read", n_records=self.n_records,
            n_productive=self.n_productive, n_barren=self.n_records - self.n_productive, n_made=self.n_made,
        )  # fmt: skip


Numbers = npt.NDArray[np.int64]
_STRUCT = "struct_pack(type := answer_type, value := answer_value, unit := answer_unit, scale := NULL::VARCHAR, " \
    "tolerance := NULL::VARCHAR, choices := NULL::VARCHAR[])"  # fmt: skip
_STORED = ("axis", "book", "boundary", "condition", "content_key", "derivation", "instruction", "kind", "label",
           "response", "split", "stratum", "valid_from", "valid_until")  # fmt: skip
VALID = predicate(
    Pair, {**{name: name for name in _STORED}, "id": "pair_id", "answer": _STRUCT}, without=("occurrences",)
)
"""Every candidate is held against the model that readers of the corpus will hold it against; an occurrence is made of
values of the source and of numbers alone."""
_LOCATORS = {
    "jsonl": """'{"line_from":' || line || ',"line_to":' || line
        || ',"row_from":' || row || ',"row_to":' || row || '}'""",
    "parquet": """'{"row_from":' || line || ',"row_to":' || line || '}'""",
}


def _constants(job: BulkJob) -> PairConstants:
    source, settings = job.source, job.unit.settings
    context = CompileContext(seed=job.config.seed, source=source, settings=settings, templates=job.templates)
    return PairConstants(
        unit=job.unit.name, path=source.path, source_sha256=source.sha256,
        template_sha256=job.templates.sha256(OPEN_BOOK), stratum=stratum(context), family="pairs", label=source.label,
        seed=job.config.seed, valid_from=source.effective_from, valid_until=source.effective_until,
        side=document_side(context),
    )  # fmt: skip


def _format(file: FoundFile, unit: Unit) -> str:
    try:
        with file.path.open("rb") as opened:
            return choose_format(file.path, opened.read(HEAD_BYTES), unit.settings) or ""
    except OSError:
        return ""  # the ordinary reader opens it again and says what is wrong with it


@cache
def _builtin_prompt() -> str:
    return Templates([asset_folder("templates")]).sha256(OPEN_BOOK)


def _parts(at: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    return [at[first : first + _SLICE_ROWS] for first in range(0, len(at), _SLICE_ROWS)]


def _slices(table: pa.Table, at: npt.NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
    """Some rows of a table, as many at a time as a process is given."""
    for some in _parts(at):
        yield table.take(arrow_numbers(some)).combine_chunks().to_batches()[0]
