"""RMSNorm and SwiGLU for CPUs, forward and backward written out.

Owns two functions whose composite versions spend a small model's step in passes over memory. RMSNorm computes in
float32 or wider and rounds once. They must equal the plain equations in `layers.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor


def widen(x: Tensor) -> Tensor:
    """At least float32; the tensor itself where it is wide already."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class RmsNorm(torch.autograd.Function):
    """n = x r with r = 1 / sqrt(mean(x^2) + eps);  dx = r (dn - n mean(dn n))."""

    @staticmethod
    def forward(ctx, x_TD: Tensor, eps: float) -> Tensor:
        wide = widen(x_TD)
        square_sum = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square_()
        r_T1 = square_sum.div_(x_TD.shape[-1]).add_(eps).rsqrt_()
        n_TD = (wide * r_T1 if wide is x_TD else wide.mul_(r_T1)).to(x_TD.dtype)
        ctx.save_for_backward(n_TD, r_T1)
        return n_TD

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        n_TD, r_T1 = ctx.saved_tensors
        grad, n = widen(grad_outputs[0]), widen(n_TD)
        along_T1 = (grad * n).sum(-1, keepdim=True).div_(-n.shape[-1])
        return torch.addcmul(grad, n, along_T1).mul_(r_T1).to(n_TD.dtype), None


class SwiGlu(torch.autograd.Function):
    """h = silu(g) u for [g | u];  dg = dh u silu'(g), du = dh silu(g)."""

    @staticmethod
    def forward(ctx, gate_up: Tensor) -> Tensor:
        gate, up = gate_up.chunk(2, dim=-1)
        activated = torch.nn.functional.silu(gate)
        if not ctx.needs_input_grad[0]:
            return activated.mul_(up)
        ctx.save_for_backward(gate_up, activated)
        return activated * up

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        gate_up, activated = ctx.saved_tensors
        grad = grad_outputs[0]
        gate, up = gate_up.chunk(2, dim=-1)
        out = torch.empty_like(gate_up)
        d_gate, d_up = out.chunk(2, dim=-1)
        torch.mul(grad, activated, out=d_up)
        torch.ops.aten.silu_backward.grad_input(grad * up, gate, grad_input=d_gate)
        return out
