"""`hrmbuild audit replay`: some steps of a run trained again from a checkpoint that the auditor's nonce picks.

Owns the choice of the steps, the scratch folder and the comparison. The training is that of `train`, from the same
loop: a replay that had a loop of its own would prove something about that one. It changes nothing in the run's folder.

What each step computed (loss, gradient's norm, right tokens, pairs shown) stands chained in `metrics.jsonl`, and every
one of these depends on every weight, so weights that were swapped on the way show at the first step after them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrmbuild.audit.evidence import read_rows
from hrmbuild.config.loading import Project
from hrmbuild.errors import InputError, UsageError
from hrmbuild.evaluation.questions import pairs_of
from hrmbuild.evaluation.scores import DevScorer
from hrmbuild.files import disk_errors
from hrmbuild.fingerprint import draw_one
from hrmbuild.model import build_model
from hrmbuild.pipelines.frozen_corpus import frozen_folder
from hrmbuild.pipelines.progress import Progress, SilentProgress
from hrmbuild.pipelines.train_corpus import FrozenCorpus, encoded_again, frozen_corpus
from hrmbuild.pipelines.train_mix import run_repeats
from hrmbuild.records.run import Machine, RunConfig, RunRecord, run_digest
from hrmbuild.tokens.files import TokenData
from hrmbuild.training.checkpoint import read_state
from hrmbuild.training.feed import trained_slots
from hrmbuild.training.interrupt import InterruptedRunError
from hrmbuild.training.loop import Run
from hrmbuild.training.loop import train as train_loop
from hrmbuild.training.machine import DTYPES, compile_blocks, describe_machine
from hrmbuild.training.metrics import StepFacts, read_metrics
from hrmbuild.training.ranks import Ranks
from hrmbuild.training.run_folder import RunFolder
from hrmbuild.training.step_folders import checkpoint_folders, folder_of, step_of

STEPS = 20
TOLERANCE = {"float32": 1e-5, "bfloat16": 1e-2}
"""Relative difference of a step's loss that another machine, kernel or number of ranks may make over `STEPS` steps.
That of float32 is the project's for equal runs; that of bfloat16 waits for a measurement on GPUs."""
_PLANNED = ("epoch", "k", "lr", "response_tokens", "tokens", "batch")
"""What no machine changes."""
_COMPUTED = (*_PLANNED, "loss", "grad_norm", "correct", "dev")


@dataclass(frozen=True)
class ReplayReport:
    """What came of training some steps again."""

    run: str
    nonce: str
    start: int
    """The checkpoint's step; 0: the weights as they were drawn."""
    end: int
    unlike_machine: tuple[str, ...]
    """What differs from the machine that trained: where nothing does, every bit has to be the same."""
    different_steps: tuple[str, ...]
    """Steps that came to something else than `metrics.jsonl` says, and in what."""
    as_planned: bool
    """Whether every step showed the pairs, rate and depth that were recorded: no machine changes these."""
    largest_difference: float
    """Of the losses, relative."""
    tolerance: float
    """What of it is allowed; 0 on an equal machine."""
    weights: bool | None
    """Whether the weights after `end` are those of the run's own checkpoint; None: it kept none there."""

    @property
    def ok(self) -> bool:
        """Whether the run is one that these steps belong to."""
        if self.unlike_machine:
            return self.as_planned and self.largest_difference <= self.tolerance
        return not self.different_steps and self.weights is not False

    def as_dict(self) -> dict[str, Any]:
        """The keys of `audit replay --json`."""
        return {
            "ok": self.ok,
            "run": self.run,
            "nonce": self.nonce,
            "start": self.start,
            "end": self.end,
            "steps": self.end - self.start,
            "bit_equal": not self.different_steps and self.weights is not False,
            "unlike_machine": list(self.unlike_machine),
            "different_steps": list(self.different_steps),
            "as_planned": self.as_planned,
            "largest_difference": self.largest_difference,
            "tolerance": self.tolerance,
            "weights": self.weights,
        }


def replay(
    project: Project, run: Path, *, nonce: str, steps: int = STEPS, progress: Progress | None = None
) -> ReplayReport:
    """Train `steps` steps of a run again and compare each with what the run recorded.

    Raises:
        UsageError: `replay.no_nonce`, `replay.no_steps`, `replay.given_weights`: it began from weights that are not
            here, and keeps no checkpoint before its last.
        InputError: the run or its manifest is missing or altered.
        InterruptedRunError: a signal came; nothing is left behind.
    """
    if not nonce.strip():
        raise UsageError("replay.no_nonce", "a nonce is needed", where="--nonce",
                         why="whoever trained must not know before which steps are looked at",
                         fix="give any text that nobody could foresee when the run ended")  # fmt: skip
    shown = progress or SilentProgress()
    files = RunFolder(run)
    record = _record_of(files)
    lines = read_metrics(files.metrics)
    start = _start(files, record, lines, nonce=nonce)
    end = min(start + steps, len(lines))
    folder = frozen_folder(project, record.manifest_sha256)
    frozen = frozen_corpus(project, manifest=folder, corpus=None, progress=shown)
    with _scratch(project, files, record, lines, start=start) as again:
        # Not from the token files at hand: a run on altered ones would come to the same once more.
        data = encoded_again(again.path.parent / "tokens", frozen, progress=shown)
        machine = _train_again(again, record, frozen, data, end=end, progress=shown)
        return _report(files, again, record, machine, nonce=nonce, start=start, end=end)


def _record_of(files: RunFolder) -> RunRecord:
    record = files.record()
    if record is None or run_digest(record.config) != record.config_sha256:
        raise InputError("replay.run_altered", "no run is here, or its settings are not those that its hash names",
                         where=str(files.path), fix="name a folder of runs/ that verify finds intact")  # fmt: skip
    return record


def _start(files: RunFolder, record: RunRecord, lines: list[dict[str, Any]], *, nonce: str) -> int:
    """One of the checkpoints before the last step, the drawn weights among them; head of the chain and nonce decide."""
    kept = [step_of(folder) for folder in checkpoint_folders(files.checkpoints)]
    begins = [0] if record.config.init_weights_sha256 is None else []
    options = sorted({*begins, *(step for step in kept if step < len(lines))})
    if not lines:
        raise UsageError(
            "replay.no_steps", "this run has made no step yet", where=str(files.path), fix="train it first"
        )
    if not options:
        raise UsageError("replay.given_weights", "there is no state to begin from", where=str(files.path),
                         why="the run began from given weights and keeps no checkpoint before its last step",
                         fix="train with train.keep_checkpoints: 2 or more")  # fmt: skip
    return draw_one(options, "replay", 0, f"{lines[-1]['chain']}/{nonce}")


@contextmanager
def _scratch(
    project: Project, files: RunFolder, record: RunRecord, lines: list[dict[str, Any]], *, start: int
) -> Iterator[RunFolder]:
    """A run folder that stands where the run stood after `start`; it goes away afterwards."""
    with disk_errors(project.work), tempfile.TemporaryDirectory(prefix=".replay-", dir=project.work) as temporary:
        again = RunFolder(Path(temporary) / "run")
        again.path.mkdir()
        again.write_record(record)
        with files.metrics.open("rb") as whole, again.metrics.open("wb") as part:
            part.writelines(next(whole) for _ in range(start))
        if start:
            _link(files.checkpoints / folder_of(start), again.checkpoints / folder_of(start))
        yield again


def _link(source: Path, target: Path) -> None:
    """The same bytes at another place, without copying where the disk allows it; training writes into neither."""
    target.mkdir(parents=True)
    for path in sorted(source.iterdir()):
        try:
            os.link(path, target / path.name)
        except OSError:
            shutil.copyfile(path, target / path.name)


def _train_again(
    again: RunFolder, record: RunRecord, frozen: FrozenCorpus, data: TokenData, *, end: int, progress: Progress
) -> Machine:
    config = record.config
    ranks = Ranks()
    recorded = record.machine
    machine = describe_machine(
        ranks, dtype=config.dtype, attention="auto" if _is_elsewhere(recorded, ranks) else recorded.attention,
        threads=recorded.threads, compiled=bool(recorded.compiled),
    )  # fmt: skip
    model = build_model(config.model)
    model.init_weights(config.seed)
    model.compute_dtype = None if config.dtype == "float32" else DTYPES[config.dtype]
    if machine.compiled:
        compile_blocks(model)
    slots = trained_slots(data.splits["train"], config.model.context_tokens)
    run = Run(
        config=config, config_sha256=record.config_sha256, data=data, folder=again, ranks=ranks, machine=machine,
        repeats=run_repeats(frozen.manifest, data, slots, mix=config.mix, seed=config.seed),
        score=_scorer(frozen, config), report=progress, stop_after_step=end,
    )  # fmt: skip
    progress.stage("replay", total=end, unit="steps")
    try:
        train_loop(run, model)
    except InterruptedRunError:
        if len(read_metrics(again.metrics)) < end:
            raise
    return machine


def _is_elsewhere(recorded: Machine, ranks: Ranks) -> bool:
    return (recorded.device == "cpu") != (ranks.device.type == "cpu")


def _scorer(frozen: FrozenCorpus, config: RunConfig) -> DevScorer | None:
    pairs = pairs_of(read_rows(frozen.folder, "dev"))
    return DevScorer(pairs, frozen.tokenizer, n=config.eval_pairs, seed=config.seed) if pairs else None


def _report(
    files: RunFolder, again: RunFolder, record: RunRecord, machine: Machine, *, nonce: str, start: int, end: int
) -> ReplayReport:
    pairs = list(zip(_facts(files.metrics)[start:end], _facts(again.metrics)[start:end], strict=True))
    was, here = record.machine.model_dump(), machine.model_dump()
    unlike = tuple(f"{key}: {was[key]}, here {here[key]}" for key in sorted(was) if was[key] != here[key])
    return ReplayReport(
        run=str(files.path),
        nonce=nonce,
        start=start,
        end=end,
        unlike_machine=unlike,
        different_steps=tuple(told for a, b in pairs if (told := _difference(a, b)) is not None),
        as_planned=all(getattr(a, name) == getattr(b, name) for a, b in pairs for name in _PLANNED),
        largest_difference=max((abs(a.loss - b.loss) / max(abs(a.loss), 1e-12) for a, b in pairs), default=0.0),
        tolerance=TOLERANCE[record.config.dtype] if unlike else 0.0,
        weights=_same_weights(files.checkpoints / folder_of(end), again.checkpoints / folder_of(end)),
    )


def _facts(metrics: Path) -> list[StepFacts]:
    fields = StepFacts.model_fields
    lines = read_metrics(metrics)
    return [StepFacts.model_validate({key: line[key] for key in fields if key in line}) for line in lines]


def _difference(before: StepFacts, now: StepFacts) -> str | None:
    names = [name for name in _COMPUTED if getattr(before, name) != getattr(now, name)]
    return f"step {before.step}: {', '.join(names)}" if names else None


def _same_weights(kept: Path, made: Path) -> bool | None:
    if not kept.is_dir():
        return None
    return read_state(kept).weights_sha256 == read_state(made).weights_sha256
