"""The cores that HRM is compared with: same embedding, head, loss, optimizer and data.

Owns Transformer, TRM, Universal Transformer and RINS. It must not change anything outside the core. All are sized so
that one forward pass costs the same stack applications as HRM's, except the plain Transformer, which has HRM's layers
and is applied once. Sources: TRM arXiv 2510.04871; Universal Transformer arXiv 1807.03819; RINS arXiv 2502.07503.

Gradients: TRM follows HRM's routing with k; the other three record everything, as they are usually trained.
"""

from __future__ import annotations

from torch import Tensor

from hrmbuild.config.model import ModelConfig
from hrmbuild.model.hrm import TwoLevelModel
from hrmbuild.model.language_model import LanguageModel, Run
from hrmbuild.model.layers import Stack


class Trm(TwoLevelModel):
    """One stack in both roles of the two-level loop."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, {"stack": config.layers_per_stack})

    def _levels(self) -> tuple[Stack, Stack]:
        return self.model.stack, self.model.stack


class Looped(LanguageModel):
    """Layers of one stack applied in a loop, then perhaps others once; the exit norm closes every pass."""

    def __init__(self, config: ModelConfig, *, looped_layers: int, n_loops: int, tail_layers: int) -> None:
        stacks = {"stack": looped_layers} | ({"tail": tail_layers} if tail_layers else {})
        super().__init__(config, stacks)
        self._n_loops, self._looped_layers, self._tail_layers = n_loops, looped_layers, tail_layers

    @property
    def n_cache_slots(self) -> int:
        """Applications x layers."""
        return self._n_loops * self._looped_layers + self._tail_layers

    def _core(self, embedded_TD: Tensor, run: Run, *, k: int | None) -> Tensor:
        state_TD = embedded_TD
        for _ in range(self._n_loops):
            state_TD = run.apply(self.model.stack, state_TD)
        return run.apply(self.model.tail, state_TD) if self._tail_layers else state_TD


def build_transformer(config: ModelConfig) -> Looped:
    """All 2 x layers_per_stack layers, once."""
    return Looped(config, looped_layers=2 * config.layers_per_stack, n_loops=1, tail_layers=0)


def build_ut(config: ModelConfig) -> Looped:
    """All layers in one stack, looped half as often as HRM applies its half-size stacks."""
    n_loops = max(1, config.n_applications // 2)
    return Looped(config, looped_layers=2 * config.layers_per_stack, n_loops=n_loops, tail_layers=0)


def build_rins(config: ModelConfig) -> Looped:
    """The first half of the layers looped, the second half once."""
    layers = config.layers_per_stack
    return Looped(config, looped_layers=layers, n_loops=config.n_applications - 1, tail_layers=layers)
