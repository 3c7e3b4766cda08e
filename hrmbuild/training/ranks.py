"""The ranks of a run: how many, which one this is, and what they do together. Accelerate is used here and nowhere else.

Owns device placement, the data-parallel wrapper, sums over ranks and the share of a step's bins. It must not know
losses, schedules or files. Launched by `accelerate launch` or `torchrun`, a process finds its rank by itself; alone it
is rank 0 of 1. Mixed precision is not Accelerate's: the model casts its own copy of the float32 masters.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor

from hrmbuild.errors import UsageError
from hrmbuild.model.language_model import LanguageModel

T = TypeVar("T")


class Ranks:
    """This process among those of the run."""

    def __init__(self, *, cpu: bool = False) -> None:
        """Join the launched group, or stand alone; `cpu` leaves GPUs unused."""
        # At k = 2 the embedding has no gradient: without the search for unused parameters DDP waits for it for ever.
        ddp = DistributedDataParallelKwargs(find_unused_parameters=True)
        self._accelerator = Accelerator(cpu=cpu, mixed_precision="no", kwargs_handlers=[ddp])
        self.index: int = self._accelerator.process_index
        """0 to count - 1."""
        self.count: int = self._accelerator.num_processes
        """Ranks in all."""
        self.device: torch.device = self._accelerator.device
        """Where this rank computes."""

    @property
    def is_main(self) -> bool:
        """Whether this rank writes files and reports."""
        return self.index == 0

    def wrap(self, model: LanguageModel) -> torch.nn.Module:
        """The model, on the device, ready to be trained by all ranks; alone it is the model itself."""
        return self._accelerator.prepare(model)

    def share(self, bins: Sequence[T]) -> Sequence[T]:
        """This rank's bins of a step, consecutive.

        Raises:
            UsageError: the ranks do not divide the bins.
        """
        each, rest = divmod(len(bins), self.count)
        if rest:
            fitting = [n for n in range(1, len(bins) + 1) if len(bins) % n == 0]
            nearest = min(fitting, key=lambda n: (abs(n - self.count), n))
            raise UsageError(
                "train.ranks_do_not_divide",
                f"{self.count} ranks cannot share the {len(bins)} bins of a step equally",
                why="every rank takes whole bins, so that any number of ranks sees the same batches",
                fix=f"launch {nearest} ranks",
            )
        return bins[self.index * each : (self.index + 1) * each]

    def accumulate(self, model: torch.nn.Module, *, last: bool) -> AbstractContextManager[object]:
        """Around a micro-step: gradients are exchanged after the last one only."""
        return nullcontext() if last or self.count == 1 else self._accelerator.no_sync(model)

    def total(self, value: Tensor) -> Tensor:
        """Sum over ranks, on every rank."""
        return value if self.count == 1 else self._accelerator.reduce(value, reduction="sum")

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank."""
        return flag if self.count == 1 else bool(self.total(torch.tensor(int(flag), device=self.device)) > 0)

    def main_first(self) -> AbstractContextManager[object]:
        """The main rank runs the block while the others wait; then they run it and find what it left."""
        return self._accelerator.main_process_first()

    def wait(self) -> None:
        """Until every rank is here."""
        self._accelerator.wait_for_everyone()
