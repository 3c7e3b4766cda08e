"""FlexAttention with a block mask of document and prefix: one call for the whole pack.

Owns the mask's definition for that kernel. It must not train on a CPU: PyTorch has no backward there.
"""

from __future__ import annotations

from functools import cache, partial

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from hrmbuild.model.attention import AttentionPlan, Lengths


def why_unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Needs CUDA with Triton."""
    if device.type != "cuda":
        return "FlexAttention has no backward pass outside CUDA"
    return None if torch.utils._triton.has_triton() else "FlexAttention needs Triton, which this torch does not find"


# Uncompiled, FlexAttention builds all scores; compiled once, it serves every pack of the same length.
_compiled = cache(partial(torch.compile, flex_attention, dynamic=False))


class FlexPlan(AttentionPlan):
    """Token i sees token j when both are of one sequence and j is in the prefix or not after i."""

    def __init__(self, lengths: Lengths, device: torch.device) -> None:
        sizes = torch.tensor([prefix + response for prefix, response in lengths], device=device)
        prefixes = torch.tensor([prefix for prefix, _ in lengths], device=device)
        sequence_T = torch.repeat_interleave(torch.arange(len(lengths), device=device), sizes)
        prefix_end_T = (sizes.cumsum(0) - sizes + prefixes)[sequence_T]

        def visible(batch: Tensor, head: Tensor, i: Tensor, j: Tensor) -> Tensor:
            return (sequence_T[i] == sequence_T[j]) & ((j < prefix_end_T[i]) | (j <= i))

        total = len(sequence_T)
        self.mask = create_block_mask(visible, None, None, total, total, device=device)
        self.kernel = _compiled() if device.type == "cuda" else flex_attention

    def attend(self, q_TNP: Tensor, k_TNP: Tensor, v_TNP: Tensor) -> Tensor:
        """[T, N, P]."""
        q, k, v = (x.transpose(0, 1).unsqueeze(0) for x in (q_TNP, k_TNP, v_TNP))
        return self.kernel(q, k, v, block_mask=self.mask).squeeze(0).transpose(0, 1)


build_plan = FlexPlan
