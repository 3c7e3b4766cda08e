"""PyTorch's SDPA on rows: sequences of about equal length share a row length, shorter ones are padded.

Owns the order of the slots: sequences are sorted by length into groups, so that queries, keys and values of a group are
views of the pack and nothing is copied in or out. It must give padding slots only finite values and no gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor

ROW_MULTIPLE = 16
"""Row lengths are rounded up to this: about 5 % of the slots are padding at 60-250 tokens a sequence."""


def why_unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Never: PyTorch has SDPA kernels for every device."""
    return None


@dataclass(frozen=True)
class RowGroup:
    """Sequences in consecutive slots, `row_tokens` slots each."""

    start: int
    n_rows: int
    row_tokens: int
    bias_S1LL: Tensor
    """[rows, 1, row, row] float32: 0 where a slot may look, -inf where not."""

    @property
    def stop(self) -> int:
        """One past the last slot."""
        return self.start + self.n_rows * self.row_tokens

    def rows(self, x_TNP: Tensor) -> Tensor:
        """The group's slots as [rows, N, row, P], a view."""
        return x_TNP[self.start : self.stop].unflatten(0, (self.n_rows, self.row_tokens)).transpose(1, 2)


@dataclass(frozen=True)
class RowsPlan:
    """All groups of a pack; `slot_tokens` gives the order and the padding."""

    groups: tuple[RowGroup, ...]
    slot_tokens: Tensor | None

    def attend(self, q_TNP: Tensor, k_TNP: Tensor, v_TNP: Tensor) -> Tensor:
        """[slots, N, P]."""
        sizes = [group.stop - group.start for group in self.groups]
        parts = zip(q_TNP.split(sizes), k_TNP.split(sizes), v_TNP.split(sizes), self.groups, strict=True)
        return torch.cat([_attend_rows(q, k, v, group) for q, k, v, group in parts])


def _attend_rows(q: Tensor, k: Tensor, v: Tensor, group: RowGroup) -> Tensor:
    shape = (group.n_rows, group.row_tokens)
    rows = [x.unflatten(0, shape).transpose(1, 2) for x in (q, k, v)]
    out_SNLP = F.scaled_dot_product_attention(*rows, attn_mask=group.bias_S1LL.to(q.dtype))
    return out_SNLP.transpose(1, 2).flatten(0, 1)


def build_plan(prefix_lengths: list[int], response_lengths: list[int], device: torch.device) -> RowsPlan:
    """Groups by rounded length, the longest first."""
    lengths = [prefix + response for prefix, response in zip(prefix_lengths, response_lengths, strict=True)]
    first_token = [0, *torch.tensor(lengths).cumsum(0).tolist()]
    by_length = sorted(range(len(lengths)), key=lambda i: (-_row(lengths[i]), i))
    groups, order, start = [], [], 0
    for row, members in groupby(by_length, key=lambda i: _row(lengths[i])):
        chosen = list(members)
        bias = _bias([prefix_lengths[i] for i in chosen], [lengths[i] for i in chosen], row)
        groups.append(RowGroup(start, len(chosen), row, bias.to(device)))
        order += [_row_tokens(first_token[i], lengths[i], row) for i in chosen]
        start = groups[-1].stop
    return RowsPlan(tuple(groups), torch.cat(order).to(device))


def _row(length: int) -> int:
    return -(-length // ROW_MULTIPLE) * ROW_MULTIPLE


def _row_tokens(first: int, length: int, row: int) -> Tensor:
    # Padding repeats the sequence's first token: a finite value whose output nobody reads.
    tokens = torch.full((row,), first)
    tokens[:length] += torch.arange(length)
    return tokens


def _bias(prefix_lengths: list[int], lengths: list[int], row: int) -> Tensor:
    position = torch.arange(row)
    prefix_S = torch.tensor(prefix_lengths)[:, None, None]
    length_S = torch.tensor(lengths)[:, None, None]
    visible_SLL = (position < prefix_S) | (position[None, None, :] <= position[None, :, None])
    visible_SLL = visible_SLL & (position < length_S)
    return torch.zeros(visible_SLL.shape).masked_fill(~visible_SLL, float("-inf")).unsqueeze(1)
