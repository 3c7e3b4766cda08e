"""Keys and values of a batch of sequences: one slot for each stack application and layer.

Owns the storage, its lengths and the attention that reads it. It must not choose tokens. A recurrent model needs a slot
per application, because the same layer sees another state each time it is applied.

Shapes: B sequences, N heads, C capacity in tokens, P width of a head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from hrmbuild.model.layers import Attend
from hrmbuild.model.layout import PackLayout


class KVCache:
    """Starts empty; `LanguageModel.prefill` fills it, `LanguageModel.decode` appends to it."""

    def __init__(self, shape: tuple[int, int, int, int, int], *, dtype: torch.dtype, device: torch.device) -> None:
        self._keys = torch.zeros(shape, dtype=dtype, device=device)
        self._values = torch.zeros(shape, dtype=dtype, device=device)
        self._lengths = [0] * shape[1]

    @property
    def capacity_tokens(self) -> int:
        """Longest sequence that fits."""
        return self._keys.shape[3]

    @property
    def lengths(self) -> tuple[int, ...]:
        """Tokens held for each sequence."""
        return tuple(self._lengths)

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these sequences only, in this order: for when some have finished."""
        index = torch.tensor(list(rows), device=self._keys.device)
        self._keys, self._values = self._keys.index_select(1, index), self._values.index_select(1, index)
        self._lengths = [self._lengths[row] for row in rows]

    def start(self, prefix_lengths: Sequence[int]) -> None:
        """Make room for prompts of these lengths.

        Raises:
            ValueError: another number of prompts than rows, or a prompt above the capacity.
        """
        if len(prefix_lengths) != len(self._lengths):
            raise ValueError(f"{len(prefix_lengths)} prompts do not fit a cache of {len(self._lengths)} rows")
        self._require(max(prefix_lengths))
        self._lengths = list(prefix_lengths)

    def prefill_attention(self, layout: PackLayout) -> Callable[[int], Attend]:
        """Attention inside a pack of prompts that also stores its keys and values."""
        lengths = torch.tensor(self._lengths, device=self._keys.device)
        row_T = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
        position_T = layout.to_tokens(layout.positions_slots)

        def attend_at(slot: int) -> Attend:
            def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
                self._keys[slot][row_T, :, position_T] = layout.to_tokens(k)
                self._values[slot][row_T, :, position_T] = layout.to_tokens(v)
                return layout.plan.attend(q, k, v)

            return attend

        return attend_at

    def step(self) -> tuple[Tensor, Callable[[int], Attend]]:
        """Open one position in every row: the positions [B], and the attention that writes and reads them.

        Raises:
            ValueError: a row is full.
        """
        self._require(max(self._lengths) + 1)
        positions_B = torch.tensor(self._lengths, device=self._keys.device)
        self._lengths = [length + 1 for length in self._lengths]
        longest = max(self._lengths)
        bias_B11C = self._length_bias(positions_B, longest)
        rows_B = torch.arange(len(self._lengths), device=self._keys.device)

        def attend_at(slot: int) -> Attend:
            keys_BNCP, values_BNCP = self._keys[slot], self._values[slot]

            def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
                if bias_B11C is None:
                    keys_BNCP[:, :, longest - 1] = k
                    values_BNCP[:, :, longest - 1] = v
                else:
                    keys_BNCP[rows_B, :, positions_B] = k
                    values_BNCP[rows_B, :, positions_B] = v
                seen = (keys_BNCP[:, :, :longest], values_BNCP[:, :, :longest])
                return F.scaled_dot_product_attention(q.unsqueeze(2), *seen, attn_mask=bias_B11C).squeeze(2)

            return attend

        return positions_B, attend_at

    def _length_bias(self, positions_B: Tensor, longest: int) -> Tensor | None:
        if min(self._lengths) == longest:
            return None
        hidden_BC = torch.arange(longest, device=positions_B.device) > positions_B[:, None]
        bias_BC = torch.zeros(hidden_BC.shape, dtype=self._keys.dtype, device=positions_B.device)
        return bias_BC.masked_fill(hidden_BC, float("-inf"))[:, None, None]

    def _require(self, n_tokens: int) -> None:
        if n_tokens > self.capacity_tokens:
            raise ValueError(f"{n_tokens} tokens do not fit a cache of {self.capacity_tokens}")
