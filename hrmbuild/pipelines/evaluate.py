"""`hrmbuild eval`: a package on held-out pairs or a validator's questions, beside answers that need no such model.

Owns joining package, manifest, questions and opponents, and the count of how often a split was looked at. It must not
score anything itself. A package is hashed whole before it is asked: what was altered is not scored.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hrmbuild.audit.manifest import read_manifest
from hrmbuild.config.gpus import hardware_for
from hrmbuild.config.loading import Project
from hrmbuild.errors import AnswerIsNoError, UsageError
from hrmbuild.evaluation.baselines import Baseline, baselines_from
from hrmbuild.evaluation.examples import Example, examples_for_demo
from hrmbuild.evaluation.extraction import CANARIES, Extraction, measure_extraction
from hrmbuild.evaluation.questions import drawn_pairs
from hrmbuild.evaluation.requirements import (
    Clause,
    check_requirements,
    judge,
    needs_extraction,
    parse_requirements,
)
from hrmbuild.evaluation.scores import TEXT_REMOVED, Evaluation, evaluate
from hrmbuild.evaluation.tallies import MODEL, slice_names
from hrmbuild.inference.load import LoadedModel, load_package
from hrmbuild.packaging.verify import check_files, read_package_manifest
from hrmbuild.pipelines.ask import newest_package
from hrmbuild.pipelines.contenders import Opponent, opponents, training_flops
from hrmbuild.pipelines.evaluation_html import check_target, write_report
from hrmbuild.pipelines.evaluation_report import EvaluationReport, ModelCost, losses
from hrmbuild.pipelines.extracted_facts import EXTRACTED, Extracted, extract_facts
from hrmbuild.pipelines.frozen_corpus import frozen_folder, frozen_pairs
from hrmbuild.pipelines.identity import project_templates
from hrmbuild.pipelines.ledger import Ledger, OpenEntry
from hrmbuild.pipelines.progress import Progress, SilentProgress
from hrmbuild.pipelines.rule_engine import ENGINE, find_rules, rule_engine
from hrmbuild.pipelines.scorings import EXTRACTION, QUESTIONS, n_scorings, record_scoring
from hrmbuild.pipelines.validator_questions import also_trained, validator_pairs
from hrmbuild.records.manifest import Manifest
from hrmbuild.records.package import PackageManifest
from hrmbuild.records.pair import Pair, Split
from hrmbuild.store.connection import scratch_connection

MOST_PAIRS = 1200
"""Pairs asked by default: a share of 0.9 on a fourth of them is known to about 3.5 points."""
_FACTS_KIND = ".facts"
"""End of the kinds of question that teach a model to give the facts of a case."""


@dataclass(frozen=True)
class EvaluationRequest:
    """What is asked for."""

    package: Path | None = None
    """Absent: the newest of the project."""
    split: str = "dev"
    """dev or test; each scoring is counted and enters later cards."""
    questions: Path | None = None
    """A validator's file, asked instead of a split."""
    against: tuple[Path, ...] = ()
    """Packages, runs and model folders that are asked the same."""
    require: str | None = None
    extraction: bool = False
    report: Path | None = None
    show: int = 0
    """Questions to keep for reading."""
    show_label: str | None = None
    """They are of no higher label; absent: the lowest of the project."""
    most: int = MOST_PAIRS
    """Pairs to ask at most, drawn by id, axes and families of kinds in turn; a validator's file is asked whole."""


@dataclass(frozen=True)
class _Asked:
    """What will be asked, of whom."""

    pairs: list[Pair]
    n_held_out: int
    split: str
    questions_sha256: str | None
    notes: tuple[str, ...]


def evaluate_package(
    project: Project, request: EvaluationRequest = EvaluationRequest(), *, progress: Progress | None = None
) -> EvaluationReport:
    """Score a package.

    Raises:
        UsageError: `eval.unknown_split`, `eval.unknown_label`, `eval.require_syntax`, `eval.require_unknown`,
            `eval.against_unknown`, `eval.against_needs`.
        InputError: the package, its manifest, the questions or an opponent is missing, altered or unreadable.
        AnswerIsNoError: `eval.no_pairs`: the split is empty.
    """
    shown, started_at_s = progress or SilentProgress(), time.monotonic()
    clauses, show_label = _checked(project, request)
    folder = request.package or newest_package(project)
    check_files(folder)
    manifest = read_package_manifest(folder)
    frozen = frozen_folder(project, manifest.corpus_manifest_sha256)
    pairs = frozen_pairs(frozen, "train", "dev", "test")
    asked = _asked(project, request, manifest, pairs)
    labels = sorted({pair.label for pair in pairs["train"]})
    columns = ["majority", "nearest", "tree", ENGINE, EXTRACTED, TEXT_REMOVED]
    others = opponents(project, request.against, corpus=manifest.corpus_content_root, taken=[MODEL, *columns])
    names = [*columns, *(one.contender.name for one in others)]
    rows = sorted({row for pair in asked.pairs for row in slice_names(pair)})
    check_requirements(clauses, rows=rows, columns=names, labels=labels)
    loaded = load_package(folder)
    with _in_ledger(project, manifest, folder, loaded) as entry:
        evaluation, facts, notes = _scored(
            project, loaded, asked, train=pairs["train"], corpus=read_manifest(frozen), others=others, shown=shown
        )
        entry.answers = len(evaluation.answered)
        _record(project, manifest, asked, evaluation)
        extraction = None
        if request.extraction or needs_extraction(clauses):
            extraction = _extracted(loaded, pairs, seed=project.config.seed, shown=shown)
            _record_extraction(project, manifest, extraction)
    corpus = manifest.corpus_content_root
    report = EvaluationReport(
        package=folder,
        name=f"{manifest.name} {manifest.version}",
        label=manifest.label,
        split=asked.split,
        questions_sha256=asked.questions_sha256,
        n_held_out=asked.n_held_out,
        evaluation=evaluation,
        examples=_examples(project, manifest, evaluation, request, label=show_label),
        examples_label=show_label,
        n_scorings=n_scorings(
            project, corpus_content_root=corpus, split=asked.split, questions_sha256=asked.questions_sha256
        ),
        n_test_scorings=n_scorings(project, corpus_content_root=corpus, split="test"),
        models=_models(project, manifest, folder, loaded, evaluation, others, facts),
        facts=facts,
        notes=(*asked.notes, *notes),
        extraction=extraction,
        verdicts=judge(clauses, evaluation, extraction),
        seconds=time.monotonic() - started_at_s,
    )
    return report if request.report is None else replace(report, written=write_report(report, request.report))


def _in_ledger(
    project: Project, manifest: PackageManifest, folder: Path, loaded: LoadedModel
) -> AbstractContextManager[OpenEntry]:
    ledger = Ledger(project)
    device = loaded.model.lm_head.weight.device.type
    return ledger.recorded(ledger.opened("eval", folder, preset=manifest.preset, device=device))


def _checked(project: Project, request: EvaluationRequest) -> tuple[tuple[Clause, ...], str]:
    """What can be refused before anything is read."""
    if request.split not in ("dev", "test"):
        raise UsageError("eval.unknown_split", f"{request.split!r} is no held-out split", where="--split",
                         fix="take dev or test")  # fmt: skip
    if request.report is not None:
        check_target(request.report)
    label = request.show_label or project.config.labels[0]
    if label not in project.config.labels:
        raise UsageError("eval.unknown_label", f"{label!r} is none of the project's labels", where="--show-label",
                         fix=f"take one of {', '.join(project.config.labels)}")  # fmt: skip
    return parse_requirements(request.require) if request.require is not None else (), label


def _asked(
    project: Project, request: EvaluationRequest, manifest: PackageManifest, pairs: dict[Split, list[Pair]]
) -> _Asked:
    if request.questions is not None:
        file, own = validator_pairs(project, request.questions, label=manifest.label)
        n = also_trained(own, pairs["train"])
        notes = (f"{n} of the questions stand word for word in the training pairs: they say nothing about new ones",)
        return _Asked(own, len(own), QUESTIONS, file.sha256, notes if n else ())
    split: Split = "test" if request.split == "test" else "dev"
    chosen = drawn_pairs(pairs[split], n=request.most, seed=project.config.seed)
    if not chosen:
        raise AnswerIsNoError("eval.no_pairs", f"the {split} split of this corpus is empty", where=manifest.name,
                              fix="declare more sources, or score the other split")  # fmt: skip
    return _Asked(chosen, len(pairs[split]), split, None, ())


def _scored(
    project: Project,
    loaded: LoadedModel,
    asked: _Asked,
    *,
    train: Sequence[Pair],
    corpus: Manifest,
    others: Sequence[Opponent],
    shown: Progress,
) -> tuple[Evaluation, Extracted | None, tuple[str, ...]]:
    """All columns, what came of asking for facts, and what to say of columns that are missing."""
    facts: Extracted | None = None
    baselines: dict[str, Baseline] = baselines_from(train)
    with scratch_connection() as connection:
        found = find_rules(project, corpus, connection)
        if found.rules:
            baselines[ENGINE] = rule_engine(found.rules, connection)
        if found.rules and _teaches_facts(corpus):
            shown.stage("facts", total=None, unit="answers")
            facts = extract_facts(
                loaded, asked.pairs, rules=found.rules, templates=project_templates(project), seed=corpus.seed,
                connection=connection, advance=shown.advance,
            )  # fmt: skip
            baselines[EXTRACTED] = facts.baseline()
        shown.stage(f"score {asked.split}", total=(2 + len(others)) * len(asked.pairs), unit="answers")
        evaluation = evaluate(
            loaded.model, loaded.tokenizer, asked.pairs, baselines=baselines,
            against=[one.contender for one in others], advance=shown.advance, seed=project.config.seed,
        )  # fmt: skip
    return evaluation, facts, _notes(project, found.missing, corpus, others)


def _teaches_facts(corpus: Manifest) -> bool:
    return any(kind.endswith(_FACTS_KIND) for kind in corpus.kinds)


def _notes(project: Project, missing: Sequence[str], corpus: Manifest, others: Sequence[Opponent]) -> tuple[str, ...]:
    notes: list[str] = []
    if missing:
        files = ", ".join(missing)
        notes.append(
            f"{ENGINE}: these rule sets are not at hand as they were frozen, so it does not know them: {files}"
        )
    if not _teaches_facts(corpus):
        notes.append(
            f"{EXTRACTED} is not shown: no pair of this corpus teaches a model to give facts (rules: facts_fraction); "
            f"{ENGINE!r} reads them by regular expressions instead"
        )
    elif project_templates(project).tree_sha256() != corpus.templates_sha256:
        notes.append(
            f"{EXTRACTED}: the templates changed since this corpus was frozen, so facts may have been asked for in "
            "words that were not trained"
        )
    notes += [
        f"{one.contender.name} was trained on another corpus: what is held out here may not be held out there"
        for one in others
        if one.same_corpus is False
    ]
    return tuple(notes)


def _extracted(loaded: LoadedModel, pairs: dict[Split, list[Pair]], *, seed: int, shown: Progress) -> Extraction:
    shown.stage("extraction", total=None, unit="spans and canaries")
    held_out = [*pairs["dev"], *pairs["test"]]
    return measure_extraction(
        loaded.model, loaded.tokenizer, pairs["train"], held_out, seed=seed, advance=shown.advance
    )


def _examples(
    project: Project, manifest: PackageManifest, evaluation: Evaluation, request: EvaluationRequest, *, label: str
) -> tuple[Example, ...]:
    """Questions whose label is no higher than asked for, none of them a canary.

    What a model says may come from anything that it was trained on: its words have the label of the model.
    """
    allowed = project.config.labels[: project.config.labels.index(label) + 1]
    shown = [one for one in evaluation.answered if one.pair.label in allowed and one.pair.stratum != CANARIES]
    drawn = examples_for_demo(shown, request.show, seed=project.config.seed)
    if manifest.label in allowed:
        return drawn
    hidden = f"(not shown: the model's label is {manifest.label}, above {label})"
    return tuple(replace(one, response=hidden) for one in drawn)


def _models(
    project: Project,
    manifest: PackageManifest,
    folder: Path,
    loaded: LoadedModel,
    evaluation: Evaluation,
    others: Sequence[Opponent],
    facts: Extracted | None,
) -> tuple[ModelCost, ...]:
    price = hardware_for(str(loaded.model.lm_head.weight.device.type), project.config.hardware).usd_per_hour
    ours = ModelCost(
        MODEL,
        f"package, {manifest.arch}",
        sum(tensor.numel() for tensor in loaded.model.parameters()),
        training_flops(folder),
        True,
        evaluation.seconds[MODEL],
        len(evaluation.answered),
        evaluation.n_too_long,
        price,
    )
    theirs = [
        ModelCost(
            one.contender.name, one.what, one.parameters, one.training_flops, one.same_corpus,
            evaluation.seconds[one.contender.name], len(evaluation.answered),
            evaluation.too_long[one.contender.name], price,
        )
        for one in others
    ]  # fmt: skip
    if facts is None or not facts.answers:
        return (ours, *theirs)
    fed = replace(
        ours, name=EXTRACTED, what="the package's facts, the rules' decision", seconds=facts.seconds,
        n=len(facts.answers), too_long=facts.failures["too_long"],
    )  # fmt: skip
    return (ours, *theirs, fed)


def _record(project: Project, manifest: PackageManifest, asked: _Asked, evaluation: Evaluation) -> None:
    """One line in the project's record, as soon as the answers were seen: figures only, never a text."""
    overall = evaluation.overall.columns[MODEL]
    low, high = overall.interval
    line: dict[str, Any] = _scored_package(manifest) | {
        "split": asked.split,
        "n": overall.n,
        "exact": f"{overall.exact:.4f}",
        "low": f"{low:.4f}",
        "high": f"{high:.4f}",
        "loses_to": list(losses(evaluation)),
    }
    if asked.questions_sha256 is not None:
        line["questions_sha256"] = asked.questions_sha256
    record_scoring(project, line)


def _record_extraction(project: Project, manifest: PackageManifest, extraction: Extraction) -> None:
    excess, exposure = extraction.excess(), extraction.exposure()
    line: dict[str, Any] = _scored_package(manifest) | {"split": EXTRACTION}
    if excess is not None:
        line |= {
            "n": excess.n,
            "excess": f"{excess.mean:.4f}",
            "low": f"{excess.low:.4f}",
            "high": f"{excess.high:.4f}",
        }
    if exposure is not None:
        line |= {"canaries": exposure.n, "exposure_bits": f"{exposure.mean:.2f}"}
    record_scoring(project, line)


def _scored_package(manifest: PackageManifest) -> dict[str, str]:
    return {
        "corpus": manifest.corpus_content_root,
        "package": manifest.content_root,
        "weights": manifest.trained_weights_sha256,
    }
