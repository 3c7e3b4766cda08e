"""Which compiler takes which record.

Owns the dispatch and the promise that no record vanishes: each yields a pair or a rejection. It must not know what any
compiler does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module

from hrmbuild.pairs.context import CompileContext
from hrmbuild.records.document import Document, Fields, Record, RuleSetFile, Table
from hrmbuild.records.locator import Locator
from hrmbuild.records.pair import CompiledPair, Rejection

Compiled = CompiledPair | Rejection
Compiler = Callable[..., Iterator[Compiled]]

_COMPILERS: dict[tuple[type, str], tuple[str, str]] = {
    (RuleSetFile, "rules"): ("hrmbuild.pairs.rules_executable", "compile_ruleset"),
    (Document, "rules"): ("hrmbuild.pairs.prose", "compile_prose"),
    (Document, "memos"): ("hrmbuild.pairs.memos", "compile_memo"),
    (Table, "tables"): ("hrmbuild.pairs.tables", "compile_table"),
    (Fields, "pairs"): ("hrmbuild.pairs.imported", "compile_fields"),
    (Fields, "rules"): ("hrmbuild.pairs.imported", "compile_fields"),
}
"""(record type, declared kind) -> module and function; imported when first used, so that a corpus of memos never pays
for the tables."""


def compile_record(record: Record, context: CompileContext) -> Iterator[Compiled]:
    """All pairs and rejections of one record, at least one of them."""
    place = _COMPILERS.get((type(record), context.settings.kind))
    if place is None:
        yield _no_compiler(record, context)
        return
    module, name = place
    compiler: Compiler = getattr(import_module(module), name)
    n_compiled = 0
    for compiled in compiler(record, context):
        n_compiled += 1
        yield compiled
    if not n_compiled:
        yield _nothing_made(record, context)


def _no_compiler(record: Record, context: CompileContext) -> Rejection:
    shape = type(record).__name__
    return _rejection(
        record,
        context,
        code="compile.no_compiler",
        detail=f"a source declared as '{context.settings.kind}' makes no pairs from a {shape}",
    )


def _nothing_made(record: Record, context: CompileContext) -> Rejection:
    return _rejection(
        record, context, code="compile.no_question", detail="nothing in it has an answer that can be shown"
    )


def _rejection(record: Record, context: CompileContext, *, code: str, detail: str) -> Rejection:
    return Rejection(
        stage="compile",
        code=code,
        detail=detail,
        path=context.source.path,
        source_sha256=context.source.sha256,
        locator=getattr(record, "locator", None) or Locator(),
    )
