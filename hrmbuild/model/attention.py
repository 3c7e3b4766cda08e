"""PrefixLM attention on a pack: which kernel computes it, and why not another.

Owns the backend enum, the choice, and the plan interface. In one sequence the prefix sees the whole prefix and the
response sees the prefix and the responses up to itself; sequences of a pack never see each other. Each kernel lives in
`attention_<name>.py` and builds its plan once per micro-batch; all applications of all layers reuse it. It must not
fall back to another kernel in silence: a kernel that cannot serve says why.

Shapes: T slots of the pack, N heads, P width of a head.
"""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module
from typing import Protocol

import torch
from torch import Tensor

from hrmbuild.errors import UsageError


class AttentionPlan(Protocol):
    """What one kernel prepared for one pack."""

    slot_tokens: Tensor | None
    """[slots] token index held by each slot, when the kernel wants another order (or gaps); None keeps the order."""

    def attend(self, q_TNP: Tensor, k_TNP: Tensor, v_TNP: Tensor) -> Tensor:
        """softmax(q k^T / sqrt(P)) v under the PrefixLM rule, [T, N, P] in slot order."""
        ...


class AttentionBackend(StrEnum):
    """One member a kernel; the text after each says where it runs."""

    DENSE = "dense"
    """Any device. One [T, T] mask, softmax in float32: the reference, quadratic in the whole pack."""
    ROWS = "rows"
    """CPU, where it is the default: batched products on rows of about equal length, scores kept for backward."""
    SDPA = "sdpa"
    """Any device. PyTorch's SDPA on rows of about equal length: less memory than `rows`, slower on a CPU."""
    FLEX = "flex"
    """CUDA (Triton): FlexAttention with a document-and-prefix block mask. No backward on a CPU."""
    VARLEN = "varlen"
    """CUDA from compute capability 8.0 on, float16 or bfloat16: variable-length flash kernels, two passes."""

    def why_unavailable(self, device: torch.device, dtype: torch.dtype) -> str | None:
        """Why this kernel cannot train on `device` in `dtype` with the installed torch, or None when it can."""
        return _module(self).why_unavailable(device, dtype)


def _module(backend: AttentionBackend):
    return import_module(f"hrmbuild.model.attention_{backend.value}")


_PREFERENCE = (AttentionBackend.ROWS, AttentionBackend.VARLEN, AttentionBackend.FLEX, AttentionBackend.SDPA)


def choose_backend(
    device: torch.device, dtype: torch.dtype, *, requested: AttentionBackend | None = None
) -> AttentionBackend:
    """The requested kernel, or the best one that can serve `device` in `dtype`.

    Raises:
        UsageError: the requested kernel cannot serve; the message gives its reason.
    """
    if requested is None:
        return next(backend for backend in _PREFERENCE if backend.why_unavailable(device, dtype) is None)
    reason = requested.why_unavailable(device, dtype)
    if reason is not None:
        raise UsageError(
            "model.attention_unavailable",
            f"attention backend '{requested.value}' cannot be used: {reason}",
            fix=f"leave the choice open, or take '{choose_backend(device, dtype).value}'",
        )
    return requested


def build_plan(
    backend: AttentionBackend, prefix_lengths: list[int], *, response_lengths: list[int], device: torch.device
) -> AttentionPlan:
    """The kernel's plan for sequences of these lengths, in pack order."""
    return _module(backend).build_plan(prefix_lengths, response_lengths, device)
