"""PyTorch's SDPA, one call a sequence.

Owns nothing but the slicing. Exact on every device and in every dtype; for large packs on a GPU it launches too much.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hrmbuild.model.attention import AttentionPlan, Lengths
from hrmbuild.model.attention_dense import visible, why_unavailable

__all__ = ["SdpaPlan", "build_plan", "why_unavailable"]


class SdpaPlan(AttentionPlan):
    """The mask of each sequence; None where a sequence is all prefix."""

    def __init__(self, lengths: Lengths, device: torch.device) -> None:
        self.sizes = [prefix + response for prefix, response in lengths]
        self.masks = [visible(p, r).to(device) if r else None for p, r in lengths]

    def attend(self, q_TNP: Tensor, k_TNP: Tensor, v_TNP: Tensor) -> Tensor:
        """[T, N, P]."""
        heads_first = (x.transpose(0, 1).split(self.sizes, dim=1) for x in (q_TNP, k_TNP, v_TNP))
        calls = zip(*heads_first, self.masks, strict=True)
        outs = [F.scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=mask)[0] for q, k, v, mask in calls]
        return torch.cat(outs, dim=1).transpose(0, 1)


build_plan = SdpaPlan
