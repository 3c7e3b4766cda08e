"""PrefixLM attention on a pack: which kernel computes it, and why not another.

Owns the backend enum, the choice and the plan interface. In one sequence the prefix sees the whole prefix, the response
sees the prefix and the responses up to itself; sequences of a pack never see each other. Each kernel lives in
`attention_<name>.py`: `why_unavailable(device, dtype)` and `build_plan(lengths, device)`. None falls back in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from importlib import import_module
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from hrmbuild.errors import UsageError

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""q, k, v [T, N, P], rotated -> attention output [T, N, P]."""
GatedAttention = Callable[[Tensor], Tensor]
"""[gate | q | k | v] [T, 4D] -> sigmoid(gate) * attention [T, D]."""
Lengths = Sequence[tuple[int, int]]
"""(prefix, response) tokens of each sequence, in pack order."""


class Rope(NamedTuple):
    """cos and sin [T, 1, 1, P/2] in float32: rotation angles of each token."""

    cos: Tensor
    sin: Tensor


def rope_table(positions_T: Tensor, *, head_dim: int, theta: float) -> Rope:
    """Angle = position * theta^(-2i/P) for i in 0..P/2-1, in float32 whatever the model computes in."""
    exponent = torch.arange(0, head_dim, 2, dtype=torch.float32, device=positions_T.device) / head_dim
    angle_TP = positions_T.float()[:, None] * (1.0 / theta**exponent)
    return Rope(angle_TP.cos()[:, None, None], angle_TP.sin()[:, None, None])


def rotate(x_TmNP: Tensor, rope: Rope) -> Tensor:
    """Rotate the pairs (x_i, x_{i+P/2}) by the token's angles; products in float32 at least."""
    first, second = x_TmNP.chunk(2, dim=-1)
    return torch.cat((first * rope.cos - second * rope.sin, second * rope.cos + first * rope.sin), -1).to(x_TmNP.dtype)


def gated_attention(gqkv: Tensor, rope: Rope, attend: Attend, *, n_heads: int) -> Tensor:
    """sigmoid(gate) * attention, [T, D], around any kernel."""
    gate, qk, v = gqkv.unflatten(-1, (4, n_heads, -1)).split((1, 2, 1), dim=1)
    return (gate.sigmoid() * attend(*rotate(qk, rope).unbind(1), v.squeeze(1)).unsqueeze(1)).flatten(1)


class AttentionPlan(Protocol):
    """What one kernel prepared for one pack; all applications of all layers reuse it."""

    slot_tokens: Tensor | None = None
    """[T] the token in each slot, when the kernel wants another order; None keeps the order."""

    def attend(self, q_TNP: Tensor, k_TNP: Tensor, v_TNP: Tensor) -> Tensor:
        """softmax(q k^T / sqrt(P)) v under the PrefixLM rule, [T, N, P] in slot order."""
        ...

    def gated(self, rope: Rope, *, n_heads: int, dtype: torch.dtype) -> GatedAttention:
        """RoPE, attention and gate for one pass over the pack."""
        return partial(gated_attention, rope=rope, attend=self.attend, n_heads=n_heads)


class AttentionBackend(StrEnum):
    """One member a kernel; the text after each says where it runs."""

    DENSE = "dense"
    """Any device. One [T, T] mask, softmax in float32: the reference, quadratic in the whole pack."""
    ROWS = "rows"
    """CPU, where it is the default: batched products on rows of about equal length, scores kept for backward."""
    SDPA = "sdpa"
    """Any device. PyTorch's SDPA, one sequence at a time: exact, little memory, many launches."""
    FLEX = "flex"
    """CUDA (Triton): FlexAttention with a document-and-prefix block mask. No backward on a CPU."""
    VARLEN = "varlen"
    """CUDA from compute capability 8.0 on, float16 or bfloat16: variable-length flash kernels, two passes."""

    def why_unavailable(self, device: torch.device, dtype: torch.dtype) -> str | None:
        """Why this kernel cannot train on `device` in `dtype` with the installed torch, or None when it can."""
        return import_module(f"hrmbuild.model.attention_{self}").why_unavailable(device, dtype)

    def build_plan(self, lengths: Lengths, device: torch.device) -> AttentionPlan:
        """The kernel's plan for sequences of these lengths."""
        return import_module(f"hrmbuild.model.attention_{self}").build_plan(lengths, device)


_PREFERENCE = (AttentionBackend.ROWS, AttentionBackend.VARLEN, AttentionBackend.FLEX, AttentionBackend.SDPA)


def choose_backend(
    device: torch.device, dtype: torch.dtype, *, requested: AttentionBackend | None = None
) -> AttentionBackend:
    """The requested kernel, or the best one that can serve `device` in `dtype`.

    Raises:
        UsageError: the requested kernel cannot serve; the message gives its reason.
    """
    best = next(backend for backend in _PREFERENCE if backend.why_unavailable(device, dtype) is None)
    reason = None if requested is None else requested.why_unavailable(device, dtype)
    if reason is not None:
        what = f"attention backend '{requested}' cannot be used: {reason}"
        raise UsageError("model.attention_unavailable", what, fix=f"leave the choice open, or take '{best}'")
    return requested or best
