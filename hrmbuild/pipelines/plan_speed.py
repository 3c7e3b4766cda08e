"""How fast a plan assumes the devices to be, and the measurement that the assumption comes from.

Owns the order of trust: an own run in the ledger on the same kind of device (of the same preset before another), else
what the authors published, else (on a CPU) our own record in `docs/measured.md`. It must not compute times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hrmbuild.config.flops import flops_per_token
from hrmbuild.config.gpus import GPU_TYPES, GpuType
from hrmbuild.config.presets import PRESETS
from hrmbuild.pipelines.ledger_entries import LedgerEntry
from hrmbuild.training.schedules import backprop_depth

CPU_CORE_FLOPS = {"bfloat16": 1.2e11, "float32": 4.5e10}
"""Sustained by one core with matrix units in training: the demo's 10,900 tokens a second of nano on two cores in bf16
(`docs/measured.md`); in float32 the ratio of the matrix products."""
LEAST_STEPS = 20
"""Steps of a run from which a speed may be taken."""


@dataclass(frozen=True)
class Published:
    """What the authors report of one preset (arXiv 2605.20613)."""

    preset: str
    gpus: int
    hours: float
    tokens: float
    usd: float

    def as_dict(self) -> dict[str, Any]:
        """As `plan --json` shows it."""
        return dict(vars(self)) | {"gpu": "H100", "source": "arXiv 2605.20613"}


PUBLISHED = {
    "XL": Published("XL", gpus=16, hours=46, tokens=60e9, usd=1472),
    "L": Published("L", gpus=8, hours=50, tokens=60e9, usd=800),
}


@dataclass(frozen=True)
class Speed:
    """What a device is taken to sustain in training."""

    flops_per_s: float
    """Of one device (of the whole machine, where there is none)."""
    mfu: float | None
    """Share of its peak; None where the peak is unknown."""
    source: str
    """The measurement, in words."""
    own: bool
    """Whether it was measured here."""


def published_mfu() -> float:
    """Share of the H100's peak in the authors' XL run: matrix products of all tokens, attention's scores left out."""
    known = PUBLISHED["XL"]
    config = PRESETS["XL"].model_config_for(65_536)
    steps = 10_000
    per_token = sum(
        flops_per_token(config, k=backprop_depth(step, steps), keys_per_token=0).total for step in range(steps)
    )
    peak = GPU_TYPES["H100"].peak_tflops or 0
    return known.tokens * per_token / steps / (known.hours * 3600 * known.gpus * peak * 1e12)


def assumed_speed(gpu: GpuType, *, preset: str, dtype: str, cores: int, entries: Sequence[LedgerEntry]) -> Speed | None:
    """What to plan with; None: a GPU whose peak nobody told, and no own run on it."""
    measured = _measured(gpu, preset=preset, dtype=dtype, entries=entries)
    if measured is not None:
        return measured
    if gpu.is_cpu:
        source = f"docs/measured.md: nano on 2 cores, {CPU_CORE_FLOPS[dtype] / 1e9:.0f} GFLOP/s a core in {dtype}"
        return _speed(gpu, CPU_CORE_FLOPS[dtype] * cores, f"{source}, here {cores}", own=False)
    if gpu.peak_tflops is None:
        return None
    share = published_mfu()
    where = "" if gpu.name == "H100" else f"; not measured on {gpu.name}"
    source = f"published: XL on 16 H100, 60e9 tokens in 46 hours = {share:.0%} (arXiv 2605.20613){where}"
    return _speed(gpu, share * gpu.peak_tflops * 1e12, source, own=False)


def _measured(gpu: GpuType, *, preset: str, dtype: str, entries: Sequence[LedgerEntry]) -> Speed | None:
    usable = [
        entry
        for entry in entries
        if entry.opened.hardware == gpu.name
        and entry.opened.dtype == dtype
        and entry.flops_per_s is not None
        and entry.closed is not None
        and entry.closed.steps >= LEAST_STEPS
    ]
    chosen = max(usable, key=lambda entry: (entry.opened.preset == preset, entry.opened.at), default=None)
    if chosen is None or chosen.flops_per_s is None or chosen.closed is None:
        return None
    opened = chosen.opened
    many = f"{opened.threads} threads" if gpu.is_cpu else f"{opened.ranks} x {gpu.name}"
    source = f"own measurement: {opened.subject} ({opened.preset}, {many}, {chosen.closed.steps:,} steps) in the ledger"
    return _speed(gpu, chosen.flops_per_s, source, own=True)


def _speed(gpu: GpuType, flops_per_s: float, source: str, *, own: bool) -> Speed:
    share = None if gpu.peak_tflops is None else flops_per_s / gpu.peak_tflops / 1e12
    return Speed(flops_per_s, share, source, own)
