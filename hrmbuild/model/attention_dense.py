"""The reference kernel: one dense mask over the whole pack, every step written out.

Owns the definition that the other kernels are tested against. It must stay naive. Memory is O(N T^2).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def why_unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Never: plain matrix products run everywhere."""
    return None


@dataclass(frozen=True)
class DensePlan:
    """`visible_TT[i, j]`: slot i may look at slot j."""

    visible_TT: Tensor
    slot_tokens: Tensor | None = None

    def attend(self, q_TNP: Tensor, k_TNP: Tensor, v_TNP: Tensor) -> Tensor:
        """[T, N, P]; scores and softmax in float32 at least."""
        wide = torch.promote_types(q_TNP.dtype, torch.float32)
        scores_NTT = torch.einsum("tnp,snp->nts", q_TNP.to(wide), k_TNP.to(wide)) * q_TNP.shape[-1] ** -0.5
        weights_NTT = scores_NTT.masked_fill(~self.visible_TT, float("-inf")).softmax(dim=-1)
        return torch.einsum("nts,snp->tnp", weights_NTT, v_TNP.to(wide)).to(q_TNP.dtype)


def build_plan(prefix_lengths: list[int], response_lengths: list[int], device: torch.device) -> DensePlan:
    """The mask of the whole pack."""
    lengths = [prefix + response for prefix, response in zip(prefix_lengths, response_lengths, strict=True)]
    sequence_T = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    position_T = torch.cat([torch.arange(length) for length in lengths])
    prefix_T = torch.tensor(prefix_lengths)[sequence_T]
    same_TT = sequence_T[:, None] == sequence_T[None, :]
    allowed_TT = (position_T < prefix_T)[None, :] | (position_T[None, :] <= position_T[:, None])
    return DensePlan((same_TT & allowed_TT).to(device))
