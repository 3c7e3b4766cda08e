"""Adam-atan2 with decoupled decay and an exponential moving average of the weights.

Owns the update rule and its state. It must not know ranks, schedules or precision of the model: parameters are the
float32 masters, whoever computes in bfloat16 casts a copy. State is made at a parameter's first step, because a
sharding wrapper may replace parameters after construction. Source: arXiv 2407.05872, section 4.3, in the form of the
HRM-Text
authors: the first moment's bias correction stays outside the atan2. With step t counted for each parameter:

    p   <- p (1 - lr wd)
    m   <- b1 m + (1 - b1) g                v <- b2 v + (1 - b2) g^2
    p   <- p - lr / (1 - b1^t) * atan2(m, sqrt(v / (1 - b2^t)))
    ema <- d ema + (1 - d) p                (starts as p before its first step)

atan2 needs no epsilon, and scaling all gradients changes nothing. A parameter without a gradient skips everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

_BATCH_ELEMENTS = {"cpu": 1 << 17, "cuda": 1 << 26}
"""Weights updated together: what stays in a CPU's cache over all operations, or few launches on a GPU."""


class AdamAtan2(torch.optim.Optimizer):
    """State of a parameter: `step` (int), `exp_avg`, `exp_avg_sq`, `ema` (shaped and sharded as the parameter)."""

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        *,
        betas: tuple[float, float] = (0.9, 0.95),
        weight_decay: float = 0.1,
        ema_decay: float = 0.9999,
    ) -> None:
        """`lr` and `ema_decay` are read from the group at each step, so that a schedule may set them."""
        defaults = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "ema_decay": ema_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of every parameter that has a gradient."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            trained = [parameter for parameter in group["params"] if parameter.grad is not None]
            for batch in _batches(trained):
                self._update(batch, group)
        return loss

    @torch.no_grad()
    def swap_ema(self) -> None:
        """Exchange weights and averages in place; twice is the identity. Call it around an evaluation."""
        for parameter, state in self.state.items():
            weights, average = _local(parameter), _local(state["ema"])
            held = weights.clone()
            weights.copy_(average)
            average.copy_(held)

    def _update(self, batch: list[Tensor], group: dict[str, Any]) -> None:
        states = [self._state_of(parameter) for parameter in batch]
        for state in states:
            state["step"] += 1
        steps = [state["step"] for state in states]
        p, g = [_local(x) for x in batch], [_local(x.grad) for x in batch]
        m, v, ema = ([_local(state[key]) for state in states] for key in ("exp_avg", "exp_avg_sq", "ema"))
        lr, (b1, b2) = group["lr"], group["betas"]
        torch._foreach_mul_(p, 1 - lr * group["weight_decay"])
        torch._foreach_lerp_(m, g, 1 - b1)
        torch._foreach_mul_(v, b2)
        torch._foreach_addcmul_(v, g, g, value=1 - b2)
        roots = torch._foreach_sqrt(v)
        torch._foreach_mul_(roots, [(1 - b2**t) ** -0.5 for t in steps])
        for root, mean in zip(roots, m, strict=True):
            torch.atan2(mean, root, out=root)
        torch._foreach_mul_(roots, [-lr / (1 - b1**t) for t in steps])
        torch._foreach_add_(p, roots)
        torch._foreach_lerp_(ema, p, 1 - group["ema_decay"])

    def _state_of(self, parameter: Tensor) -> dict[str, Any]:
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
            state["ema"] = parameter.detach().clone()
        return state


def _local(tensor: Tensor) -> Tensor:
    """This rank's shard of a distributed tensor (the update is element by element), or the tensor itself."""
    to_local = getattr(tensor, "to_local", None)
    return tensor if to_local is None else to_local()


def _batches(parameters: list[Tensor]) -> Iterator[list[Tensor]]:
    """Consecutive parameters, together at most the device's batch size (or one that is larger alone)."""
    batch: list[Tensor] = []
    held = 0
    for parameter in parameters:
        size = _local(parameter).numel()
        if batch and held + size > _BATCH_ELEMENTS.get(parameter.device.type, 1 << 26):
            yield batch
            batch, held = [], 0
        batch.append(parameter)
        held += size
    if batch:
        yield batch
