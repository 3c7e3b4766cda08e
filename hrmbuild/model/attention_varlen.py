"""Variable-length flash kernels in two passes, as PyTorch ships them.

Owns the order of the slots that makes two passes cheap: all prefixes first, then all responses. Pass 1 (prefix sees
prefix, no mask) then works on views; pass 2 (response sees its whole sequence, causal, aligned at the end) needs its
keys and values gathered into sequence order. No segment is ever empty: empty ones hang FlashAttention 3's backward
(Dao-AILab/flash-attention issue 1254).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

VarlenKernel = Callable[..., Tensor]


def why_unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Needs CUDA of compute capability 8.0, half precision, and a torch that has `varlen_attn`."""
    if device.type != "cuda":
        return "variable-length flash kernels exist for CUDA only"
    if torch.cuda.get_device_capability(device) < (8, 0):
        return "flash kernels need compute capability 8.0 or newer"
    if dtype not in (torch.float16, torch.bfloat16):
        return f"flash kernels compute in float16 or bfloat16, not {dtype}"
    return None if _find_kernel() else "this torch has no torch.nn.attention.varlen"


def _find_kernel() -> VarlenKernel | None:
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return varlen_attn


@dataclass(frozen=True)
class _Pass:
    """Segment ends (int32, from 0) and the longest segment of queries and keys."""

    ends_q: Tensor
    ends_k: Tensor
    longest_q: int
    longest_k: int
    causal: bool

    def run(self, kernel: VarlenKernel, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        window = (-1, 0) if self.causal else (-1, -1)
        return kernel(q, k, v, self.ends_q, self.ends_k, self.longest_q, self.longest_k, window_size=window)


@dataclass(frozen=True)
class VarlenPlan:
    """Both passes of one pack. `keys_of_responses` lists, sequence by sequence, the slots that pass 2 sees."""

    prefix_pass: _Pass
    response_pass: _Pass | None
    n_prefix: int
    keys_of_responses: Tensor
    slot_tokens: Tensor | None
    kernel: VarlenKernel

    def attend(self, q_TNP: Tensor, k_TNP: Tensor, v_TNP: Tensor) -> Tensor:
        """[T, N, P] in slot order: prefixes, then responses."""
        q_prefix, q_response = q_TNP.tensor_split((self.n_prefix,))
        k, v = k_TNP[: self.n_prefix], v_TNP[: self.n_prefix]
        prefix_out = self.prefix_pass.run(self.kernel, q_prefix, k, v)
        if self.response_pass is None:
            return prefix_out
        k, v = k_TNP.index_select(0, self.keys_of_responses), v_TNP.index_select(0, self.keys_of_responses)
        return torch.cat([prefix_out, self.response_pass.run(self.kernel, q_response, k, v)])


def build_plan(
    prefix_lengths: list[int],
    response_lengths: list[int],
    device: torch.device,
    kernel: VarlenKernel | None = None,
) -> VarlenPlan:
    """Order, segment ends and gather index; `kernel` replaces PyTorch's by one of the same signature."""
    found = kernel or _find_kernel()
    if found is None:
        raise RuntimeError("build_plan was called although why_unavailable gave a reason")
    pairs = list(zip(prefix_lengths, response_lengths, strict=True))
    starts = list(accumulate((p + r for p, r in pairs), initial=0))
    prefix_tokens = [torch.arange(s, s + p) for s, (p, _) in zip(starts, pairs, strict=False)]
    response_tokens = [torch.arange(s + p, s + p + r) for s, (p, r) in zip(starts, pairs, strict=False)]
    slot_tokens = torch.cat(prefix_tokens + response_tokens)
    token_slots = torch.empty_like(slot_tokens).scatter_(0, slot_tokens, torch.arange(len(slot_tokens)))
    answered = [(s, p, r) for s, (p, r) in zip(starts, pairs, strict=False) if r]
    keys = [token_slots[s : s + p + r] for s, p, r in answered] or [token_slots[:0]]
    wholes, responses = [p + r for _, p, r in answered], [r for _, _, r in answered]
    return VarlenPlan(
        prefix_pass=_pass(prefix_lengths, prefix_lengths, device, causal=False),
        response_pass=_pass(responses, wholes, device, causal=True) if answered else None,
        n_prefix=sum(prefix_lengths),
        keys_of_responses=torch.cat(keys).to(device),
        slot_tokens=slot_tokens.to(device),
        kernel=found,
    )


def _pass(queries: list[int], keys: list[int], device: torch.device, *, causal: bool) -> _Pass:
    def ends(lengths: list[int]) -> Tensor:
        return torch.tensor(list(accumulate(lengths, initial=0)), dtype=torch.int32, device=device)

    return _Pass(ends(queries), ends(keys), max(queries), max(keys), causal)
