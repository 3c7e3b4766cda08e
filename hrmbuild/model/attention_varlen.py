"""Variable-length flash kernels in two passes, as PyTorch ships them.

Owns the order of the slots that makes two passes cheap: all prefixes first, then all responses. Pass 1 (prefix sees
prefix, no mask) then works on views; pass 2 (response sees its whole sequence, causal, aligned at the end) needs its
keys and values gathered into sequence order. No segment is ever empty: empty ones hang FlashAttention 3's backward
(Dao-AILab/flash-attention issue 1254).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from hrmbuild.model.attention import AttentionPlan, Lengths


def why_unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Needs CUDA of compute capability 8.0, half precision, and a torch that has `varlen_attn`."""
    if device.type != "cuda":
        return "variable-length flash kernels exist for CUDA only"
    if torch.cuda.get_device_capability(device) < (8, 0):
        return "flash kernels need compute capability 8.0 or newer"
    if dtype not in (torch.float16, torch.bfloat16):
        return f"flash kernels compute in float16 or bfloat16, not {dtype}"
    return None if find_spec("torch.nn.attention.varlen") else "this torch has no torch.nn.attention.varlen"


class VarlenPlan(AttentionPlan):
    """Both passes of one pack; `kernel` has the signature of PyTorch's `varlen_attn` and defaults to it."""

    def __init__(self, lengths: Lengths, device: torch.device, kernel: Callable[..., Tensor] | None = None) -> None:
        starts = list(accumulate((p + r for p, r in lengths), initial=0))[:-1]
        spans = [(s, s + p, s + p + r) for s, (p, r) in zip(starts, lengths, strict=True)]
        order = [torch.arange(start, end) for start, end, _ in spans] + [
            torch.arange(mid, end) for _, mid, end in spans
        ]
        self.slot_tokens = torch.cat(order).to(device)
        token_slots = self.slot_tokens.argsort()
        answered = [(start, mid, end) for start, mid, end in spans if end > mid]
        self.n_prefix = sum(p for p, _ in lengths)
        self.kernel = kernel or import_module("torch.nn.attention.varlen").varlen_attn
        self.prefix_pass = _ends([p for p, _ in lengths], [p for p, _ in lengths], device)
        if answered:
            responses, wholes = [end - mid for _, mid, end in answered], [end - start for start, _, end in answered]
            self.response_pass = _ends(responses, wholes, device)
            self.keys_of_responses = torch.cat([token_slots[start:end] for start, _, end in answered])
        self.has_responses = bool(answered)

    def attend(self, q_TNP: Tensor, k_TNP: Tensor, v_TNP: Tensor) -> Tensor:
        """[T, N, P] in slot order: prefixes, then responses."""
        prefix = (x[: self.n_prefix] for x in (q_TNP, k_TNP, v_TNP))
        out = self.kernel(*prefix, *self.prefix_pass, window_size=(-1, -1))
        if not self.has_responses:
            return out
        k, v = (x.index_select(0, self.keys_of_responses) for x in (k_TNP, v_TNP))
        return torch.cat([out, self.kernel(q_TNP[self.n_prefix :], k, v, *self.response_pass, window_size=(-1, 0))])


def _ends(queries: list[int], keys: list[int], device: torch.device) -> tuple[Any, ...]:
    """Segment ends of queries and of keys (int32, from 0), then the longest of each."""
    ends = [torch.tensor([0, *accumulate(x)], dtype=torch.int32, device=device) for x in (queries, keys)]
    return (*ends, max(queries), max(keys))


build_plan = VarlenPlan
