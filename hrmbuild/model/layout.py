"""Where the tokens of a pack stand: built once per micro-batch, used by every layer.

Owns `PackLayout`. Tokens come as one flat list, sequence after sequence; the attention kernel may want another order,
so a layout maps tokens to slots and back. It must not see token ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hrmbuild.model.attention import AttentionBackend, AttentionPlan, choose_backend


@dataclass(frozen=True)
class PackLayout:
    """One pack of T tokens."""

    n_tokens: int
    """T, padding at the end (`pad_to`) included."""
    predicting: Tensor
    """[n_predicting] token indices that predict a label: each last prefix token and every response token."""
    last_prefix: Tensor
    """[sequences] token index of each last prefix token."""
    positions: Tensor
    """[T] position inside the own sequence, from 0, in slot order."""
    backend: AttentionBackend
    """The kernel in use."""
    plan: AttentionPlan
    """What that kernel prepared."""
    token_slots: Tensor | None
    """[T] slot of each token; None when slots are the tokens."""

    def to_slots(self, x_T: Tensor) -> Tensor:
        """Token order to slot order, along dimension 0."""
        return x_T if self.plan.slot_tokens is None else x_T.index_select(0, self.plan.slot_tokens)

    def to_tokens(self, x_T: Tensor) -> Tensor:
        """Slot order to token order, along dimension 0."""
        return x_T if self.token_slots is None else x_T.index_select(0, self.token_slots)


def build_layout(
    prefix_lengths: Sequence[int],
    response_lengths: Sequence[int],
    *,
    device: torch.device | str = "cpu",
    pad_to: int | None = None,
    dtype: torch.dtype | None = None,
    backend: AttentionBackend | None = None,
) -> PackLayout:
    """Lay out sequences, in pack order, of prefixes (1 token or more) and response-side input tokens (0 or more).

    Args:
        pad_to: total tokens of the pack; what is missing stands at the end and is seen by nobody.
        dtype: what the model computes in, as some kernels want half precision; None: bfloat16 on a GPU, else float32.
        backend: the attention kernel; None takes the best one for `device`.

    An empty pack, an impossible length or a `pad_to` below the tokens given is a ValueError.
    """
    device, lengths = torch.device(device), list(zip(prefix_lengths, response_lengths, strict=True))
    sizes = [prefix + response for prefix, response in lengths]
    missing = 0 if pad_to is None else pad_to - sum(sizes)
    if not lengths or min(prefix_lengths) < 1 or min(response_lengths) < 0 or missing < 0:
        raise ValueError(f"no pack of {pad_to} tokens from prefixes {prefix_lengths}, responses {response_lengths}")
    ends = torch.tensor(sizes).cumsum(0)
    last_prefix = ends - torch.tensor(list(response_lengths)) - 1
    predicting = torch.cat([torch.arange(first, end) for first, end in zip(last_prefix, ends, strict=True)])
    padded = [*lengths, (missing, 0)] if missing else lengths
    positions = torch.cat([torch.arange(prefix + response) for prefix, response in padded]).to(device)
    usual = torch.bfloat16 if device.type == "cuda" else torch.float32
    chosen = choose_backend(device, dtype or usual, requested=backend)
    plan = chosen.build_plan(padded, device)
    order, slots = plan.slot_tokens, None
    if order is not None:
        positions, slots = positions[order], order.argsort()
    return PackLayout(len(positions), predicting.to(device), last_prefix.to(device), positions, chosen, plan, slots)
