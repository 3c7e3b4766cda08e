"""The block: RMSNorm, gated attention, SwiGLU, and the stack that ends in MagicNorm's exit norm.

Owns the equations inside a stack application. It must not know how often a stack is applied, nor which kernel attends.
Parameter names are those of the released weights. Source: arXiv 2605.20613, "Architecture"; SwiGLU: arXiv 2002.05202.

Shapes: T tokens, D width, F feed-forward width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrmbuild.config.model import ModelConfig
from hrmbuild.model.attention import GatedAttention
from hrmbuild.model.cpu_ops import RmsNorm, SwiGlu


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
    # Without a graph there is nothing to gain, a compiler fuses the plain equations itself, a GPU has other kernels.
    return torch.is_grad_enabled() and x.device.type == "cpu" and not torch.compiler.is_compiling()


class BlockWeights(NamedTuple):
    """The four matrices of a block, in the dtype to compute in."""

    gqkv: Tensor
    o: Tensor
    gate_up: Tensor
    down: Tensor


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        d, f, self.eps = config.hidden_size, config.intermediate_size, config.norm_eps
        self.attn = _linears(gqkv_proj=(d, 4 * d), o_proj=(d, d))
        self.mlp = _linears(gate_up_proj=(d, 2 * f), down_proj=(f, d))

    def weights(self, dtype: torch.dtype | None = None) -> BlockWeights:
        """The block's matrices, cast to `dtype` (None: as they are)."""
        own = [linear.weight for linear in (*self.attn.values(), *self.mlp.values())]
        return BlockWeights(*(own if dtype is None else [weight.to(dtype) for weight in own]))

    def forward(self, x_TD: Tensor, attention: GatedAttention, weights: BlockWeights | None = None) -> Tensor:
        """[T, D] to [T, D]; `weights` replaces the own matrices, cast to the input's dtype."""
        w = self.weights(x_TD.dtype) if weights is None else weights
        return self.finish(x_TD, attention(self.project(x_TD, w)), w)

    def project(self, x_TD: Tensor, w: BlockWeights) -> Tensor:
        """[gate | q | k | v] of the normed input, [T, 4D]."""
        return rms_norm(x_TD, self.eps).mm(w.gqkv.t())

    def finish(self, x_TD: Tensor, attended_TD: Tensor, w: BlockWeights) -> Tensor:
        """Add the attention's output, then the feed-forward part's."""
        x_TD = torch.addmm(x_TD, attended_TD, w.o.t())
        return torch.addmm(x_TD, swiglu(rms_norm(x_TD, self.eps).mm(w.gate_up.t())), w.down.t())

    def compile_in_place(self) -> None:
        """Let torch.compile fuse what stands around attention: one graph each with and without gradients."""
        self.project, self.finish = torch.compile(self.project), torch.compile(self.finish)


def _linears(**shapes: tuple[int, int]) -> nn.ModuleDict:
    return nn.ModuleDict({name: nn.Linear(*shape, bias=False) for name, shape in shapes.items()})


class Stack(nn.Module):
    """Blocks, then the exit norm that keeps repeated application bounded (MagicNorm)."""

    def __init__(self, config: ModelConfig, n_layers: int) -> None:
        super().__init__()
        self.eps, self.layers = config.norm_eps, nn.ModuleList(Block(config) for _ in range(n_layers))

    def exit_norm(self, x_TD: Tensor) -> Tensor:
        """The norm at the module's exit."""
        return rms_norm(x_TD, self.eps)
