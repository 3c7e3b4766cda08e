"""The cores that HRM is compared with: same embedding, head, loss, optimizer and data.

Owns Transformer, TRM, Universal Transformer and RINS. It must not change anything outside the core. All but the plain
Transformer (HRM's layers, applied once) apply as many layers in one forward pass as HRM does. TRM follows HRM's routing
with k; the others record everything, as they are usually trained. Sources: TRM arXiv 2510.04871; Universal Transformer
arXiv 1807.03819; RINS arXiv 2502.07503.
"""

from __future__ import annotations

from torch import Tensor

from hrmbuild.config.model import ModelConfig
from hrmbuild.model.hrm import TwoLevelModel
from hrmbuild.model.language_model import LanguageModel, Run


def build_trm(config: ModelConfig) -> TwoLevelModel:
    """One stack in both roles of the two-level loop."""
    return TwoLevelModel(config, H="stack", L="stack")


class Looped(LanguageModel):
    """Stacks (name: layers) applied one after the other, each so many times; an exit norm closes every pass."""

    def __init__(self, config: ModelConfig, stacks: dict[str, int], *, times: dict[str, int]) -> None:
        super().__init__(config, stacks)
        self._times, self.n_cache_slots = times, sum(n * times[name] for name, n in stacks.items())

    def core(self, embedded_TD: Tensor, run: Run, *, k: int | None) -> Tensor:
        state_TD = embedded_TD
        for name, n_times in self._times.items():
            for _ in range(n_times):
                state_TD = run.apply(self.model.get_submodule(name), state_TD)
        return state_TD


def build_transformer(config: ModelConfig) -> Looped:
    """All 2 x layers_per_stack layers, once."""
    return Looped(config, {"stack": 2 * config.layers_per_stack}, times={"stack": 1})


def build_ut(config: ModelConfig) -> Looped:
    """All layers in one stack, looped half as often as HRM applies its half-size stacks."""
    return Looped(config, {"stack": 2 * config.layers_per_stack}, times={"stack": max(1, config.n_applications // 2)})


def build_rins(config: ModelConfig) -> Looped:
    """The first half of the layers looped, the second half once."""
    halves = {"stack": config.layers_per_stack, "tail": config.layers_per_stack}
    return Looped(config, halves, times={"stack": config.n_applications - 1, "tail": 1})
