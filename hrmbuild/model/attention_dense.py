"""The reference kernel: one dense mask over the whole pack, every step written out.

Owns the definition that the other kernels are tested against. It must stay naive. Memory is O(N T^2).
"""

from __future__ import annotations

import torch
from torch import Tensor

from hrmbuild.model.attention import AttentionPlan, Lengths


def why_unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Never: plain matrix products run everywhere."""
    return None


def visible(prefix: int, response: int) -> Tensor:
    """[L, L] bool, the rule inside one sequence: the prefix is open to all, the rest to those after it."""
    position = torch.arange(prefix + response)
    return (position < prefix)[None, :] | (position[None, :] <= position[:, None])


class DensePlan(AttentionPlan):
    """`visible_TT[i, j]`: token i may look at token j."""

    def __init__(self, lengths: Lengths, device: torch.device) -> None:
        self.visible_TT = (
            torch.block_diag(*(visible(prefix, response) for prefix, response in lengths)).bool().to(device)
        )

    def attend(self, q_TNP: Tensor, k_TNP: Tensor, v_TNP: Tensor) -> Tensor:
        """[T, N, P]; scores and softmax in float32 at least."""
        wide = torch.promote_types(q_TNP.dtype, torch.float32)
        scores_NTT = torch.einsum("tnp,snp->nts", q_TNP.to(wide), k_TNP.to(wide)) * q_TNP.shape[-1] ** -0.5
        weights_NTT = scores_NTT.masked_fill(~self.visible_TT, float("-inf")).softmax(dim=-1)
        return torch.einsum("nts,snp->tnp", weights_NTT, v_TNP.to(wide)).to(q_TNP.dtype)


build_plan = DensePlan
