"""`hrmbuild plan`: what a training would take, before it is begun: steps, operations, memory, days, dollars, energy.

Owns joining corpus counts, preset and devices. It must not read token files or start anything: counts come from the
manifest (or from `--tokens`), the rest is arithmetic. What it assumes stands beside what it tells.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from hrmbuild.audit.manifest import manifest_folder, read_manifest
from hrmbuild.config.flops import flops_per_token, n_parameters
from hrmbuild.config.gpus import GpuType, gpu_type, hardware_for, with_settings
from hrmbuild.config.loading import CONFIG_NAME, Project
from hrmbuild.config.memory import AVAILABLE, GIB, Memory, Setup, Sharding, largest_micro_batch, memory
from hrmbuild.config.model import ModelConfig
from hrmbuild.config.presets import PRESETS
from hrmbuild.config.project import ProjectConfig, SourceConfig, TrainConfig
from hrmbuild.config.sufficiency import NEVER_REFUSED, Sufficiency, insufficient, sufficiency
from hrmbuild.errors import AnswerIsNoError, UsageError
from hrmbuild.pipelines.ledger import Ledger
from hrmbuild.pipelines.ledger_entries import ENERGY_METHOD, NO_ENERGY
from hrmbuild.pipelines.manifests import current_manifest
from hrmbuild.pipelines.plan_corpus import CorpusCounts, counts_of, counts_of_tokens
from hrmbuild.pipelines.plan_speed import PUBLISHED, Speed, assumed_speed
from hrmbuild.pipelines.train_settings import Flags, shape_for, train_settings
from hrmbuild.pipelines.train_sufficiency import check_reason
from hrmbuild.tokens.plan import RESERVE, StepShape, step_shape
from hrmbuild.training.machine import choose_dtype, usable_cores
from hrmbuild.training.schedules import K_LAST, backprop_depth


@dataclass(frozen=True)
class PlanReport:
    """One plan."""

    settings: TrainConfig
    config: ModelConfig
    corpus: CorpusCounts
    gpu: GpuType
    n_gpus: int
    dtype: str
    steps: int
    tokens: int
    flops: float
    flops_by_k: dict[int, float]
    """Operations of one token at each depth of the run."""
    speed: Speed | None
    memory: Memory
    sharding: Sharding
    micro_tokens: int
    largest_micro: int | None
    """None: the memory of the device is unknown."""
    shape: StepShape
    nearest_gpus: int | None
    """Where the ranks do not divide a step: the nearest number that does."""
    sufficiency: Sufficiency
    accepted: str | None
    warnings: tuple[str, ...]

    @property
    def seconds(self) -> float | None:
        """Of training; evaluations and checkpoints come on top."""
        return None if self.speed is None else self.flops / self.speed.flops_per_s / self.devices

    @property
    def devices(self) -> int:
        """What computes side by side: GPUs, or the one machine."""
        return 1 if self.gpu.is_cpu else self.n_gpus

    @property
    def gpu_hours(self) -> float | None:
        """Of all devices together."""
        return None if self.seconds is None else self.seconds / 3600 * self.devices

    @property
    def cost_usd(self) -> float | None:
        """At the price of an hour."""
        known = self.gpu_hours is not None and self.gpu.usd_per_hour is not None
        return (self.gpu_hours or 0) * (self.gpu.usd_per_hour or 0) if known else None

    @property
    def energy_kwh(self) -> float | None:
        """By the power limit: an upper bound."""
        known = self.gpu_hours is not None and self.gpu.power_w is not None
        return (self.gpu_hours or 0) * (self.gpu.power_w or 0) / 1000 if known else None

    @property
    def error(self) -> AnswerIsNoError | None:
        """The refusal; None where the corpus carries the preset, or somebody said why it shall be so."""
        refused = self.sufficiency.refused and self.accepted is None
        return insufficient(self.sufficiency, command="hrmbuild plan") if refused else None

    @property
    def epochs(self) -> float:
        """Passes over an epoch's tokens."""
        return self.tokens / max(1, self.corpus.epoch_tokens)

    def as_dict(self) -> dict[str, Any]:
        """The keys of `plan --json`; with `error` where the answer is no."""
        return {
            "preset": self.settings.preset,
            "arch": self.config.arch,
            "parameters": n_parameters(self.config),
            "tokens": self.tokens,
            "epoch_tokens": self.corpus.epoch_tokens,
            "epochs": round(self.epochs, 4),
            "steps": self.steps,
            "batch_tokens": self.shape.tokens,
            "flops": self.flops,
            "flops_per_token": {f"k={k}": value for k, value in self.flops_by_k.items()},
            "gpus": self.n_gpus,
            "gpu_type": self.gpu.name,
            "dtype": self.dtype,
            "sharding": self.sharding,
            "memory_gib": self.memory.as_gib(),
            "memory_of_gpu_gib": self.gpu.memory_gib,
            "micro_batch_tokens": self.micro_tokens,
            "largest_micro_batch_tokens": self.largest_micro,
            "bins": self.shape.bins,
            "divides": self.nearest_gpus is None,
            "nearest_gpus": self.nearest_gpus,
            **self._time(),
            "sufficiency": self.sufficiency.as_dict() | {"accepted": self.accepted},
            "counts_from": self.corpus.origin,
            "warnings": list(self.warnings),
        } | ({"error": self.error.as_dict()} if self.error else {})

    def _time(self) -> dict[str, Any]:
        published = PUBLISHED.get(self.settings.preset) if self.config.arch == "hrm" else None
        return {
            "mfu": None if self.speed is None else self.speed.mfu,
            "flops_per_s_per_device": None if self.speed is None else self.speed.flops_per_s,
            "speed_from": None if self.speed is None else self.speed.source,
            "hours": None if self.seconds is None else self.seconds / 3600,
            "gpu_hours": self.gpu_hours,
            "usd_per_hour": self.gpu.usd_per_hour,
            "cost_usd": self.cost_usd,
            "energy_kwh": self.energy_kwh,
            "energy_method": NO_ENERGY if self.energy_kwh is None else ENERGY_METHOD,
            "published": None if published is None else published.as_dict(),
        }


@dataclass(frozen=True)
class Wish:
    """What the command line asks, each over the settings."""

    preset: str | None = None
    arch: str | None = None
    steps: int | None = None
    epochs: float | None = None
    tokens: float | None = None
    gpus: int = 1
    gpu_type: str | None = None
    accept_insufficient: str | None = None


def plan(project: Project | None, wish: Wish, *, manifest: Path | None = None) -> PlanReport:
    """Plan a training.

    Args:
        project: None outside a project: defaults, no ledger.
        manifest: folder of a frozen corpus; absent: the project's current one. Not read where `wish.tokens` is given.

    Raises:
        UsageError: `plan.no_corpus`, `plan.no_reason`, `hardware.unknown_gpu`, an unknown preset or arch.
        InputError: the manifest is missing or altered.
    """
    check_reason(wish.accept_insufficient)
    settings = _settings(project, wish)
    gpu = _gpu(project, wish, settings)
    corpus = _corpus(project, wish, settings, manifest)
    shape, nearest = _shape(settings, wish.gpus)
    steps, tokens = _steps(settings, corpus, shape, total=wish.tokens)
    config = PRESETS[settings.preset].model_config_for(corpus.vocab_size, arch=settings.arch)
    by_k, flops = _flops(config, corpus, steps=steps, tokens=tokens)
    dtype = _dtype(settings, gpu)
    found = sufficiency(
        settings.preset, vocab_size=corpus.vocab_size, unique_tokens=corpus.unique_tokens, arch=settings.arch
    )
    sharding, needed, largest = _memory(
        config, corpus, gpu, shape=shape, ranks=wish.gpus, dtype=dtype, wanted=settings.sharding
    )
    report = PlanReport(
        settings=settings,
        config=config,
        corpus=corpus,
        gpu=gpu,
        n_gpus=wish.gpus,
        dtype=dtype,
        steps=steps,
        tokens=tokens,
        flops=flops,
        flops_by_k=by_k,
        speed=_speed(project, gpu, settings, dtype),
        memory=needed,
        sharding=sharding,
        micro_tokens=shape.bin_tokens,
        largest_micro=largest,
        shape=shape,
        nearest_gpus=nearest,
        sufficiency=found,
        accepted=wish.accept_insufficient,
        warnings=(),
    )
    return replace(report, warnings=tuple(_warnings(report)))


def _settings(project: Project | None, wish: Wish) -> TrainConfig:
    settings = train_settings(project or _DEFAULTS, Flags(wish.preset, wish.steps, wish.arch))
    if wish.epochs is None and wish.tokens is None:
        return settings
    epochs = settings.epochs if wish.epochs is None else wish.epochs
    # What is asked for by a flag is the length: the steps of the settings would contradict it.
    return settings.model_copy(update={"epochs": epochs, "steps": wish.steps})


_DEFAULTS = Project(
    ProjectConfig(name="none", sources=(SourceConfig(path="none", kind="rules"),)), Path(CONFIG_NAME), Path(), Path()
)
"""Outside a project every setting has its default."""


def _gpu(project: Project | None, wish: Wish, settings: TrainConfig) -> GpuType:
    """The type asked for, else that of the settings, else this machine's; the paper's presets want a GPU at least."""
    hardware = project.config.hardware if project else None
    if wish.gpu_type is not None:
        row = gpu_type(wish.gpu_type)
        same = hardware is not None and hardware.gpu in (None, row.name)
        return with_settings(row, hardware) if same else row
    if hardware is not None and hardware.gpu is not None:
        return hardware_for(None, hardware)
    device = _this_device()
    if device == "cpu" and settings.preset not in NEVER_REFUSED:
        return with_settings(gpu_type("H100"), hardware)
    return hardware_for(device, hardware)


def _this_device() -> str:
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"


def _corpus(project: Project | None, wish: Wish, settings: TrainConfig, manifest: Path | None) -> CorpusCounts:
    if wish.tokens is None:
        return _from_manifest(project, manifest)
    return counts_of_tokens(wish.tokens, preset=settings.preset, passes=settings.epochs)


def _from_manifest(project: Project | None, manifest: Path | None) -> CorpusCounts:
    folder = manifest_folder(manifest) if manifest else current_manifest(project) if project else None
    if folder is None:
        raise UsageError(
            "plan.no_corpus",
            "there is no manifest to plan with",
            where="hrmbuild plan",
            fix="run hrmbuild freeze first, name one with --manifest DIR, or give --tokens N",
        )
    return counts_of(read_manifest(folder), name=folder.name)


def _shape(settings: TrainConfig, ranks: int) -> tuple[StepShape, int | None]:
    """How a step is cut, and the nearest number of ranks where this one does not divide it."""
    try:
        return shape_for(settings, ranks=ranks), None
    except UsageError:
        tokens = settings.batch_tokens or PRESETS[settings.preset].batch_tokens
        bins = step_shape(tokens).bins
        divided = tokens if bins == 1 else bins
        dividing = (n for n in range(1, divided + 1) if divided % n == 0)
        nearest = min(dividing, key=lambda n: (abs(n - ranks), n))
        return shape_for(settings, ranks=nearest), nearest


def _steps(settings: TrainConfig, corpus: CorpusCounts, shape: StepShape, *, total: float | None) -> tuple[int, int]:
    """Steps, and the tokens that they read."""
    if total is not None and settings.steps is None:
        return max(1, round(total / shape.tokens)), round(total)
    an_epoch = max(1, math.ceil(corpus.epoch_tokens * (1 + RESERVE) / shape.tokens))
    steps = settings.steps or max(1, round(settings.epochs * an_epoch))
    return steps, round(steps * corpus.epoch_tokens / an_epoch)


def _flops(config: ModelConfig, corpus: CorpusCounts, *, steps: int, tokens: int) -> tuple[dict[int, float], float]:
    """Operations of a token by depth, and of the whole run."""
    at = Counter(min(backprop_depth(step, steps), config.n_applications) for step in range(steps))
    by_k = {
        k: flops_per_token(
            config, k=k, keys_per_token=corpus.pair_tokens, response_fraction=corpus.response_fraction
        ).total
        for k in sorted(at)
    }
    return by_k, sum(by_k[k] * n for k, n in at.items()) * tokens / steps


def _dtype(settings: TrainConfig, gpu: GpuType) -> str:
    if settings.dtype != "auto":
        return settings.dtype
    if not gpu.is_cpu:
        return "bfloat16"
    import torch

    return choose_dtype(torch.device("cpu"), "auto")


def _memory(
    config: ModelConfig,
    corpus: CorpusCounts,
    gpu: GpuType,
    *,
    shape: StepShape,
    ranks: int,
    dtype: str,
    wanted: str | None,
) -> tuple[Sharding, Memory, int | None]:
    """Whole states on every rank where they fit, else sharded; and the most tokens of a micro-batch."""
    row_tokens = min(float(config.context_tokens), corpus.pair_tokens * 1.1)
    depth = min(K_LAST, config.n_applications)
    device: Literal["cpu", "cuda"] = "cpu" if gpu.is_cpu else "cuda"
    setup = Setup(
        k=depth if config.arch in ("hrm", "trm") else None,
        micro_tokens=shape.bin_tokens,
        row_tokens=row_tokens,
        response_fraction=corpus.response_fraction,
        compute_bytes=2 if dtype == "bfloat16" else 4,
        device=device,
        ranks=ranks,
        sharding="ddp" if ranks > 1 else "none",
        micro_batches=max(1, shape.bins // ranks),
    )
    room = math.inf if gpu.memory_gib is None else AVAILABLE * gpu.memory_gib * GIB
    fits = wanted != "fsdp" and (wanted == "ddp" or memory(config, setup).total <= room)
    if ranks > 1 and not fits:
        setup = replace(setup, sharding="fsdp")
    largest = None if gpu.memory_gib is None else largest_micro_batch(config, setup, memory_gib=gpu.memory_gib)
    return setup.sharding, memory(config, setup), largest


def _speed(project: Project | None, gpu: GpuType, settings: TrainConfig, dtype: str) -> Speed | None:
    entries = Ledger(project).entries() if project else ()
    cores = settings.threads or usable_cores()
    return assumed_speed(gpu, preset=settings.preset, dtype=dtype, cores=cores, entries=entries)


def _warnings(report: PlanReport) -> list[str]:
    found: list[str] = []
    if report.nearest_gpus is not None:
        found.append(
            f"{report.n_gpus} ranks do not divide a step; the nearest number that does is {report.nearest_gpus}"
        )
    if report.largest_micro is not None and report.largest_micro < report.micro_tokens:
        found.append(
            f"a micro-batch of {report.micro_tokens:,} tokens does not fit {report.gpu.memory_gib:g} GiB: "
            f"{report.largest_micro:,} would. Take a larger GPU, or train.compile: true, which keeps less (not counted)"
        )
    if report.gpu.is_cpu and report.settings.preset not in NEVER_REFUSED:
        found.append(f"{report.settings.preset} on a CPU is for trials of a few steps")
    if report.speed is None:
        found.append(f"no peak and no own run is known of {report.gpu.name}: set hardware.peak_tflops for times")
    elif not report.speed.own:
        found.append("the speed was not measured here: plan again after a short run, the ledger then knows it")
    if report.gpu.usd_per_hour is None:
        found.append("no price is known: set hardware.usd_per_hour in hrmbuild.yaml for a cost")
    if not report.sufficiency.carried and not report.sufficiency.refused:
        found.append(
            f"the corpus is small for {report.settings.preset}; own presets show a mechanism and are never refused"
        )
    if report.accepted is not None and not report.sufficiency.refused:
        found.append("a reason was given for an insufficient corpus, and none was needed")
    if report.sufficiency.refused and report.accepted is not None:
        found.append(f"insufficient, and accepted: {report.accepted}; {report.sufficiency.words()}")
    return found
