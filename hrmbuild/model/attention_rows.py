"""Batched matrix products on rows: the kernel for CPUs, with its backward written out.

Owns RoPE, attention and gate in one differentiable step, so that nothing is copied but what must change place.
PyTorch's own CPU attention recomputes the scores in backward; keeping them is 5 to 10 times faster for sequences of a
few hundred tokens and costs row_tokens numbers a token and head. It must agree with the dense kernel; no GPU path.

Order: queries, keys and values are gathered as rows of one head each, grouped by sequences of about equal length;
inside a group [sequences x heads, row_tokens, P] is contiguous, as `torch.bmm` wants it. Padding repeats a token, and
the mask lets padding see padding only: what is computed there is finite, and reaches nothing real, either way.

Shapes: T tokens, N heads, P width of a head, M rows of all groups (T N and padding), L row_tokens of a group.
"""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from hrmbuild.model.attention import AttentionPlan, GatedAttention, Lengths, Rope
from hrmbuild.model.attention_dense import visible

ROW_MULTIPLE = 16
"""Row lengths are rounded up to this: the tile of the matrix units."""
MAX_PADDING = 6
"""A sequence joins a group when at most one in so many of its row is padding; 4 to 12 are equally fast."""


def why_unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Needs a CPU."""
    return None if device.type == "cpu" else "batched products on rows are written for CPUs"


class Group(NamedTuple):
    """Sequences of about equal length, padded to rows of L tokens."""

    tokens_nL: Tensor
    real_nL: Tensor
    bias_n1LL: Tensor
    """0 where a place may look, -inf where not."""


class RowsPlan(AttentionPlan):
    """The groups of one pack, the longest first."""

    def __init__(self, lengths: Lengths, device: torch.device) -> None:
        sizes = [prefix + response for prefix, response in lengths]
        starts = list(accumulate(sizes, initial=0))
        members: list[list[int]] = []
        for i in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
            row = _row(sizes[members[-1][0]]) if members else 0
            if members and MAX_PADDING * (row - _row(sizes[i])) <= row:
                members[-1].append(i)
            else:
                members.append([i])
        self.groups = [_group([(starts[i], *lengths[i]) for i in chosen]) for chosen in members]

    def gated(self, rope: Rope, *, n_heads: int, dtype: torch.dtype) -> GatedAttention:
        """One differentiable step for RoPE, attention and gate."""
        pack = _HeadRows(self.groups, rope, n_heads, dtype)
        return lambda gqkv: _GatedAttention.apply(gqkv, pack)


class _HeadRows:
    """Where each head's row stands, for one number of heads; made once per pass."""

    def __init__(self, groups: list[Group], rope: Rope, n_heads: int, dtype: torch.dtype) -> None:
        self.n_heads, head = n_heads, torch.arange(n_heads)[:, None]
        self.biases = [group.bias_n1LL.to(dtype) for group in groups]
        shapes = [(group.tokens_nL.shape[0] * n_heads, group.tokens_nL.shape[1]) for group in groups]
        self.bounds = list(zip(accumulate((n * row for n, row in shapes), initial=0), shapes, strict=False))
        token_M = torch.cat([group.tokens_nL[:, None].expand(-1, n_heads, -1).flatten() for group in groups])
        head_M = torch.cat(
            [head.expand(len(group.tokens_nL), -1, group.tokens_nL.shape[1]).flatten() for group in groups]
        )
        real_M = torch.cat([group.real_nL[:, None].expand(-1, n_heads, -1).flatten() for group in groups])
        m, places = len(token_M), torch.arange(len(token_M))
        self.row_of_output = token_M * n_heads + head_M
        self.output_rows = torch.empty(int(real_M.sum()), dtype=torch.int64)
        self.output_rows[self.row_of_output[real_M]] = places[real_M]
        self.qkv_rows = torch.cat([(4 * token_M + part) * n_heads + head_M for part in (1, 2, 3)])
        by_token = self.output_rows.view(-1, n_heads)
        gate_rows = 3 * m + torch.arange(by_token.numel()).view_as(by_token)
        self.gqkv_rows = torch.stack((gate_rows, by_token, by_token + m, by_token + 2 * m), dim=1).flatten()
        # The softmax scale is linear in q: in the table it costs nothing.
        scale = torch.tensor([(2 * rope.cos.shape[-1]) ** -0.5, 1.0])[:, None, None]
        self.cos, self.sin = (table.flatten(0, 2)[token_M] * scale for table in rope)

    def split(self, x_MP: Tensor) -> list[Tensor]:
        """Views [sequences x N, L, P], one a group."""
        return [x_MP[start : start + n * row].view(n, row, -1) for start, (n, row) in self.bounds]


def _rotate_(x_2MP: Tensor, pack: _HeadRows, *, sign: int) -> None:
    """Rotate queries and keys in place by sign * angle; products in float32 at least, rounded once."""
    halves = x_2MP.unflatten(-1, (2, -1))
    first, second = halves.to(torch.promote_types(x_2MP.dtype, torch.float32)).unbind(-2)
    turned = (first * pack.cos).addcmul_(second, pack.sin, value=-sign)
    halves[..., 1, :] = (second * pack.cos).addcmul_(first, pack.sin, value=sign)
    halves[..., 0, :] = turned


class _GatedAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gqkv: Tensor, pack: _HeadRows) -> Tensor:
        n_tokens, n_heads = len(gqkv), pack.n_heads
        qkv_3MP = gqkv.view(n_tokens * 4 * n_heads, -1).index_select(0, pack.qkv_rows).unflatten(0, (3, -1))
        _rotate_(qkv_3MP[:2], pack, sign=1)
        out_MP = torch.empty_like(qkv_3MP[2])
        kept = []
        for q, k, v, out, bias in zip(*map(pack.split, (*qkv_3MP, out_MP)), pack.biases, strict=True):
            scores = torch.bmm(q, k.transpose(1, 2))
            scores.unflatten(0, (-1, n_heads)).add_(bias)
            kept.append(torch.softmax(scores, -1))
            torch.bmm(kept[-1], v, out=out)
        attended = out_MP.index_select(0, pack.output_rows).view(n_tokens, -1)
        gate = gqkv[:, : attended.shape[1]].sigmoid()
        ctx.pack = pack
        ctx.save_for_backward(qkv_3MP, attended, gate, *kept)
        return attended * gate

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        qkv_3MP, attended, gate, *kept = ctx.saved_tensors
        pack, (n_tokens, width), m = ctx.pack, attended.shape, qkv_3MP.shape[1]
        # Rows of dq, dk, dv, then rows of the gate's gradient: one gather brings all four to their places.
        rows = attended.new_empty(3 * m + n_tokens * pack.n_heads, width // pack.n_heads)
        d_qkv_3MP, d_gate = rows[: 3 * m].unflatten(0, (3, m)), rows[3 * m :].view(n_tokens, width)
        d_attended = grad_outputs[0] * gate
        torch.mul(torch.addcmul(d_attended, d_attended, gate, value=-1), attended, out=d_gate)
        d_out_MP = d_attended.view(n_tokens * pack.n_heads, -1).index_select(0, pack.row_of_output)
        parts = map(pack.split, (*qkv_3MP, *d_qkv_3MP, d_out_MP))
        for q, k, v, dq, dk, dv, d_out, weights in zip(*parts, kept, strict=True):
            torch.bmm(weights.transpose(1, 2), d_out, out=dv)
            d_weights = torch.bmm(d_out, v.transpose(1, 2))
            d_scores = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)
            torch.bmm(d_scores, k, out=dq)
            torch.bmm(d_scores.transpose(1, 2), q, out=dk)
        _rotate_(d_qkv_3MP[:2], pack, sign=-1)
        return rows.index_select(0, pack.gqkv_rows).view(n_tokens, 4 * width), None


build_plan = RowsPlan


def _row(size: int) -> int:
    return -(-size // ROW_MULTIPLE) * ROW_MULTIPLE


def _group(sequences: list[tuple[int, int, int]]) -> Group:
    """From (first token, prefix, response) of each sequence, the longest first."""
    n, row = len(sequences), _row(sum(sequences[0][1:]))
    tokens, real = torch.empty(n, row, dtype=torch.int64), torch.zeros(n, row, dtype=torch.bool)
    open_nLL = torch.zeros(n, row, row, dtype=torch.bool)
    for i, (first, prefix, response) in enumerate(sequences):
        size = prefix + response
        tokens[i] = first + torch.arange(row).clamp_max(size - 1)
        real[i, :size] = True
        open_nLL[i, :size, :size] = visible(prefix, response)
        open_nLL[i, size:, size:] = True
    return Group(tokens, real, torch.zeros(n, row, row).masked_fill_(~open_nLL, float("-inf")).unsqueeze(1))
