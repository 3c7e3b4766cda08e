"""Keys and values of a batch of sequences: one slot for each stack application and layer.

Owns the storage, its lengths and the attention that reads it. It must not choose tokens. A recurrent model needs a slot
per application, because the same layer sees another state each time it is applied.

Shapes: B sequences, N heads, C capacity in tokens, P width of a head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from hrmbuild.model.attention import Attend
from hrmbuild.model.layout import PackLayout

AttendAt = Callable[[int], Attend]
"""Cache slot -> attention that stores its keys and values there."""


class KVCache:
    """Starts empty; `LanguageModel.prefill` fills it, `LanguageModel.decode` appends to it."""

    def __init__(self, shape: tuple[int, ...], *, dtype: torch.dtype, device: torch.device) -> None:
        """`shape` is [slots, B, N, C, P]."""
        self._keys, self._values = (torch.zeros(shape, dtype=dtype, device=device) for _ in range(2))
        self._lengths, self.capacity_tokens = [0] * shape[1], shape[3]

    @property
    def lengths(self) -> tuple[int, ...]:
        """Tokens held for each sequence."""
        return tuple(self._lengths)

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these sequences only, in this order: for when some have finished."""
        index = torch.tensor(list(rows), device=self._keys.device)
        self._keys, self._values = self._keys.index_select(1, index), self._values.index_select(1, index)
        self._lengths = [self._lengths[row] for row in rows]

    def prefill_attention(self, layout: PackLayout, prefix_lengths: Sequence[int]) -> AttendAt:
        """Attention inside a pack of prompts, one a row; ValueError when their number or a length does not fit."""
        if len(prefix_lengths) != len(self._lengths):
            raise ValueError(f"{len(prefix_lengths)} prompts do not fit a cache of {len(self._lengths)} rows")
        self._grow_to(list(prefix_lengths))
        lengths = torch.tensor(self._lengths, device=self._keys.device)
        row_T = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
        position_T = layout.to_tokens(layout.positions)

        def attend(slot: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            self._keys[slot][row_T, :, position_T] = layout.to_tokens(k)
            self._values[slot][row_T, :, position_T] = layout.to_tokens(v)
            return layout.plan.attend(q, k, v)

        return lambda slot: partial(attend, slot)

    def decode_attention(self) -> tuple[Tensor, AttendAt]:
        """Open a position in every row: the positions [B], and attention there; ValueError when a row is full."""
        positions_B = torch.tensor(self._lengths, device=self._keys.device)
        self._grow_to([length + 1 for length in self._lengths])
        longest, even = max(self._lengths), min(self._lengths) == max(self._lengths)
        rows_B = torch.arange(len(self._lengths), device=self._keys.device)
        at = (slice(None), slice(None), longest - 1) if even else (rows_B, slice(None), positions_B)
        seen_BC = torch.arange(longest, device=self._keys.device) <= positions_B[:, None]
        mask_B11C = None if even else seen_BC[:, None, None]

        def attend(slot: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys_BNCP, values_BNCP = self._keys[slot], self._values[slot]
            keys_BNCP[at], values_BNCP[at] = k, v
            seen = (keys_BNCP[:, :, :longest], values_BNCP[:, :, :longest])
            return F.scaled_dot_product_attention(q.unsqueeze(2), *seen, attn_mask=mask_B11C).squeeze(2)

        return positions_B, lambda slot: partial(attend, slot)

    def _grow_to(self, lengths: list[int]) -> None:
        if max(lengths) > self.capacity_tokens:
            raise ValueError(f"{max(lengths)} tokens do not fit a cache of {self.capacity_tokens}")
        self._lengths = lengths
