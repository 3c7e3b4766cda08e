"""What an entry declares to be joined to a rule set (`case`, `exception`) and what came of it: nothing is a mistake.

Owns these answers of no. They come after the ingest is done, like a source that matches no file: the rest of the corpus
is as it should be. It must not look at texts.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from hrmbuild.config.loading import Project
from hrmbuild.config.project import SourceConfig
from hrmbuild.errors import AnswerIsNoError
from hrmbuild.pairs.memo_exceptions import KIND as EXCEPTION
from hrmbuild.pairs.table_cases import KIND as CASE
from hrmbuild.pipelines.source_files import Found, expand_glob
from hrmbuild.store.corpus import Corpus
from hrmbuild.store.reading import StoredSource

_SHOWN_LETTERS = 60


def joined_answers(
    project: Project, found: Found, corpus: Corpus, sources: Sequence[StoredSource]
) -> Iterator[AnswerIsNoError]:
    """`ingest.no_ruleset`, `ingest.case_unused`, `ingest.exception_unused`, in the order of the entries."""
    read = {one.source.path for one in sources if one.status == "read" and not _out_of_force(one)}
    for entry, settings in enumerate(project.config.sources):
        paths = [file.relative for file in found.files if file.entry == entry and file.relative in read]
        if (settings.case or settings.exception) and paths:
            yield from _answers(project, found, corpus, settings, paths, entry)


def _out_of_force(source: StoredSource) -> bool:
    return any(code.startswith("validity.") for code in source.reasons)


def _answers(
    project: Project, found: Found, corpus: Corpus, settings: SourceConfig, paths: Sequence[str], entry: int
) -> Iterator[AnswerIsNoError]:
    where = project.declared_by(entry)
    for key, joined, kind in (("case", settings.case, CASE), ("exception", settings.exception, EXCEPTION)):
        if joined is None:
            continue
        n_files = len(expand_glob(project, joined.ruleset, entry=entry))
        if n_files != 1:
            yield _no_ruleset(f"{key}.ruleset", joined.ruleset, n_files, found, where)
        elif not corpus.has_kind(kind, paths):
            yield _no_case(where) if key == "case" else _no_exception(settings, where)


def _no_ruleset(key: str, named: str, n_files: int, found: Found, where: str) -> AnswerIsNoError:
    what = f"{key}: {named} is {'no file' if not n_files else f'{n_files} files'}, and one rule set is needed"
    near = difflib.get_close_matches(named, [file.relative for file in found.files], n=1, cutoff=0.6)
    return AnswerIsNoError("ingest.no_ruleset", what, where=where, why="without it no pair joins the two sources",
                           fix=f"did you mean {near[0]!r}?" if near else "correct the path")  # fmt: skip


def _no_case(where: str) -> AnswerIsNoError:
    return AnswerIsNoError("ingest.case_unused", "no row of this entry became a case of the rule set", where=where,
                           why="the reasons are listed by file (compile.not_a_case)",
                           fix="correct `case`, the cells, or the ranges of the rule set's facts")  # fmt: skip


def _no_exception(settings: SourceConfig, where: str) -> AnswerIsNoError:
    assert settings.exception is not None
    sentence = settings.exception.sentence.strip()
    shown = sentence if len(sentence) <= _SHOWN_LETTERS else sentence[: _SHOWN_LETTERS - 1] + "…"
    return AnswerIsNoError(
        "ingest.exception_unused", f"exception.sentence: no memo of this entry says {shown!r}", where=where,
        why="it must be a whole sentence, word for word, and stand outside quoted replies and signatures; what was "
        "refused for another reason is listed by file",
        fix="copy the sentence from the memo, or correct `path`",
    )  # fmt: skip
