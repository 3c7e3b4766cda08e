"""The plan of an epoch: which pairs stand together in which step, as a pure function that knows no ranks.

Owns the drawn order and the packing. A plan depends on (content_root, tokenizer, seed, epoch), the pairs' lengths and
the shape of a step, so that resuming needs a step number only, and any number of ranks that divides the bins sees the
same batches. It must not read tokens.

A step is cut into bins of equal capacity; ranks take whole bins. Every pair stands in an epoch exactly once (times its
repeat). The epoch's tokens are spread evenly over its steps, so its last step is no smaller than the others: Adam-atan2
takes as long a step on a handful of pairs as on a full batch.

Packing, a window of consecutive steps at a time, in the drawn order: sort by length, deal the pairs to the bins in
rounds (the longest of a round to the bin with the fewest tokens), then let a bin that is too full exchange a pair with
one that is not; what still fits nowhere moves to the next window. All bins so get pairs of all lengths, hence about
equal FLOPs, and batches do not correlate with length, as best-fit packing over a whole epoch would make them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

WINDOW_BINS = 128
"""Bins packed together: enough lengths to choose from, and steps stay near the drawn order."""
RESERVE = 0.001
"""Share of the slots left empty on purpose: without a little room no exchange could ever fit."""
MOST_FAILURES = 16
"""Exchanges that may fail in a window before the rest is not tried: with pairs of equal length none can succeed."""
BIN_TOKENS = 12_288
"""Smallest bin where a step is cut at all: the paper's tokens for one GPU."""

Int64s = NDArray[np.int64]


@dataclass(frozen=True)
class StepShape:
    """How a step is cut."""

    bins: int
    """Bins in a step; the number of ranks divides it."""
    bin_tokens: int
    """Slots in a bin."""

    @property
    def tokens(self) -> int:
        """Slots in a step."""
        return self.bins * self.bin_tokens


@dataclass(frozen=True)
class PlanKey:
    """What the drawn order depends on."""

    content_root: str
    tokenizer_sha256: str
    seed: int
    epoch: int


@dataclass(frozen=True)
class EpochPlan:
    """Bins of one epoch; step s has bins s * shape.bins up to the next step's."""

    shape: StepShape
    pairs: Int64s
    """[entries] pair numbers, bin after bin, ascending inside a bin."""
    bin_ends: Int64s
    """[n_bins + 1] where each bin starts in `pairs`, and the end."""

    @property
    def n_steps(self) -> int:
        """Steps in the epoch."""
        return (len(self.bin_ends) - 1) // self.shape.bins

    def step(self, number: int) -> list[Int64s]:
        """Pair numbers of each bin of a step; a bin may be empty where pairs are fewer than bins."""
        first = number * self.shape.bins
        ends = self.bin_ends[first : first + self.shape.bins + 1]
        return [self.pairs[start:end] for start, end in pairwise(ends.tolist())]


def step_shape(batch_tokens: int) -> StepShape:
    """The default cut: as many equal bins of at least 12,288 tokens as divide the step.

    XL's 196,608 tokens make 16 bins, L's 172,032 make 14. Steps below two such bins stay whole (nano and tiny), because
    on one device every cut costs another pass over the weights.
    """
    most = max(1, batch_tokens // BIN_TOKENS)
    bins = next(n for n in range(most, 0, -1) if batch_tokens % n == 0)
    return StepShape(bins, batch_tokens // bins)


def epoch_plan(key: PlanKey, slots: Int64s, *, shape: StepShape, repeats: Int64s | None = None) -> EpochPlan:
    """Plan an epoch.

    Args:
        key: what the order is drawn from.
        slots: [n_pairs] tokens of each pair that take part; 0 leaves a pair out.
        shape: of a step.
        repeats: [n_pairs] how often a pair stands in the epoch; absent: once.

    Raises:
        ValueError: nothing to train on, or a pair longer than a bin.
    """
    entries = _entries(slots, repeats)
    if len(entries) == 0 or slots.max() > shape.bin_tokens:
        raise ValueError("an epoch needs a pair, and no pair may be longer than a bin")
    name = f"epoch|{key.content_root}|{key.tokenizer_sha256}|{key.seed}|{key.epoch}|"
    order = entries[np.argsort(counter_draws(name, len(entries)), kind="stable")]
    packed: list[Int64s] = []
    carried = order[:0]
    windows = _windows(slots[order], shape)
    for number, (window, n_steps) in enumerate(windows):
        pairs = np.concatenate((carried, order[window]))
        last = number == len(windows) - 1
        bins, carried = _pack(pairs, slots, shape=shape, n_steps=n_steps, may_carry=not last)
        packed += _matched(bins, slots, shape=shape)
    ends = np.concatenate(([0], np.cumsum([len(bin_) for bin_ in packed])))
    return EpochPlan(shape, np.concatenate(packed), ends)


def _entries(slots: Int64s, repeats: Int64s | None) -> Int64s:
    counts = np.ones(len(slots), dtype=np.int64) if repeats is None else repeats
    return np.repeat(np.arange(len(slots)), np.where(slots > 0, counts, 0))


def counter_draws(name: str, n: int) -> NDArray[np.uint64]:
    """n draws: a counter of SHA-256, four 64-bit draws to a block (a hash for each would take four times as long)."""
    started = hashlib.sha256(name.encode())
    blocks: list[bytes] = []
    for counter in range(-(-n // 4)):
        block = started.copy()
        block.update(counter.to_bytes(8, "big"))
        blocks.append(block.digest())
    return np.frombuffer(b"".join(blocks), dtype=">u8")[:n].astype(np.uint64)


def _windows(slots: Int64s, shape: StepShape) -> list[tuple[slice, int]]:
    """Cut the drawn order into windows of whole steps, every step with about the same tokens."""
    ends = slots.cumsum()
    n_steps = -(-int(ends[-1] * (1 + RESERVE)) // shape.tokens)
    n_windows = max(1, n_steps * shape.bins // WINDOW_BINS)
    first_steps = [n_steps * number // n_windows for number in range(n_windows + 1)]
    targets = [int(ends[-1]) * step // n_steps for step in first_steps[1:-1]]
    cuts = [0, *np.searchsorted(ends, targets).tolist(), len(slots)]
    steps = [last - first for first, last in pairwise(first_steps)]
    return [(slice(*cut), n) for cut, n in zip(pairwise(cuts), steps, strict=True) if cut[1] > cut[0]]


def _pack(
    pairs: Int64s, slots: Int64s, *, shape: StepShape, n_steps: int, may_carry: bool
) -> tuple[list[Int64s], Int64s]:
    """The window's pairs in bins of so many steps, and those that no exchange could place (for the next window).

    The epoch's last window has no next one: it takes a step more until all fit.
    """
    by_length = pairs[np.argsort(-slots[pairs], kind="stable")]
    n_steps = max(n_steps, int(slots[pairs].sum()) // shape.tokens)
    while True:
        bins = _deal(slots[by_length], n_steps * shape.bins)
        left = _relieve(bins, slots[by_length], capacity=shape.bin_tokens)
        if may_carry or not left:
            return [np.sort(by_length[chosen]) for chosen in bins], by_length[left]
        n_steps += 1


def _matched(bins: list[Int64s], slots: Int64s, *, shape: StepShape) -> list[Int64s]:
    """Bins of like cost in the same step, so that no rank waits; steps in the order of their smallest pair number.

    Bins hold equal tokens, so what differs is attention: the sum of squared lengths. Pair numbers follow hashes, so
    that order is as good as drawn.
    """
    by_cost = sorted(bins, key=lambda pairs: (int((slots[pairs] ** 2).sum()), pairs.tolist()))
    steps = [by_cost[first : first + shape.bins] for first in range(0, len(bins), shape.bins)]
    smallest = [min((int(pairs[0]) for pairs in step if len(pairs)), default=-1) for step in steps]
    order = sorted(range(len(steps)), key=lambda number: (smallest[number], number))
    return [bin_ for number in order for bin_ in steps[number]]


def _deal(lengths: Int64s, n_bins: int) -> list[list[int]]:
    """Deal positions of a descending list in rounds, the longest of a round to the bin with the fewest tokens."""
    loads = np.zeros(n_bins, dtype=np.int64)
    dealt = np.full((-(-len(lengths) // n_bins), n_bins), -1, dtype=np.int64)
    for row, start in enumerate(range(0, len(lengths), n_bins)):
        taken = np.argsort(loads, kind="stable")[: len(lengths) - start]
        dealt[row, taken] = np.arange(start, start + len(taken))
        loads[taken] += lengths[start : start + len(taken)]
    return [column[column >= 0].tolist() for column in dealt.T]


def _relieve(bins: list[list[int]], lengths: Int64s, *, capacity: int) -> list[int]:
    """Exchange pairs between bins, in place, until none exceeds its capacity; what had to leave the window."""
    loads = [int(lengths[chosen].sum()) for chosen in bins]
    left: list[int] = []
    for full in sorted(range(len(bins)), key=lambda i: (-loads[i], i)):
        while loads[full] > capacity:
            tried_enough = len(left) >= MOST_FAILURES
            if tried_enough or not _exchange(bins, loads, lengths=lengths, capacity=capacity, full=full):
                left.append(_smallest_cure(bins[full], lengths, excess=loads[full] - capacity))
                bins[full].remove(left[-1])
                loads[full] -= int(lengths[left[-1]])
    return left


def _smallest_cure(chosen: list[int], lengths: Int64s, *, excess: int) -> int:
    """The shortest pair whose leaving brings the bin within its capacity, else the longest."""
    cures = [position for position in chosen if lengths[position] >= excess]
    return max(cures, default=chosen[0])  # positions are by descending length


def _exchange(bins: list[list[int]], loads: list[int], *, lengths: Int64s, capacity: int, full: int) -> bool:
    """Move tokens from a bin that is too full to the emptiest that can take some: a pair, or the difference of two."""
    for roomy in sorted(range(len(bins)), key=lambda i: (loads[i], i)):
        room = capacity - loads[roomy]
        if roomy == full or room <= 0:
            return False
        swap = _best_swap(
            lengths[bins[full]], np.append(lengths[bins[roomy]], 0), excess=loads[full] - capacity, room=room
        )
        if swap is None:
            continue
        given, taken, moved = swap
        pair = bins[full].pop(given)
        if taken < len(bins[roomy]):
            bins[full].append(bins[roomy].pop(taken))
        bins[roomy].append(pair)
        loads[full] -= moved
        loads[roomy] += moved
        return True
    return False


def _best_swap(full: Int64s, roomy: Int64s, *, excess: int, room: int) -> tuple[int, int, int] | None:
    """Positions to exchange and the tokens that move: the least that cures the excess, else the most that fits.

    `roomy` ends in a 0: taking that one in return means giving a pair away.
    """
    differences = full[:, None] - roomy[None, :]
    fits = (differences > 0) & (differences <= room)
    if not fits.any():
        return None
    cures = fits & (differences >= excess)
    scores = np.where(cures, -differences, -(1 << 40)) if cures.any() else np.where(fits, differences, -(1 << 40))
    given, taken = divmod(int(scores.argmax()), len(roomy))
    return given, taken, int(differences[given, taken])
