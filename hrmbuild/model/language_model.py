"""What every architecture shares: embedding, head, running a stack, training forward.

Owns the way from token ids to hidden states and logits around an abstract core. It must not know ranks, optimizers or
files. Sub-classes give the stacks and `core`: in which order they are applied.

Shapes: T tokens of the pack, D width, V padded vocabulary.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrmbuild.config.model import ModelConfig
from hrmbuild.model.attention import GatedAttention, rope_table
from hrmbuild.model.layers import Block, BlockWeights, Stack
from hrmbuild.model.layout import PackLayout
from hrmbuild.model.loss import ResponseLoss, response_loss


class Run(Protocol):
    """One pass of a core: how it applies a stack."""

    def apply(self, stack: Stack, x_TD: Tensor, *, recorded: bool = True) -> Tensor:
        """The stack's blocks and exit norm; without `recorded` no graph is kept."""
        ...


class PackRun(Run):
    """One pass over one pack: the same attention everywhere, recording switched on and off."""

    def __init__(self, attention: GatedAttention, weights: dict[Block, BlockWeights]) -> None:
        self._attention, self._weights = attention, weights

    def apply(self, stack: Stack, x_TD: Tensor, *, recorded: bool = True) -> Tensor:
        """The stack's blocks and exit norm; without `recorded` no graph is kept."""
        with nullcontext() if recorded else torch.no_grad():
            for block in stack.layers:
                x_TD = block(x_TD, self._attention, self._weights.get(block))
            return stack.exit_norm(x_TD)


class LanguageModel(nn.Module):
    """A core between one embedding and one untied head.

    `compute_dtype` casts each matrix once per pass; None computes in the parameters' own dtype, which is right when
    they are already low precision (inference). `is_sharded`: a block has its matrices only while it is applied.
    """

    n_cache_slots: int
    """Applications x layers: keys and values kept for each token."""

    def __init__(self, config: ModelConfig, stacks: dict[str, int]) -> None:
        super().__init__()
        self.config = config
        self.compute_dtype: torch.dtype | None = None
        self.is_sharded = False
        self.model = nn.Module()  # what the released weights call the part below the head
        self.model.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        for name, n_layers in stacks.items():
            self.model.add_module(name, Stack(config, n_layers))
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    @property
    def dtype(self) -> torch.dtype:
        """What the stacks compute in."""
        return self.compute_dtype or self.lm_head.weight.dtype

    def core(self, embedded_TD: Tensor, run: Run, *, k: int | None) -> Tensor:
        """Hidden states [T, D] from embedded tokens: stacks applied in the architecture's order."""
        raise NotImplementedError

    @torch.no_grad()
    def init_weights(self, seed: int) -> None:
        """LeCun normal truncated at 3 sigma, embedding and head with std 1/sqrt(d), z_L_init with std 1."""
        generator = torch.Generator().manual_seed(seed)
        for name, tensor in sorted([*self.named_parameters(), *self.named_buffers()]):
            std = 1.0 if name.endswith("z_L_init") else tensor.shape[-1] ** -0.5
            drawn = torch.empty(tensor.shape)
            tensor.copy_(nn.init.trunc_normal_(drawn, std=std, a=-3 * std, b=3 * std, generator=generator))

    def forward(self, token_ids_T: Tensor, labels_T: Tensor, layout: PackLayout, k: int) -> ResponseLoss:
        """One training pass: sums over the pack. Written as `forward` so that data-parallel wrappers see it."""
        return response_loss(self, self.forward_hidden(token_ids_T, layout, k=k), labels_T, layout)

    def forward_hidden(self, token_ids_T: Tensor, layout: PackLayout, *, k: int | None = None) -> Tensor:
        """Hidden states [T, D] in token order; k stack applications record a graph (None or 0: all of them)."""
        rope = rope_table(layout.positions, head_dim=self.config.head_dim, theta=self.config.rope_theta)
        attention = layout.plan.gated(rope, n_heads=self.config.n_heads, dtype=self.dtype)
        embedded = self.embed(layout.to_slots(token_ids_T))
        return layout.to_tokens(self.core(embedded, PackRun(attention, self._weights()), k=k or None))

    def head(self, hidden_TD: Tensor) -> Tensor:
        """Logits [T, V] in the hidden states' dtype."""
        return F.linear(hidden_TD, self.lm_head.weight.to(hidden_TD.dtype))

    def embed(self, token_ids: Tensor) -> Tensor:
        """What the core starts from, [T, D]."""
        return (self.model.embed_tokens(token_ids) * self.config.embedding_scale).to(self.dtype)

    def _weights(self) -> dict[Block, BlockWeights]:
        if self.is_sharded or self.dtype == self.lm_head.weight.dtype:
            return {}  # Blocks use their own.
        stacks = [stack for stack in self.model.children() if isinstance(stack, Stack)]
        return {block: block.weights(self.dtype) for stack in stacks for block in stack.layers}
