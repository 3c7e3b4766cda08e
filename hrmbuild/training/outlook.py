"""What a run's pace comes to: share of the matrix peak, time left, cost. Plain arithmetic on numbers that are known.

Owns the formulas that the step line, `status` and the report share. It must not read a clock or a file.

A step costs more as k grows: at a tenth of a run the steps behind are a quarter cheaper than those ahead. Time left
therefore counts operations and not steps. The share of the peak (MFU) counts what the model needs: a masked kernel that
computes more, or blocks computed twice, do not raise it. The table's peak is that of bf16: in float32 the share is of
the same peak. A processor has no peak in the table: there the share is left out, unless `hardware.peak_tflops` says
one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hrmbuild.config.flops import flops_per_token
from hrmbuild.config.gpus import GpuType
from hrmbuild.records.run import RunConfig
from hrmbuild.training.schedules import backprop_depth

if TYPE_CHECKING:
    from hrmbuild.tokens.batch import Int64s
    from hrmbuild.tokens.files import SplitTokens


def mfu(
    config: RunConfig,
    gpu: GpuType | None,
    *,
    ranks: int,
    k: int,
    tokens_per_s: float,
    keys_per_token: float,
    response_fraction: float,
) -> float | None:
    """Operations that the model needed over those that the devices could have done; None: no peak is known."""
    if gpu is None or gpu.peak_tflops is None:
        return None
    flops = flops_per_token(config.model, k=k, keys_per_token=keys_per_token, response_fraction=response_fraction)
    return flops.total * tokens_per_s / (gpu.peak_tflops * 1e12 * (1 if gpu.is_cpu else ranks))


def keys_per_token(split: SplitTokens, slots: Int64s, repeats: Int64s | None) -> float:
    """Keys that a trained token visits on average: all of the prefix, and of the response what stands before.

    Args:
        slots: [n_pairs] 0 for a pair that is not trained on.
        repeats: [n_pairs] how often it stands in an epoch.
    """
    prefix, response = split.prefix_lengths.astype(np.float64), split.response_lengths.astype(np.float64)
    times = (slots > 0) * (1.0 if repeats is None else repeats.astype(np.float64))
    visited = prefix * prefix + response * prefix + response * (response + 1) / 2
    return float((visited * times).sum() / max(1.0, float((slots * times).sum())))


def depth_at(config: RunConfig, step: int) -> int:
    """k of the update made after `step` others."""
    return min(backprop_depth(step, config.steps), config.model.n_applications)


def work(config: RunConfig, start: int, end: int) -> float:
    """Operations of the updates from `start` to `end`, in those of one token at each: only ratios mean anything."""
    total, step = 0.0, start
    while step < end:
        k = depth_at(config, step)
        following = _end_of_depth(config, step, end)
        total += (following - step) * flops_per_token(config.model, k=k, keys_per_token=0).total
        step = following
    return total


def _end_of_depth(config: RunConfig, step: int, end: int) -> int:
    """First step after `step` with another k, or `end`: k only grows, so halving finds it."""
    low, high, k = step, end, depth_at(config, step)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if depth_at(config, middle) == k else (low, middle)
    return high


def seconds_left(config: RunConfig, *, from_step: int, step: int, elapsed_s: float) -> float | None:
    """Time to the last step at the pace since `from_step`, evaluations and checkpoints included."""
    done = work(config, from_step, step)
    return None if done == 0 or elapsed_s <= 0 else elapsed_s * work(config, step, config.steps) / done
