"""What training holds between two steps, as named tensors and back.

Owns the mapping between the live model and optimizer and the tensors of a checkpoint. It must not touch files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from hrmbuild.model.language_model import LanguageModel
from hrmbuild.model.weights import fused_state, load_state
from hrmbuild.training.optimizer import AdamAtan2

Tensors = dict[str, Tensor]


@dataclass
class TrainState:
    """The live state of a run."""

    model: LanguageModel
    """Float32 masters; never the wrapped module."""
    optimizer: AdamAtan2
    step: int = 0
    """Updates done."""


def averaged_state(state: TrainState) -> Tensors:
    """The weights' averages by the weights' names; what has none yet (or is no parameter) as it is."""
    averages = {
        name: state.optimizer.state[parameter]["ema"]
        for name, parameter in state.model.named_parameters()
        if parameter in state.optimizer.state
    }
    return fused_state(state.model) | averages


def moments_state(state: TrainState) -> Tensors:
    """`m.<name>`, `v.<name>` and `t.<name>` (int64) of every parameter that was ever updated."""
    tensors: Tensors = {}
    for name, parameter in state.model.named_parameters():
        if parameter in state.optimizer.state:
            held = state.optimizer.state[parameter]
            tensors |= {f"m.{name}": held["exp_avg"], f"v.{name}": held["exp_avg_sq"]}
            tensors[f"t.{name}"] = torch.tensor(held["step"])
    return tensors


@torch.no_grad()
def restore(state: TrainState, weights: Mapping[str, Tensor], *, ema: Mapping[str, Tensor], moments: Tensors) -> None:
    """Put a checkpoint's tensors into the live state, bit for bit.

    Raises:
        InputError: the weights do not fit the model.
    """
    load_state(state.model, weights, where="checkpoint")
    state.optimizer.state.clear()
    for name, parameter in state.model.named_parameters():
        if f"t.{name}" in moments:
            state.optimizer.state[parameter] = {
                "step": int(moments[f"t.{name}"]),
                "exp_avg": moments[f"m.{name}"].to(parameter.device),
                "exp_avg_sq": moments[f"v.{name}"].to(parameter.device),
                "ema": ema[name].to(parameter.device),
            }
