"""FlexAttention with a block mask of document and prefix: one call for the whole pack.

Owns the mask's definition for that kernel. It must not run on a CPU in training: PyTorch has no backward there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention


def why_unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Needs CUDA with Triton."""
    if device.type != "cuda":
        return "FlexAttention has no backward pass outside CUDA"
    if not torch.utils._triton.has_triton():
        return "FlexAttention needs Triton, which this torch does not find"
    return None


@cache
def _compiled():
    # Uncompiled, FlexAttention builds all scores; compiled once, it serves every pack of the same length.
    return torch.compile(flex_attention, dynamic=False)


@dataclass(frozen=True)
class FlexPlan:
    """The block mask of one pack; slots are the tokens."""

    mask: BlockMask
    compiled: bool
    slot_tokens: Tensor | None = None

    def attend(self, q_TNP: Tensor, k_TNP: Tensor, v_TNP: Tensor) -> Tensor:
        """[T, N, P]."""
        kernel = _compiled() if self.compiled else flex_attention
        rows = [x.transpose(0, 1).unsqueeze(0) for x in (q_TNP, k_TNP, v_TNP)]
        return kernel(*rows, block_mask=self.mask).squeeze(0).transpose(0, 1)


def build_plan(prefix_lengths: list[int], response_lengths: list[int], device: torch.device) -> FlexPlan:
    """Slot i sees slot j when both are of one sequence and j is in the prefix or not after i."""
    lengths = [prefix + response for prefix, response in zip(prefix_lengths, response_lengths, strict=True)]
    counts = torch.tensor(lengths, device=device)
    sequence_T = torch.repeat_interleave(torch.arange(len(lengths), device=device), counts)
    prefix_end_T = (counts.cumsum(0) - counts + torch.tensor(prefix_lengths, device=device))[sequence_T]

    def visible(batch: Tensor, head: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return (sequence_T[i] == sequence_T[j]) & ((j < prefix_end_T[i]) | (j <= i))

    total = sum(lengths)
    mask = create_block_mask(visible, None, None, total, total, device=device)
    return FlexPlan(mask, compiled=device.type == "cuda")
