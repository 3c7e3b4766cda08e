"""`hrmbuild train`: from a frozen corpus to trained weights in a run folder.

Owns the order: corpus, token files, settings, folder, model, loop. It must not compute anything itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrmbuild import __version__
from hrmbuild.audit.evidence import read_rows
from hrmbuild.config.loading import Project
from hrmbuild.config.project import TrainConfig
from hrmbuild.errors import UsageError
from hrmbuild.evaluation.questions import pairs_of
from hrmbuild.evaluation.scores import DevScorer
from hrmbuild.model import build_model
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.pipelines.progress import Progress, SilentProgress
from hrmbuild.pipelines.train_corpus import FrozenCorpus, frozen_corpus, token_data
from hrmbuild.pipelines.train_init import InitialWeights, initial_weights
from hrmbuild.pipelines.train_settings import Epoch, Flags, plan_epoch, resolve, settings_sha256, train_settings
from hrmbuild.records.run import Machine, RunConfig, RunRecord, RunResult, run_digest
from hrmbuild.tokens.files import TokenData
from hrmbuild.training.checkpoint import checkpoint_folders
from hrmbuild.training.loop import Run
from hrmbuild.training.loop import train as train_loop
from hrmbuild.training.machine import DTYPES, choose_dtype, compile_blocks, describe_machine
from hrmbuild.training.ranks import Ranks
from hrmbuild.training.run_folder import RunFolder, check_resumable, default_name


@dataclass(frozen=True)
class TrainReport:
    """One finished run."""

    folder: Path
    record: RunRecord
    result: RunResult
    unchanged: bool
    """The run was finished already; nothing was computed."""

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
            "unchanged": self.unchanged,
        }


@dataclass(frozen=True)
class _Prepared:
    """Everything that is known before the first step."""

    frozen: FrozenCorpus
    data: TokenData
    epoch: Epoch
    settings: TrainConfig
    initial: InitialWeights | None


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
    progress: Progress | None = None,
) -> TrainReport:
    """Train to the end, or go on with `resume`.

    Args:
        manifest: folder of a frozen corpus; absent: the current one, frozen first where there is none.
        corpus: the database to compare the manifest with; absent: the project's, where it exists.
        out: the run's folder; absent: `runs/<preset>-<corpus>-<settings>`.
        init_from: folder of a released model to start from instead of drawn weights.

    Raises:
        UsageError: `train.run_exists`, `train.run_locked`, `train.other_run`, `train.folder_taken`, an unknown preset,
            arch or kernel.
        InputError: manifest, evidence or corpus do not agree; the disk's own word.
        AnswerIsNoError: `train.too_long_for_context`, `train.not_finite`.
        InterruptedRunError: a signal came; the state is saved.
    """
    ranks = Ranks()
    shown = (progress or SilentProgress()) if ranks.is_main else SilentProgress()
    settings = train_settings(project, Flags(preset, steps, arch))
    with ranks.main_first():
        frozen = frozen_corpus(project, manifest=manifest, corpus=corpus, progress=shown)
        data = token_data(project, frozen, progress=shown)
    epoch = plan_epoch(project, frozen, data, settings)
    initial = None if init_from is None else initial_weights(init_from, frozen)
    prepared = _Prepared(frozen, data, epoch, settings, initial)
    config = _config(prepared, ranks, recorded=_recorded(out, resume=resume))
    folder = RunFolder(out or project.runs_folder / default_name(config))
    return _in_folder(prepared, config, folder, ranks=ranks, resume=resume, progress=shown)


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
        finished = folder.result()
        if finished is not None:
            progress.message(f"{folder.path.name} is finished already: {finished.steps:,} steps")
            return TrainReport(folder.path, recorded, finished, unchanged=True)
    elif resume:
        progress.message("there is nothing to go on with: the run starts at step 0")
    ranks.wait()  # The main rank writes run.json next: every rank must have looked for it before.
    return _locked_run(prepared, config, folder, ranks=ranks, recorded=recorded, progress=progress)


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
    machine = describe_machine(
        ranks,
        dtype=config.dtype,
        attention=settings.attention,
        threads=settings.threads,
        compiled=bool(settings.compile),
    )
    model = _model(config, prepared.initial)
    if settings.compile:
        compile_blocks(model)
    record = _record(prepared, config, machine, model)
    with folder.locked(ranks.is_main):
        _announce(record, prepared, recorded, folder, progress)
        if ranks.is_main and recorded is None:
            folder.write_record(record)
        scorer = _scorer(prepared, config)
        run = Run(
            config=config,
            config_sha256=record.config_sha256,
            data=prepared.data,
            folder=folder,
            ranks=ranks,
            machine=machine,
            repeats=prepared.epoch.repeats,
            score=scorer,
            report=progress,
        )
        progress.stage("train", total=config.steps, unit="steps")
        result = train_loop(run, model)
    return TrainReport(folder.path, recorded or record, result, unchanged=False)


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
    )


def _scorer(prepared: _Prepared, config: RunConfig) -> DevScorer | None:
    pairs = pairs_of(read_rows(prepared.frozen.folder, "dev"))
    return DevScorer(pairs, prepared.frozen.tokenizer, n=config.eval_pairs, seed=config.seed) if pairs else None


def _announce(
    record: RunRecord, prepared: _Prepared, recorded: RunRecord | None, folder: RunFolder, progress: Progress
) -> None:
    """What was chosen, one line each; the same stands in `run.json`."""
    config, machine, epoch = record.config, record.machine, prepared.epoch
    progress.message(
        f"{config.preset} ({config.model.arch}): {record.parameters:,} weights, "
        f"vocabulary {config.model.vocab_size:,}; {epoch.n_pairs:,} pairs, {epoch.n_tokens:,} tokens an epoch"
    )
    progress.message(
        f"{config.steps:,} steps of {config.batch_tokens:,} tokens = {config.steps / epoch.n_steps:.1f} epochs; "
        f"lr {config.learning_rate:g} after {config.warm_up_steps} steps, down to {config.final_lr_fraction:g} of it; "
        f"EMA {config.ema_decay:g}"
    )
    progress.message(
        f"on {machine.device}: {config.dtype}, attention {machine.attention}, {machine.threads} threads, "
        f"{machine.instruction_set}, torch {machine.torch}{', compiled blocks' if machine.compiled else ''}"
    )
    if epoch.too_long:
        listed = "; ".join(f"{path}: {n:,}" for path, n in epoch.too_long.items())
        progress.message(f"left out, longer than the context of {config.model.context_tokens:,} tokens: {listed}")
    if prepared.initial is not None:
        progress.message(f"starts from the weights of {prepared.initial.name}: lineage is partial")
    _announce_resumption(record, recorded, folder, progress)


def _announce_resumption(record: RunRecord, recorded: RunRecord | None, folder: RunFolder, progress: Progress) -> None:
    if recorded is None:
        return
    if not checkpoint_folders(folder.checkpoints):
        progress.message("there is no complete checkpoint: the run starts again at step 0")
    before, now = recorded.machine.canonical(), record.machine.canonical()
    keys = sorted(before.keys() | now.keys())
    changed = [f"{key} {before.get(key)} -> {now.get(key)}" for key in keys if before.get(key) != now.get(key)]
    if changed:
        progress.message(f"this machine differs from where the run began ({', '.join(changed)}): bits may differ")
