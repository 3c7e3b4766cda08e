"""The block: RMSNorm, RoPE, gated attention, SwiGLU, and the stack that ends in MagicNorm's exit norm.

Owns the equations inside a stack application. It must not know how often a stack is applied, nor which kernel attends.
Parameter names are those of the released weights. Source: arXiv 2605.20613, "Architecture"; RoPE: arXiv 2104.09864;
SwiGLU: arXiv 2002.05202.

Shapes: T slots, D width, N heads, P width of a head, F feed-forward width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrmbuild.config.model import ModelConfig
from hrmbuild.model.attention_rows import Rope
from hrmbuild.model.cpu_ops import RmsNorm, SwiGlu

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""q, k, v [T, N, P], rotated -> attention output [T, N, P]."""
GatedAttention = Callable[[Tensor], Tensor]
"""[gate | q | k | v] [T, 4D] -> sigmoid(gate) * attention [T, D]."""


def rope_table(positions_T: Tensor, *, head_dim: int, theta: float) -> Rope:
    """Angle = position * theta^(-2i/P) for i in 0..P/2-1, in float32 whatever the model computes in."""
    exponent = torch.arange(0, head_dim, 2, dtype=torch.float32, device=positions_T.device) / head_dim
    angle_TP = positions_T.float()[:, None] * (1.0 / theta**exponent)
    return Rope(angle_TP.cos()[:, None], angle_TP.sin()[:, None])


def rotate(x_TNP: Tensor, rope: Rope) -> Tensor:
    """Rotate the pairs (x_i, x_{i+P/2}) by the slot's angles; products in float32 at least."""
    first, second = x_TNP.chunk(2, dim=-1)
    cos, sin = rope
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x_TNP.dtype)


def rms_norm(x_TD: Tensor, eps: float) -> Tensor:
    """x / sqrt(mean(x^2) + eps), without a learned scale."""
    return RmsNorm.apply(x_TD, eps) if _by_hand(x_TD) else F.rms_norm(x_TD, x_TD.shape[-1:], eps=eps)


def swiglu(gate_up: Tensor) -> Tensor:
    """silu(gate) * up for [gate | up] [T, 2F]."""
    if _by_hand(gate_up):
        return SwiGlu.apply(gate_up)
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate) * up


def _by_hand(x: Tensor) -> bool:
    # A compiler fuses the plain equations itself, and a GPU has other kernels.
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def gated_attention(gqkv: Tensor, rope: Rope, attend: Attend, *, n_heads: int) -> Tensor:
    """sigmoid(gate) * attention, [T, D], around any kernel."""
    gate, q, k, v = gqkv.unflatten(-1, (4, n_heads, -1)).unbind(1)
    return (gate.sigmoid() * attend(rotate(q, rope), rotate(k, rope), v)).flatten(1)


class BlockWeights(NamedTuple):
    """The four matrices of a block, in the dtype to compute in."""

    gqkv: Tensor
    o: Tensor
    gate_up: Tensor
    down: Tensor


class _Attention(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gqkv_proj = nn.Linear(config.hidden_size, 4 * config.hidden_size, bias=False)
        self.o_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)


class _Mlp(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_up_proj = nn.Linear(config.hidden_size, 2 * config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.eps = config.norm_eps
        self.attn = _Attention(config)
        self.mlp = _Mlp(config)

    def weights(self, dtype: torch.dtype | None = None) -> BlockWeights:
        """The block's matrices, cast to `dtype` (None: as they are)."""
        own = (self.attn.gqkv_proj, self.attn.o_proj, self.mlp.gate_up_proj, self.mlp.down_proj)
        return BlockWeights(*(linear.weight if dtype is None else linear.weight.to(dtype) for linear in own))

    def forward(self, x_TD: Tensor, attention: GatedAttention, weights: BlockWeights | None = None) -> Tensor:
        """[T, D] to [T, D]; `weights` replaces the own matrices by a copy in another dtype."""
        w = self.weights() if weights is None else weights
        attended_TD = attention(rms_norm(x_TD, self.eps).mm(w.gqkv.t()))
        x_TD = torch.addmm(x_TD, attended_TD, w.o.t())
        activated_TF = swiglu(rms_norm(x_TD, self.eps).mm(w.gate_up.t()))
        return torch.addmm(x_TD, activated_TF, w.down.t())


class Stack(nn.Module):
    """Blocks, then the exit norm that keeps repeated application bounded (MagicNorm)."""

    def __init__(self, config: ModelConfig, n_layers: int) -> None:
        super().__init__()
        self.eps = config.norm_eps
        self.layers = nn.ModuleList(Block(config) for _ in range(n_layers))

    def exit_norm(self, x_TD: Tensor) -> Tensor:
        """The norm at the module's exit."""
        return rms_norm(x_TD, self.eps)
