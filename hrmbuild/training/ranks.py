"""The ranks of a run: how many, which one this is, and what they do together. Accelerate and torch.distributed are used
here and nowhere else.

Owns device placement, the data-parallel wrappers, sums over ranks and what is whose: the share of a step's bins, of a
tensor's rows. It must not know losses, schedules or files. Launched by `accelerate launch` or `torchrun`, a process
finds its rank by itself; alone it is rank 0 of 1. Mixed precision is not Accelerate's, nor is sharding: it ignores its
FSDP settings on a CPU, and tests there would prove a path that no GPU runs.

Sharded (FSDP2), each rank holds some rows of every matrix. The model applies its blocks many times in a pass, so a
block's matrices are gathered once a step and kept until `release`, over all applications and micro-batches: one
all-gather and one reduce-scatter a block and step, however large k is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor
from torch.distributed import TCPStore
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    FSDPModule,
    MixedPrecisionPolicy,
    fully_shard,
)
from torch.distributed.tensor import DTensor
from torch.utils.hooks import RemovableHandle

from hrmbuild.errors import UsageError
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.model.layers import Block

T = TypeVar("T")


class Ranks:
    """This process among those of the run."""

    def __init__(self, *, cpu: bool = False) -> None:
        """Join the launched group, or stand alone; `cpu` leaves GPUs unused."""
        # At k = 2 the embedding has no gradient: without the search for unused parameters DDP waits for it for ever.
        # With one micro-batch a step the gradients lie where they are exchanged: 4 bytes a weight less.
        ddp = DistributedDataParallelKwargs(find_unused_parameters=True, gradient_as_bucket_view=True)
        self._accelerator = Accelerator(cpu=cpu, mixed_precision="no", kwargs_handlers=[ddp])
        self.index: int = self._accelerator.process_index
        """0 to count - 1."""
        self.count: int = self._accelerator.num_processes
        """Ranks in all."""
        self.device: torch.device = self._accelerator.device
        """Where this rank computes."""

    @property
    def on_this_machine(self) -> int:
        """Ranks that share this machine's processor."""
        return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if self.count > 1 else 1

    @property
    def is_main(self) -> bool:
        """Whether this rank reports, and completes what all ranks write."""
        return self.index == 0

    def wrap(self, model: LanguageModel, *, sharded: bool = False) -> torch.nn.Module:
        """The model, on the device, ready to be trained by all ranks; alone it is the model itself.

        Sharded, the model is changed in place: its parameters become this rank's rows of them.
        """
        if not sharded or self.count == 1:
            return self._accelerator.prepare(model)
        return _shard(model.to(self.device), device=self.device, count=self.count)

    def shares(self, bins: Sequence[T]) -> list[Sequence[T]]:
        """The bins of a step by rank, consecutive ones for each.

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
        return [bins[index * each : (index + 1) * each] for index in range(self.count)]

    def accumulate(self, module: torch.nn.Module, *, last: bool) -> AbstractContextManager[object]:
        """Around a micro-step: gradients are exchanged after the last one only."""
        if isinstance(module, FSDPModule):
            return _exchanged_once(module, last=last)
        return nullcontext() if last or self.count == 1 else self._accelerator.no_sync(module)

    def release(self, model: torch.nn.Module) -> None:
        """Give back the matrices gathered for forward and backward; needed before the weights change, for they stay."""
        for part in model.modules():
            if isinstance(part, FSDPModule):
                part.reshard()

    @contextmanager
    def whole(self, model: torch.nn.Module) -> Iterator[None]:
        """Inside, every matrix is whole on every rank: for passes that do not go through `forward`, as decoding."""
        for part in model.modules():
            if isinstance(part, FSDPModule):
                part.unshard()
        try:
            yield
        finally:
            self.release(model)

    def own_rows(self, n_rows: int) -> tuple[int, int]:
        """First row and end of this rank's part of a tensor; the last ranks may have none."""
        each = -(-n_rows // self.count)
        return min(self.index * each, n_rows), min((self.index + 1) * each, n_rows)

    def norm(self, gradients: Sequence[Tensor]) -> float:
        """L2 norm over all elements of all gradients, sharded or whole; the same number on every rank."""
        if not any(isinstance(gradient, DTensor) for gradient in gradients):
            return float(torch.nn.utils.get_total_norm(gradients))
        norms = torch._foreach_norm([local_rows(gradient) for gradient in gradients])
        return float(self.total(torch.stack(norms).double().square().sum()).sqrt())

    def total(self, value: Tensor) -> Tensor:
        """Sum over ranks, on every rank."""
        return value if self.count == 1 else self._accelerator.reduce(value, reduction="sum")

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank."""
        return flag if self.count == 1 else bool(self.total(torch.tensor(int(flag), device=self.device)) > 0)

    def texts(self, own: str) -> list[str]:
        """What each rank says, by rank; on every rank the same."""
        if self.count == 1:
            return [own]
        data = own.encode("utf-8")
        lengths = self._in_own_row(torch.tensor([len(data)], dtype=torch.int64))
        held = torch.zeros(int(lengths.max()), dtype=torch.int64)
        held[: len(data)] = torch.tensor(list(data), dtype=torch.int64)
        rows = self._in_own_row(held).tolist()
        return [bytes(row[: int(n)]).decode("utf-8") for row, n in zip(rows, lengths, strict=True)]

    def _in_own_row(self, row: Tensor) -> Tensor:
        """[count, n]: every rank's row."""
        table = torch.zeros(self.count, len(row), dtype=row.dtype, device=self.device)
        table[self.index] = row.to(self.device)
        return self.total(table).cpu()

    def main_first(self) -> AbstractContextManager[object]:
        """The main rank runs the block while the others wait; then they run it and find what it left."""
        return self._accelerator.main_process_first()

    def wait(self) -> None:
        """Until every rank is here."""
        self._accelerator.wait_for_everyone()


def meeting_point() -> tuple[object, int]:
    """A store where ranks of this machine find one another, for as long as the object lives, and its port.

    The system chooses the port, so that two runs never meet.
    """
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    return store, store.port


def local_rows(tensor: Tensor) -> Tensor:
    """This rank's rows of a sharded tensor (they share its memory), or a whole tensor itself."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def is_sharded(tensor: Tensor) -> bool:
    """Whether a tensor holds this rank's rows only."""
    return isinstance(tensor, DTensor)


def _shard(model: LanguageModel, *, device: torch.device, count: int) -> torch.nn.Module:
    """FSDP2 around each block and around the rest (embedding and head); buffers stay whole on every rank.

    Blocks compute in the model's dtype; embedding and head are cast by the model itself from float32, as everywhere.
    Gradients are reduced in float32, and inputs are left as they are: RoPE's tables stay float32.
    """
    mesh = init_device_mesh(device.type, (count,))
    inside = MixedPrecisionPolicy(
        param_dtype=model.compute_dtype, reduce_dtype=torch.float32, cast_forward_inputs=False
    )
    outside = MixedPrecisionPolicy(reduce_dtype=torch.float32, cast_forward_inputs=False)
    for block in [part for part in model.modules() if isinstance(part, Block)]:
        fully_shard(block, mesh=mesh, reshard_after_forward=False, mp_policy=inside)
    module = fully_shard(model, mesh=mesh, reshard_after_forward=False, mp_policy=outside)
    module.set_reshard_after_backward(False)
    model.is_sharded = True
    return module


@contextmanager
def _exchanged_once(module: FSDPModule, *, last: bool) -> Iterator[None]:
    """One reduction a block, after the last micro-batch.

    FSDP2 reduces after every application of a block whatever gradient is there. In a step's only micro-batch that is
    nothing until the block's earliest application; with micro-batches before, it would be theirs, application by
    application. So a block waits until this pass has added to all of its gradients.
    """
    module.set_requires_gradient_sync(last)
    blocks = [part for part in module.modules() if isinstance(part, Block)]
    has_gathered = last and not any(is_sharded(parameter) for parameter in module.parameters())
    handles = [handle for block in blocks for handle in _exchange_when_complete(block)] if has_gathered else []
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _exchange_when_complete(block: Block) -> list[RemovableHandle]:
    """Hooks on a block's gathered matrices; the last one to get its gradient lets the block exchange them all."""
    waiting = len(list(block.parameters()))
    block.set_requires_gradient_sync(False, recurse=False)

    def added(parameter: Tensor) -> None:
        nonlocal waiting
        waiting -= 1
        if waiting == 0:
            block.set_requires_gradient_sync(True, recurse=False)

    return [parameter.register_post_accumulate_grad_hook(added) for parameter in block.parameters()]
