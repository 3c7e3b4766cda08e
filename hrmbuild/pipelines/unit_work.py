"""One unit from files to candidates: read, compile, gates, split; everything that falls out is written with its reason.

Owns the counting of what came in and what went on. It must not decide anything about a pair: readers, compilers, gates
and the split's draw do. A file that cannot be read is quarantined and the rest of the unit goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import groupby

from hrmbuild.audit.shown_text import highest
from hrmbuild.config.project import ProjectConfig
from hrmbuild.errors import InputError
from hrmbuild.pairs.context import CompileContext
from hrmbuild.pairs.environment import Templates
from hrmbuild.pairs.passages import passages
from hrmbuild.pairs.registry import compile_record
from hrmbuild.pipelines.dated_pairs import in_force
from hrmbuild.pipelines.decided import UnitDecisions
from hrmbuild.pipelines.declared_columns import check_declared_columns, check_protected_facts, without_protected
from hrmbuild.pipelines.gatekeeping import gate_pair
from hrmbuild.pipelines.masking import Masker
from hrmbuild.pipelines.source_files import FoundFile
from hrmbuild.pipelines.units import Unit, context_settings, source_of
from hrmbuild.readers.inference import HEAD_BYTES
from hrmbuild.readers.registry import choose_format
from hrmbuild.readers.result import ReadResult
from hrmbuild.readers.worker import read_guarded
from hrmbuild.records.document import Document, Record, RuleSetFile, Table
from hrmbuild.records.locator import Locator
from hrmbuild.records.pair import CompiledPair, Rejection
from hrmbuild.records.passage import SourcePassage
from hrmbuild.records.source import Source
from hrmbuild.store.connection import scratch_connection
from hrmbuild.store.database_files import open_database_file
from hrmbuild.store.writer import FileOutcome, UnitWriter

UNKNOWN_FORMAT = "unknown"
"""Format of a file that no reader takes."""
_PASSING = frozenset({"read.changed", "read.missing", "read.unreadable", "read.too_slow", "read.worker_died"})
"""Reasons that lie in the moment of reading and not in the file's bytes."""


@dataclass
class UnitWorker:
    """Works on the units of one ingest; documents that many units show are read once."""

    config: ProjectConfig
    templates: Templates
    notes: list[tuple[str, str]] = field(default_factory=list)
    """What readers inferred, by path: shown, not stored."""
    _shown: dict[str, tuple[Record, ...]] = field(default_factory=dict)
    _decisions: UnitDecisions = field(default_factory=UnitDecisions)
    """What was decided about the unit that is worked on."""

    def decide(self, decisions: UnitDecisions) -> None:
        """What was decided about the files that are worked on from now on."""
        self._decisions = decisions

    def work(self, unit: Unit, writer: UnitWriter) -> None:
        """Write everything that comes of `unit`."""
        self.decide(unit.decisions)
        readable = [done for file in unit.files if (done := self._read(file, unit, writer)) is not None]
        if unit.is_context:
            for source, result in readable:
                n = len(result.records)
                writer.add_file(FileOutcome(source, None, "read", n_records=n, n_productive=n))
            return
        settings = unit.settings
        if settings.kind == "tables":
            tables = [one for _, result in readable for one in result.records if isinstance(one, Table)]
            if len(readable) == len(unit.files):
                check_declared_columns(unit, tables)
            check_protected_facts(unit, self.config.gates)
            settings = without_protected(settings, tables, self.config.gates)
        shown = tuple(record for file in unit.context for record in self._context_records(file, unit, writer))
        peers = [one for _, result in readable for one in result.records if isinstance(one, Document | Table)]
        with ExitStack() as stack:
            connection = stack.enter_context(scratch_connection()) if _needs_sql(unit, readable) else None
            for source, result in readable:
                context = CompileContext(
                    seed=self.config.seed, source=source, settings=settings, templates=self.templates,
                    connection=connection, siblings=shown, as_of=self.config.as_of,
                    shown_labels={file.sha256: self.config.sources[file.entry].label for file in unit.context},
                )  # fmt: skip
                self._compile_file(result, context, peers, writer)

    def _read(self, file: FoundFile, unit: Unit, writer: UnitWriter) -> tuple[Source, ReadResult] | None:
        """The records of a file; None after its quarantine was written."""
        format_name = UNKNOWN_FORMAT
        try:
            _check_not_kept_out(file, unit)
            format_name = _format_of(file, unit) or UNKNOWN_FORMAT
            result = read_guarded(
                file.path, relative=file.relative, sha256=file.sha256, source=unit.settings,
                format=None if format_name == UNKNOWN_FORMAT else format_name, open_database=open_database_file,
                limits=self.config.limits,
            )  # fmt: skip
        except InputError as error:
            self.refuse(source_of(file, unit, format_name=format_name), unit, error, writer)
            return None
        masker = Masker(self.config.gates)
        for skip in result.skips:
            writer.add_skip(file.relative, masker.skip(skip))
        self.notes += [(file.relative, masker.message(note)) for note in result.notes]
        return source_of(file, unit, format_name=format_name), result

    def _context_records(self, file: FoundFile, unit: Unit, writer: UnitWriter) -> tuple[Record, ...]:
        """The documents of a context file; none where it cannot be read, which its own unit reports."""
        if file.relative not in self._shown:
            settings = context_settings(unit.settings)
            try:
                _check_not_kept_out(file, unit)
                chosen = choose_format(file.path, _head(file), settings)
                result = read_guarded(
                    file.path, relative=file.relative, sha256=file.sha256, source=settings, format=chosen,
                    open_database=open_database_file, limits=self.config.limits,
                )  # fmt: skip
                self._shown[file.relative] = tuple(result.records)
            except InputError as error:
                if _try_again(error, writer):
                    return ()
                self._shown[file.relative] = ()
        return self._shown[file.relative]

    def _compile_file(
        self, result: ReadResult, context: CompileContext, peers: Sequence[Record], writer: UnitWriter
    ) -> None:
        n_records = n_productive = n_made = 0
        for record in result.records:
            others = (*(peer for peer in peers if peer is not record), *context.siblings)
            n_pairs = self.compile_record(record, replace(context, siblings=others), writer)
            n_records, n_productive, n_made = n_records + 1, n_productive + (n_pairs > 0), n_made + n_pairs
        writer.add_file(
            FileOutcome(
                context.source, context.settings.max_pairs, "read", n_records=n_records, n_productive=n_productive,
                n_barren=n_records - n_productive, n_made=n_made,
            )
        )  # fmt: skip

    def compile_record(self, record: Record, context: CompileContext, writer: UnitWriter) -> int:
        """Number of pairs made from a record; a record that makes none must have said why."""
        n_pairs = n_rejections = 0
        masker = Masker(self.config.gates)
        for passage in _passages(record, context):
            if (shown := masker.passage(passage)) is not None:
                writer.add_passage(shown)
        for compiled in self._labelled(_compiled(record, context), context):
            if isinstance(compiled, Rejection):
                n_rejections += 1
                writer.add_rejection(masker.rejection(compiled))
            else:
                n_pairs += 1
                gate_pair(compiled, context, writer, masker, decisions=self._decisions)
        assert n_pairs or n_rejections, f"{context.source.path}: a record vanished without a reason"
        return n_pairs

    def _labelled(
        self, compiled: Iterator[CompiledPair | Rejection], context: CompileContext
    ) -> Iterator[CompiledPair | Rejection]:
        """Each with the highest label of what it shows: a pair comes once for each file that it shows, in a row.

        A refusal by the compiler may quote any of the files that stand beside the record.
        """
        if not context.shown_labels:
            yield from compiled
            return
        labels = self.config.labels
        whole = highest(labels, {context.source.label, *context.shown_labels.values()})
        for _, group in groupby(compiled, key=_shows):
            told = list(group)
            label = highest(labels, {one.label or whole for one in told})
            yield from (one if one.label == label else one.model_copy(update={"label": label}) for one in told)

    def refuse(self, source: Source, unit: Unit, error: InputError, writer: UnitWriter) -> None:
        """Write the quarantine of a file that cannot be read."""
        _try_again(error, writer)
        detail = Masker(self.config.gates).message(_sentence(error))
        writer.add_file(FileOutcome(source, unit.settings.max_pairs, "quarantined", f"{error.code}: {detail}"))
        writer.add_rejection(
            Rejection(stage="read", code=error.code, detail=detail, path=source.path, source_sha256=source.sha256,
                      locator=Locator())
        )  # fmt: skip


def _check_not_kept_out(file: FoundFile, unit: Unit) -> None:
    """A file that was withdrawn or rejected is not opened; its bytes decide, not its name."""
    code, reason = unit.decisions.kept_out.get(file.sha256, ("", ""))
    if code:
        raise InputError(code, f"it was decided that this file stays out: {reason}", where=file.relative)
    code, reason = unit.left_out.get(file.relative, ("", ""))
    if code:
        raise InputError(code, reason, where=file.relative)


def _compiled(record: Record, context: CompileContext) -> Iterator[CompiledPair | Rejection]:
    """What the compiler yields; a record that it refuses as input becomes a rejection, and the rest goes on."""
    try:
        yield from compile_record(record, context)
    except InputError as error:
        yield Rejection(
            stage="compile",
            code=error.code,
            detail=_sentence(error),
            path=context.source.path,
            source_sha256=context.source.sha256,
            locator=getattr(record, "locator", None) or Locator(),
        )


def _shows(compiled: CompiledPair | Rejection) -> tuple[str, ...]:
    if isinstance(compiled, Rejection):
        return ()
    return (compiled.condition, compiled.instruction, compiled.response)


def _passages(record: Record, context: CompileContext) -> list[SourcePassage]:
    """What may be shown of a record; one that its compiler refuses is shown to nobody, and it says why."""
    if not in_force(context):
        return []
    try:
        return list(passages(record, context))
    except InputError:
        return []


def _needs_sql(unit: Unit, readable: list[tuple[Source, ReadResult]]) -> bool:
    found = (record for _, result in readable for record in result.records)
    declared = unit.settings.kind == "tables" or unit.settings.exception is not None
    return declared or any(isinstance(record, RuleSetFile) for record in found)


def _head(file: FoundFile) -> bytes:
    try:
        with file.path.open("rb") as opened:
            return opened.read(HEAD_BYTES)
    except OSError:
        return b""  # `read` opens the file again and says what is wrong with it.


def _format_of(file: FoundFile, unit: Unit) -> str | None:
    return choose_format(file.path, _head(file), unit.settings)


def _try_again(error: InputError, writer: UnitWriter) -> bool:
    """Where the file was fine when it was hashed, the next ingest must look again, though its hash is the same."""
    if error.code in _PASSING:
        writer.is_final = False
    return error.code in _PASSING


def _sentence(error: InputError) -> str:
    """What and where in one line, as reports show it."""
    return f"{error.where}: {error.what}" if error.where and ":" in error.where else error.what
