"""What changes with the step, as pure functions of it: k, learning rate, and the constants that depend on the length.

Owns the schedules; a run resumed at step s computes the same numbers as one that never stopped. It must not hold state.
Source: arXiv 2605.20613, "Warm-up deep credit assignment" and "Training details"; short runs are our addition.
Steps count from 0: `step` is the number of updates made before.
"""

from __future__ import annotations

import math

K_FIRST = 2
"""Recorded stack applications at the start: the last of each stack."""
K_LAST = 5
"""Recorded applications after the warm-up: more cost more and were not better."""
K_WARM_UP_FRACTION = 0.2
"""Share of the run over which k grows."""
EMA_DECAY = 0.9999
"""Published decay; an average over about 10,000 steps."""
WARM_UP_STEPS = 2000
"""Published warm-up of the learning rate."""


def backprop_depth(step: int, total_steps: int) -> int:
    """k at this step: K_FIRST, growing evenly to K_LAST, which is reached at a fifth of the run."""
    progress = min(1.0, step / (K_WARM_UP_FRACTION * total_steps))
    return K_FIRST + math.floor((K_LAST - K_FIRST) * progress)


def warm_up_steps(total_steps: int) -> int:
    """Steps of linear warm-up: 2000, in short runs a twentieth, at least 10."""
    return min(WARM_UP_STEPS, max(10, total_steps // 20))


def ema_decay(total_steps: int) -> float:
    """Decay of the weight average: 0.9999, in short runs an average over about the last tenth."""
    return min(EMA_DECAY, max(0.0, 1 - 10 / total_steps))


def learning_rate(
    step: int, total_steps: int, *, peak: float, warm_up: int | None = None, final_ratio: float = 1.0
) -> float:
    """The rate of the update made at this step: linear warm-up, then a cosine from `peak` to `final_ratio * peak`.

    The first update runs at peak / warm_up, not at 0. A `final_ratio` of 1, the published way, keeps the rate constant.
    """
    warm = warm_up_steps(total_steps) if warm_up is None else warm_up
    if step < warm:
        return peak * (step + 1) / warm
    progress = min(1.0, (step - warm) / max(1, total_steps - warm))
    return peak * (final_ratio + (1 - final_ratio) * (1 + math.cos(math.pi * progress)) / 2)
