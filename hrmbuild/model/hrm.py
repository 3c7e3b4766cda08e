"""The recurrence of HRM-Text: two stacks at two speeds over one embedding.

Owns the order of the stack applications and which of them record a graph. It must not hold anything that the baselines
share. Source: arXiv 2605.20613, equations of "Hierarchical recurrence" and "Warm-up deep credit assignment".

    z_H  slow state, starts as the scaled embedding       z_L  fast state, starts as the frozen vector z_L_init
    L, H the fast and the slow stack                      k    applications that record a graph, counted from the end
"""

from __future__ import annotations

import torch
from torch import Tensor

from hrmbuild.config.model import ModelConfig
from hrmbuild.model.language_model import LanguageModel, Run
from hrmbuild.model.layers import Stack


def first_recorded(config: ModelConfig, k: int | None) -> tuple[int, int]:
    """Index of the first recorded application of H among the H's, and of L among the L's.

    H is served first: min(H_cycles, k - 1) of the k go to the last H's, what remains to the last L's. None records all.

    Raises:
        ValueError: k = 1 would cut the loss off from every weight; more than all applications do not exist.
    """
    if k is None:
        return 0, 0
    if not 2 <= k <= config.n_applications:
        raise ValueError(f"k must lie between 2 and {config.n_applications}, got {k}")
    n_recorded_H = min(config.H_cycles, k - 1)
    return config.H_cycles - n_recorded_H, config.H_cycles * config.L_cycles - (k - n_recorded_H)


class TwoLevelModel(LanguageModel):
    """The loop over z_H and z_L, for any pair of stacks."""

    def __init__(self, config: ModelConfig, stacks: dict[str, int]) -> None:
        super().__init__(config, stacks)
        self.model.register_buffer("z_L_init", torch.zeros(config.hidden_size))

    @property
    def n_cache_slots(self) -> int:
        """Applications x layers of one stack."""
        return self.config.n_applications * self.config.layers_per_stack

    def _levels(self) -> tuple[Stack, Stack]:
        raise NotImplementedError

    def _core(self, embedded_TD: Tensor, run: Run, *, k: int | None) -> Tensor:
        H, L = self._levels()
        H_cycles, L_cycles = self.config.H_cycles, self.config.L_cycles
        first_H, first_L = first_recorded(self.config, k)
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
        super().__init__(config, {"H_module": config.layers_per_stack, "L_module": config.layers_per_stack})

    def _levels(self) -> tuple[Stack, Stack]:
        return self.model.H_module, self.model.L_module
