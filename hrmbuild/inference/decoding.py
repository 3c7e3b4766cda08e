"""The forward pass of inference: whole prompts once, then one token a step for every sequence.

Owns the block's equations as inference computes them, into buffers that a pass writes again and again, and the
attention over the cache. It must not choose tokens, and must equal the training forward at every position.

Why another form of the same equations: a decoding step is a few hundred small operations, so their number and the
bytes they move are its time. Here the norm is a product and two operations, RoPE one multiplication of complex
numbers, and nothing is joined, split or copied but the new keys and values. In the cache the two halves of a rotated
pair stand side by side, in queries as in keys; scores do not depend on that order.

Shapes: T tokens of a pass, R rows with n tokens each, S cache slots, N heads, P width of a head, D width, F
feed-forward width.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, groupby

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrmbuild.inference.cache import KVCache
from hrmbuild.model.attention import rope_table
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.model.layers import Block, BlockWeights, Stack

PREFILL_TOKENS = 1024
"""Prompts are read in groups of about so many tokens: buffers stay small enough for a CPU's caches."""


class Decoder:
    """Sequences that are decoded together."""

    def __init__(self, model: LanguageModel, prefixes: Sequence[Sequence[int]], *, n_new: int) -> None:
        """Room for these prompts, and for `n_new` tokens after each."""
        self._model, self._prefixes, self._device = model, prefixes, model.lm_head.weight.device
        dtype = torch.promote_types(model.lm_head.weight.dtype, torch.float32)
        self.cache = KVCache(model, [len(prefix) for prefix in prefixes], n_new=n_new, dtype=dtype)
        blocks = [block for block in model.model.modules() if isinstance(block, Block)]
        self._weights: dict[nn.Module, BlockWeights] = {
            block: BlockWeights(*(w.t() for w in block.weights(dtype))) for block in blocks
        }
        self._dtype, self._slot = dtype, 0
        self._pass: _Pass | None = None
        self._spans: list[_Span] = []

    def prefill(self) -> Tensor:
        """Read all prompts; logits [B, V] after each."""
        return torch.cat([self._read(rows) for rows in _groups(self.cache.lengths)])

    def _read(self, rows: range) -> Tensor:
        lengths = [self.cache.lengths[row] for row in rows]
        ids = torch.tensor([token for row in rows for token in self._prefixes[row]], device=self._device)
        self._pass = _Pass(self._model, len(ids), self._dtype)
        self._pass.turn_to(torch.cat([torch.arange(length) for length in lengths]))
        self._spans, row, token = [], rows.start, 0
        for length, equal in groupby(lengths):
            n = len(list(equal))
            self._spans.append(_Span(self._pass, self.cache, slice(row, row + n), first=token, n_tokens=length))
            row, token = row + n, token + n * length
        last = torch.tensor(list(accumulate(lengths)), device=self._device) - 1
        return self._model.head(self._hidden(ids)[last])

    def step(self, token_ids_B: Tensor) -> Tensor:
        """Append one token to every sequence; logits [B, V] for the next. ValueError when there is no room."""
        self.cache.open_column()
        if self._pass is None or self._pass.n_tokens != len(token_ids_B):
            self._pass = _Pass(self._model, len(token_ids_B), self._dtype)
        self._pass.turn_to(torch.tensor(self.cache.lengths) - 1)
        self._spans = [_Span(self._pass, self.cache, slice(0, len(token_ids_B)), first=0, n_tokens=1)]
        return self._model.head(self._hidden(token_ids_B))

    def drop(self, row: int) -> None:
        """Forget a sequence; the last one takes its row."""
        self.cache.drop(row)

    def _hidden(self, token_ids: Tensor) -> Tensor:
        self._slot = 0
        return self._model.core(self._model.embed(token_ids).to(self._dtype), self, k=None)

    def apply(self, stack: Stack, x_TD: Tensor, *, recorded: bool = True) -> Tensor:
        """The stack's blocks and exit norm, on the tokens of the pass at hand; no graph is ever kept."""
        now = self._pass
        assert now is not None, "a model's core runs inside a pass"
        for block in stack.layers:
            w = self._weights[block]
            torch.mm(now.norm(x_TD, now.normed), w.gqkv, out=now.gqkv)
            torch.complex(now.first, now.second, out=now.pairs).mul_(now.turn)
            for span in self._spans:
                span.attend(self._slot)
            self._slot += 1
            x_TD = torch.addmm(x_TD, now.attended, w.o)
            torch.mm(now.norm(x_TD, now.normed), w.gate_up, out=now.gate_up)
            torch.mul(F.silu(now.mlp_gate, inplace=True), now.up, out=now.product)
            x_TD.addmm_(now.product, w.down)
        return now.norm(x_TD, torch.empty_like(x_TD))


def _groups(lengths: Sequence[int]) -> list[range]:
    """Consecutive rows of at most PREFILL_TOKENS tokens in all, or one row."""
    groups, first, n_tokens = [], 0, 0
    for row, length in enumerate(lengths):
        if row > first and n_tokens + length > PREFILL_TOKENS:
            groups.append(range(first, row))
            first, n_tokens = row, 0
        n_tokens += length
    return [*groups, range(first, len(lengths))]


class _Pass:
    """Buffers for T tokens, and the views of them that every block uses again."""

    def __init__(self, model: LanguageModel, n_tokens: int, dtype: torch.dtype) -> None:
        config, device = model.config, model.lm_head.weight.device
        d, f, n, p = config.hidden_size, config.intermediate_size, config.n_heads, config.head_dim
        self.n_tokens, self._config = n_tokens, config
        widths = (d, 4 * d, d, 2 * f, f)
        self.normed, self.gqkv, self.attended, self.gate_up, self.product = (
            torch.empty(n_tokens, width, dtype=dtype, device=device) for width in widths
        )
        self.attended_TNP = self.attended.view(n_tokens, n, p)
        self.mlp_gate, self.up = self.gate_up.chunk(2, dim=-1)
        self.gate, _, _, self.v = self.gqkv.view(n_tokens, 4, n, p).unbind(1)
        qk_2TNhP = self.gqkv.view(n_tokens, 4, n, 2, p // 2)[:, 1:3].transpose(0, 1)
        self.first, self.second = qk_2TNhP.unbind(-2)
        self.pairs = torch.empty(2, n_tokens, n, p // 2, dtype=dtype.to_complex(), device=device)
        self.q, self.k = torch.view_as_real(self.pairs).flatten(-2).unbind(0)
        self._scale_T11 = torch.empty(n_tokens, 1, 1, dtype=dtype, device=device)
        self._eps = torch.full((1, 1, 1), config.norm_eps, dtype=dtype, device=device)
        self.turn = self.pairs[:, :, :1]

    def turn_to(self, positions_T: Tensor) -> None:
        """Set the tokens' positions: RoPE's angles as complex numbers, those of q times the softmax scale."""
        p = self._config.head_dim
        rope = rope_table(positions_T.to(self.q.device), head_dim=p, theta=self._config.rope_theta)
        turn_T1P = torch.complex(rope.cos, rope.sin).squeeze(1).to(self.pairs.dtype)
        self.turn = torch.stack((turn_T1P * p**-0.5, turn_T1P))

    def norm(self, x_TD: Tensor, out: Tensor) -> Tensor:
        """x / sqrt(mean(x^2) + eps), the mean as a product of each token with itself."""
        t, d = x_TD.shape
        torch.baddbmm(self._eps, x_TD.view(t, 1, d), x_TD.view(t, d, 1), alpha=1 / d, out=self._scale_T11)
        return torch.mul(x_TD, self._scale_T11.rsqrt_().view(t, 1), out=out)


class _Span:
    """Tokens of a pass that attend alike: `n_tokens` from `first` on for each of some rows of the cache."""

    def __init__(self, now: _Pass, cache: KVCache, rows: slice, *, first: int, n_tokens: int) -> None:
        n_rows = rows.stop - rows.start
        own = (x[first : first + n_rows * n_tokens] for x in (now.q, now.k, now.v, now.gate, now.attended_TNP))
        self._q, self._k, self._v, self._gate, self._out = (
            x.unflatten(0, (n_rows, n_tokens)).transpose(1, 2) for x in own
        )
        self._new_keys, self._new_values = (x.unbind(0) for x in cache.newest(rows, n_tokens))
        (keys, values), self._bias = cache.seen(rows)
        self._is_step = n_tokens == 1
        if self._is_step:
            self._q = self._q.flatten(0, 1)
            keys, values = keys.flatten(1, 2).transpose(-1, -2), values.flatten(1, 2)
        self._keys, self._values = keys.unbind(0), values.unbind(0)

    def attend(self, slot: int) -> None:
        """Store the new keys and values, attend, and multiply with the gate: a prompt sees itself, a step all."""
        self._new_keys[slot].copy_(self._k)
        self._new_values[slot].copy_(self._v)
        keys, values = self._keys[slot], self._values[slot]
        if self._is_step:
            out = torch.bmm(torch.baddbmm(self._bias, self._q, keys).softmax(-1), values).view(self._gate.shape)
        else:
            out = F.scaled_dot_product_attention(self._q, keys, values, scale=1.0)
        torch.mul(out, self._gate.sigmoid(), out=self._out)
