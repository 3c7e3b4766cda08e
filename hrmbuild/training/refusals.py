"""What stops a run before an update, or after one: numbers that are none, a spike of the loss, a disk that says no.

Owns the judgement of a step's numbers and the words for it. Every rank judges the same numbers and comes to the same
answer. It must not save or stop anything itself.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Sequence

from hrmbuild.errors import AnswerIsNoError, HrmbuildError, InputError

SPIKE_WINDOW = 100
"""Steps whose median a spike is measured against; fewer where there are fewer."""


class LossGuard:
    """The losses of the last steps, and whether the next one may be followed."""

    def __init__(self, losses: Sequence[float], *, stop_on_spike: float | None) -> None:
        self._losses = deque(losses, maxlen=SPIKE_WINDOW)
        self._factor = stop_on_spike

    def add(self, loss: float) -> None:
        """A step was done."""
        self._losses.append(loss)

    def refusal(self, loss: float, grad_norm: float, *, step: int, run: str) -> AnswerIsNoError | None:
        """Why no update may follow these numbers of step `step`; None: go on.

        `grad_norm` is not a number where that of any rank is none.
        """
        if not math.isfinite(loss) or not math.isfinite(grad_norm):
            return _not_finite(loss, grad_norm, step=step, run=run)
        usual = statistics.median(self._losses) if self._losses else math.inf
        if self._factor is not None and loss > self._factor * usual:
            return _spike(loss, usual, factor=self._factor, n=len(self._losses), step=step, run=run)
        return None


def _not_finite(loss: float, grad_norm: float, *, step: int, run: str) -> AnswerIsNoError:
    return AnswerIsNoError(
        "train.not_finite",
        f"the loss of step {step} is {loss}, its gradient's norm {grad_norm}: no update was made",
        where=run,
        why=f"the state after step {step - 1} is saved; going on from it would end here again",
        fix="train again with a smaller train.learning_rate, or with train.dtype: float32",
    )


def _spike(loss: float, usual: float, *, factor: float, n: int, step: int, run: str) -> AnswerIsNoError:
    return AnswerIsNoError(
        "train.loss_spike",
        f"the loss of step {step} is {loss:.4g}, {loss / usual:.1f} times the median of the last {n} steps "
        f"({usual:.4g}): no update was made",
        where=run,
        why=f"--stop-on-spike {factor:g} asks for this; the state after step {step - 1} is saved",
        fix=f"look at that step's pairs; go on with: hrmbuild train --resume --out {run}, and a larger "
        "--stop-on-spike or none",
    )


def stopped_by(error: HrmbuildError, *, what: str) -> InputError:
    """What the disk said, as the end of a run: `what` could not be written."""
    return InputError(
        error.code,
        f"{what} was not written: {error.what}",
        where=error.where,
        why="the run is stopped; checkpoints that were complete before are untouched",
        fix=f"{(error.fix or '').split(', then')[0]}, then go on with: the same command with --resume",
    )
