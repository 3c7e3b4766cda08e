"""The recurrence of HRM-Text: two stacks at two speeds over one embedding.

Owns the order of the stack applications and which of them record a graph. It must not hold anything that the baselines
share. Source: arXiv 2605.20613, "Hierarchical recurrence" and "Warm-up deep credit assignment".

    z_H  slow state, starts as the scaled embedding       z_L  fast state, starts as the frozen vector z_L_init
    L, H the fast and the slow stack                      k    applications that record a graph, counted from the end
"""

from __future__ import annotations

import torch
from torch import Tensor

from hrmbuild.config.model import ModelConfig
from hrmbuild.model.language_model import LanguageModel, Run


class TwoLevelModel(LanguageModel):
    """The loop over z_H and z_L, for a pair of stacks or one in both roles."""

    def __init__(self, config: ModelConfig, *, H: str, L: str) -> None:
        super().__init__(config, dict.fromkeys((H, L), config.layers_per_stack))
        self._names, self.n_cache_slots = (H, L), config.n_applications * config.layers_per_stack
        self.model.register_buffer("z_L_init", torch.zeros(config.hidden_size))

    def core(self, embedded_TD: Tensor, run: Run, *, k: int | None) -> Tensor:
        H, L = (self.model.get_submodule(name) for name in self._names)
        H_cycles, L_cycles = self.config.H_cycles, self.config.L_cycles
        first_H, first_L = self.config.first_recorded(k)
        z_H = embedded_TD
        z_L = self.model.z_L_init.to(z_H.dtype).expand_as(z_H)
        for h in range(H_cycles):
            for i in range(h * L_cycles, (h + 1) * L_cycles):
                z_L = run.apply(L, z_L + z_H, recorded=i >= first_L)
            z_H = run.apply(H, z_H + z_L, recorded=h >= first_H)
        return z_H


class HrmText(TwoLevelModel):
    """The model: H and L each with their own weights."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, H="H_module", L="L_module")
