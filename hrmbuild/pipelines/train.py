"""`hrmbuild train`: from a frozen corpus to trained weights in a run folder.

Owns the order: corpus, token files, settings, folder, model, loop. It must not compute anything itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from hrmbuild import __version__
from hrmbuild.audit.evidence import read_rows
from hrmbuild.config.loading import Project
from hrmbuild.config.project import TrainConfig
from hrmbuild.errors import UsageError
from hrmbuild.evaluation.questions import pairs_of
from hrmbuild.evaluation.scores import DevScorer
from hrmbuild.model import build_model
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.pipelines.approvals import demand_approval
from hrmbuild.pipelines.coverage import Coverage, coverage_of
from hrmbuild.pipelines.launch import group_of_this_process
from hrmbuild.pipelines.ledger import Ledger
from hrmbuild.pipelines.progress import Progress, SilentProgress
from hrmbuild.pipelines.rank_processes import as_rank
from hrmbuild.pipelines.resumed_run import recorded_bins, refuse_missing, refuse_other_tokens
from hrmbuild.pipelines.train_announce import announce, announce_resumption
from hrmbuild.pipelines.train_corpus import FrozenCorpus, frozen_corpus, token_data
from hrmbuild.pipelines.train_init import InitialWeights, initial_weights
from hrmbuild.pipelines.train_settings import (
    Epoch,
    Flags,
    plan_epoch,
    resolve,
    settings_sha256,
    shape_for,
    train_settings,
)
from hrmbuild.pipelines.train_sufficiency import accepted_reason, check_reason
from hrmbuild.pipelines.train_watch import watching_of
from hrmbuild.records.run import Machine, RunConfig, RunRecord, RunResult, run_digest
from hrmbuild.records.token_files import token_files_sha256
from hrmbuild.tokens.files import TokenData
from hrmbuild.tokens.plan import StepShape
from hrmbuild.training.agreement import main_first, on_main, watching_others
from hrmbuild.training.loop import CHECKPOINT_INTERVAL_S, Run
from hrmbuild.training.loop import train as train_loop
from hrmbuild.training.machine import DTYPES, choose_dtype, compile_blocks, describe_machine
from hrmbuild.training.ranks import Ranks
from hrmbuild.training.run_folder import RunFolder, check_resumable, default_name
from hrmbuild.training.sharding import choose_sharding
from hrmbuild.training.trackers import check_installed
from hrmbuild.training.watch import Watching


@dataclass(frozen=True)
class TrainReport:
    """One finished run."""

    folder: Path
    record: RunRecord
    result: RunResult
    unchanged: bool
    """The run was finished already; nothing was computed."""
    coverage: Coverage
    """What the run sees of its corpus."""

    def as_dict(self) -> dict[str, Any]:
        """The keys of `train --json`."""
        result = self.result
        return {
            "run": str(self.folder),
            "steps": result.steps,
            "loss": result.loss,
            "dev": None if result.dev is None else result.dev.canonical(),
            "tokens_per_s": result.tokens_per_s,
            "parameters": self.record.parameters,
            "epoch_tokens": self.record.epoch_tokens,
            "content_root": self.record.config.content_root,
            "weights_sha256": result.weights_sha256,
            "ema_sha256": result.ema_sha256,
            "checkpoint": result.checkpoint,
            "machine": self.record.machine.canonical(),
            "too_long": self.record.too_long,
            "coverage": self.coverage.as_dict(),
            "unchanged": self.unchanged,
        }


@dataclass(frozen=True)
class _Sources:
    """What a run is made from, as named on the command line."""

    project: Project
    manifest: Path | None
    corpus: Path | None
    init_from: Path | None
    accept_insufficient: str | None


@dataclass(frozen=True)
class _Prepared:
    """Everything that is known before the first step."""

    frozen: FrozenCorpus
    data: TokenData
    epoch: Epoch
    settings: TrainConfig
    initial: InitialWeights | None
    sources: _Sources
    accepted: str | None = None
    """Why a corpus that cannot carry the preset shall do; None: it can."""


def train(  # noqa: PLR0913 - one argument a flag of the command
    project: Project,
    *,
    manifest: Path | None = None,
    corpus: Path | None = None,
    preset: str | None = None,
    out: Path | None = None,
    steps: int | None = None,
    resume: bool = False,
    arch: str | None = None,
    init_from: Path | None = None,
    stop_on_spike: float | None = None,
    trackers: Sequence[str] | None = None,
    accept_insufficient: str | None = None,
    progress: Progress | None = None,
) -> TrainReport:
    """Train to the end, or go on with `resume`; as one of several ranks where a launcher started this process so.

    Args:
        manifest: folder of a frozen corpus; absent: the current one, frozen first where there is none.
        corpus: the database to compare the manifest with; absent: the project's, where it exists.
        out: the run's folder; absent: `runs/<preset>-<corpus>-<settings>`.
        init_from: folder of a released model to start from instead of drawn weights.
        trackers: over the settings: `tensorboard`, `mlflow`, `wandb`.
        stop_on_spike: over the settings: stop before an update whose loss is above this many times the median.
        accept_insufficient: why a corpus that cannot carry the preset shall do; the card repeats it.

    Raises:
        UsageError: `train.run_exists`, `train.run_locked`, `train.other_run`, `train.folder_taken`,
            `train.no_such_run`, `train.tracker_not_installed`, `train.ranks_do_not_divide`, an unknown preset, arch,
            kernel or tracker.
        InputError: manifest, evidence or corpus do not agree; the disk's own word.
        AnswerIsNoError: `train.too_long_for_context`, `train.not_finite`, `train.loss_spike`, `plan.insufficient`.
        InterruptedRunError: a signal came; the state is saved.
        RankLostError: another rank ended.
    """
    asked = train_settings(project, Flags(preset, steps, arch, tuple(trackers) if trackers else None))
    check_installed(asked.trackers or ())
    settings = asked.model_copy(update={"stop_on_spike": stop_on_spike or asked.stop_on_spike})
    if resume and out is not None:
        refuse_missing(project, out)
    check_reason(accept_insufficient)
    sources = _Sources(project, manifest, corpus, init_from, accept_insufficient)
    with as_rank():
        # Accelerate takes a rank without a GPU for a process that stands alone, unless told.
        ranks = Ranks(cpu=group_of_this_process() is not None and not torch.cuda.is_available())
        with watching_others(ranks):
            shown = (progress or SilentProgress()) if ranks.is_main else SilentProgress()
            return _train(sources, settings, ranks=ranks, out=out, resume=resume, progress=shown)


def _train(
    sources: _Sources, settings: TrainConfig, *, ranks: Ranks, out: Path | None, resume: bool, progress: Progress
) -> TrainReport:
    project = sources.project

    def corpus() -> tuple[FrozenCorpus, TokenData]:
        frozen = frozen_corpus(project, manifest=sources.manifest, corpus=sources.corpus, progress=progress)
        demand_approval(project, frozen.folder)
        return frozen, token_data(project, frozen, progress=progress, again=ranks.is_main)

    frozen, data = main_first(ranks, corpus)
    initial = None if sources.init_from is None else initial_weights(sources.init_from, frozen)
    recorded = _recorded(out, resume=resume)
    shape = shape_for(settings, ranks=ranks.count, recorded_bins=recorded.config.bins if recorded else None)
    prepared = _Prepared(frozen, data, plan_epoch(frozen, data, settings, shape=shape), settings, initial, sources)
    config = _config(prepared, ranks, recorded=recorded)
    folder = RunFolder(out or project.runs_folder / default_name(config))
    if resume and out is None and not folder.run_json.is_file():
        prepared, config, folder = _with_other_bins(project, prepared, ranks) or (prepared, config, folder)
    return _in_folder(prepared, config, folder, ranks=ranks, resume=resume, progress=progress)


def _with_other_bins(
    project: Project, prepared: _Prepared, ranks: Ranks
) -> tuple[_Prepared, RunConfig, RunFolder] | None:
    """The run with these settings that another number of ranks began; None where there is none."""
    tokens, settings = prepared.epoch.shape.tokens, prepared.settings
    for bins in recorded_bins(project, batch_tokens=tokens):
        epoch = plan_epoch(prepared.frozen, prepared.data, settings, shape=StepShape(bins, tokens // bins))
        found = replace(prepared, epoch=epoch)
        config = _config(found, ranks, recorded=None)
        folder = RunFolder(project.runs_folder / default_name(config))
        if folder.run_json.is_file():
            shape_for(settings, ranks=ranks.count, recorded_bins=bins)
            return found, config, folder
    return None


def _recorded(out: Path | None, *, resume: bool) -> RunRecord | None:
    return RunFolder(out).record() if resume and out is not None else None


def _config(prepared: _Prepared, ranks: Ranks, *, recorded: RunRecord | None) -> RunConfig:
    """A run that goes on keeps the dtype that `auto` came to where it began."""
    asked = prepared.settings.dtype
    kept = recorded.config.dtype if recorded is not None and asked == "auto" else None
    dtype = kept or choose_dtype(ranks.device, asked)
    init_sha256 = prepared.initial.sha256 if prepared.initial else None
    return resolve(prepared.settings, prepared.frozen, prepared.epoch, dtype=dtype, init_sha256=init_sha256)


def _in_folder(
    prepared: _Prepared, config: RunConfig, folder: RunFolder, *, ranks: Ranks, resume: bool, progress: Progress
) -> TrainReport:
    if not folder.run_json.is_file():
        folder.refuse_foreign()
    recorded = folder.record()
    if recorded is not None and not resume:
        raise _run_exists(folder, finished=folder.result() is not None)
    if recorded is not None:
        check_resumable(recorded.config, config, where=str(folder.path))
        refuse_other_tokens(recorded, prepared.data.files, where=str(folder.path))
        finished = folder.result()
        if finished is not None:
            progress.message(f"{folder.path.name} is finished already: {finished.steps:,} steps")
            return TrainReport(folder.path, recorded, finished, True, _coverage(prepared, config))
    elif resume:
        progress.message("there is nothing to go on with: the run starts at step 0")
    if recorded is None:
        prepared = replace(prepared, accepted=_carried(prepared, config))
    ranks.wait()  # The main rank writes run.json next: every rank must have looked for it before.
    with ExitStack() as held:
        on_main(ranks, lambda: held.enter_context(folder.locked()))
        return _locked_run(prepared, config, folder, ranks=ranks, recorded=recorded, progress=progress)


def _carried(prepared: _Prepared, config: RunConfig) -> str | None:
    """Refuses a corpus that cannot carry the preset; the reason, where one was needed and given."""
    return accepted_reason(
        config.preset,
        config.model,
        unique_tokens=int(prepared.data.splits["train"].slots.sum()),
        reason=prepared.sources.accept_insufficient,
        given_weights=prepared.initial is not None,
    )


def _locked_run(
    prepared: _Prepared,
    config: RunConfig,
    folder: RunFolder,
    *,
    ranks: Ranks,
    recorded: RunRecord | None,
    progress: Progress,
) -> TrainReport:
    settings = prepared.settings
    epoch = prepared.epoch
    choice = choose_sharding(settings.sharding, config, ranks, row_tokens=epoch.n_tokens / max(1, epoch.n_pairs))
    machine = describe_machine(
        ranks,
        dtype=config.dtype,
        attention=settings.attention,
        threads=settings.threads,
        compiled=bool(settings.compile),
        sharding=choice.sharding,
    )
    model = _model(config, prepared.initial)
    if settings.compile:
        compile_blocks(model)
    record = _record(prepared, config, machine, model)
    announce(record, prepared.epoch, prepared.initial, progress=progress)
    if recorded is not None:
        announce_resumption(record, recorded, folder, progress=progress)
    coverage = _coverage(prepared, config)
    for line in coverage.lines():
        progress.message(line)
    if choice.told is not None:
        progress.message(choice.told)
    if recorded is None:
        on_main(ranks, lambda: folder.write_record(record))
    minutes = settings.checkpoint_minutes
    run = Run(
        config=config,
        config_sha256=record.config_sha256,
        data=prepared.data,
        folder=folder,
        ranks=ranks,
        machine=machine,
        repeats=prepared.epoch.repeats,
        score=_scorer(prepared, config),
        report=progress,
        watching=_watching(folder, record, machine, prepared),
        saved_every_s=CHECKPOINT_INTERVAL_S if minutes is None else 60 * minutes,
        stop_on_spike=settings.stop_on_spike,
    )
    progress.stage("train", total=config.steps, unit="steps")
    result = _in_ledger(prepared, run, model, progress=progress)
    return TrainReport(folder.path, recorded or record, result, False, coverage)


def _in_ledger(prepared: _Prepared, run: Run, model: LanguageModel, *, progress: Progress) -> RunResult:
    """The loop; the main rank keeps an entry in the ledger around it."""
    if not run.ranks.is_main:
        return train_loop(run, model)
    ledger = Ledger(prepared.sources.project)
    opened = ledger.training(run.folder.path, preset=run.config.preset, machine=run.machine, dtype=run.config.dtype)
    with ledger.recorded(opened, run=run.folder.path) as entry:
        return train_loop(replace(run, report=entry.watching(progress)), model)


def _watching(folder: RunFolder, record: RunRecord, machine: Machine, prepared: _Prepared) -> Watching:
    return watching_of(
        folder,
        record,
        machine,
        data=prepared.data,
        repeats=prepared.epoch.repeats,
        hardware=prepared.sources.project.config.hardware,
        trackers=prepared.settings.trackers,
    )


def _coverage(prepared: _Prepared, config: RunConfig) -> Coverage:
    return coverage_of(prepared.frozen.manifest, prepared.data, config, repeats=prepared.epoch.repeats)


def _run_exists(folder: RunFolder, *, finished: bool) -> UsageError:
    return UsageError(
        "train.run_exists",
        "this run is finished already" if finished else "this run has begun already",
        where=str(folder.path),
        why="equal settings on an equal corpus give the same run",
        fix=("give --out RUN to train once more elsewhere" if finished else "go on with --resume")
        + (", or package it: hrmbuild package" if finished else ", or give --out RUN to train elsewhere"),
    )


def _model(config: RunConfig, initial: InitialWeights | None) -> LanguageModel:
    """Float32 masters, drawn or given; the compute type is the model's own business."""
    model = build_model(config.model)
    if initial is None:
        model.init_weights(config.seed)
    else:
        initial.load_into(model)
    model.compute_dtype = None if config.dtype == "float32" else DTYPES[config.dtype]
    return model


def _record(prepared: _Prepared, config: RunConfig, machine: Machine, model: LanguageModel) -> RunRecord:
    initial, lineage = prepared.initial, prepared.frozen.manifest.lineage
    return RunRecord(
        hrmbuild=__version__,
        config=config,
        config_sha256=run_digest(config),
        settings_sha256=settings_sha256(prepared.settings),
        manifest_sha256=prepared.frozen.manifest_sha256,
        lineage=lineage if initial is None else initial.lineage(lineage),
        machine=machine,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        train_pairs=prepared.epoch.n_pairs,
        epoch_tokens=prepared.epoch.n_tokens,
        too_long=prepared.epoch.too_long,
        token_files_sha256=token_files_sha256(prepared.data.files),
        accepted_insufficient=prepared.accepted,
    )


def _scorer(prepared: _Prepared, config: RunConfig) -> DevScorer | None:
    pairs = pairs_of(read_rows(prepared.frozen.folder, "dev"))
    return DevScorer(pairs, prepared.frozen.tokenizer, n=config.eval_pairs, seed=config.seed) if pairs else None
