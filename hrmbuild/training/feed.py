"""From a step's number to the batches of this rank, on its device: the cursor of a run is the step and nothing else.

Owns the way through the epochs, assembly, and doing it one step ahead in a thread while the device computes. It must
not know losses. Not Accelerate's loader: that one reads on rank 0, deals out, and cannot start inside an epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hrmbuild.errors import UsageError
from hrmbuild.model.attention import AttentionBackend
from hrmbuild.model.layout import PackLayout, build_layout
from hrmbuild.records.run import RunConfig
from hrmbuild.tokens.batch import Int64s, build_batch, step_digest
from hrmbuild.tokens.files import SplitTokens
from hrmbuild.tokens.mix import Repeats, repeats_in
from hrmbuild.tokens.plan import EpochPlan, PlanKey, StepShape, epoch_plan
from hrmbuild.training.machine import DTYPES
from hrmbuild.training.ranks import Ranks


@dataclass(frozen=True)
class MicroBatch:
    """One bin on the device."""

    token_ids: Tensor
    labels: Tensor
    layout: PackLayout
    n_tokens: int


@dataclass(frozen=True)
class StepBatch:
    """What one step trains on."""

    epoch: int
    micro_batches: tuple[MicroBatch, ...]
    """This rank's."""
    response_tokens: int
    """Labels of the whole step, over all ranks: what the loss is divided by."""
    tokens: int
    """Tokens of the whole step."""
    digest: str
    """Of the whole step's pairs."""


def place(
    split: SplitTokens, pairs: Int64s, *, device: torch.device, backend: AttentionBackend, dtype: str
) -> MicroBatch:
    """Build a bin and bring it to the device."""
    batch = build_batch(split, pairs)
    layout = build_layout(
        batch.prefix_lengths, batch.response_lengths, device=device, dtype=DTYPES[dtype], backend=backend
    )
    token_ids, labels = (torch.from_numpy(array).to(device) for array in (batch.token_ids, batch.labels))
    return MicroBatch(token_ids, labels, layout, batch.n_tokens)


def trained_slots(split: SplitTokens, context_tokens: int) -> Int64s:
    """[n_pairs] slots of each pair, 0 for a pair over the context: it is not trained on."""
    whole = split.prefix_lengths + split.response_lengths
    return np.where(whole <= context_tokens, split.slots, 0)


def run_plan(config: RunConfig, slots: Int64s, *, repeats: Repeats, epoch: int) -> EpochPlan:
    """The plan of an epoch of a run: nothing else decides what a step trains on."""
    key = PlanKey(config.training_root, config.tokenizer_sha256, config.seed, epoch)
    shape = StepShape(config.bins, config.batch_tokens // config.bins)
    return epoch_plan(key, slots, shape=shape, repeats=repeats_in(repeats, epoch))


class Feed:
    """The steps of a run, from any step on."""

    def __init__(self, split: SplitTokens, config: RunConfig, *, repeats: Repeats, ranks: Ranks, backend: str) -> None:
        self._split, self._config, self._repeats, self._ranks = split, config, repeats, ranks
        self._backend = AttentionBackend(backend)
        self._slots = trained_slots(split, config.model.context_tokens)

    def plan(self, epoch: int) -> EpochPlan:
        """The plan of an epoch."""
        return run_plan(self._config, self._slots, repeats=self._repeats, epoch=epoch)

    def steps(self, first: int) -> Iterator[StepBatch]:
        """Steps `first` (updates done before it) to the last; on a GPU each is built while the one before is computed.

        Not on a CPU: a second thread brings a second OpenMP team, OpenMP then counts more threads than cores and lets
        all of them sleep at every barrier. A step of nano took 307 ms with it and 190 ms without.
        """
        numbered = self._numbered(first)
        if self._ranks.device.type != "cpu":
            yield from self._built_ahead(numbered)
            return
        for one in numbered:
            yield self._build(*one)

    def _built_ahead(self, numbered: Iterator[tuple[int, list[Int64s]]]) -> Iterator[StepBatch]:
        with ThreadPoolExecutor(max_workers=1) as pool:
            first = next(numbered, None)
            ahead = None if first is None else pool.submit(self._build, *first)
            while ahead is not None:
                ready = ahead.result()
                following = next(numbered, None)
                ahead = None if following is None else pool.submit(self._build, *following)
                yield ready

    def _numbered(self, first: int) -> Iterator[tuple[int, list[Int64s]]]:
        """(epoch, bins) of each step; epochs before `first` are planned only for their number of steps."""
        step = epoch = 0
        while step < self._config.steps:
            plan = self.plan(epoch)
            for number in range(plan.n_steps):
                if first <= step < self._config.steps:
                    yield epoch, plan.step(number)
                step += 1
            epoch += 1

    def _build(self, epoch: int, bins: list[Int64s]) -> StepBatch:
        shares = self._ranks.shares(bins)
        if not all(
            any(len(pairs) for pairs in share) for share in shares
        ):  # Told by every rank: none waits for another.
            raise UsageError(
                "train.corpus_too_small",
                f"an epoch has fewer pairs than {self._ranks.count} ranks need",
                fix="launch fewer ranks, or add sources",
            )
        own, device, dtype = shares[self._ranks.index], self._ranks.device, self._config.dtype
        micro = [
            place(self._split, pairs, device=device, backend=self._backend, dtype=dtype) for pairs in own if len(pairs)
        ]
        everything = np.concatenate(bins)
        return StepBatch(
            epoch=epoch,
            micro_batches=tuple(micro),
            response_tokens=int(self._split.response_lengths[everything].sum()),
            tokens=int(self._slots[everything].sum()),
            digest=step_digest(self._split, bins),
        )
