"""`hrmbuild ingest`: sources to records to pairs to gates to the corpus; only what changed is done again.

Owns the order of the steps. Each unit is one transaction and the corpus-level pass another, so that a kill at any
instant loses nothing that was reported done, and the next run goes on where this one stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from hrmbuild.audit.shown_text import clearance
from hrmbuild.config.loading import Project
from hrmbuild.errors import AnswerIsNoError
from hrmbuild.pipelines.bulk_pairs import work_unit
from hrmbuild.pipelines.database_copies import copied_databases
from hrmbuild.pipelines.decided import NOTHING_DECIDED, Decided, read_decided
from hrmbuild.pipelines.gatekeeping import check_quarantine
from hrmbuild.pipelines.identity import check_names, ingest_identity, project_templates
from hrmbuild.pipelines.ingest_report import IngestReport, PreviewPair
from hrmbuild.pipelines.joined_checks import joined_answers
from hrmbuild.pipelines.near_copies import with_near_copies
from hrmbuild.pipelines.progress import Progress, SilentProgress
from hrmbuild.pipelines.source_files import Found, find_files
from hrmbuild.pipelines.surface_rules import protected_texts, surface_rules
from hrmbuild.pipelines.unit_work import UnitWorker
from hrmbuild.pipelines.units import Plan, plan_units, source_of
from hrmbuild.records.pair import Pair
from hrmbuild.store.corpus import Corpus
from hrmbuild.store.reading import StoredSource
from hrmbuild.store.rulings import Rulings
from hrmbuild.store.surface import SurfaceRules


def ingest(
    project: Project, *, dry_run: bool = False, preview: int = 0, show_label: str | None = None,
    role: str | None = None, strict: bool = False, progress: Progress | None = None,
) -> IngestReport:  # fmt: skip
    """Bring the corpus up to date with its sources.

    Args:
        dry_run: work on a copy in memory and change nothing on disk.
        preview: bring this many pairs of each entry with their evidence; changes nothing on disk either.
        show_label, role: preview nothing above either; absent: all, for who ingests reads the files.
        strict: a quarantined file makes the answer no.

    Returns:
        The report. A source that matches no file, no pair kept, or (`strict`) a quarantined file stand in its `errors`
        after everything else is done; `exit_status` is then 1.

    Raises:
        ConfigError: two entries disagree on a file, an absolute path, a template that cannot be used.
        InputError: the corpus cannot be opened (`store.locked` names the holder), or the disk is full.
    """
    shown = progress or SilentProgress()
    readable = _readable(project, show_label, role)
    check_names(project)
    check_quarantine(project.config.gates)
    rules = surface_rules(project)
    templates = project_templates(project)
    keeps_nothing = dry_run or preview > 0
    with ExitStack() as stack:
        copies = stack.enter_context(copied_databases(project, keeps_nothing=keeps_nothing, progress=shown))
        found = copies.found(find_files(project))
        decided = with_near_copies(project, found, read_decided(project))
        plan = plan_units(project, found, templates, decided=decided)
        open_corpus = Corpus.open_copy if keeps_nothing else Corpus.open
        corpus = stack.enter_context(open_corpus(project.corpus_path))
        worker = UnitWorker(project.config, templates)
        dropped, redone = _update_units(corpus, plan, worker, shown)
        _update_descriptions(corpus, plan)
        corpus.replace_refused(found.refused)
        _settle(project, corpus, decided, rules)
        corpus.record_ingest(ingest_identity(project, templates, decided=decided))
        sources = tuple(corpus.sources())
        return IngestReport(
            balance=corpus.balance(),
            sources=sources,
            refused=tuple(found.refused),
            unmatched=_unmatched(project, found),
            redone=redone,
            dropped=dropped,
            notes=tuple(sorted(worker.notes)),
            n_hidden=found.n_hidden,
            strict=strict,
            dry_run=keeps_nothing,
            previews=_previews(corpus, plan, sources, readable, limit=preview) if preview else (),
            errors=_answers_of_no(project, found, corpus, sources, strict=strict),
        )


def _settle(project: Project, corpus: Corpus, decided: Decided, rules: SurfaceRules) -> None:
    """The pass over the whole corpus, under what persons decided."""
    corpus.set_rulings(Rulings(decided.refused, frozenset(decided.released)))
    protected = protected_texts(project)
    corpus.settle(labels=project.config.labels, seed=project.config.seed, rules=rules, protected=protected)
    corpus.record_decided(_took_effect(decided, corpus))


def _took_effect(decided: Decided, corpus: Corpus) -> dict[str, Any]:
    if decided == NOTHING_DECIDED:
        return {}
    sources = [one.source.sha256 for one in corpus.sources()]
    return decided.entry(sources=sources, pairs=corpus.known_pairs({*decided.refused, *decided.accepted}))


def _update_units(
    corpus: Corpus, plan: Plan, worker: UnitWorker, progress: Progress
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Drop what is gone, do again what changed; names of dropped units and paths of files done again."""
    stored = corpus.unit_keys()
    dropped, outdated = plan.vanished(stored), plan.outdated(stored)
    for name in dropped:
        corpus.drop_unit(name)
    progress.stage("ingest", total=sum(len(unit.files) for unit in outdated), unit="files")
    n_made = 0
    for unit in outdated:
        with corpus.replace_unit(unit.name, unit.key) as writer:
            work_unit(worker, unit, writer)
        n_made += writer.n_made
        progress.advance(len(unit.files), note=f"{n_made:,} pairs  {unit.files[-1].relative}")
    return tuple(dropped), tuple(sorted(file.relative for unit in outdated for file in unit.files))


def _update_descriptions(corpus: Corpus, plan: Plan) -> None:
    """Owner, licence, config line and cap of files that were not done again."""
    formats = {one.source.path: one.source.format for one in corpus.sources()}
    corpus.describe_sources({
        file.relative: (
            source_of(file, unit, format_name=formats[file.relative]),
            None if unit.is_context else unit.settings.max_pairs,
        )
        for unit in plan.units
        for file in unit.files
    })  # fmt: skip


def _unmatched(project: Project, found: Found) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (project.declared_by(entry), project.config.sources[entry].path, detail) for entry, detail in found.unmatched
    )


def _answers_of_no(
    project: Project, found: Found, corpus: Corpus, sources: Sequence[StoredSource], *, strict: bool
) -> tuple[AnswerIsNoError, ...]:
    errors = [
        AnswerIsNoError("ingest.no_file", f"{path} matches no file: {detail}", where=where,
                        fix="put files there, or correct the path")
        for where, path, detail in _unmatched(project, found)
    ]  # fmt: skip
    if not corpus.balance().kept:
        errors.append(
            AnswerIsNoError("ingest.no_pair", "no pair was kept", where=project.config_path.name,
                            why="a corpus without pairs can train nothing; the reasons are listed by file",
                            fix="see the reasons, then correct the sources or their declaration")
        )  # fmt: skip
    n_quarantined = len(found.refused) + sum(1 for one in sources if one.status == "quarantined")
    if strict and n_quarantined:
        files = "1 file was" if n_quarantined == 1 else f"{n_quarantined} files were"
        errors.append(
            AnswerIsNoError("ingest.quarantined", f"{files} quarantined", where="--strict",
                            fix="repair or remove them, or run without --strict")
        )  # fmt: skip
    return (*errors, *joined_answers(project, found, corpus, sources))


def _readable(project: Project, show_label: str | None, role: str | None) -> frozenset[str]:
    labels = project.config.labels
    if show_label is None and role is None:
        return frozenset(labels)
    return clearance(labels, show_label, role=role, roles=project.config.roles).shown


def _previews(
    corpus: Corpus, plan: Plan, sources: Sequence[StoredSource], readable: frozenset[str], *, limit: int
) -> tuple[PreviewPair, ...]:
    """A few pairs of each entry: those with the smallest ids, which are hashes, so nobody chose them."""
    path_of = {one.source.sha256: one.source.path for one in sources}
    entries: dict[str, list[str]] = {}
    for unit in plan.units:
        entries.setdefault(unit.declared_by, []).extend(file.relative for file in unit.files)
    return tuple(
        _preview(pair, declared_by, path_of)
        for declared_by, paths in sorted(entries.items(), key=lambda item: item[1])
        for pair in corpus.pairs_of(paths, limit=limit)
        if pair.label in readable
    )


def _preview(pair: Pair, declared_by: str, path_of: dict[str, str]) -> PreviewPair:
    evidence = tuple((path_of[one.source_sha256], str(one.locator), one.text) for one in pair.occurrences)
    return PreviewPair(
        declared_by, pair.id, pair.split, pair.kind, pair.condition, pair.instruction, pair.response, evidence
    )
