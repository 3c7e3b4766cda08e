"""Batched matrix products on rows: the kernel for CPUs, with its backward written out.

Owns RoPE, attention and gate in one differentiable step, so that nothing is copied but what must change place. PyTorch's
own CPU attention recomputes the scores in backward; keeping them is 5 to 10 times faster for sequences of a few hundred
tokens and costs row_tokens numbers a token and head. It must agree with the dense kernel; it has no GPU path.

Order: queries, keys and values are gathered as rows of one head each, grouped by sequences of about equal length; inside
a group [sequences x heads, row_tokens, P] is contiguous, as `torch.bmm` wants it. Padding repeats a token, and the mask
lets padding see padding only: what is computed there is finite, and reaches nothing real, forward or backward.

Shapes: T tokens, N heads, P width of a head, M rows of all groups (T N and padding), L row_tokens of a group.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

ROW_MULTIPLE = 16
"""Row lengths are rounded up to this: the tile of the matrix units."""
MAX_PADDING = 4
"""A sequence joins a group when at most one in so many of its row is padding."""


def why_unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Needs a CPU."""
    return None if device.type == "cpu" else "batched products on rows are written for CPUs"


class Rope(NamedTuple):
    """cos and sin [T, 1, P/2] in float32: rotation angles of each token."""

    cos: Tensor
    sin: Tensor


class Group(NamedTuple):
    """`n` sequences padded to `row` tokens; `start` counts tokens and padding of the groups before."""

    start: int
    n: int
    row: int
    bias_n1LL: Tensor

    def of(self, rows_MP: Tensor, n_heads: int) -> Tensor:
        """The group's share of head rows as [n N, L, P], a view."""
        first, size = self.start * n_heads, self.n * self.row * n_heads
        return rows_MP[first : first + size].view(self.n * n_heads, self.row, -1)


@dataclass(frozen=True)
class RowsPlan:
    """Groups, and the token of each place in them."""

    groups: tuple[Group, ...]
    place_tokens: Tensor
    """[places] token index, group by group, sequence by sequence; padding repeats a token."""
    token_places: Tensor
    """[T] the place of each token."""
    slot_tokens: Tensor | None = None

    def attend(self, q_TNP: Tensor, k_TNP: Tensor, v_TNP: Tensor) -> Tensor:
        """[T, N, P], for queries and keys that are rotated already."""
        still = torch.zeros(len(q_TNP), 1, q_TNP.shape[-1] // 2, device=q_TNP.device)
        open_gate = torch.full_like(q_TNP, float("inf"))
        gqkv = torch.stack((open_gate, q_TNP, k_TNP, v_TNP), dim=1)
        return self.gated(Rope(still.cos(), still), q_TNP.shape[1], q_TNP.dtype)(gqkv.flatten(1)).view_as(q_TNP)

    def gated(self, rope: Rope, n_heads: int, dtype: torch.dtype) -> RowsAttention:
        """Attention for one pass: [gate | q | k | v] to sigmoid(gate) * attention."""
        return RowsAttention(self, rope, n_heads, dtype)


class RowsAttention:
    """The plan with everything that only depends on the pack and the number of heads, made once per pass."""

    def __init__(self, plan: RowsPlan, rope: Rope, n_heads: int, dtype: torch.dtype) -> None:
        self.n_heads = n_heads
        self.groups = [g._replace(bias_n1LL=g.bias_n1LL.to(dtype)) for g in plan.groups]
        places = [plan.place_tokens[g.start : g.start + g.n * g.row].view(g.n, 1, g.row) for g in plan.groups]
        heads = torch.arange(n_heads)[:, None]
        token_M = torch.cat([p.expand(-1, n_heads, -1).flatten() for p in places])
        head_M = torch.cat([heads.expand(p.shape[0], n_heads, p.shape[2]).flatten() for p in places])
        self.n_rows = len(token_M)
        self.row_of_output = token_M * n_heads + head_M
        row_of_gqkv = token_M * 4 * n_heads + head_M
        self.rows_of_qkv = torch.cat([row_of_gqkv + part * n_heads for part in (1, 2, 3)])
        self.output_rows = self._rows_of_tokens(plan)
        offsets = torch.arange(3)[:, None] * self.n_rows
        gate_rows = torch.arange(self.output_rows.numel()).view_as(self.output_rows) + 3 * self.n_rows
        qkv_rows = [self.output_rows + offset for offset in offsets]
        self.gqkv_rows = torch.stack((gate_rows, *qkv_rows), dim=1).flatten()
        self.output_rows = self.output_rows.flatten()
        scale = (2 * rope.cos.shape[-1]) ** -0.5
        self.cos, self.sin = (_scaled_for_queries(x.squeeze(1)[token_M], scale) for x in rope)

    def _rows_of_tokens(self, plan: RowsPlan) -> Tensor:
        """[T, N] row of each token and head."""
        spans = [g.n * g.row for g in plan.groups]
        starts = torch.tensor([0, *accumulate(spans)][: len(spans)])
        rows = torch.tensor([g.row for g in plan.groups])
        group_T = torch.bucketize(plan.token_places, starts, right=True) - 1
        start_T, row_T = starts[group_T], rows[group_T]
        inside_T = plan.token_places - start_T
        first_T = start_T * self.n_heads + inside_T // row_T * row_T * self.n_heads + inside_T % row_T
        return first_T[:, None] + torch.arange(self.n_heads) * row_T[:, None]

    def __call__(self, gqkv: Tensor) -> Tensor:
        """[T, 4 N P] to [T, N P]."""
        return _GatedAttention.apply(gqkv, self)


def _scaled_for_queries(table_MP: Tensor, scale: float) -> Tensor:
    # The softmax scale is linear in q, so that it costs nothing here.
    return torch.stack((table_MP * scale, table_MP))


def _rotate_(x_2MP: Tensor, cos: Tensor, sin: Tensor, *, sign: int) -> None:
    """Rotate queries and keys in place by sign * angle; products in float32 at least, rounded once."""
    halves = x_2MP.unflatten(-1, (2, -1))
    first, second = halves.to(torch.promote_types(x_2MP.dtype, torch.float32)).unbind(-2)
    turned = (first * cos).addcmul_(second, sin, value=-sign)
    halves[..., 1, :] = (second * cos).addcmul_(first, sin, value=sign)
    halves[..., 0, :] = turned


class _GatedAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gqkv: Tensor, pack: RowsAttention) -> Tensor:
        heads = gqkv.view(len(gqkv) * 4 * pack.n_heads, -1)
        rows_3MP = heads.index_select(0, pack.rows_of_qkv).view(3, pack.n_rows, -1)
        _rotate_(rows_3MP[:2], pack.cos, pack.sin, sign=1)
        q, k, v = rows_3MP
        out_MP = torch.empty_like(v)
        kept = []
        for group in pack.groups:
            qg, kg, vg, og = (group.of(x, pack.n_heads) for x in (q, k, v, out_MP))
            scores = torch.bmm(qg, kg.transpose(1, 2))
            scores.view(group.n, pack.n_heads, group.row, group.row).add_(group.bias_n1LL)
            weights = torch.softmax(scores, -1)
            torch.bmm(weights, vg, out=og)
            kept.append(weights)
        attended = out_MP.index_select(0, pack.output_rows).view(len(gqkv), -1)
        gate = gqkv[:, : attended.shape[1]].sigmoid()
        ctx.pack = pack
        ctx.save_for_backward(rows_3MP, attended, gate, *kept)
        return attended * gate

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        rows_3MP, attended, gate, *kept = ctx.saved_tensors
        pack, grad = ctx.pack, grad_outputs[0]
        n_tokens, width = attended.shape
        # Rows of dq, dk, dv, then rows of the gate's gradient: one gather brings all four to their places.
        rows = attended.new_empty(3 * pack.n_rows + n_tokens * pack.n_heads, width // pack.n_heads)
        dq, dk, dv = rows[: 3 * pack.n_rows].view(3, pack.n_rows, -1)
        d_gate = rows[3 * pack.n_rows :].view(n_tokens, width)
        d_attended = grad * gate
        torch.mul(torch.addcmul(d_attended, d_attended, gate, value=-1), attended, out=d_gate)
        d_out_MP = d_attended.view(n_tokens * pack.n_heads, -1).index_select(0, pack.row_of_output)
        for group, weights in zip(pack.groups, kept, strict=True):
            q, k, v, d_out = (group.of(x, pack.n_heads) for x in (*rows_3MP, d_out_MP))
            torch.bmm(weights.transpose(1, 2), d_out, out=group.of(dv, pack.n_heads))
            d_weights = torch.bmm(d_out, v.transpose(1, 2))
            d_scores = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)
            torch.bmm(d_scores, k, out=group.of(dq, pack.n_heads))
            torch.bmm(d_scores.transpose(1, 2), q, out=group.of(dk, pack.n_heads))
        _rotate_(rows[: 2 * pack.n_rows].view(2, pack.n_rows, -1), pack.cos, pack.sin, sign=-1)
        return rows.index_select(0, pack.gqkv_rows).view(n_tokens, 4 * width), None


def build_plan(prefix_lengths: list[int], response_lengths: list[int], device: torch.device) -> RowsPlan:
    """Groups of sequences sorted by length, the longest first."""
    lengths = [prefix + response for prefix, response in zip(prefix_lengths, response_lengths, strict=True)]
    first_token = list(accumulate(lengths, initial=0))
    groups, place_tokens, token_places, start = [], [], torch.empty(sum(lengths), dtype=torch.int64), 0
    for members in _similar(lengths):
        row = _row(lengths[members[0]])
        bias = _bias([prefix_lengths[i] for i in members], [lengths[i] for i in members], row)
        groups.append(Group(start, len(members), row, bias))
        for i in members:
            own = torch.arange(lengths[i])
            token_places[first_token[i] + own] = start + own
            padding = torch.zeros(row - lengths[i], dtype=torch.int64)
            place_tokens.append(first_token[i] + torch.cat((own, padding)))
            start += row
    return RowsPlan(tuple(groups), torch.cat(place_tokens), token_places)


def _row(length: int) -> int:
    return -(-length // ROW_MULTIPLE) * ROW_MULTIPLE


def _similar(lengths: list[int]) -> list[list[int]]:
    groups: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        row = _row(lengths[groups[-1][0]]) if groups else 0
        if groups and MAX_PADDING * (row - _row(lengths[i])) <= row:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def _bias(prefix_lengths: list[int], lengths: list[int], row: int) -> Tensor:
    """[n, 1, L, L] float32: 0 where a place may look, -inf where not. Padding sees padding only."""
    place = torch.arange(row)
    prefix = torch.tensor(prefix_lengths)[:, None, None]
    real = place < torch.tensor(lengths)[:, None]
    visible = (place < prefix) | (place[None, None, :] <= place[None, :, None])
    visible = torch.where(real[:, :, None], visible & real[:, None, :], ~real[:, None, :])
    return torch.zeros(visible.shape).masked_fill(~visible, float("-inf")).unsqueeze(1)
