"""From settings and flags to a run's resolved config: no `auto` is left, and every default is decided here.

Owns the resolution and the list of pairs over the context. It must not train.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import numpy as np

from hrmbuild.config.loading import Project, canonical_settings
from hrmbuild.config.model import VOCAB_MULTIPLE
from hrmbuild.config.presets import PRESETS, Preset
from hrmbuild.config.project import TrainConfig
from hrmbuild.errors import AnswerIsNoError, UsageError
from hrmbuild.fingerprint import hash_value
from hrmbuild.pipelines.train_corpus import FrozenCorpus
from hrmbuild.pipelines.train_mix import resolve_mix, run_repeats, source_repeats, source_stock
from hrmbuild.records.run import RunConfig, RunMix
from hrmbuild.tokens.batch import Int64s
from hrmbuild.tokens.files import TokenData
from hrmbuild.tokens.mix import Repeats, repeats_in
from hrmbuild.tokens.plan import EpochPlan, PlanKey, StepShape, epoch_plan, step_shape
from hrmbuild.training.feed import trained_slots
from hrmbuild.training.schedules import ema_decay, warm_up_steps
from hrmbuild.training.trackers import NAMES as TRACKERS

EVALUATIONS_A_RUN = 10
CHECKPOINTS_A_RUN = 5
MOST_TOO_LONG = 0.01
"""Share of the train pairs that may exceed the context; above it the corpus is not what the model would learn."""
OWN_FINAL_LR_FRACTION = 0.1
"""Cosine decay of our own small presets: a run of minutes ends far from where a constant rate would average out."""
NOT_OF_THE_WEIGHTS = ("checkpoint_minutes", "sharding", "stop_on_spike", "trackers")
"""Settings that change no number of a run (but rounding): when it is saved by the clock, how ranks hold the model, and
when it stops, and who is told of it."""
PAPER_HEAD_DIM = 128
"""All of the paper's presets have it, and keep their rate constant; none of ours has it."""


@dataclass(frozen=True)
class Flags:
    """What the command line may set over the file."""

    preset: str | None = None
    steps: int | None = None
    arch: str | None = None
    trackers: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Epoch:
    """What an epoch of a run holds."""

    repeats: Repeats
    """How often each pair of the train split stands in an epoch."""
    repeats_by_source: dict[str, int]
    """Of the sources' own; a mix multiplies them by its own."""
    n_pairs: int
    """Pairs that are trained on."""
    n_tokens: int
    """Slots that the first epoch fills, repeats counted."""
    n_steps: int
    """Steps of the first epoch."""
    too_long: dict[str, int]
    """Pairs over the context by source path."""
    shape: StepShape
    """How a step is cut."""
    mix: RunMix | None = None
    """What weights, caps and repeats of strata came to."""


def train_settings(project: Project, flags: Flags) -> TrainConfig:
    """The file's settings with the flags over them.

    Raises:
        UsageError: `train.unknown_preset`, `train.unknown_arch`, `train.unknown_attention`.
    """
    given = {name: value for name, value in vars(flags).items() if value is not None}
    settings = project.config.train
    known: dict[str, tuple[str, ...]] = {
        "preset": tuple(PRESETS),
        "arch": ("hrm", "transformer", "trm", "ut", "rins"),
        "attention": ("auto", "dense", "rows", "sdpa", "flex", "varlen"),
    }
    wanted = settings.model_dump() | given
    for name, choices in known.items():
        _check_choice(name, wanted[name], choices, flag=name in given, project=project)
    for name in flags.trackers or ():
        _check_choice("tracker", name, TRACKERS, flag=True, project=project)
    return TrainConfig(**wanted)


def settings_sha256(settings: TrainConfig) -> str:
    """Hash of what was asked and decides the weights; `RunConfig` is what it came to."""
    asked = settings.model_copy(update=dict.fromkeys(NOT_OF_THE_WEIGHTS))
    return hash_value(canonical_settings(asked))


def _check_choice(name: str, value: str, choices: tuple[str, ...], *, flag: bool, project: Project) -> None:
    if value in choices:
        return
    nearest = difflib.get_close_matches(value, choices, n=1)
    raise UsageError(
        f"train.unknown_{name}",
        f"{value!r} is no {name}",
        where=f"--{name}" if flag else f"{project.config_path.name}: train.{name}",
        fix=f"did you mean {nearest[0]!r}?" if nearest else f"choose one of: {', '.join(choices)}",
    )


def shape_for(settings: TrainConfig, *, ranks: int, recorded_bins: int | None = None) -> StepShape:
    """How a step is cut. A run that goes on keeps its bins: any number of ranks that divides them draws its curve.

    A step that would stay whole (see `step_shape`) is cut into one bin a rank where several ranks begin a run.

    Raises:
        UsageError: `train.ranks_do_not_divide`, naming the nearest number.
    """
    tokens = settings.batch_tokens or PRESETS[settings.preset].batch_tokens
    bins = recorded_bins or step_shape(tokens).bins
    divided = tokens if bins == 1 and recorded_bins is None else bins
    if divided % ranks == 0:
        bins = max(bins, ranks) if bins == 1 else bins
        return StepShape(bins, tokens // bins)
    nearest = min((n for n in range(1, divided + 1) if divided % n == 0), key=lambda n: (abs(n - ranks), n))
    raise UsageError(
        "train.ranks_do_not_divide",
        f"{ranks} ranks cannot share a step of {tokens:,} tokens"
        + (f" in {bins} bins equally" if divided == bins else " equally"),
        where="--gpus",
        why="every rank takes whole bins, so that any number of ranks sees the same batches",
        fix=f"the nearest number that works: --gpus {nearest}",
    )


def plan_epoch(frozen: FrozenCorpus, data: TokenData, settings: TrainConfig, *, shape: StepShape) -> Epoch:
    """Which pairs an epoch shows, how often, and in how many steps.

    Raises:
        AnswerIsNoError: `train.too_long_for_context`: more than 1 % of the pairs; `train.nothing_fits`.
        UsageError: `train.batch_too_small`: a pair is longer than a bin; `train.mix_*`: see `pipelines.train_mix`.
    """
    preset, train = PRESETS[settings.preset], data.splits["train"]
    slots = trained_slots(train, preset.context_tokens)
    over = too_long(frozen, data, slots)
    _check_too_long(over, n_pairs=train.n_pairs, preset=preset)
    by_source = source_repeats(frozen.manifest)
    mix = resolve_mix(settings.mix, source_stock(frozen.manifest, data, slots)) if settings.mix else None
    repeats = run_repeats(frozen.manifest, data, slots, mix=mix, seed=settings.seed)
    first = repeats_in(repeats, 0)
    plan = _first_epoch(frozen, slots, first, seed=settings.seed, shape=shape)
    n_tokens = int((slots if first is None else slots * first).sum())
    return Epoch(repeats, by_source, int((slots > 0).sum()), n_tokens, plan.n_steps, over, shape, mix)


def too_long(frozen: FrozenCorpus, data: TokenData, slots: Int64s) -> dict[str, int]:
    """Train pairs over the context by source path, most first."""
    counts = np.bincount(data.splits["train"].source_numbers[slots == 0], minlength=len(data.files.sources))
    paths = {source.sha256: source.path for source in frozen.manifest.trained_sources}
    found = {paths[sha]: int(n) for sha, n in zip(data.files.sources, counts, strict=True) if n}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _check_too_long(too_long: dict[str, int], *, n_pairs: int, preset: Preset) -> None:
    n = sum(too_long.values())
    if n <= MOST_TOO_LONG * n_pairs:
        return
    listed = "; ".join(f"{path}: {count:,}" for path, count in too_long.items())
    larger = [p.name for p in PRESETS.values() if p.context_tokens > preset.context_tokens]
    raise AnswerIsNoError(
        "train.too_long_for_context",
        f"{n:,} of {n_pairs:,} pairs have more than the {preset.context_tokens:,} tokens of {preset.name}'s context",
        where=f"--preset {preset.name}",
        why=f"by source: {listed}",
        fix=(f"take a preset with a longer context ({', '.join(larger[:3])}), " if larger else "")
        + "or show shorter texts with the questions; up to 1 % is left out and counted",
    )


def _first_epoch(
    frozen: FrozenCorpus, slots: Int64s, repeats: Int64s | None, *, seed: int, shape: StepShape
) -> EpochPlan:
    longest = int(slots.max(initial=0))
    if longest > shape.bin_tokens:
        cut = "" if shape.bins == 1 else f" cut into {shape.bins} bins"
        raise UsageError(
            "train.batch_too_small",
            f"a pair of {longest:,} tokens does not fit into a step of {shape.tokens:,}{cut}",
            where="train.batch_tokens",
            fix=f"set train.batch_tokens to at least {longest * shape.bins:,}"
            + (", or use fewer ranks" if cut else ""),
        )
    key = PlanKey(frozen.manifest.training_root, frozen.tokenizer.sha256, seed, 0)
    return epoch_plan(key, slots, shape=shape, repeats=repeats)


def resolve(
    settings: TrainConfig, frozen: FrozenCorpus, epoch: Epoch, *, dtype: str, init_sha256: str | None
) -> RunConfig:
    """The run's config; `dtype` is what `auto` came to."""
    preset = PRESETS[settings.preset]
    steps = settings.steps or max(1, round(settings.epochs * epoch.n_steps))
    shape = epoch.shape
    vocab_size = -(-frozen.tokenizer.vocab_size // VOCAB_MULTIPLE) * VOCAB_MULTIPLE
    default_final = 1.0 if preset.head_dim == PAPER_HEAD_DIM else OWN_FINAL_LR_FRACTION
    return RunConfig(
        preset=preset.name,
        model=preset.model_config_for(vocab_size, arch=settings.arch),
        content_root=frozen.manifest.content_root,
        tokenizer_sha256=frozen.tokenizer.sha256,
        steps=steps,
        batch_tokens=shape.tokens,
        bins=shape.bins,
        learning_rate=settings.learning_rate or preset.learning_rate,
        warm_up_steps=warm_up_steps(steps),
        final_lr_fraction=default_final if settings.final_lr_fraction is None else settings.final_lr_fraction,
        ema_decay=ema_decay(steps),
        seed=settings.seed,
        dtype="bfloat16" if dtype == "bfloat16" else "float32",
        eval_every_steps=settings.eval_every_steps or -(-steps // EVALUATIONS_A_RUN),
        eval_pairs=settings.eval_pairs,
        checkpoint_every_steps=settings.checkpoint_every_steps or -(-steps // CHECKPOINTS_A_RUN),
        keep_checkpoints=settings.keep_checkpoints,
        repeats=epoch.repeats_by_source,
        mix=epoch.mix,
        init_weights_sha256=init_sha256,
        includes=frozen.manifest.run_includes,
    )
