"""Keys and values of a batch of sequences: one slot for each stack application and layer.

Owns the storage, its columns and which of them a row may see. It must not compute attention nor choose tokens. A
recurrent model needs a slot per application, because the same layer sees another state each time it is applied.

Rows end in the same column: prompts are aligned to the right, so that one step writes one column and reads one range
for all rows. Columns before a row's first are hidden from it.

Shapes: S slots, B sequences, N heads, C columns, P width of a head.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hrmbuild.model.language_model import LanguageModel


class KVCache:
    """Holds prompts of the given lengths, and as many further tokens for each."""

    def __init__(self, model: LanguageModel, prompt_lengths: Sequence[int], *, n_new: int, dtype: torch.dtype) -> None:
        self.end, self.capacity = max(prompt_lengths), max(prompt_lengths) + n_new
        self._starts = [self.end - length for length in prompt_lengths]
        n_heads, device = model.config.n_heads, model.lm_head.weight.device
        shape = (2, model.n_cache_slots, len(prompt_lengths), n_heads, self.capacity, model.config.head_dim)
        # Zeros, not whatever was there: what is hidden is still multiplied, by a weight of 0.
        self._store = torch.zeros(shape, dtype=dtype, device=device)
        hidden_BC = torch.arange(self.capacity) < torch.tensor(self._starts)[:, None]
        bias_BC = torch.zeros(hidden_BC.shape, dtype=dtype).masked_fill_(hidden_BC, float("-inf"))
        self._bias = bias_BC[:, None, None].expand(-1, n_heads, -1, -1).contiguous().to(device)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Tokens held for each sequence."""
        return tuple(self.end - start for start in self._starts)

    def open_column(self) -> None:
        """Make room for one more token in every row; ValueError when there is none."""
        if self.end == self.capacity:
            raise ValueError(f"a cache of {self.capacity} columns is full")
        self.end += 1

    def drop(self, row: int) -> None:
        """Forget a sequence; the last one takes its row."""
        start = self._starts.pop()
        last = len(self._starts)
        if row < last:
            self._store[:, :, row, :, start : self.end] = self._store[:, :, last, :, start : self.end]
            self._bias[row] = self._bias[last]
            self._starts[row] = start

    def newest(self, rows: slice, n_tokens: int) -> Tensor:
        """The last columns of some rows, to write to: [2 (keys, values), S, rows, N, n_tokens, P]."""
        return self._store[:, :, rows, :, self.end - n_tokens : self.end]

    def seen(self, rows: slice) -> tuple[Tensor, Tensor]:
        """What some rows may look at: [2, S, rows, N, columns, P], and 0 or -inf for each, [rows x N, 1, columns]."""
        columns = slice(min(self._starts[rows]), self.end)
        return self._store[:, :, rows, :, columns], self._bias[rows, :, :, columns].flatten(0, 1)
