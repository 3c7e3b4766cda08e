"""Whether every rank holds the whole model (DDP) or its rows of it (FSDP2): decided by memory, told and recorded.

Owns the choice. It must not shard anything itself (`ranks` does), nor know what a weight takes (`config.memory` does).
The choice enters no hash: both give the same numbers within rounding, and each goes on from the other's checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch

from hrmbuild.config.memory import AVAILABLE, GIB, Setup, memory
from hrmbuild.config.model import ModelConfig
from hrmbuild.records.run import RunConfig
from hrmbuild.training.ranks import Ranks
from hrmbuild.training.schedules import K_LAST

Wanted = Literal["auto", "ddp", "fsdp"]


@dataclass(frozen=True)
class Choice:
    """What was chosen and why."""

    sharding: Literal["ddp", "fsdp"] | None
    """None: one rank."""
    told: str | None
    """One line for the user; None where there is nothing to say."""


def choose_sharding(wanted: Wanted | None, config: RunConfig, ranks: Ranks, *, row_tokens: float) -> Choice:
    """DDP where it fits into the smallest GPU of the run, else FSDP2; on CPUs DDP, whose memory nobody counts here.

    Args:
        wanted: `train.sharding`; absent is `auto`.
        row_tokens: about the length of a sequence.
    """
    if ranks.count == 1:
        alone = "one rank holds the whole model: train.sharding: fsdp divides nothing" if wanted == "fsdp" else None
        return Choice(None, alone)
    setup = _setup(config, ranks, row_tokens=row_tokens)
    return choose_by_memory(wanted, config.model, setup, smallest_gib=_smallest_gpu_gib(ranks))


def choose_by_memory(wanted: Wanted | None, model: ModelConfig, setup: Setup, *, smallest_gib: float | None) -> Choice:
    """The choice for several ranks; `smallest_gib`: memory of the smallest GPU, None on CPUs."""
    held = {kind: memory(model, replace(setup, sharding=kind)).total / GIB for kind in ("ddp", "fsdp")}
    fits = smallest_gib is None or held["ddp"] <= AVAILABLE * smallest_gib
    kind = wanted if wanted in ("ddp", "fsdp") else ("ddp" if fits else "fsdp")
    return Choice(kind, _told(kind, held, ranks=setup.ranks, smallest_gib=smallest_gib, asked=kind == wanted))


def _setup(config: RunConfig, ranks: Ranks, *, row_tokens: float) -> Setup:
    model = config.model
    return Setup(
        k=min(K_LAST, model.n_applications) if model.arch in ("hrm", "trm") else None,
        micro_tokens=config.batch_tokens // config.bins,
        row_tokens=min(row_tokens, model.context_tokens),
        compute_bytes=2 if config.dtype == "bfloat16" else 4,
        device="cuda" if ranks.device.type == "cuda" else "cpu",
        ranks=ranks.count,
        micro_batches=max(1, config.bins // ranks.count),
    )


def _smallest_gpu_gib(ranks: Ranks) -> float | None:
    """Memory of the smallest GPU of all ranks; None on CPUs. Every rank comes to the same number."""
    own = torch.cuda.get_device_properties(ranks.device).total_memory if ranks.device.type == "cuda" else 0
    smallest = min(int(text) for text in ranks.texts(str(own)))
    return smallest / GIB if smallest else None


def _told(kind: str, held: dict[str, float], *, ranks: int, smallest_gib: float | None, asked: bool) -> str:
    how = "each holds the whole model (ddp)" if kind == "ddp" else "each holds its rows of the model (fsdp)"
    why = "as asked" if asked else "it fits" if kind == "ddp" else "whole it does not fit"
    room = "" if smallest_gib is None else f" of {smallest_gib:.1f} GiB"
    other = "fsdp" if kind == "ddp" else "ddp"
    told = f"{ranks} ranks, {how}, {why}: about {held[kind]:.1f} GiB a rank{room}, with {other} {held[other]:.1f}"
    short = smallest_gib is not None and held[kind] > AVAILABLE * smallest_gib
    return told + ("; this may not fit: take more GPUs or a smaller train.batch_tokens" if short else "")
